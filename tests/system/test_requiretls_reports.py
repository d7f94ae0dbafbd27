# SPDX-License-Identifier: ISC
"""Reports on mail that is marked for encrypted connections only (REQUIRETLS, bit 5 of the options in the size record), or as
mail that needs none (header TLS-Required: no, bit 4)."""

import os

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Sink, send_mail, wait_for
from harness.spool import queue_file
from harness.under_test import IS_REFERENCE, make

pytestmark = pytest.mark.skipif(IS_REFERENCE or REFERENCE_ONLY or SELF_CHECK, reason="the reference is older than that")
REQUIRETLS, TLS_NOT_REQUIRED = 32, 16


def marked(options):
    """A queue file for a recipient that will be refused."""
    parts = {"sender": "s@relay.test", "rcpts": [("R", "nobody@relay.test")], "text": ("Subject: secret", "", "the body of it")}
    fields = queue_file(**parts)[2:97].split()
    return queue_file(size="%15s %15s %15s %15s %15s %15d" % (*(f.decode() for f in fields[:5]), options), **parts)


@pytest.mark.parametrize("redact", ["yes", "no"])
def test_report(redact):
    """The report has the header alone, unless requiretls_redact_dsn = no, and bears the mark itself; that on other mail does not."""
    with Sink() as sink:
        sink.hook = lambda v, line, s: ("550 5.1.1 no" if "nobody" in line else "450 4.2.0 later") if v == "RCPT" else None
        with make(sink, rootless=os.getuid() != 0, main={"requiretls_redact_dsn": redact, "notify_classes": ""}) as i:
            for options in (REQUIRETLS, 0, TLS_NOT_REQUIRED, REQUIRETLS | TLS_NOT_REQUIRED):
                tmp = f"{i.queue}/incoming/tmp"
                with open(tmp, "wb") as f:
                    f.write(marked(options))
                name = f"ABCDE{os.stat(tmp).st_ino:X}"
                os.chown(tmp, i.account.pw_uid, i.account.pw_gid)
                os.chmod(tmp, 0o700)
                os.rename(tmp, f"{i.queue}/incoming/{name}")
                i.run("postqueue", "-f", check=True)
                i.wait_log(f"{name}: removed")
                report, = wait_for(lambda: i.queue_files("deferred"), what="the report").values()
                with open(report, "rb") as f:
                    data = f.read()
                assert int(data[2:97].split()[5]) == (REQUIRETLS if options & REQUIRETLS else options)
                assert (b"the body of it" in data) == (redact == "no" or not options & REQUIRETLS) and b"Subject: secret" in data
                assert (b"N\x10TLS-Required: no" in data.split(b"Auto-Submitted")[0]) == (options == TLS_NOT_REQUIRED)
                assert (b"Undelivered Message Headers" in data) == (b"the body of it" not in data)
                i.flush_queue()


def test_header():
    """"No" in any case sets the mark; anything else is warned of; only the header of the message itself counts."""
    with Sink() as sink:
        sink.hook = lambda v, line, s: "450 4.2.0 later" if v == "RCPT" else None
        with make(sink, rootless=os.getuid() != 0) as i:
            part = "Content-Type: message/rfc822\r\n\r\nTLS-Required: no\r\n\r\nx"
            for head, mark in (("TLS-Required: No", TLS_NOT_REQUIRED), ("tls-required:\r\n no ", TLS_NOT_REQUIRED), ("TLS-Required: yes", 0), (part, 0)):
                log = i.mark()
                queue_id = send_mail(i.port(), "s@relay.test", "u@relay.test", f"Subject: x\r\n{head}\r\n\r\nx\r\n").split()[-1]
                path = wait_for(lambda: i.queue_files("deferred").get(queue_id), what="the message")
                with open(path, "rb") as f:
                    assert int(f.read()[2:97].split()[5]) == mark, head
                assert ("warning: ignoring malformed header: TLS-Required: yes" in i.log_text(log)) == (head == "TLS-Required: yes")
