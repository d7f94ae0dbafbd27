# SPDX-License-Identifier: ISC
"""smtpd_per_request_deadline and smtpd_min_data_rate: clients that send a little at a time. The pace is the client's, the
pauses below are what is tested."""

import select
import time

import pytest
from harness import Batch, Pair, Smtp

LIMIT = 2       # smtpd_timeout, seconds
MAIL = ("EHLO x", "MAIL FROM:<a@b.example>", "RCPT TO:<user@vmbox.test>")
DEADLINE = {"smtpd_timeout": f"{LIMIT}s", "smtpd_per_request_deadline": "yes"}


@pytest.fixture(scope="module")
def pair():
    p = Pair(main={"virtual_mailbox_domains": "vmbox.test", "virtual_mailbox_maps": "static:user/"},
             smtpd={"on": DEADLINE, "off": {"smtpd_timeout": f"{LIMIT}s", "smtpd_per_request_deadline": "no"},
                    "fast": {**DEADLINE, "smtpd_min_data_rate": "1000000"}})
    try:
        yield p.start()
    finally:
        p.destroy()


def trickle(c, data, size, pause):
    """Until all is sent or the server says something."""
    for i in range(0, len(data), size):
        if select.select([c.sock], [], [], pause if i else 0)[0]:
            return
        c.send(data[i:i + size])


def session(service, data, size, pause, before=()):
    """size bytes of data after each pause; what the server says from there on."""
    def run(instance):
        with Smtp(instance.port(service)) as c:
            said = [c.cmd(x)[:3] for x in before]
            trickle(c, data, size, pause)
            said.append(c.reply())
            if said[-1].startswith("421"):
                said.append(c.reply())
            return [x[:20] if x.startswith("250 2.0.0") else x for x in said]
    return run


def many_commands(instance):
    """Longer than the limit in all, each command by itself in time."""
    with Smtp(instance.port("on")) as c:
        said = set()
        begin = time.monotonic()
        while time.monotonic() < begin + LIMIT * 1.5:
            trickle(c, b"NOOP\r\n", 1, 0.1)
            said.add(c.reply())
        return sorted(said)


def chunk(size, pause):
    def run(instance):
        with Smtp(instance.port("on")) as c:
            said = [c.cmd(x)[:3] for x in MAIL]
            c.send(b"BDAT %d LAST\r\n" % len(BDAT))
            trickle(c, BDAT, size, pause)
            said.append(c.reply()[:20])
            return said
    return run


DATA = (*MAIL, "DATA")
CONTENT = b"Subject: x\r\n\r\n" + 300 * b"0123456789\r\n" + b".\r\n"
BDAT = 300 * b"12345678\r\n"
CASES = {
    # Longer than the limit in all, never longer between two bytes.
    "command": session("on", b"NOOP " + 25 * b"x" + b"\r\n", 1, 0.1),
    "command without deadline": session("off", b"NOOP " + 25 * b"x" + b"\r\n", 1, 0.1),
    "content too slow": session("on", CONTENT, 10, 0.1, DATA),
    "content fast enough": session("on", CONTENT, 120, 0.1, DATA),
    "content without deadline": session("off", CONTENT, 120, 0.1, DATA),
    "content below a high rate": session("fast", CONTENT, 120, 0.1, DATA),
    "chunk too slow": chunk(10, 0.1),
    "chunk fast enough": chunk(100, 0.1),
    "each command has its own": many_commands,
    "silent": session("on", b"", 1, 0.1),
}


@pytest.fixture(scope="module")
def batch(pair):
    return Batch(pair, CASES)


@pytest.mark.parametrize("name", CASES)
def test_same(batch, name):
    batch.compare(name)


@pytest.mark.parametrize("name, end", [("command", "421 4.4.2 "), ("command without deadline", "250 2.0.0 Ok"), ("content too slow", "421 4.4.2 "),
                                       ("content fast enough", "250 2.0.0 Ok"), ("content below a high rate", "421 4.4.2 ")])
def test_what_was_compared(pair, name, end):
    """That the cases are what they are called: both sides could agree on something else."""
    assert any(x.startswith(end) for x in CASES[name](pair.ours))
