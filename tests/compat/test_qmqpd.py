# SPDX-License-Identifier: ISC
"""qmqpd(8): replies, log lines and queue files of QMQP sessions."""

import re
import socket

import pytest
from harness import Pair
from harness.instance import free_port

from test_xclient import held


def ns(data):
    return str(len(data)).encode() + b":" + data + b","


def request(content, sender, *rcpts):
    return ns(ns(content) + ns(sender) + b"".join(ns(r) for r in rcpts))


TEXT = b"From: a@sender.test\nDate: x\nMessage-Id: <x@y>\nSubject: s\n\nbody\n"
S, R = b"a@sender.test", b"u@relay.test"
# {case: (service, bytes that the client sends)}
CASES = {
    "good": ("qmqp", request(TEXT, S, R)),
    "two recipients": ("qmqp", request(TEXT, S, R, b"v@relay.test")),
    "null sender": ("qmqp", request(TEXT, b"", R)),
    "no recipient": ("qmqp", request(TEXT, S)),
    "empty recipient": ("qmqp", request(TEXT, S, b"")),
    "empty message": ("qmqp", request(b"", S, R)),
    "header only": ("qmqp", request(b"Subject: x\n", S, R)),
    "no header": ("qmqp", request(b"just text\nmore\n", S, R)),
    "first line blank": ("qmqp", request(b" text\nmore\n", S, R)),
    "no last newline": ("qmqp", request(b"Subject: x\n\nlast", S, R)),
    "carriage returns": ("qmqp", request(TEXT.replace(b"\n", b"\r\n"), S, R)),
    "dots": ("qmqp", request(TEXT + b".\n..\n.x\n", S, R)),
    "eight bits": ("qmqp", request(TEXT + b"\xe4\xff\n", S, R)),
    "nul": ("qmqp", request(TEXT + b"a\0b\n", S, R)),
    "long line": ("qmqp", request(TEXT + b"x" * 5000 + b"\n", S, R)),
    "separator": ("qmqp", request(b"From a Mon\n" + TEXT, S, R)),
    "separators": ("qmqp", request(b">From a Mon\nFrom b\n" + TEXT, S, R)),
    "verp": ("qmqp", request(TEXT, b"list-@sender.test-@[]", R)),
    "verp odd": ("qmqp", request(TEXT, b"list@sender.test-@[]", R)),
    "address syntax": ("qmqp", request(TEXT, b"a b@@c", b"<u@relay.test>")),
    "quoted": ("qmqp", request(TEXT, b"a b@sender.test", b"c d@relay.test", b'"e f"@relay.test')),
    "bare name": ("qmqp", request(TEXT, b"joe", b"joe")),
    "unknown user": ("qmqp", request(TEXT, S, b"nosuch@localhost")),
    "relay": ("qmqp", request(TEXT, S, b"u@far.test")),
    "utf-8": ("qmqp", request(TEXT, "\u00fc@sender.test".encode(), "\u00fc@relay.test".encode())),
    "not utf-8": ("qmqp", request(TEXT, b"\xff@sender.test", R)),
    "control": ("qmqp", request(TEXT, b"a\nb@sender.test", b"u\n@relay.test")),
    "nul in address": ("qmqp", request(TEXT, b"a\0b@sender.test", b"u\0@relay.test")),
    "behind the end": ("qmqp", request(TEXT, S, R) + b"more"),
    "not a number": ("qmqp", b"hello\n"),
    "no colon": ("qmqp", b"12;x"),
    "negative": ("qmqp", b"-1:x,"),
    "blank": ("qmqp", b" 1:x,"),
    "huge": ("qmqp", b"99999999999999999999:x,"),
    "large": ("qmqp", b"2000000000:x,"),
    "inner too long": ("qmqp", ns(b"500:" + TEXT)),
    "inner not a number": ("qmqp", ns(b"x:")),
    "no comma": ("qmqp", ns(ns(TEXT)[:-1] + b";" + ns(S) + ns(R))),
    "no comma at the end": ("qmqp", request(TEXT, S, R)[:-1] + b";"),
    "truncated": ("qmqp", request(TEXT, S, R)[:40]),
    "nothing": ("qmqp", b""),
    "long address": ("qmqp", request(TEXT, b"a" * 3000 + b"@sender.test", R)),
    "forbidden": ("closed", request(TEXT, S, R)),
    "too large": ("small", request(b"Subject: x\n\n" + b"x\n" * 2000, S, R)),
    "rejected": ("checks", request(b"X-Reject: yes\n" + TEXT, S, R)),
    "held": ("checks", request(b"X-Hold: yes\n" + TEXT, S, R)),
    "discarded": ("checks", request(b"X-Discard: yes\n" + TEXT, S, R)),
    "hops": ("qmqp", request(b"Received: x\n" * 60 + TEXT, S, R)),
    "port": ("port", request(TEXT, S, R)),
    "filter": ("filter", request(TEXT, S, R)),
    "slow": ("slow", (request(TEXT, S, R)[:20], None)),
}
# The reference takes them: a line break would stand in the queue file (row 40 of the attacks), and what is behind a NUL is lost.
REFUSED = "bad character in an address while receiving sender address"
EXPECTED = {case: [f"59:D{REFUSED},", "qmqpd: connect from localhost[127.0.0.1]", "qmqpd: QID1: client=localhost[127.0.0.1]",
                   f"qmqpd: QID1: localhost[127.0.0.1]: {REFUSED}", "qmqpd: disconnect from localhost[127.0.0.1]"] for case in ("control", "nul in address")}
AUTHORIZED = {"qmqpd_authorized_clients": "127.0.0.1"}
SERVICES = {
    "qmqp": AUTHORIZED,
    "closed": {"qmqpd_authorized_clients": "192.0.2.1"},
    "small": {**AUTHORIZED, "message_size_limit": "2500"},
    "checks": AUTHORIZED,
    "port": {**AUTHORIZED, "qmqpd_client_port_logging": "yes"},
    "filter": {**AUTHORIZED, "content_filter": "discard:x", "receive_override_options": "no_address_mappings"},
    "slow": {**AUTHORIZED, "qmqpd_timeout": "1s"},
}


@pytest.fixture(scope="module")
def pair():
    ports = {name: [free_port(), free_port()] for name in SERVICES}
    p = Pair(main={"relay_domains": "relay.test", "in_flow_delay": "0", "qmqpd_error_delay": "0", "default_transport": "error", "notify_classes": "",
                   "header_checks": "regexp:{ {/^X-Reject/ REJECT by content} {/^X-Discard/ DISCARD} {/./ HOLD} }"})
    for n, i in enumerate(p.instances):
        text = "".join(f"127.0.0.1:{port[n]} inet n - n - - qmqpd\n" + "".join(f"  -o {{ {k} = {v} }}\n" for k, v in SERVICES[name].items())
                       for name, port in ports.items())
        with open(f"{i.config}/master.cf") as f:
            i.write("master.cf", f.read() + text)
        i.qmqp = {name: port[n] for name, port in ports.items()}
    try:
        yield p.start()
    finally:
        p.destroy()


def converse(port, data):
    parts = data if isinstance(data, tuple) else (data,)
    with socket.create_connection(("127.0.0.1", port), 20) as s:
        try:
            s.sendall(parts[0])
            if len(parts) == 1:
                s.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        out = b""
        while True:
            try:
                got = s.recv(65536)
            except OSError:
                break
            if not got:
                break
            out += got
    return out


@pytest.mark.parametrize("case", CASES)
def test_session(pair, case):
    service, data = CASES[case]

    def run(instance):
        mark = instance.mark()
        reply = converse(instance.qmqp[service], data)
        instance.wait_log(r"qmqpd\[\d+\]: disconnect from", mark)
        # The length of a reply counts the queue ID.
        reply = re.sub(rb"^\d+:(?=K)", b"N:", reply)
        normal = instance.normal()
        lines = [re.sub(r"^\S+ +\d+ \S+ \S+ postfix/(\S+)\[\d+\]", r"\1", x) for x in instance.log_lines(mark) if "/qmqpd[" in x]
        lines += held(instance, "-e", "-h", "-b")
        return normal.lines([reply.decode("latin-1")] + [re.sub(r"(\[127\.0\.0\.1\]):\d+", r"\1:PORT", x) for x in lines])
    pair.compare(run, ours_expect=EXPECTED.get(case))
