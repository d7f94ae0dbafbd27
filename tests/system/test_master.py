# SPDX-License-Identifier: ISC
"""master(8)'s own options and signals, without postfix(1) around it."""

import os
import signal
import subprocess

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Smtp, wait_for
from harness.instance import alive
from harness.under_test import IS_REFERENCE, make

pytestmark = pytest.mark.skipif((REFERENCE_ONLY or SELF_CHECK) and not IS_REFERENCE, reason="needs the suite under test")


@pytest.fixture(params=[pytest.param(False, id="root", marks=pytest.mark.skipif(os.getuid() != 0, reason="not root")), pytest.param(True, id="rootless")])
def stopped(request):
    """An instance whose directories are in order, and that does not run."""
    i = make(rootless=request.param)
    try:
        i.start()
        i.stop()
        yield i
    finally:
        i.running = bool(i.master_pid() and alive(i.master_pid()))
        i.destroy()


def master(i, *options, **kw):
    argv = i.argv("postfix", *options)
    argv[argv.index(i.suite.prog("postfix"))] = i.suite.daemon_directory + "/master"
    env = i.env()
    if "-c" in options:
        del env["MAIL_CONFIG"]
    return subprocess.Popen(argv, env=env, cwd="/", stdin=subprocess.DEVNULL, **kw)


def answers(i):
    try:
        with Smtp(i.port()) as c:
            return c.banner.startswith("220")
    except OSError:
        return False


def test_wait(stopped):
    """-w comes back when the services can be reached, and says whether they can; a second master is refused."""
    assert master(stopped, "-w", "-c", stopped.config).wait(20) == 0
    assert answers(stopped)
    assert master(stopped, "-t").wait(20) == 1
    assert master(stopped, "-w", "-c", stopped.config).wait(20) != 0
    pid = stopped.master_pid()
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not alive(pid) and not stopped.left(), what="all processes to end")
    assert master(stopped, "-t").wait(20) == 0


@pytest.mark.parametrize("option,end", [("-d", signal.SIGTERM), ("-s", signal.SIGINT)])
def test_foreground(stopped, option, end):
    """It stays the process that was started, reads its files again at HUP, and ends with TERM and INT."""
    p = master(stopped, option, start_new_session=True, stderr=subprocess.DEVNULL)
    wait_for(lambda: answers(stopped), what="the SMTP service")
    assert stopped.master_pid() == p.pid and p.poll() is None
    mark = stopped.mark()
    p.send_signal(signal.SIGHUP)
    stopped.wait_log(r"reload -- version", mark)
    assert answers(stopped)
    p.send_signal(end)
    assert p.wait(20) in (0, -end)
    wait_for(lambda: not stopped.left(), what="all processes to end")


def test_exit_time(stopped):
    p = master(stopped, "-d", "-e", "1", start_new_session=True, stderr=subprocess.DEVNULL)
    assert p.wait(20) in (0, -signal.SIGTERM)
    wait_for(lambda: not stopped.left(), what="all processes to end")


def test_process_1(stopped):
    """-i is for process 1 of a container, and refuses to be another."""
    mark = stopped.mark()
    assert master(stopped, "-i").wait(20) == 1
    assert IS_REFERENCE or "fatal: -i is for process 1 of a container" in stopped.log_text(mark)


@pytest.mark.skipif(os.getuid() != 0, reason="makes a name space")
def test_process_1_of_a_container():
    i = make()
    try:
        i.start()
        i.stop()
        p = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", i.suite.daemon_directory + "/master", "-i"], env=i.env(), cwd="/",
                             stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            wait_for(lambda: answers(i), what="the SMTP service")
            with open(f"/proc/{p.pid}/task/{p.pid}/children") as f:
                os.kill(int(f.read()), signal.SIGTERM)
            p.wait(20)
        finally:
            p.kill()
            p.wait()
        assert not answers(i)
    finally:
        i.destroy()
