#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Bench of the queue on disk: the reference (Debian's Postfix) and ours in turn, as root, each with a queue of its own.
start        from postfix start until a new message is delivered, with N messages deferred that are not due
scan         CPU time of the queue manager for one scan of these
mailq        the list of N messages
mailq-cpu    CPU time of that, of showq and postqueue together; mailq-logs: when each message has a log, with the mail system down
delete       postsuper -d ALL on N messages
delete-cpu   CPU time of that
recipients   one message to R recipients, from the first command of the client until it has left the queue

usage: bench_queue.py [--build DIR | --prefix DIR] [--messages 100000] [--recipients 50000] [--rounds 3] [--where /tmp]
                      [--only start,scan,mailq,mailq-cpu,mailq-logs,delete,delete-cpu,recipients]
A queue is filled once a round if something is deleted, else once."""

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

STEPS = ("start", "scan", "mailq", "mailq-cpu", "mailq-logs", "delete", "delete-cpu", "recipients")
LOG = "\n<r@relay.test>: why\nrecipient=r@relay.test\noffset=223\ndsn_orig_rcpt=rfc822;r@relay.test\nstatus=4.4.1\naction=delayed\nreason=why\n\n"
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


def add_logs(i):
    for root, _, files in os.walk(f"{i.queue}/deferred"):
        for name in files:
            directory = f"{i.queue}/defer/{os.path.basename(root)}"
            if not os.path.isdir(directory):
                os.mkdir(directory, 0o700)
                os.chown(directory, i.account.pw_uid, i.account.pw_gid)
            with open(f"{directory}/{name}", "w") as f:
                f.write(LOG)
            os.chown(f"{directory}/{name}", i.account.pw_uid, i.account.pw_gid)


def cpu_of(i, *command):
    """User and system time of a command and what it starts."""
    with open(os.devnull, "r+b") as null:
        p = subprocess.Popen(i.argv(*command), stdin=null, stdout=null, stderr=null, env=i.env())
        usage = os.wait4(p.pid, 0)[2]
    p.returncode = 0
    return usage.ru_utime + usage.ru_stime


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


def cpu_seconds(pids):
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def scan(i):
    """What one look at the deferred queue costs: until the queue manager has been idle for half a second."""
    pids = i.pids("qmgr")
    first = before = now = cpu_seconds(pids)
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(f"{i.queue}/public/qmgr")
        s.sendall(b"D")
    idle = time.monotonic() + 0.5
    while time.monotonic() < idle:
        time.sleep(0.05)
        now = cpu_seconds(pids)
        if now != before:
            idle = time.monotonic() + 0.5
        before = now
    return now - first


def many_recipients(i, count):
    mark = i.mark()
    subprocess.run(["/usr/sbin/smtp-source", "-m", "1", "-r", str(count), "-f", "a@example.com", "-t", "u@relay.test", f"127.0.0.1:{i.port()}"],
                   check=True, stdout=subprocess.DEVNULL)
    i.wait_log(r"qmgr\[\d+\]: \w+: removed", mark, timeout=600)
    done = i.log_text(mark).count("status=sent")
    if done != count:
        raise SystemExit(f"{i.suite.name}: {done} of {count} recipients were delivered to")


def one_round(i, args, only):
    out = {}
    i.postfix("check")
    if set(only) - {"recipients"} and not i.queue_files("deferred"):
        fill(i, args.messages)
    out["start"] = timed(lambda: first_delivery(i))
    if "scan" in only:
        out["scan"] = scan(i)
    if "mailq" in only:
        out["mailq"] = timed(lambda: listing(i))
    if "recipients" in only:
        out["recipients"] = timed(lambda: many_recipients(i, args.recipients))
    i.stop()
    os.chmod(i.log, 0o666)
    if "mailq-cpu" in only:         # showq is a child of postqueue then
        out["mailq-cpu"] = cpu_of(i, "postqueue", "-p")
    if "mailq-logs" in only:
        add_logs(i)
        out["mailq-logs"] = cpu_of(i, "postqueue", "-p")
        for name in os.listdir(f"{i.queue}/defer"):
            shutil.rmtree(f"{i.queue}/defer/{name}")
    if {"delete", "delete-cpu"} & set(only):
        cpu = []
        out["delete"] = timed(lambda: cpu.append(cpu_of(i, "postsuper", "-d", "ALL")))
        out["delete-cpu"] = cpu[0]
        assert not i.queue_files("deferred")
    return {k: v for k, v in out.items() if k in only}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build")
    p.add_argument("--prefix")
    p.add_argument("--messages", type=int, default=100000)
    p.add_argument("--recipients", type=int, default=50000)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--where", default="/tmp")
    p.add_argument("--only", default=",".join(STEPS))
    args = p.parse_args()
    if os.getuid() != 0:
        raise SystemExit("the bench compares instances run by root: run it as root")
    if set(args.only.split(",")) - set(STEPS):
        raise SystemExit(f"--only: choose from {','.join(STEPS)}")
    with installed(args.build, args.prefix) as suite:
        measure(args, suite)


def measure(args, suite):
    only = args.only.split(",")
    # Files that are due tomorrow: no queue manager of ours makes such a stamp unless it may wait for so long.
    main_cf = {"relay_domains": "relay.test", "transport_maps": "static:discard:", "maximal_backoff_time": "2d", "in_flow_delay": "0",
               "smtpd_recipient_limit": str(args.recipients + 1), "smtpd_timeout": "600s"}
    instances = [Instance(s, main=main_cf, base=tempfile.mkdtemp(prefix="ph-bench-", dir=args.where)) for s in (reference(), suite)]
    times = {(i.suite.name, k): [] for i in instances for k in only}
    try:
        for r in range(args.rounds):
            for i in instances:
                result = one_round(i, args, only)
                print(f"round {r + 1}: {i.suite.name:10s} " + "  ".join(f"{k} {v:.2f} s" for k, v in result.items()), flush=True)
                for k, v in result.items():
                    times[i.suite.name, k].append(v)
    finally:
        for i in instances:
            i.destroy()
    print(f"\n{args.messages} messages, {args.recipients} recipients, {args.rounds} rounds in turn, queues in {args.where}; seconds: medians, "
          "and in brackets the range; ratio: reference to ours")
    print(f"{'':12s}{'reference':>24s}{'ours':>24s}{'ratio':>8s}")
    for k in only:
        both = [times[i.suite.name, k] for i in instances]
        text = [f"{statistics.median(x):.2f} ({min(x):.2f} to {max(x):.2f})" for x in both]
        ratio = statistics.median(both[0]) / max(statistics.median(both[1]), 0.005)
        print(f"{k:12s}{text[0]:>24s}{text[1]:>24s}{ratio:8.2f}")


if __name__ == "__main__":
    main()
