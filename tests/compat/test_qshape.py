# SPDX-License-Identifier: ISC
"""qshape on a queue made by hand: the reference's table."""

import os
import subprocess
import time

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, ours, reference
from harness.spool import Spool, queue_file, record

pytestmark = pytest.mark.skipif(os.getuid() != 0 or not os.path.exists("/usr/sbin/qshape"), reason="needs the reference's qshape, as root")

LONG = "averyveryverylong.subdomain.of.some.domain.example.info"
# No two names of one length with one count: the reference shows such in any order.
MAIL = [  # queue, domain, age in seconds, messages
    ("incoming", "a.example.com", 10, 3), ("active", "b.example.com", 400, 2), ("active", "c.d.example.com", 4000, 5), ("active", "example.com", 90, 1),
    ("deferred/A", "example.org", 90000, 7), ("deferred/B", "x.y.foo.test", 1000, 2), ("deferred/B", "z.y.foo.test", 3000, 12),
    ("incoming", LONG, 700, 1), ("active", "UP.xyzExample.org", 20, 1), ("hold", "a.example.com", 100000, 1),
    ("hold", "b.example.com", 290, 1), ("hold", "b.example.com", 310, 2),
]
CASES = [[], ["-s"], ["-p"], ["-p", "-m", "2"], ["-p", "-m", "1"], ["-p", "-m", "3"], ["-s", "-p", "-m", "1"], ["-b", "4"], ["-b", "12", "-w", "100"],
         ["-b", "20", "-w", "132"], ["-t", "1"], ["-t", "30"], ["-l"], ["-l", "-t", "10", "-b", "3"], ["-b", "1"], ["-b", "2"], ["-w", "60"], ["-w", "90"],
         ["-b", "14"], ["deferred"], ["deferred", "active"], ["hold"], ["saved"], ["-p", "-m", "1", "deferred", "hold"],
         ["@active"], ["-n", "2", "-N", "3"], ["-l", "-p", "-m", "2", "incoming", "active", "deferred", "hold"]]


@pytest.fixture(scope="module")
def spool():
    with Spool() as s:
        now, n = int(time.time()), 0
        for queue, domain, age, count in MAIL:
            for i in range(count):
                s.put(queue, f"m{n}", queue_file(now=now - age, sender=f"s@from{i % 3}.test", rcpts=[("R", f"u{i}@{domain}"), ("D", "x@done.test")]))
                n += 1
        s.put("incoming", "odd", queue_file(now=now, sender="", rcpts=[("R", "nodomains"), ("R", "u@[192.0.2.40]"), ("R", "\"a@b\"@qq.test"), ("/", "c@gone.test")]))
        s.put("incoming", "extracted", queue_file(now=now, rcpts=(), extracted=record("R", "e@extracted.test")))
        s.put("incoming", "unfinished", queue_file(now=now), mode=0o600)
        yield s


@pytest.mark.parametrize("args", CASES, ids=lambda a: " ".join(a) or "none")
def test_qshape(spool, args):
    out = []
    for suite in (reference(), reference() if SELF_CHECK or REFERENCE_ONLY else ours()):
        argv = [f"{spool.queue}/{a[1:]}" if a.startswith("@") else a for a in args]
        p = subprocess.run([suite.prog("qshape"), "-c", spool.base, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=30,
                           env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"})
        out.append((p.returncode, [line.rstrip() for line in p.stdout.splitlines()]))
    assert out[1] == out[0]


@pytest.mark.skipif(REFERENCE_ONLY or SELF_CHECK, reason="needs the suite under test")
@pytest.mark.parametrize("args", [["-z"], ["-b", "x"], ["-t", "-1"], ["-b", "1000"], ["-m", ""]], ids=" ".join)
def test_bad_options(spool, args):
    p = subprocess.run([ours().prog("qshape"), *args], capture_output=True, text=True, env={"MAIL_CONFIG": spool.base, "PATH": "/usr/bin:/bin"})
    assert p.returncode == 1 and p.stdout == "" and "qshape: fatal: " in p.stderr
