#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Bench of the queue on disk: the reference (Debian's Postfix) and ours in turn, as root, each with a queue of its own.
start    from postfix start until a new message is delivered, with N messages deferred that are not due
mailq    the list of N messages
delete   postsuper -d ALL on N messages

usage: bench_queue.py [--build DIR | --prefix DIR] [--messages 20000] [--rounds 3] [--where /tmp] [--only start,mailq,delete]"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))

from harness import Instance, reference, send_mail  # noqa: E402
from harness.spool import queue_file  # noqa: E402
from suite import installed  # noqa: E402


def fill(i, count):
    """count deferred messages that are due tomorrow."""
    data, later = queue_file(), time.time() + 86400
    for n in range(count):
        tmp = f"{i.queue}/deferred/tmp"
        with open(tmp, "wb") as f:
            f.write(data)
        name = f"{n % 0xFFFFF:05X}{os.stat(tmp).st_ino:X}"
        os.chown(tmp, i.account.pw_uid, i.account.pw_gid)
        os.chmod(tmp, 0o700)
        os.utime(tmp, (later, later))
        directory = f"{i.queue}/deferred/{name[0]}"
        if not os.path.isdir(directory):
            os.mkdir(directory, 0o700)
            os.chown(directory, i.account.pw_uid, i.account.pw_gid)
        os.rename(tmp, f"{directory}/{name}")
    os.sync()


def timed(fn):
    t0 = time.monotonic()
    fn()
    return time.monotonic() - t0


def first_delivery(i):
    i.start()
    mark = i.mark()
    assert send_mail(i.port(), "a@example.com", "u@relay.test", "Subject: x\r\n\r\nx\r\n").startswith("250")
    i.wait_log("status=sent", mark, timeout=300)


def listing(i):
    with tempfile.TemporaryFile() as out:
        subprocess.run(i.argv("postqueue", "-p"), stdout=out, check=True, env=i.env())


def one_round(i, count, only):
    out = {}
    i.postfix("check")
    fill(i, count)
    out["start"] = timed(lambda: first_delivery(i))
    if "mailq" in only:
        out["mailq"] = timed(lambda: listing(i))
    i.stop()
    os.chmod(i.log, 0o666)
    out["delete"] = timed(lambda: i.run("postsuper", "-d", "ALL", check=True, timeout=600))
    assert not i.queue_files("deferred")
    return {k: v for k, v in out.items() if k in only}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--build")
    p.add_argument("--prefix")
    p.add_argument("--messages", type=int, default=20000)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--where", default="/tmp")
    p.add_argument("--only", default="start,mailq,delete")
    args = p.parse_args()
    if os.getuid() != 0:
        raise SystemExit("the bench compares instances run by root: run it as root")
    with installed(args.build, args.prefix) as suite:
        measure(args, suite)


def measure(args, suite):
    only = args.only.split(",")
    main_cf = {"relay_domains": "relay.test", "transport_maps": "static:discard:"}
    instances = [Instance(s, main=main_cf, base=tempfile.mkdtemp(prefix="ph-bench-", dir=args.where)) for s in (reference(), suite)]
    times = {(i.suite.name, k): [] for i in instances for k in only}
    try:
        for r in range(args.rounds):
            for i in instances:
                result = one_round(i, args.messages, only)
                print(f"round {r + 1}: {i.suite.name:10s} " + "  ".join(f"{k} {v:.2f} s" for k, v in result.items()), flush=True)
                for k, v in result.items():
                    times[i.suite.name, k].append(v)
    finally:
        for i in instances:
            i.destroy()
    print(f"\n{args.messages} messages, {args.rounds} rounds, queues in {args.where}; medians in seconds; ratio: reference to ours")
    for k in only:
        a, b = (statistics.median(times[i.suite.name, k]) for i in instances)
        print(f"{k:10s}{a:10.2f}{b:10.2f}{a / b:10.2f}")


main()
