# SPDX-License-Identifier: ISC
"""A loadable table type in a service that runs in a chroot jail, without privileges: the module, the table's file and the
database are opened before."""

import os
import sqlite3

import pytest
from harness import Smtp, free_port
from harness.under_test import make

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="a chroot needs root")


@pytest.fixture(scope="module")
def instance():
    port = free_port()
    i = make(smtpd={"smtp": {}}, master=f"127.0.0.1:{port} inet n - y - - smtpd\n  -o {{ smtpd_recipient_restrictions = "
             "check_recipient_access sqlite:@config@/sqlite.cf, reject }\n  -o { smtpd_peername_lookup = no }\n")
    i.ports["jailed"] = port
    i.write("sqlite.cf", f"dbpath = {i.config}/access.db\nquery = select v from t where k='%s'\n", 0o600)
    db = sqlite3.connect(i.config + "/access.db")
    db.executescript("create table t(k, v); insert into t values('no@localhost', 'REJECT from the table'); insert into t values('ok@localhost', 'OK')")
    db.close()
    os.chmod(i.config + "/access.db", 0o600)
    try:
        yield i.start()
    finally:
        i.destroy()


def test_chroot(instance):
    for _ in range(3):
        with Smtp(instance.port("jailed")) as c:
            c.cmd("EHLO client.test")
            c.cmd("MAIL FROM:<s@client.test>")
            assert c.cmd("RCPT TO:<no@localhost>").startswith("554 5.7.1 <no@localhost>: Recipient address rejected: from the table")
            assert c.cmd("RCPT TO:<other@localhost>").startswith("554")
            assert not c.cmd("RCPT TO:<ok@localhost>").startswith(("554", "451"))
