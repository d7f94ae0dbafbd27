# SPDX-License-Identifier: ISC
"""What the benches measure with: CPU time and private memory of all processes of an instance."""

import os
import re
import socket

from harness import wait_for

TICK = os.sysconf("SC_CLK_TCK")


class Cgroup:
    """CPU time of everything that ran inside; falls back to /proc when there is no cgroup."""

    def __init__(self, name):
        self.path = self.file = None
        for top, probe in (("/sys/fs/cgroup", "cpu.stat"), ("/sys/fs/cgroup/cpuacct", "cpuacct.usage")):
            path = f"{top}/posthaste-bench-{os.getpid()}-{name}"
            try:
                os.mkdir(path)
            except OSError:
                continue
            if os.path.exists(f"{path}/{probe}") and os.path.exists(path + "/cgroup.procs"):
                self.path, self.file = path, f"{path}/{probe}"
                break
            os.rmdir(path)

    def prefix(self):
        if not self.path:
            return []
        return ["sh", "-c", f'echo $$ > {self.path}/cgroup.procs && exec "$@"', "sh"]

    def usec(self):
        with open(self.file) as f:
            text = f.read()
        m = re.search(r"usage_usec (\d+)", text)
        return int(m.group(1)) if m else int(text) / 1000

    def close(self):
        if self.path:
            try:
                wait_for(lambda: not open(self.path + "/cgroup.procs").read(), 10)
                os.rmdir(self.path)
            except (AssertionError, OSError):
                pass


def cpu_seconds(pids):
    """User and system time of processes and of their ended, waited-for children."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat") as f:
                rest = f.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(int(rest[i]) for i in (11, 12, 13, 14))
    return total / TICK


def private_kb(pids):
    """Private memory of the processes together."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as f:
                total += sum(int(x) for x in re.findall(r"(?m)^Private_\w+:\s+(\d+)", f.read()))
        except OSError:
            pass
    return total


def available_kb():
    """What the machine has left, the kernel's own needs for processes and sockets counted."""
    with open("/proc/meminfo") as f:
        return int(re.search(r"MemAvailable:\s+(\d+)", f.read()).group(1))


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def fmt(value, unit=""):
    return "-" if value is None else f"{value:.2f}{unit}" if value < 100 else f"{value:.0f}{unit}"
