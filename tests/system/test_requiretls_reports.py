# SPDX-License-Identifier: ISC
"""Reports on mail that is marked for encrypted connections only (REQUIRETLS, bit 5 of the options in the size record)."""

import os

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Sink, wait_for
from harness.spool import queue_file
from harness.under_test import IS_REFERENCE, make

pytestmark = pytest.mark.skipif(IS_REFERENCE or REFERENCE_ONLY or SELF_CHECK, reason="the reference is older than that")
REQUIRETLS = 32


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
            for options in (REQUIRETLS, 0):
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
                assert int(data[2:97].split()[5]) == options
                assert (b"the body of it" in data) == (redact == "no" or options == 0) and b"Subject: secret" in data
                assert (b"Undelivered Message Headers" in data) == (b"the body of it" not in data)
                i.flush_queue()
