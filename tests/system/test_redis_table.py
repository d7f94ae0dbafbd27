# SPDX-License-Identifier: ISC
"""redis: tables (which the reference does not have) against a real Redis server, with and without TLS."""

import os

import pytest
from harness import Instance, ours
from harness.servers import Missing, Redis, make_certificate
from harness.table_server import CLOSE, HANG, TableServer
from harness.under_test import IS_REFERENCE

pytestmark = pytest.mark.skipif(IS_REFERENCE, reason="ours only")


class TlsRedis(Redis):
    def prepare(self):
        super().prepare()
        self.cert, self.key = make_certificate(self.dir)

    def command(self):
        from harness import free_port
        self.tls_port = free_port()
        return super().command() + ["--tls-port", str(self.tls_port), "--tls-cert-file", self.cert, "--tls-key-file", self.key,
                                    "--tls-auth-clients", "no"]


@pytest.fixture(scope="module")
def redis():
    try:
        server = TlsRedis()
    except Missing as e:
        pytest.skip(f"{e} is not installed")
    for words in (["SET", "k", "v"], ["SET", "p:alice@test", "Alice"], ["SET", "o'x", "quote"], ["SET", "two words", "both"], ["SET", "star*", "star"],
                  ["SET", "empty", ""], ["SET", "nl", "a\nb"], ["HSET", "users", "bob", "Bob"], ["HSET", "mail:test", "carol", "Carol"],
                  ["SADD", "set", "one"], ["SADD", "set", "two"], ["-n", "3", "SET", "k", "three"], ["ACL", "SETUSER", "reader", "on", ">secret", "~*", "+get"]):
        server.cli(*words)
    yield server
    server.close()


@pytest.fixture(scope="module")
def box():
    i = Instance(ours())
    yield i
    i.destroy()


def query(box, text, *keys, check=None):
    path = box.write(f"redis{abs(hash(text))}.cf", text)
    p = box.run("postmap", "-c", box.config, "-q", "-" if len(keys) > 1 else keys[0], f"redis:{path}", input="\n".join(keys) + "\n")
    return p.returncode, p.stdout, p.stderr.replace(path, "FILE")


CASES = {
    "get": ("", ["k"], "v\n"),
    "folded": ("", ["K"], "v\n"),
    "unknown": ("", ["nosuch"], ""),
    "format": ("key_format = p:%s\nresult_format = <%s>\n", ["alice@test"], "<Alice>\n"),
    "quotes": ("", ["o'x", "two words", "star*", "k\\"], "o'x\tquote\ntwo words\tboth\nstar*\tstar\n"),
    "hash": ("query = HGET users\n", ["bob", "alice"], "bob\tBob\n"),
    "hash by domain": ("query = hget mail:%d\nkey_format = %u\n", ["carol@test", "carol@other", "carol"], "carol@test\tCarol\n"),
    "set": ("query = SMEMBERS\n", ["set"], {"one,two\n", "two,one\n"}),
    "database": ("db = 3\n", ["k", "k"], "k\tthree\nk\tthree\n"),
    "user": ("user = reader\npassword = secret\ndb = 0\n", ["k"], "v\n"),
    "domain": ("domain = other\n", ["k", "alice@test"], ""),
}


@pytest.mark.parametrize("name", CASES)
def test_answer(redis, box, name):
    text, keys, want = CASES[name]
    rc, out, err = query(box, f"hosts = 127.0.0.1:{redis.port}\n" + text, *keys)
    assert err == ""
    assert out in want if isinstance(want, set) else out == want
    assert rc == (0 if out else 1)


FAILURES = {
    "newline": ("", "nl", "lookup result for \"nl\" with a NUL or a newline -- refused"),
    "wrong type": ("query = GET\n", "set", "WRONGTYPE Operation against a key holding the wrong kind of value"),
    "wrong password": ("user = reader\npassword = no\n", "k", "WRONGPASS invalid username-password pair or user is disabled."),
    "may not": ("user = reader\npassword = secret\nquery = SMEMBERS\n", "set", "NOPERM"),
    "no database": ("db = 999\n", "k", "ERR DB index is out of range"),
    "command": ("query = FLUSHALL\n", "k", "query must be GET, HGET name or SMEMBERS, without the key: query = FLUSHALL"),
    "words": ("query = GET a b\n", "k", "query must be GET, HGET name or SMEMBERS, without the key: query = GET a b"),
    "letter": ("query = HGET %x\n", "k", "Invalid query template: %x"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_failure(redis, box, name):
    text, key, want = FAILURES[name]
    rc, out, err = query(box, f"hosts = 127.0.0.1:{redis.port}\n" + text, key)
    assert (rc, out) == (1, "") and want in err


def test_empty_value(redis, box):
    assert query(box, f"hosts = 127.0.0.1:{redis.port}\n", "empty") == \
        (1, "", 'postmap: warning: table "redis:FILE": empty lookup result for: "empty" -- ignored\n')


def test_socket_and_password_file(redis, box):
    password = box.write("redis.password", "secret\n", 0o600)
    assert query(box, f"hosts = unix:{redis.socket}\nuser = reader\npassword_file = {password}\n", "k") == (0, "v\n", "")


def test_tls(redis, box):
    good = f"tls = yes\ntls_ca_cert_file = {redis.cert}\n"
    assert query(box, f"hosts = 127.0.0.1:{redis.tls_port}\n" + good, "k", "k") == (0, "k\tv\nk\tv\n", "")
    assert query(box, f"hosts = localhost:{redis.tls_port}\n" + good, "k") == (0, "v\n", "")
    rc, _, err = query(box, f"hosts = 127.0.0.1:{redis.tls_port}\ntls = yes\n", "k")
    assert rc == 1 and "self-signed certificate" in err
    rc, _, err = query(box, f"hosts = 127.0.0.2:{redis.tls_port}\n" + good, "k")
    assert rc == 1 and ("Connection refused" in err or "IP address mismatch" in err)


class Sentinel(Redis):
    def __init__(self, master):
        self.master = master
        super().__init__()

    def command(self):
        return [self.program, self.dir + "/sentinel.conf", "--sentinel"]

    def prepare(self):
        super().prepare()
        with open(self.dir + "/sentinel.conf", "w") as f:
            f.write(f"port {self.port}\nbind 127.0.0.1\ndir {self.dir}\nsentinel monitor mail 127.0.0.1 {self.master} 1\n")
        if os.getuid() == 0:
            os.chown(self.dir + "/sentinel.conf", self.account.pw_uid, self.account.pw_gid)


def test_sentinel(redis, box):
    s = Sentinel(redis.port)
    try:
        assert query(box, f"hosts = 127.0.0.1:{s.port}\nsentinel = mail\n", "k", "k") == (0, "k\tv\nk\tv\n", "")
        rc, out, err = query(box, f"hosts = 127.0.0.1:{s.port}\nsentinel = other\n", "k")
        assert (rc, out) == (1, "") and "the sentinel does not know this master" in err
        # A sentinel that is down, and one that says nonsense.
        with TableServer({"other": b"*2\r\n$1\r\n\0\r\n$1\r\n1\r\n"}, b"", "line") as bad:
            rc, out, err = query(box, f"hosts = 127.0.0.1:9 127.0.0.1:{bad.port}\nsentinel = other\n", "k")
        assert (rc, out) == (1, "") and "Connection refused" in err and "the sentinel does not know this master" in err
    finally:
        s.close()


ANSWERS = {"close": CLOSE, "half": [b"$10\r\nab", CLOSE], "hang": HANG, "junk": b"hello\r\n", "huge": b"$2000000\r\n" + b"x" * 2000000}


@pytest.mark.parametrize("name", ANSWERS)
def test_bad_server(box, name):
    """A temporary error in time; the server is given up and not asked again at once."""
    with TableServer({"GET": ANSWERS[name]}, b"", "line") as s:
        rc, out, err = query(box, f"hosts = 127.0.0.1:{s.port} 127.0.0.1:{s.port}\ntimeout = 1\n", "GET")
    assert (rc, out) == (1, "") and "query error: Application error" in err
    assert s.connections == 2 and len(err.splitlines()) == 3
