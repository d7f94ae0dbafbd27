# SPDX-License-Identifier: ISC
"""The disk says no: each k-th write, sync or rename fails. Nothing acknowledged is lost,
what is not acknowledged gets a temporary error, and the service goes on."""

import errno

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Sink, Smtp, faults, send_mail
from harness.under_test import IS_REFERENCE, make
from test_durability import QUICK, all_delivered

pytestmark = pytest.mark.skipif(IS_REFERENCE or REFERENCE_ONLY or SELF_CHECK, reason="needs the suite under test")


@pytest.fixture(scope="module")
def road():
    with faults.shim() as control, Sink() as sink:
        i = control.prepare(make(sink, main=QUICK, environment=control.environment))
        try:
            yield i.start(), control, sink
        finally:
            i.destroy()


@pytest.mark.limit(120)
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
@pytest.mark.parametrize("operation,every", [("write", 5), ("write", 2), ("sync", 3), ("rename", 3)], ids=lambda v: str(v))
def test_every_kth_call_fails(road, operation, every, code):
    i, control, sink = road
    sink.clear()
    mark = i.mark()
    control.fail("*", operation, code, every, every)
    acked, refused = set(), []
    for n in range(60):
        with Smtp(i.port()) as c:
            assert c.banner.startswith("220")
            c.cmd("EHLO x")
            # Queue files are made at RCPT: a temporary refusal there ends it.
            for command in ("MAIL FROM:<a@example.com>", "RCPT TO:<u@relay.test>", "DATA"):
                reply = c.cmd(command)
                if reply[0] not in "23":
                    break
            else:
                reply = c.cmd(f"Subject: n{n}\r\nMessage-Id: <n{n}@load>\r\n\r\n" + "text\r\n" * 50 + ".")
        if reply.startswith("250"):
            acked.add(n)
        else:
            refused.append(reply)
    assert control.stop() > 5
    assert all(r.startswith("4") for r in refused), refused
    assert refused or operation == "rename"
    all_delivered(i, sink, acked)
    assert send_mail(i.port(), "a@example.com", "u@relay.test", "Subject: after\r\n\r\nx\r\n").startswith("250")
    assert not [x for x in i.log_lines(mark) if "panic:" in x or "killed by signal" in x]
