# SPDX-License-Identifier: ISC
"""Administration of a running instance: log rotation, quick stop and start, drain."""

import glob
import gzip
import os
import subprocess

import pytest
from harness import Smtp, send_mail, wait_for
from harness.instance import alive
from harness.under_test import IS_REFERENCE, make


@pytest.fixture(scope="module")
def box():
    i = make()
    i.start()
    yield i
    i.destroy()


def test_logrotate(box):
    before = box.log_text()
    box.postfix("logrotate")
    rotated = glob.glob(box.log + ".*.gz")
    assert len(rotated) == 1 and os.stat(rotated[0]).st_mode & 0o777 == 0o600
    assert gzip.open(rotated[0], "rt").read().startswith(before)
    with Smtp(box.port()) as c:
        c.cmd("QUIT")
    box.wait_log(r"smtpd\[\d+\]: disconnect from")
    assert "daemon started" in before and "daemon started" not in box.log_text()


def test_quick_stop_and_start(box):
    pid = box.master_pid()
    assert "is running: PID: %d" % pid in box.log_text() + box.run("postfix", "-c", box.config, "status").stderr or IS_REFERENCE
    box.postfix("quick-stop")
    wait_for(lambda: not alive(pid), 10, "master to end")
    assert os.path.exists(box.queue + "/quick-start")
    box.start()
    assert not os.path.exists(box.queue + "/quick-start")


def test_drain(box):
    """Master goes, a session that is open is served to its end."""
    pid = box.master_pid()
    with Smtp(box.port()) as c:
        assert c.cmd("EHLO client.example.test").startswith("250")
        box.postfix("drain")
        wait_for(lambda: not alive(pid), 10, "master to end")
        assert c.cmd("NOOP").startswith("250")
        assert c.cmd("QUIT").startswith("221")
    box.start()


OLD_SERVICES = """\
pickup    fifo  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      fifo  n       -       n       300     1       qmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
smtp      unix  -       -       n       -       -       smtp
showq     unix  n       -       n       -       -       showq
error     unix  -       -       n       -       -       error
virtual   unix  -       n       n       -       -       virtual
"""


@pytest.mark.skipif(os.getuid() != 0, reason="owners need root")
def test_old_master_cf():
    """A master.cf of a 2.6 installation (maillog_file included): refused, upgraded, started; mail is delivered."""
    i = make(services=OLD_SERVICES, main={"compatibility_level": "3.11", "html_directory": "no"})
    try:
        p = i.postfix("start", check=False)
        assert p.returncode == 1
        assert "fatal: missing 'postlog' service in master.cf - run 'postfix upgrade-configuration'" in p.stderr + i.log_text()
        i.postfix("upgrade-configuration")
        with open(i.config + "/master.cf") as f:
            text = f.read()
        assert OLD_SERVICES in text and "\nretry     unix" in text and "\nrelay\t  unix" in text and "\npostlog   unix-dgram" in text
        i.start()
        assert send_mail(i.port(), "a@example.com", "u@vmbox.test", "Subject: old\r\n\r\nx\r\n").startswith("250")
        assert b"Subject: old" in i.wait_maildir("user")[0]
    finally:
        i.destroy()


@pytest.mark.skipif(IS_REFERENCE or os.getuid() != 0, reason="changes the installed tree")
def test_after_package_installation(our_suite):
    """What RHEL's package runs when it is installed, on the tree that make install has made; a second time it is silent."""
    run = [our_suite.prog("postfix"), "set-permissions", "upgrade-configuration", "daemon_directory=" + our_suite.daemon_directory]
    for _ in range(2):
        p = subprocess.run(run, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "ASAN_OPTIONS": "detect_leaks=0"})
        assert (p.returncode, p.stdout, p.stderr) == (0, "", "")
    script = our_suite.daemon_directory + "/post-install"
    p = subprocess.run([script, "create-missing", "set-permissions"], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "ASAN_OPTIONS": "detect_leaks=0"})
    assert (p.returncode, p.stdout, p.stderr) == (0, "", "")
    for name in ("postdrop", "postqueue", "postlog"):
        assert os.stat(our_suite.prog(name)).st_mode & 0o7777 == 0o2755


@pytest.mark.skipif(IS_REFERENCE, reason="the reference needs root")
def test_rootless():
    """One user's own instance: directories and modes are set, what belongs to others is left alone."""
    i = make(rootless=True)
    try:
        i.postfix("check")
        os.chmod(i.queue + "/active", 0o777)
        i.postfix("set-permissions", "upgrade-configuration")
        assert os.stat(i.queue + "/active").st_mode & 0o7777 == 0o700
        assert os.stat(i.queue + "/maildrop").st_mode & 0o7777 == 0o700
    finally:
        i.destroy()
