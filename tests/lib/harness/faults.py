# SPDX-License-Identifier: ISC
"""Programs whose files cannot be written and whose clock is wrong: tests/fault/shim.c and its control file."""

import contextlib
import errno
import os
import struct
import subprocess
import tempfile

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "fault", "shim.c")
TEXT = 64       # struct control of shim.c: text, count, failed, clock_offset


class Control:
    """environment: what an Instance needs for it; see prepare()."""

    def __init__(self, directory):
        self.path = f"{directory}/control"
        self.environment = {"LD_PRELOAD": f"{directory}/shim.so", "FAULT_CONTROL": self.path}
        with open(self.path, "wb") as f:
            f.write(struct.pack(f"{TEXT}sIIq", b"none", 0, 0, 0))
        os.chmod(self.path, 0o666)

    @staticmethod
    def prepare(instance):
        """The shim comes before the sanitizer's library."""
        instance.environment["ASAN_OPTIONS"] = instance.env()["ASAN_OPTIONS"] + ":verify_asan_link_order=0"
        return instance

    def _put(self, at, data):
        with open(self.path, "r+b") as f:
            f.seek(at)
            f.write(data)

    def fail(self, program="*", operation="any", code=errno.EIO, first=1, every=0):
        """The first-th call from now on, then every every-th; 0: that one alone."""
        self._put(0, b"none".ljust(TEXT, b"\0"))
        self._put(TEXT, struct.pack("II", 0, 0))
        self._put(0, f"{program} {operation} {code} {first} {every}".encode().ljust(TEXT, b"\0"))

    def stop(self):
        """No more faults; how many there were."""
        self._put(0, b"none".ljust(TEXT, b"\0"))
        return self.failed()

    def failed(self):
        with open(self.path, "rb") as f:
            return struct.unpack("II", f.read()[TEXT:TEXT + 8])[1]

    def set_clock(self, offset):
        """Seconds that the programs' wall clock is ahead."""
        self._put(TEXT + 8, struct.pack("q", offset))


@contextlib.contextmanager
def shim():
    with tempfile.TemporaryDirectory(prefix="ph-shim-", dir="/tmp") as directory:
        os.chmod(directory, 0o755)
        subprocess.run(["cc", "-std=gnu11", "-O1", "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", directory + "/shim.so", SOURCE, "-ldl"], check=True)
        yield Control(directory)
