#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The bench: smtp-source -> relay -> smtp-sink with the reference (Debian's Postfix)
and ours in turn, as root, in private directories. Prints messages a second, CPU a
message of all processes of the instance, system calls a message, private memory of
an idle session, and what starting a session costs.

usage: bench.py [--build DIR | --prefix DIR] [--rounds 3] [--messages 4000] [--sessions 20]
                [--length 4096] [--only relay,syscalls,idle,start] [--suite ours|reference]"""

import argparse
import contextlib
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))

from image import Missing, place  # noqa: E402
from harness import Instance, Smtp, free_port, reference, wait_for  # noqa: E402
from measure import Cgroup, cpu_seconds, fmt, listens, private_kb  # noqa: E402
from suite import installed  # noqa: E402


class Bench:
    def __init__(self, args, suite, where):
        self.args = args
        self.sink_port = free_port()
        self.sink = subprocess.Popen(["/usr/sbin/smtp-sink", "-u", "nobody", f"127.0.0.1:{self.sink_port}", "1000"],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.group = Cgroup(suite.name)
        base = tempfile.mkdtemp(prefix=f"ph-{suite.name[:3]}-", dir=where)
        self.instance = Instance(suite, base=base, wrapper=self.group.prefix(), main={
            "relay_domains": "relay.test",
            "transport_maps": f"static:smtp:[127.0.0.1]:{self.sink_port}",
            "smtpd_client_connection_count_limit": "0",
            "in_flow_delay": "0",
            "local_recipient_maps": "",
        })
        self.instance.start()
        wait_for(lambda: listens(self.sink_port), 20, "smtp-sink")

    def close(self):
        self.instance.destroy()
        self.group.close()
        self.sink.kill()
        self.sink.wait()

    def cpu(self):
        if self.group.path:
            return self.group.usec() / 1e6
        return cpu_seconds(self.instance.pids() + [self.instance.master_pid()])

    def source(self, messages, sessions=None):
        a = self.args
        # smtp-source opens a new session for each message unless told -d.
        cmd = ["/usr/sbin/smtp-source", "-s", str(sessions or a.sessions), "-m", str(messages), "-l", str(a.length),
               "-f", "sender@example.com", "-t", "user@relay.test"] + (["-d"] if a.keep else []) + \
              [f"inet:127.0.0.1:{self.instance.port()}"]
        subprocess.run(cmd, check=True, stdout=subprocess.DEVNULL, timeout=600)

    def drain(self, timeout=600):
        wait_for(lambda: not self.instance.queue_files("incoming", "active", "maildrop"), timeout, "an empty queue")

    def relay(self, messages):
        """Messages a second from the first connect to the last removal, and CPU a message."""
        c0, t0 = self.cpu(), time.monotonic()
        self.source(messages)
        self.drain()
        t, c = time.monotonic() - t0, self.cpu() - c0
        left = self.instance.queue_files()
        if left:
            raise SystemExit(f"{len(left)} messages left in the queue of {self.instance.suite.name}")
        return messages / t, c / messages * 1000

    def syscalls(self, messages):
        """strace -f -c on master and all that it runs."""
        if not shutil.which("strace"):
            return None
        out = tempfile.NamedTemporaryFile(prefix="strace-", delete=False).name
        pids = self.instance.pids()
        tracer = subprocess.Popen(["strace", "-f", "-c", "-q", "-o", out] + [w for p in pids for w in ("-p", str(p))],
                                  stderr=subprocess.DEVNULL)
        wait_for(lambda: all(traced(p) for p in self.instance.pids()), 20, "strace to attach")
        self.source(messages)
        self.drain()
        tracer.send_signal(signal.SIGINT)
        tracer.wait(60)
        with open(out) as f:
            text = f.read()
        os.unlink(out)
        total = re.search(r"(?m)^100\.00\s+\S+\s+(?:\d+\s+)?(\d+)\s+(?:\d+\s+)?total", text)
        if self.args.verbose:
            print(text)
        return int(total.group(1)) / messages if total else None

    def idle(self, count):
        """Private memory of one idle session in kB: that of all smtpd processes while count
        sessions are open, more than there were processes before."""
        sessions = [Smtp(self.instance.port()) for _ in range(count)]
        for c in sessions:
            c.cmd("EHLO x")
        total = private_kb(self.instance.pids("smtpd"))
        for c in sessions:
            c.cmd("QUIT")
            c.close()
        return total / count

    def start(self, count):
        """Wall time from connect to greeting, and CPU, of sessions that need a new process."""
        c0, t0 = self.cpu(), time.monotonic()
        open_ = [Smtp(self.instance.port()) for _ in range(count)]
        t, c = time.monotonic() - t0, self.cpu() - c0
        for s in open_:
            s.cmd("QUIT")
            s.close()
        return t / count * 1000, c / count * 1000


def traced(pid):
    try:
        with open(f"/proc/{pid}/status") as f:
            return "TracerPid:\t0" not in f.read()
    except OSError:
        return True


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--build")
    p.add_argument("--prefix")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--messages", type=int, default=4000)
    p.add_argument("--sessions", type=int, default=20)
    p.add_argument("--length", type=int, default=4096)
    p.add_argument("--idle-sessions", type=int, default=90)
    p.add_argument("--trace-messages", type=int, default=500)
    p.add_argument("--only", default="relay,syscalls,idle,start")
    p.add_argument("--suite")
    p.add_argument("--where", default="/tmp,xfs,ext4-journal,/dev/shm",
                   help="where the queues are, one run each: a directory, or xfs or ext4-journal for an image of that kind")
    p.add_argument("--keep", action="store_true", help="smtp-source keeps its sessions open (-d)")
    p.add_argument("--verbose", action="store_true")
    args = p.parse_args()
    if os.getuid() != 0:
        raise SystemExit("the bench compares instances run by root: run it as root")
    for tool in ("/usr/sbin/smtp-source", "/usr/sbin/smtp-sink"):
        if not os.path.exists(tool):
            raise SystemExit(f"{tool} is missing: ./quickstart --deps-only --tests")
    with contextlib.ExitStack() as stack:
        suites = [reference()] if args.suite != "ours" else []
        if args.suite != "reference":
            suites.append(stack.enter_context(installed(args.build, args.prefix)))
        for i, where in enumerate(args.where.split(",")):
            # What does not depend on the file system is measured in the first place only.
            only = args.only.split(",") if i == 0 else ["relay"]
            if i > 0 and "relay" not in args.only.split(","):
                continue
            try:
                with place(where) as directory:
                    table(args, directory, measure(args, suites, directory, only))
            except Missing as e:
                print(e)


def relay_rounds(args, benches, result):
    rates = {n: [] for n in result}
    cpus = {n: [] for n in result}
    for b in benches:
        b.relay(min(500, args.messages))            # warm
    for r in range(args.rounds):
        for b in benches:
            rate, cpu = b.relay(args.messages)
            name = b.instance.suite.name
            rates[name].append(rate)
            cpus[name].append(cpu)
            print(f"round {r + 1}: {name:10s} {rate:8.0f} messages/s  {cpu:6.2f} ms CPU/message", flush=True)
    for n in result:
        result[n]["messages/s"] = statistics.median(rates[n])
        result[n]["CPU ms/message"] = statistics.median(cpus[n])


def measure(args, suites, where, only):
    benches = []
    try:
        for s in suites:
            benches.append(Bench(args, s, where))
        result = {b.instance.suite.name: {} for b in benches}
        if "relay" in only:
            relay_rounds(args, benches, result)
        for b in benches:
            row = result[b.instance.suite.name]
            if "start" in only:
                row["session start ms"], row["session start CPU ms"] = b.start(args.idle_sessions)
            if "idle" in only:
                row["private kB/idle session"] = b.idle(args.idle_sessions)
            if "syscalls" in only:
                row["system calls/message"] = b.syscalls(args.trace_messages)
    finally:
        for b in benches:
            b.close()
    return result


def file_system(where):
    return subprocess.run(["stat", "-f", "-c", "%T", where], capture_output=True, text=True).stdout.strip()


def table(args, where, result):
    names = list(result)
    print(f"\n{args.messages} messages of {args.length} bytes, {args.sessions} sessions, {args.rounds} rounds, "
          f"{os.cpu_count()} CPUs, queues in {where} ({file_system(where)}); medians")
    print(f"{'':26s}" + "".join(f"{n:>12s}" for n in names) + ("       ratio" if len(names) == 2 else ""))
    for k in result[names[-1]]:
        values = [result[n].get(k) for n in names]
        line = f"{k:26s}" + "".join(f"{fmt(v):>12s}" for v in values)
        if len(values) == 2 and all(values):
            line += f"{values[1] / values[0]:12.2f}"
        print(line)


main()
