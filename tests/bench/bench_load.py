#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Load benches of the SMTP server: the reference (Debian's Postfix) and ours in turn, as root.
hold      N sessions held open at the same time: memory of the whole suite, how long it takes until all are greeted, none refused
accept    sessions a second: connect, greeting, QUIT; CPU of the server for one
slow      a fast client alone and beside many that send a byte now and then: messages a second
lookups   CPU of the server for one RCPT with a restriction list of 20 table lookups

usage: bench_load.py [--build DIR | --prefix DIR] [--rounds 3] [--only hold,accept,slow,lookups] [--sessions 10000]
                     [--reference-sessions 1000] [--slow-clients 1000] [--suite ours|reference]"""

import argparse
import contextlib
import os
import resource
import select
import signal
import socket
import statistics
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))

from harness import Instance, Smtp, reference  # noqa: E402
from measure import Cgroup, available_kb, cpu_seconds, fmt, private_kb  # noqa: E402
from suite import installed  # noqa: E402

LOOKUPS = 20
MESSAGE = b"Subject: x\r\n\r\n" + 50 * (b"x" * 78 + b"\r\n")
AT_A_TIME = 200         # connections under way: less than a listen backlog
SPARE = 100             # processes beyond those that the bench needs


class Server:
    """An instance with room for so many sessions."""

    def __init__(self, suite, limit, where, prepare=None, **main):
        self.prepare = prepare
        self.group = Cgroup(suite.name)
        # A limit for smtpd alone: others take what is stock.
        self.instance = Instance(suite, base=tempfile.mkdtemp(prefix=f"ph-{suite.name[:3]}-", dir=where), wrapper=self.group.prefix(), main={
            "relay_domains": "relay.test", "transport_maps": "static:discard:", "smtpd_client_connection_count_limit": "0", "in_flow_delay": "0",
            "smtpd_peername_lookup": "no", "smtpd_timeout": "3600s", "local_recipient_maps": "", "smtpd_error_sleep_time": "0",
            "smtpd_recipient_limit": "100000", "default_process_limit": str(limit), "compatibility_level": "3.6", **main})

    def __enter__(self):
        try:
            if self.prepare:
                self.prepare(self.instance)
            self.instance.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *unused):
        self.instance.destroy()
        self.group.close()

    def cpu(self):
        if self.group.path:
            return self.group.usec() / 1e6
        return cpu_seconds(self.instance.pids() + [self.instance.master_pid()])


class Conn:
    """A session of the crowd: what it waits for, and what it was told."""

    def __init__(self, port, n):
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.bind((f"127.0.1.{n // 20000 + 1}", 0))
        self.sock.connect_ex(("127.0.0.1", port))
        self.got = b""

    def read(self):
        """A whole reply, b"" when the server is gone, None when there is more to come."""
        try:
            data = self.sock.recv(4096)
        except BlockingIOError:
            return None
        except OSError:
            return b""
        if not data:
            return b""
        self.got += data
        if not self.got.endswith(b"\n"):
            return None
        reply, self.got = self.got, b""
        return reply


def crowd(port, count):
    """So many greeted sessions. Those that were refused, and why, are given back, too."""
    ready, refused, waiting = [], [], {}
    poll, started = select.epoll(), 0
    while len(ready) + len(refused) < count:
        while started < count and len(waiting) < AT_A_TIME:
            c = Conn(port, started)
            waiting[c.sock.fileno()] = c
            poll.register(c.sock, select.EPOLLIN)
            started += 1
        events = poll.poll(60)
        if not events:
            raise SystemExit(f"no greeting within 60 s; {len(ready)} of {count} sessions are open")
        for fd, _ in events:
            reply = waiting[fd].read()
            if reply is None:
                continue
            c = waiting.pop(fd)
            poll.unregister(fd)
            if reply.startswith(b"220"):
                ready.append(c)
            else:
                refused.append(reply.decode("ascii", "replace"))
                c.sock.close()
    poll.close()
    return ready, refused


def ask_all(sessions, command, code):
    """Each session is told the same; how many give that answer."""
    by_fd = {c.sock.fileno(): c for c in sessions}
    poll, right = select.epoll(), 0
    for fd, c in by_fd.items():
        poll.register(fd, select.EPOLLIN)
        c.sock.setblocking(True)
        c.sock.sendall(command)
        c.sock.setblocking(False)
    while by_fd:
        events = poll.poll(60)
        if not events:
            break
        for fd, _ in events:
            reply = by_fd[fd].read()
            if reply is not None:
                right += reply.startswith(code)
                poll.unregister(fd)
                del by_fd[fd]
    poll.close()
    return right


def hold(args, suite):
    wanted = args.sessions if suite.name == "ours" else min(args.reference_sessions, args.sessions)
    if wanted < args.sessions:
        print(f"{suite.name}: {wanted} sessions only: a process each, of 1.5 MB and more (--reference-sessions)")
    with Server(suite, wanted + SPARE, args.where) as s:
        before, private0 = available_kb(), private_kb(s.instance.pids())
        cpu, begin = s.cpu(), time.monotonic()
        sessions, refused = crowd(s.instance.port(), wanted)
        took, cpu = time.monotonic() - begin, s.cpu() - cpu
        hello = ask_all(sessions, b"EHLO bench\r\n", b"250")
        pids = s.instance.pids()
        private, left = private_kb(pids), available_kb()
        still = ask_all(sessions, b"QUIT\r\n", b"221")
        for c in sessions:
            c.sock.close()
    if refused:
        print(f"{suite.name}: {len(refused)} of {wanted} refused, first: {refused[0].strip()}")
    return {"sessions held": wanted - len(refused), "refused": len(refused), "answered EHLO": hello, "answered QUIT": still,
            "private memory, MiB": private / 1024, "private kB/session": (private - private0) / wanted,
            "all memory, MiB": (before - left) / 1024, "all memory, kB/session": (before - left) / wanted,
            "sessions opened/s": wanted / took, "CPU ms/session": cpu / wanted * 1000}


def accept(args, suite):
    """Sessions come and go, forty at a time."""
    def visit(count):
        poll, waiting, started, done = select.epoll(), {}, 0, 0
        while done < count:
            while started < count and len(waiting) < 40:
                c = Conn(port, 0)
                waiting[c.sock.fileno()] = c
                poll.register(c.sock, select.EPOLLIN)
                started += 1
            for fd, _ in poll.poll(60):
                c = waiting[fd]
                reply = c.read()
                if reply is None:
                    continue
                if reply.startswith(b"220"):
                    c.sock.send(b"QUIT\r\n")
                    continue
                if not reply.startswith(b"221"):
                    raise SystemExit(f"{suite.name}: {reply!r}")
                poll.unregister(fd)
                c.sock.close()
                del waiting[fd]
                done += 1
        poll.close()
    with Server(suite, 100, args.where) as s:
        port = s.instance.port()
        visit(500)
        cpu, begin = s.cpu(), time.monotonic()
        visit(args.visits)
        took, cpu = time.monotonic() - begin, s.cpu() - cpu
    return {"sessions/s": args.visits / took, "CPU ms/visit": cpu / args.visits * 1000}


def messages(port, seconds):
    """What one client gets through, a message after the other."""
    with Smtp(port) as c:
        c.cmd("EHLO bench")
        begin, n = time.monotonic(), 0
        while time.monotonic() - begin < seconds:
            assert c.mail("sender@example.com", ["user@relay.test"], MESSAGE).startswith("250")
            n += 1
        took = time.monotonic() - begin
        c.cmd("QUIT")
    return n / took


def drip(sessions):
    """Each of them a byte a second, for ever."""
    line, at = b"NOOP\r\n", 0
    while True:
        for c in sessions:
            with contextlib.suppress(OSError):
                c.sock.send(line[at:at + 1])
                if at == 0:
                    c.sock.recv(4096, socket.MSG_DONTWAIT)
            time.sleep(1 / len(sessions))
        at = (at + 1) % len(line)


def slow(args, suite):
    """Two instances, one with the crowd; the fast client visits both by turns, the crowd is silent while it is at the other."""
    with Server(suite, SPARE, args.where) as quiet, Server(suite, args.slow_clients + SPARE, args.where) as busy:
        ports = {"alone": quiet.instance.port(), "beside": busy.instance.port()}
        sessions, refused = crowd(ports["beside"], args.slow_clients)
        if refused:
            raise SystemExit(f"{suite.name}: {len(refused)} slow clients refused: {refused[0]}")
        rates = {"alone": [], "beside": []}
        for port in ports.values():
            messages(port, 1)
        child = os.fork()               # not a thread: it would be the fast client that it slows down
        if child == 0:
            drip(sessions)
        try:
            for n in range(int(args.seconds) * 2):
                which = "alone" if n % 2 else "beside"
                os.kill(child, signal.SIGSTOP if n % 2 else signal.SIGCONT)
                rates[which].append(messages(ports[which], 1))
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        for c in sessions:
            c.sock.close()
    alone, beside = (statistics.median(rates[k]) for k in ("alone", "beside"))
    return {"alone, messages/s": alone, "beside slow ones, messages/s": beside, "slow-down, %": (alone / beside - 1) * 100}


def lookups(args, suite):
    """Recipients in groups of a hundred, none of which any table has."""
    tables = [f"check_{who}_access hash:@config@/table{n}" for n in range(LOOKUPS // 2) for who in ("recipient", "sender")]

    def ask(port, count):
        with Smtp(port) as c:
            c.cmd("EHLO bench")
            assert c.cmd("MAIL FROM:<sender@some.example.com>").startswith("250")
            for n in range(count // 100):
                c.send(b"".join(b"RCPT TO:<user%d@relay.test>\r\n" % (n * 100 + i) for i in range(100)))
                for _ in range(100):
                    reply = c.reply()
                    assert reply.startswith("250"), reply
            c.cmd("RSET")
            c.cmd("QUIT")
    def make_tables(instance):
        for n in range(LOOKUPS // 2):
            instance.write(f"table{n}", "".join(f"user{i}@other{n}.example REJECT\n" for i in range(1000)))
            instance.run("postmap", f"hash:{instance.config}/table{n}", check=True)
    out = {}
    for what, restrictions in (("none", "permit"), ("all", ", ".join(tables) + ", permit")):
        with Server(suite, 100, args.where, make_tables, smtpd_recipient_restrictions=restrictions, smtpd_relay_restrictions="permit_mynetworks, reject") as s:
            ask(s.instance.port(), 1000)
            cpu = s.cpu()
            ask(s.instance.port(), args.recipients)
            out[what] = (s.cpu() - cpu) / args.recipients * 1e6
    return {f"CPU us/RCPT, {LOOKUPS} lookups": out["all"], "CPU us/RCPT, none": out["none"], "CPU us/RCPT, lookups alone": out["all"] - out["none"]}


BENCHES = {"hold": hold, "accept": accept, "slow": slow, "lookups": lookups}


def table(name, results):
    names = list(results)
    print(f"\n{name}; medians" + ("; ratio: ours to reference" if len(names) == 2 else ""))
    print(f"{'':32s}" + "".join(f"{n:>12s}" for n in names) + ("       ratio" if len(names) == 2 else ""))
    for key in results[names[0]][0]:
        values = [statistics.median(r[key] for r in results[n]) for n in names]
        line = f"{key:32s}" + "".join(f"{fmt(v):>12s}" for v in values)
        if len(values) == 2 and all(values):
            line += f"{values[1] / values[0]:12.2f}"
        print(line, flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build")
    p.add_argument("--prefix")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--only", default="hold,accept,slow,lookups")
    p.add_argument("--suite")
    p.add_argument("--where", default="/tmp")
    p.add_argument("--sessions", type=int, default=10000)
    p.add_argument("--reference-sessions", type=int, default=1000)
    p.add_argument("--slow-clients", type=int, default=1000)
    p.add_argument("--visits", type=int, default=10000)
    p.add_argument("--recipients", type=int, default=20000)
    p.add_argument("--seconds", type=float, default=5)
    args = p.parse_args()
    if os.getuid() != 0:
        raise SystemExit("the bench compares instances run by root: run it as root")
    need = args.sessions + args.slow_clients + 1000
    hard = max(need, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))
    with contextlib.ExitStack() as stack:
        suites = [reference()] if args.suite != "ours" else []
        if args.suite != "reference":
            suites.append(stack.enter_context(installed(args.build, args.prefix)))
        for name in args.only.split(","):
            results = {s.name: [] for s in suites}
            # One round fills the memory with as many processes as a round of the other benches starts: once is enough.
            for r in range(1 if name == "hold" else args.rounds):
                for s in suites:
                    results[s.name].append(BENCHES[name](args, s))
                    print(f"{name}, round {r + 1}: {s.name:10s} " + "  ".join(f"{k} {fmt(v)}" for k, v in results[s.name][-1].items()), flush=True)
            table(name, results)


main()
