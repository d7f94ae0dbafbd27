# SPDX-License-Identifier: ISC
"""Any bytes on any socket of the suite: the connection ends, no service dies, mail goes on."""

import glob
import os
import random
import re
import socket
import stat
import struct

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Sink, Smtp, send_mail
from harness.under_test import IS_REFERENCE, make

pytestmark = pytest.mark.skipif(REFERENCE_ONLY or SELF_CHECK or IS_REFERENCE, reason="our own protocol between processes")

KINDS = 60          # more than there are message kinds
MESSAGES = 40       # a socket


def frame(kind, payload):
    return struct.pack("=IHH", len(payload), kind, 0) + payload


def hostile(rng):
    """One connection's worth of bytes: noise, half frames, frames of every kind with noise in them."""
    what = rng.randrange(6)
    noise = rng.randbytes(rng.choice([0, 1, 7, 8, 100, 5000]))
    if what == 0:
        return noise
    if what == 1:
        return frame(rng.randrange(KINDS), noise)
    if what == 2:                                       # a list that claims to be huge
        return frame(rng.randrange(KINDS), struct.pack("=I", 0xffffffff) * rng.randrange(1, 12))
    if what == 3:                                       # length beyond any limit
        return struct.pack("=IHH", 0xffffffff, rng.randrange(KINDS), 0) + noise
    if what == 4:                                       # spans that are well formed but mean nothing
        words = [b"", b"../../etc/passwd", b"\n", b"A" * 300, b"\0", b"%s%n", b"local"]
        return b"".join(frame(rng.randrange(KINDS), b"".join(struct.pack("=I", len(w)) + w for w in rng.choices(words, k=rng.randrange(1, 6))))
                        for _ in range(3))
    return b"\n".join(rng.choices([b"N../../etc/passwd", b"NABC", b"W", b"FADI", b"N" + b"x" * 400, noise], k=4))


def poke(path, data, kind):
    with socket.socket(socket.AF_UNIX, kind) as s:
        s.settimeout(2)
        try:
            s.connect(path)
            s.sendall(data)
            if kind == socket.SOCK_STREAM:
                s.shutdown(socket.SHUT_WR)
                s.recv(4096)
        except OSError:
            pass                                        # being cut off is the right answer


def sockets(instance):
    out = []
    for path in sorted(glob.glob(instance.queue + "/p*/*")):
        if stat.S_ISSOCK(os.stat(path).st_mode):
            out.append((path, socket.SOCK_DGRAM if path.endswith("/postlog") else socket.SOCK_STREAM))
    return out


def deaths(instance):
    return [line for line in instance.log_lines() if re.search(r"killed by signal|panic:|exit status [^0]", line)]


@pytest.fixture(scope="module")
def instance():
    sink = Sink()
    with make(main={"relay_domains": "relay.test", "transport_maps": f"static:smtp:[127.0.0.1]:{sink.port}"}) as i:
        i.sink = sink
        yield i
    sink.close()


def missing_program(instance, path):
    """A socket whose service this release does not have: nobody will answer."""
    name = os.path.basename(path)
    with open(instance.config + "/master.cf", encoding="utf-8") as f:
        for line in f:
            words = line.split()
            if len(words) >= 8 and words[0] == name and words[1] != "inet":
                return not os.path.exists(os.path.join(instance.suite.daemon_directory, words[7]))
    return True


def test_local_sockets(instance):
    rng = random.Random(1)
    poked = 0
    for path, kind in sockets(instance):
        if missing_program(instance, path):
            continue
        for _ in range(MESSAGES):
            poke(path, hostile(rng), kind)
        poked += 1
    assert poked >= 10
    reply = send_mail(instance.port(), "a@example.com", "u@relay.test", "Subject: still here\r\n\r\ntext\r\n")
    assert reply.startswith("250")
    instance.wait_queue_empty()
    assert any(b"still here" in m.content for m in instance.sink.messages)
    assert deaths(instance) == []


@pytest.mark.parametrize("seed", range(4))
def test_smtp_port(instance, seed):
    rng = random.Random(seed)
    verbs = [b"EHLO x", b"MAIL FROM:<a@example.com>", b"RCPT TO:<u@relay.test>", b"DATA", b"RSET", b"NOOP", b"BDAT 5", b"BDAT 99999999999999999999",
             b"BDAT -1", b"VRFY \xc3\xbc@x", b"QUIT", b"MAIL FROM:<" + b"(" * 3000, b"RCPT TO:<@a,@b:" + b"x" * 900, b"HELP", b"\0\0\0", b"GET / HTTP/1.0",
             b"MAIL FROM:<> AUTH=\"", b"RCPT TO:<u@relay.test> ORCPT=rfc822;+00+0a", b"."]
    for _ in range(40):
        with socket.create_connection(("127.0.0.1", instance.port()), 5) as s:
            s.settimeout(2)
            end = rng.choice([b"\r\n", b"\n", b"\r", b"\0\r\n", b""])
            data = end.join(rng.choices(verbs + [rng.randbytes(200)], k=rng.randrange(1, 15))) + b"\r\n"
            try:
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):
                    pass
            except OSError:
                pass
    with Smtp(instance.port()) as c:
        assert c.cmd("EHLO x").startswith("250")
    assert deaths(instance) == []
