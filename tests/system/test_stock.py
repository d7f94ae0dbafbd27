# SPDX-License-Identifier: ISC
"""The configuration that make install writes: it starts, and nothing in it is met with a warning."""

import os
import re
import subprocess

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Instance, Smtp, free_port, ours, wait_for
from harness.instance import _connects
from harness.under_test import IS_REFERENCE

pytestmark = pytest.mark.skipif(IS_REFERENCE or REFERENCE_ONLY or SELF_CHECK, reason="needs the suite under test")


def stock(name):
    prefix = os.path.abspath(os.environ["POSTHASTE_PREFIX"])
    with open(f"{prefix}/etc/postfix/{name}.proto", encoding="utf-8") as f:
        return f.read()


@pytest.fixture(params=[
    pytest.param(False, id="root", marks=pytest.mark.skipif(os.getuid() != 0, reason="not root")),
    pytest.param(True, id="rootless")])
def installed(request):
    """The stock files with nothing changed but what two instances on one machine cannot share."""
    i = Instance(ours(), rootless=request.param)
    keep = ("queue_directory", "data_directory", "mail_owner", "setgid_group", "maillog_file", "maillog_file_prefixes",
            "import_environment", "myhostname")
    main = "".join(line for line in stock("main.cf").splitlines(True) if line.split(" =")[0] not in keep)
    main += "".join(f"{k} = {i.main[k]}\n" for k in keep)
    i.write("main.cf", main)
    port = free_port()
    i.ports = {"smtp": port}
    i.write("master.cf", re.sub(r"(?m)^smtp +inet ", f"127.0.0.1:{port} inet ", stock("master.cf")))
    try:
        yield i
    finally:
        i.destroy()


def test_start_without_a_warning(installed):
    p = installed.postfix("start")
    installed.running = True
    assert p.stderr == "postfix/postlog: starting the Postfix mail system\n"
    port = installed.port()
    wait_for(lambda: _connects(port), what="the SMTP service")
    with Smtp(port) as c:
        assert c.banner.startswith("220 ") and c.cmd("EHLO x").startswith("250")
        assert c.cmd("QUIT").startswith("221")
    wait_for(lambda: all(installed.pids(p) for p in ("pickup", "qmgr")), what="the services that are woken up")
    bad = [line for line in installed.log_lines() if re.search(r" (?:warning|error|fatal|panic): ", line)]
    assert not bad
    p = installed.run("postfix", "-c", installed.config, "check")
    assert (p.returncode, p.stderr) == (0, "")


def test_postconf_is_silent(installed):
    for args in (["-n"], ["-M"], []):
        p = installed.run("postconf", *args)
        assert (p.returncode, p.stderr) == (0, "")


def test_version():
    """configure, postconf and the log name one version."""
    i = Instance(ours(), smtpd={})
    try:
        version = i.run("postconf", "-dh", "mail_version").stdout.strip()
        assert re.fullmatch(r"3\.11\.\d+", version)
    finally:
        i.destroy()


def test_set_gid_commands():
    if os.getuid() != 0:
        pytest.skip("not root")
    for name in ("postdrop", "postqueue", "postlog"):
        st = os.stat(ours().prog(name))
        assert st.st_mode & 0o7777 == 0o2755, name
    assert subprocess.run([ours().prog("postconf"), "-d", "mail_name"], capture_output=True).stdout == b"mail_name = Postfix\n"
