# SPDX-License-Identifier: ISC
"""Tables with a server or a database behind proxymap(8), compared; and what may not stand behind it."""

import sqlite3

import pytest
from harness import Batch, Pair
from harness.table_server import TableServer, netstring

SERVICES = "proxymap unix - - n - - proxymap\nproxywrite unix - - n - 1 proxymap\npostlog unix-dgram n - n - 1 postlogd\n"


@pytest.fixture(scope="module")
def batch():
    servers = {"tcp": TableServer({"get k": b"200 tcp%20value\n", "get bad": b"hello\n"}, b"500 x\n"),
               "socketmap": TableServer({"m k": netstring("OK socketmap value"), "m bad": netstring("TEMP x")}, netstring("NOTFOUND "), "netstring"),
               "memcache": TableServer({"get k": b"VALUE k 0 5\r\nvalue\r\nEND\r\n", "get bad": b"ERROR\r\n"}, b"END\r\n")}
    names = {"tcp": f"tcp:127.0.0.1:{servers['tcp'].port}", "socketmap": f"socketmap:inet:127.0.0.1:{servers['socketmap'].port}:m",
             "memcache": "memcache:@config@/mc.cf", "sqlite": "sqlite:@config@/sqlite.cf", "twice": "proxy:static:x", "missing": "sqlite:/nosuch",
             "unknown": "nosuch:x"}
    pair = Pair(main={"proxy_read_maps": " ".join("proxy:" + n for n in names.values())}, smtpd={}, services=SERVICES)
    for i in pair.instances:
        i.write("mc.cf", f"memcache = inet:127.0.0.1:{servers['memcache'].port}\nretry_pause = 1\nmax_try = 1\n")
        i.write("sqlite.cf", f"dbpath = {i.base}/t.db\nquery = select v from t where k='%s'\n")
        db = sqlite3.connect(i.base + "/t.db")
        db.executescript("create table t(k, v); insert into t values('k', 'sqlite value'); insert into t values('k', 'two')")
        db.close()
    pair.start()

    def case(name, key):
        def run(instance):
            spec = "proxy:" + names[name].replace("@config@", instance.config)
            p = instance.run("postmap", "-c", instance.config, "-q", key, spec)
            err = p.stderr
            for s in servers.values():
                err = err.replace(f"127.0.0.1:{s.port}", "SERVER")
            return p.returncode, p.stdout, instance.normal().text(err)
        return run
    cases = {f"{n} {k}": case(n, k) for n in ("tcp", "socketmap", "memcache", "sqlite") for k in ("k", "zz", "bad")}
    cases.update({"twice": case("twice", "k"), "missing": case("missing", "k"), "unknown": case("unknown", "k")})
    yield Batch(pair, cases)
    for s in servers.values():
        s.close()
    pair.destroy()


@pytest.mark.parametrize("name", [f"{n} {k}" for n in ("tcp", "socketmap", "memcache", "sqlite") for k in ("k", "zz", "bad")] +
                         ["twice", "missing", "unknown"])
def test_proxy(batch, name):
    batch.compare(name)
