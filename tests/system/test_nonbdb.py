# SPDX-License-Identifier: ISC
"""Life without Berkeley DB: hash: and btree: redirected, indexes made on demand, "postfix non-bdb" (features of 3.11)."""

import os
import pwd

import pytest
from harness import Instance, Smtp
from harness.under_test import IS_REFERENCE

pytestmark = pytest.mark.skipif(IS_REFERENCE or os.getuid() != 0, reason="the reference has no such feature; needs root")

SERVICE = "nbdb_reindex unix y n n - 1 nbdb_reindexd\n"


@pytest.fixture(scope="module")
def box(our_suite):
    i = Instance(our_suite, main={
        "default_database_type": "lmdb", "default_cache_db_type": "lmdb", "non_bdb_migration_level": "enable-reindex",
        "non_bdb_migration_allow_root_prefixes": "@config@ @base@/more/", "non_bdb_migration_allow_user_prefixes": "@base@/users",
        "alias_maps": "hash:@config@/aliases", "compatibility_level": "3.11",
        "non_bdb_custom_mapping": "inline:{ {hash:@config@/custom = texthash} {hash:@config@/bad = nosuchtype} {hash:@config@/loop = btree} }",
        "smtpd_recipient_restrictions": "check_recipient_access hash:@config@/access, permit_mynetworks, reject"}, master=SERVICE)
    i.write("access", "no@example.test REJECT not here\n")
    i.write("aliases", "postmaster: root, nobody\n")
    for d in ("more", "users", "users/w"):
        os.makedirs(f"{i.base}/{d}")
    i.start()
    yield i
    i.destroy()


def query(box, table, key="k"):
    p = box.run("postmap", "-q", key, table)
    return p.returncode, p.stdout, p.stderr


def table(box, path, text="k v\n", owner=0, mode=0o644, owner_of_directory=None):
    path = f"{box.base}/{path}"
    box.write(path, text, mode)
    os.chown(path, owner, -1)
    if owner_of_directory is not None:
        os.chown(os.path.dirname(path), owner_of_directory, -1)
    return path


def test_service_asks(box):
    """smtpd opens a table that has no index: it is made, and the mail goes by it."""
    mark = box.mark()
    with Smtp(box.port()) as c:
        c.cmd("EHLO x.test")
        c.cmd("MAIL FROM:<a@example.test>")
        assert c.cmd("RCPT TO:<no@example.test>") == "554 5.7.1 <no@example.test>: Recipient address rejected: not here"
    assert os.path.exists(box.config + "/access.lmdb") and not os.path.exists(box.config + "/access.db")
    text = box.log_text()
    assert f"redirecting hash:{box.config}/access to lmdb:{box.config}/access" in text
    assert f"reindexed hash:{box.config}/access" in text
    box.wait_log(r"smtpd\[\d+\]: disconnect", mark)


def test_root(box):
    path = table(box, "more/t")
    code, out, err = query(box, "hash:" + path)
    assert (code, out) == (0, "v\n"), err
    assert os.stat(path + ".lmdb").st_uid == 0
    path = table(box, "etc/b")
    assert query(box, "btree:" + path)[:2] == (0, "v\n")


def test_aliases(box):
    """What alias_maps names is made by postalias."""
    assert query(box, f"hash:{box.config}/aliases", "postmaster")[:2] == (0, "root, nobody\n")
    assert query(box, f"hash:{box.config}/aliases", "@")[:2] == (0, "@\n")


def test_user(box):
    """A user's table is made with the user's rights."""
    uid = pwd.getpwnam("nobody").pw_uid
    path = table(box, "users/w/t", owner=uid, owner_of_directory=uid)
    assert query(box, "hash:" + path)[:2] == (0, "v\n")
    assert os.stat(path + ".lmdb").st_uid == uid


@pytest.mark.parametrize("name,path,settings,reason", [
    ("outside", "outside/t", {}, "is not below a directory in non_bdb_migration_allow_root_prefixes"),
    ("user outside", "more/u/t", {"owner": 65534, "owner_of_directory": 65534}, "is not below a directory in non_bdb_migration_allow_user_prefixes"),
    ("writable", "more/g/t", {"mode": 0o664}, "is group or other writable"),
    ("two owners", "users/x/t", {"owner": 65534}, "and its directory have different owners"),
    ("prefix of a name", "more2/t", {}, "is not below a directory in non_bdb_migration_allow_root_prefixes"),
])
def test_refused(box, name, path, settings, reason):
    os.makedirs(os.path.dirname(f"{box.base}/{path}"), exist_ok=True)
    path = table(box, path, **settings)
    code, out, err = query(box, "hash:" + path)
    assert code == 1 and out == ""
    assert f"postmap: warning: Non-Berkeley-DB migration error: {path}" in err and reason in err
    assert not os.path.exists(path + ".lmdb")


def test_refused_paths(box):
    path = table(box, "more/p")
    for odd in (f"{box.base}/more/../more/p", f"{box.base}/more//p", f"{box.base}/more/nosuch"):
        code, out, err = query(box, "hash:" + odd)
        assert code == 1 and "Non-Berkeley-DB migration error: " in err, odd
    os.makedirs(f"{box.base}/outside2")
    table(box, "outside2/t")
    os.symlink(f"{box.base}/outside2", f"{box.base}/more/dirlink")
    assert "is not below a directory in" in query(box, f"hash:{box.base}/more/dirlink/t")[2]
    os.makedirs(f"{box.base}/more/theirs/mine")
    os.chown(f"{box.base}/more/theirs", 65534, -1)
    assert "can be changed by others" in query(box, "hash:" + table(box, "more/theirs/mine/t"))[2]
    link = f"{box.base}/more/link"
    os.symlink("/etc/passwd", link)
    assert "is not a regular file" in query(box, "hash:" + link)[2]
    assert not os.path.exists(path + ".lmdb") and not os.path.exists("/etc/passwd.lmdb")


def test_bad_source(box):
    """postmap fails: the client is told."""
    path = table(box, "more/d", mode=0o644)
    os.unlink(path)
    os.mkdir(path)
    assert "is not a regular file" in query(box, "hash:" + path)[2]


def test_mapping(box):
    table(box, "etc/custom")
    assert query(box, f"hash:{box.config}/custom")[:2] == (0, "v\n")
    bad = query(box, f"hash:{box.config}/bad")
    assert bad[0] == 1 and f"non-Berkeley-DB type mapping lookup error for 'hash:{box.config}/bad': mapping to unsupported database type: 'nosuchtype'" in bad[2]
    assert "mapping from 'hash' to legacy type 'btree'" in query(box, f"hash:{box.config}/loop")[2]
    p = box.run("postmap", f"hash:{table(box, 'etc/loop')}")
    assert p.returncode == 1 and f"postmap: fatal: Berkeley DB type mapping lookup error for 'hash:{box.config}/loop': mapping from" in p.stderr


@pytest.fixture
def down(our_suite):
    i = Instance(our_suite, main={"default_database_type": "lmdb", "default_cache_db_type": "lmdb", "compatibility_level": "3.11"})
    yield i
    i.destroy()


def non_bdb(i, *args):
    p = i.postfix("non-bdb", *args, check=False)
    return p.returncode, p.stdout, p.stderr


def master(i):
    with open(i.config + "/master.cf") as f:
        return [line.split() for line in f if "nbdb" in line]


def test_command(down):
    usage = "postfix/postlog: fatal: usage: postfix non-bdb status (or enable-redirect, or enable-reindex, or disable)\n"
    assert non_bdb(down) == (1, "", usage)
    assert non_bdb(down, "foo") == (1, "", usage)
    assert non_bdb(down, "status") == (0, "disable\n", "")
    path = table(down, "etc/users", "root x\n")
    down.set(authorized_mailq_users=f"!hash:{path}, static:all")
    assert non_bdb(down, "enable-reindex") == (0, "", f"postfix/postlog: Proactively reindexing hash:{path}\n")
    assert os.path.exists(path + ".lmdb")
    assert non_bdb(down, "status") == (0, "enable-reindex\n", "")
    assert master(down) == [SERVICE.split()]
    assert non_bdb(down, "enable-redirect") == (0, "", "")
    assert non_bdb(down, "status") == (0, "enable-redirect\n", "")
    assert master(down) == []
    assert non_bdb(down, "disable") == (0, "", "")
    assert non_bdb(down, "status") == (0, "disable\n", "")
    with open(down.config + "/main.cf") as f:
        assert "non_bdb" not in f.read()


def test_command_refuses(down):
    down.set(default_cache_db_type="btree")
    for command in ("enable-redirect", "enable-reindex"):
        assert non_bdb(down, command) == (1, "", "postfix/postlog: fatal: parameter default_cache_db_type specifies a Berkeley DB type: 'btree'\n")


def test_alias_maps_at_start(down):
    """At the first start an alias table that has an old index only gets a new one, once."""
    aliases = table(down, "etc/aliases", "postmaster: root\n")
    down.write("aliases.db", "old")
    down.set(non_bdb_migration_level="enable-reindex", alias_maps=f"lmdb:{aliases}", non_bdb_migration_allow_root_prefixes=down.config)
    down.start()
    assert os.path.exists(aliases + ".lmdb") and os.path.exists(down.config + "/check-alias-maps-migration-done")
    assert query(down, f"lmdb:{aliases}", "postmaster")[:2] == (0, "root\n")
