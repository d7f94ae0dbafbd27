# SPDX-License-Identifier: ISC
"""The disk says no: each k-th write, sync or rename fails. Nothing acknowledged is lost,
what is not acknowledged gets a temporary error, and the service goes on."""

import errno
import os
import struct
import subprocess
import tempfile

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Sink, Smtp, send_mail
from harness.under_test import IS_REFERENCE, make
from test_durability import QUICK, all_delivered

pytestmark = pytest.mark.skipif(IS_REFERENCE or REFERENCE_ONLY or SELF_CHECK, reason="needs the suite under test")
HERE = os.path.dirname(os.path.abspath(__file__))
TEXT = 64       # struct control of shim.c


@pytest.fixture(scope="module")
def shim():
    directory = tempfile.mkdtemp(prefix="ph-shim-", dir="/tmp")
    os.chmod(directory, 0o755)
    out = directory + "/shim.so"
    subprocess.run(["cc", "-std=gnu11", "-O1", "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", out, HERE + "/shim.c", "-ldl"], check=True)
    yield out
    os.unlink(out)
    os.rmdir(directory)


class Control:
    def __init__(self, path):
        self.path = path
        with open(path, "wb") as f:
            f.write(b"none".ljust(TEXT, b"\0") + bytes(8))
        os.chmod(path, 0o666)

    def set(self, text):
        with open(self.path, "r+b") as f:
            f.write(text.encode().ljust(TEXT, b"\0"))

    def failed(self):
        with open(self.path, "rb") as f:
            return struct.unpack("II", f.read()[TEXT:TEXT + 8])[1]


@pytest.mark.limit(120)
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
@pytest.mark.parametrize("operation,every", [("write", 5), ("write", 2), ("sync", 3), ("rename", 3)], ids=lambda v: str(v))
def test_every_kth_call_fails(shim, operation, every, code):
    with Sink() as sink:
        i = make(sink, main=QUICK)
        control = Control(i.base + "/control")
        i.set(import_environment=i.main["import_environment"].replace("ASAN_OPTIONS", "") +
              f" LD_PRELOAD={shim} FAULT_CONTROL={control.path}"
              f" {{ ASAN_OPTIONS={i.env()['ASAN_OPTIONS']}:verify_asan_link_order=0 }}")
        try:
            i.start()
            control.set(f"{operation} {code} {every}")
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
            assert control.failed() > 5
            assert all(r.startswith("4") for r in refused), refused
            assert refused or operation == "rename"
            control.set("none")
            all_delivered(i, sink, acked)
            assert send_mail(i.port(), "a@example.com", "u@relay.test", "Subject: after\r\n\r\nx\r\n").startswith("250")
            assert not [x for x in i.log_lines() if "panic:" in x or "killed by signal" in x]
        finally:
            i.destroy()
