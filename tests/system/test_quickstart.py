# SPDX-License-Identifier: ISC
"""The first command of the README as a normal user types it in a fresh clone, and what configure and make promise to packagers."""

import os
import re
import shutil
import subprocess
import tempfile

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, wait_for
from harness.instance import alive
from harness.instance import test_account as account
from harness.under_test import IS_REFERENCE

pytestmark = [pytest.mark.skipif(IS_REFERENCE or REFERENCE_ONLY or SELF_CHECK, reason="needs the suite under test"), pytest.mark.limit(300)]
TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


class Clone:
    """A clone of the repository with the working tree's files, of an ordinary user."""

    def __init__(self):
        self.base = tempfile.mkdtemp(prefix="ph-quick-", dir="/tmp")
        self.dir = self.base + "/posthaste"
        subprocess.run(["git", "-c", "safe.directory=*", "clone", "-q", "--no-hardlinks", TOP, self.dir], check=True)
        names = subprocess.run(["git", "-c", "safe.directory=*", "-C", TOP, "ls-files", "-z"], check=True, capture_output=True, text=True).stdout
        for name in names.rstrip("\0").split("\0"):
            if os.path.exists(f"{TOP}/{name}"):
                os.makedirs(os.path.dirname(f"{self.dir}/{name}"), exist_ok=True)
                shutil.copy2(f"{TOP}/{name}", f"{self.dir}/{name}")
        self.user = []
        if os.getuid() == 0:
            who = account()
            subprocess.run(["chown", "-R", f"{who.pw_uid}:{who.pw_gid}", self.base], check=True)
            self.user = ["setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups", "--"]

    def run(self, *command, cwd="", check=True, **env):
        p = subprocess.run([*self.user, *command], cwd=self.dir + "/" + cwd, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
                           env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": self.base, "CFLAGS": "-O1", **env})
        assert not check or p.returncode == 0, (command, p.stdout[-2000:], p.stderr[-2000:])
        return p

    def close(self):
        try:
            self.run("./quickstart", "--clean")
        finally:
            shutil.rmtree(self.base, ignore_errors=True)


@pytest.fixture(scope="module")
def clone():
    c = Clone()
    try:
        c.first = c.run("./quickstart").stdout
        yield c
    finally:
        c.close()


def pid(clone):
    with open(clone.dir + "/run/var/spool/postfix/pid/master.pid") as f:
        return int(f.read())


def test_first_call(clone):
    out = clone.first
    for subject in ("by SMTP", "by sendmail"):
        assert len(re.findall(rf"^Subject: {subject} \d", out, re.M)) == 1
    assert out.count("status=sent (delivered to maildir)") == 2 and "\nMail queue is empty\n" in out
    assert "./quickstart --stop" in out and "./quickstart --clean" in out
    assert os.kill(pid(clone), 0) is None


def test_second_call(clone):
    """Nothing is built or started again; two more messages go through."""
    before = pid(clone)
    out = clone.run("./quickstart").stdout
    with open(clone.dir + "/build/make.log") as f:
        assert not re.search(r"^  (CC|LD) ", f.read(), re.M)
    assert pid(clone) == before and out.count("Subject: by ") == 2


def test_install_below_destdir(clone):
    """As packagers use it: all is below DESTDIR, and the paths within are those of the prefix."""
    clone.run("make", "install", f"DESTDIR={clone.base}/stage", cwd="build")
    root = f"{clone.base}/stage{clone.dir}/run"
    for name in ("sbin/postfix", "sbin/sendmail", "bin/mailq", "bin/newaliases", "libexec/postfix/smtpd", "etc/postfix/main.cf", "share/man/man8/smtpd.8"):
        assert os.path.lexists(f"{root}/{name}"), name
    assert os.listdir(clone.base + "/stage") == ["tmp"]


def test_dist(clone):
    name = clone.run("make", "dist", cwd="build").stdout.split()[-1]
    listed = clone.run("tar", "tzf", name, cwd="build").stdout.split()
    assert all(n.startswith("posthaste-") for n in listed) and any(n.endswith("/quickstart") for n in listed)


def test_configure_errors(clone):
    os.mkdir(clone.base + "/else")
    if os.getuid() == 0:
        os.chown(clone.base + "/else", account().pw_uid, -1)
    p = clone.run("../posthaste/configure", "--no-such-option", cwd="../else", check=False)
    assert p.returncode != 0 and "--no-such-option" in p.stderr
    p = clone.run("../posthaste/configure", cwd="../else", check=False, PKG_CONFIG_LIBDIR="/nonexistent")
    assert p.returncode == 1 and re.search(r"error: missing: OpenSSL 3.*\n.*apt-get install libssl-dev.*\n.*dnf install openssl-devel", p.stderr), p.stderr


def test_default_paths(clone):
    """Without --prefix the paths are RHEL's."""
    shutil.rmtree(clone.base + "/plain", ignore_errors=True)
    os.mkdir(clone.base + "/plain")
    if os.getuid() == 0:
        os.chown(clone.base + "/plain", account().pw_uid, -1)
    clone.run("../posthaste/configure", cwd="../plain")
    with open(clone.base + "/plain/Makefile") as f:
        values = dict(re.findall(r"^(\w+) = (\S+)$", f.read(), re.M))
    assert (values["sbindir"], values["daemon_directory"], values["config_directory"]) == ("/usr/sbin", "/usr/libexec/postfix", "/etc/postfix")
    assert (values["queue_directory"], values["data_directory"]) == ("/var/spool/postfix", "/var/lib/postfix")


def test_stop_and_clean(clone):
    before = pid(clone)
    assert "stopping" in clone.run("./quickstart", "--stop").stderr
    wait_for(lambda: not alive(before), what="master to end")
    assert clone.run("./quickstart", "--stop").stdout == "not running\n"
    clone.run("./quickstart", "--clean")
    assert not os.path.exists(clone.dir + "/run") and not os.path.exists(clone.dir + "/build")
