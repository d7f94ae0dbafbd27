# SPDX-License-Identifier: ISC
"""The suite that a bench measures: one that is installed, or a build that is installed for the time of the bench."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile

from harness import ours


@contextlib.contextmanager
def installed(build=None, prefix=None):
    """The suite below prefix or $POSTHASTE_PREFIX, else that of the build directory."""
    prefix = prefix or os.environ.get("POSTHASTE_PREFIX")
    if prefix or not build:
        yield ours(prefix)
        return
    with tempfile.TemporaryDirectory(prefix="posthaste-bench-", dir="/var/tmp") as directory:
        os.chmod(directory, 0o755)
        stage(build, directory)
        yield ours(directory)


def stage(build, where):
    """Install the build into where, whatever prefix it was configured with."""
    tree = where + "/tree"
    subprocess.run(["make", "-C", build, "install-programs", f"DESTDIR={tree}"], check=True, stdout=subprocess.DEVNULL)
    with open(os.path.join(build, "Makefile")) as f:
        text = f.read()

    def var(name):
        return re.search(rf"(?m)^{name} = (.*)$", text).group(1)
    os.makedirs(where + "/libexec", exist_ok=True)
    os.rename(tree + var("sbindir"), where + "/sbin")
    os.rename(tree + var("daemon_directory"), where + "/libexec/postfix")
    os.makedirs(where + "/bin", exist_ok=True)
    for n in ("mailq", "newaliases"):
        if os.path.lexists(f"{tree}{var('bindir')}/{n}"):
            os.symlink(where + "/sbin/sendmail", f"{where}/bin/{n}")
    shutil.rmtree(tree, ignore_errors=True)
