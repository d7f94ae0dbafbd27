# SPDX-License-Identifier: ISC
"""A file system of a kind that the machine may not have, in a file: what servers keep their queues on."""

import contextlib
import os
import shutil
import subprocess
import tempfile

KINDS = {"xfs": ["mkfs.xfs", "-q"], "ext4-journal": ["mkfs.ext4", "-q", "-F", "-O", "has_journal"]}
BYTES = 4 << 30


class Missing(Exception):
    pass


@contextlib.contextmanager
def place(where):
    """A directory for queues: where itself, or one on a new image of that kind, mounted for as long as it is used."""
    if where not in KINDS:
        yield where
        return
    if not shutil.which(KINDS[where][0]):
        raise Missing(f"{where}: {KINDS[where][0]} is missing (xfsprogs, e2fsprogs)")
    top = tempfile.mkdtemp(prefix="posthaste-bench-image-", dir="/var/tmp")
    image, mount = f"{top}/image", f"{top}/mount"
    os.mkdir(mount)
    try:
        with open(image, "wb") as f:
            f.truncate(BYTES)
        subprocess.run(KINDS[where] + [image], check=True, stdout=subprocess.DEVNULL)
        if subprocess.run(["mount", "-o", "loop", image, mount], stderr=subprocess.DEVNULL, check=False).returncode != 0:
            raise Missing(f"{where}: no loop device can be mounted here")
        try:
            os.chmod(mount, 0o755)
            os.chmod(top, 0o755)
            yield mount
        finally:
            subprocess.run(["umount", mount], check=True)
    finally:
        shutil.rmtree(top, ignore_errors=True)
