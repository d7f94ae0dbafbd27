# SPDX-License-Identifier: ISC
"""Administration of a running instance: log rotation, quick stop and start, drain."""

import glob
import gzip
import os

import pytest
from harness import Smtp, wait_for
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
    inode = os.stat(box.log).st_ino
    box.postfix("logrotate")
    rotated = glob.glob(box.log + ".*.gz")
    assert len(rotated) == 1 and os.stat(rotated[0]).st_mode & 0o777 == 0o600
    assert gzip.open(rotated[0], "rt").read().startswith(before)
    with Smtp(box.port()) as c:
        c.cmd("QUIT")
    box.wait_log(r"smtpd\[\d+\]: disconnect from")
    assert os.stat(box.log).st_ino != inode


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
