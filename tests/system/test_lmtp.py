# SPDX-License-Identifier: ISC
"""LMTP: over TCP and a local socket, with a reply for each recipient."""

import os
import re
import shutil
import tempfile

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Sink, Smtp
from harness.under_test import IS_REFERENCE, make

pytestmark = pytest.mark.skipif((REFERENCE_ONLY or SELF_CHECK) and not IS_REFERENCE, reason="needs the suite under test")
PLAIN = "Subject: x\r\n\r\nhello\r\n"


class Replies:
    """After the dot each recipient has its own reply: "full" and "later" in a local part are refused."""

    def __init__(self):
        self.at = 0

    def __call__(self, verb, line, session):
        if verb == "MAIL":
            self.at = 0
        if verb != "DOT":
            return None
        rcpt = session.msg.rcpts[self.at]
        self.at += 1
        if rcpt.startswith("full"):
            return "552 5.2.2 mailbox full"
        if rcpt.startswith("later"):
            return "452 4.2.2 try later"
        return None


@pytest.fixture(scope="module")
def lmtp():
    # Below /tmp itself: the mail system's account must reach it.
    top = tempfile.mkdtemp(prefix="ph-lmtp-", dir="/tmp")
    os.chmod(top, 0o755)
    path = top + "/socket"
    with Sink(lmtp=True, hook=Replies()) as tcp, Sink(lmtp=True, hook=Replies(), unix=path) as local:
        os.chmod(path, 0o777)
        i = make(main={"transport_maps": f"inline:{{ tcp.test=lmtp:inet:127.0.0.1:{tcp.port} local.test=lmtp:unix:{path} }}",
                       "lmtp_tls_security_level": "", "notify_classes": "", "bounce_queue_lifetime": "0"})
        i.tcp, i.local, i.path = tcp, local, path
        try:
            yield i.start()
        finally:
            i.destroy()
            shutil.rmtree(top)


def send(lmtp, *rcpts):
    """{recipient: (relay, dsn, status, text)}"""
    lmtp.tcp.clear()
    lmtp.local.clear()
    mark = lmtp.mark()
    with Smtp(lmtp.port()) as c:
        c.cmd("EHLO x")
        c.cmd("MAIL FROM:<>")
        for r in rcpts:
            assert c.cmd(f"RCPT TO:<{r}>").startswith("250")
        c.cmd("DATA")
        assert c.data(PLAIN.encode()).startswith("250")
        c.cmd("QUIT")
    lines = lmtp.wait_log(r"lmtp\[\d+\]: \w+: to=<", mark, count=len(rcpts))
    found = re.findall(r"lmtp\[\d+\]: \w+: to=<(.*?)>, relay=(.*?), .*dsn=(.*?), status=(\w+) \((.*)\)$", "\n".join(lines), re.M)
    return {r[0]: r[1:] for r in found}


def test_over_tcp(lmtp):
    got = send(lmtp, "u@tcp.test")
    assert got == {"u@tcp.test": (f"127.0.0.1[127.0.0.1]:{lmtp.tcp.port}", "2.0.0", "sent", "250 2.0.0 queued as SINK")}
    assert lmtp.tcp.sessions[0][0].startswith("LHLO ")


def test_over_a_local_socket(lmtp):
    got = send(lmtp, "u@local.test")
    assert got == {"u@local.test": (f"mail.example.test[{lmtp.path}]", "2.0.0", "sent", "250 2.0.0 queued as SINK")}


def test_a_reply_for_each_recipient(lmtp):
    got = send(lmtp, "a@tcp.test", "full@tcp.test", "later@tcp.test", "z@tcp.test")
    assert {k: v[1:3] for k, v in got.items()} == {
        "a@tcp.test": ("2.0.0", "sent"), "full@tcp.test": ("5.2.2", "bounced"),
        "later@tcp.test": ("4.2.2", "deferred"), "z@tcp.test": ("2.0.0", "sent")}
    assert got["full@tcp.test"][3] == \
        "host 127.0.0.1[127.0.0.1] said: 552 5.2.2 mailbox full (in reply to end of DATA command)"
    lmtp.flush_queue()


def test_refused_at_rcpt(lmtp):
    got = send(lmtp, "rej550@tcp.test", "ok@tcp.test")
    assert got["rej550@tcp.test"][1:3] == ("5.1.1", "bounced") and got["ok@tcp.test"][1:3] == ("2.0.0", "sent")
    lmtp.wait_queue_empty()


def test_no_socket(lmtp):
    lmtp.set(transport_maps=f"inline:{{ gone.test=lmtp:unix:{lmtp.path}.none }}")
    lmtp.reload()
    got = send(lmtp, "u@gone.test")
    assert got["u@gone.test"][:3] == ("none", "4.4.1", "deferred")
    assert got["u@gone.test"][3] == f"connect to mail.example.test[{lmtp.path}.none]: No such file or directory"
    lmtp.flush_queue()
