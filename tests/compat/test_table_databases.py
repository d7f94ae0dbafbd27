# SPDX-License-Identifier: ISC
"""sqlite:, pgsql:, mysql:, ldap: and memcache: against real servers, and dynamicmaps.cf: what postmap -q prints, compared."""

import os
import pty
import re
import shutil
import sqlite3
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Batch, Pair
from harness.servers import Mariadb, Memcached, Missing, Postgres, Slapd
from harness.table_server import HANG, TableServer

HERE = os.path.dirname(os.path.abspath(__file__))
ROWS = [("a", "1", None), ("a b", "sp", None), ("m", "1", "x"), ("m", "2", "y"), ("e", "", ""), ("n", None, "z"), ("nn", None, None),
        ("o'x", "quote", None), ("u@d.org", "u", "d"), ("r", "x@y.org", None), ("nl", "a\nb", None), ("*", "star", None), ("\\", "bs", None),
        ("%", "pc", None), ("b\\'c", "both", None), ('"', "dq", None), ("\xf6", "uml", None), ("'; drop table t; --", "injected", None)]


def literal(x, backslash):
    if x is None:
        return "NULL"
    return "'" + (x.replace("\\", "\\\\") if backslash else x).replace("'", "''") + "'"


def schema(backslash=False):
    return "create table t(k text, v text, w text);\n" + "".join(
        "insert into t values(%s);\n" % ",".join(literal(x, backslash) for x in row) for row in ROWS)


# Where the reference has no error of the system to show, it shows one that some earlier call has left.
LEFTOVER = re.compile(r"(query error: )(Operation now in progress|No such file or directory|Resource temporarily unavailable|"
                      r"Operation not supported|Transport endpoint is not connected|No such process)")
Q = "query = select v from t where k='%s'\n"
BOTH = "query = select v,w from t where k='%s'\n"
KEYS = ["a", "A", "a b", "m", "o'x", "*", "\\", "%", "b\\'c", '"', "zz", "'; drop table t; --", "u@d.org", "x' or 'a'='a"]
SQL = {         # for all three
    "keys": (Q, KEYS), "empty": (Q, ["e"]), "null": (Q, ["n"]), "limit": (Q + "expansion_limit = 1\n", ["m"]),
    "limit not reached": (Q + "expansion_limit = 2\n", ["m"]), "format": (Q + "result_format = <%s|%u|%d|%S|%%>\n", ["r"]),
    "format skips": (Q + "result_format = %d\n", ["m", "r"]), "format of key": (Q + "result_format = %U|%D|%1|%2\n", ["u@d.org", "r"]),
    "parts": ("query = select '%u' || '-' || '%d' || '-%1-%S-%%'\n", ["u@d", "a@b@c", "u", "@d"]),
    "labels": ("query = select '%9%8%7%6%5%4%3%2%1'\n", ["u@1.2.3.4.5.6.7.8.9", "u@a.b"]),
    "fold in parts": ("query = select v from t where k='%u' and '%d'='x'\n", ["A@X", "A@y"]),
    "older form": ("table = t\nselect_field = v\nwhere_field = k\n", ["a", "m", "o'x"]),
    "older form, more": ("table = t\nselect_field = v\nwhere_field = k\nadditional_conditions = and v <> '2'\n", ["m"]),
    "no table": ("select_field = v\n", ["a"]), "no field": ("table = t\nwhere_field = k\n", ["a"]), "no where": ("table = t\nselect_field = v\n", ["a"]),
    "no query": ("query =\n", ["a"]), "bad letter": ("query = select '%x'\n", ["a"]), "bad result letter": (Q + "result_format = %z\n", ["a"]),
    "constant": (Q + "result_format = const\n", ["a", "m"]), "no format": (Q + "result_format =\n", ["a"]), "bad limit": (Q + "expansion_limit = x\n", ["a"]),
    "bad line": (Q + "junk\n", ["a"]), "no name": (Q + "= x\n", ["a"]),
    "twice": (Q + Q, ["a"]), "unknown parameter": (Q + "nosuch = 1\n", ["a"]),
    "no expansion": ("query = select v from t where k='$x'\n", ["a"]), "continued": ("query = select v\n  from t\n# comment\n  where k='%s'\n", ["a"]),
    "domain": (Q + "domain = d.org, inline:{e.org=1}\n", ["u@d.org", "u@e.org", "a", "d.org", "@d.org"]),
}
OWN = {
    "sqlite": {"columns": (BOTH, ["a", "m", "n"]), "two statements": ("query = select 1; select 2\n", ["a"]),
               "no path": ("dbpath =\n" + Q, ["a"]), "no file": ("dbpath = /nosuch/x.db\n" + Q, ["a"])},
    "pgsql": {"columns": (BOTH, ["m", "n", "nn", "e"]), "update": ("query = update t set v='x' where k='zz'\n", ["a"]), "syntax": ("query = selec\n", ["a"]),
              "two statements": ("query = select 1; select 2\n", ["a"]), "function": ("select_function = f\n", ["a", "m", "zz"]),
              "uri": ("hosts = postgresql://pg@127.0.0.1:@port@/postgres\n" + Q, ["a", "m"])},
    "mysql": {"columns": (BOTH, ["m", "n", "nn", "e"]), "update": ("query = update t set v='x' where k='zz'\n", ["a"]), "syntax": ("query = selec\n", ["a"]),
              "update, no set wanted": ("query = update t set v='x' where k='zz'\nrequire_result_set = no\n", ["a"]),
              "two statements": ("query = select 1; select 2\n", ["a"]), "procedure": ("query = call p('%s')\n", ["m", "zz", "a"]),
              "procedure without set": ("query = call q('%s')\n", ["m"]), "socket": ("hosts = unix:@socket@\nuser = root\npassword =\n" + Q, ["a", "m"]),
              "inet": ("hosts = inet:127.0.0.1:@port@\n" + Q, ["a"])},
}
GROUPS = "result_attribute =\nspecial_result_attribute = memberdn\nleaf_result_attribute = mail\n"
LDAP = {
    "default": ("", ["alice", "ALICE", "bob", "nobody", "star*(x)\\", "j\xf6rg", "nodrop", "comma", "carol", "a*", "*", "*)(cn=*", "alice\\"]),
    "groups": (GROUPS, ["group", "nested", "gone", "url", "alice"]), "groups bad": (GROUPS, ["bad"]), "groups loop": (GROUPS, ["loop"]),
    "terminal": (GROUPS + "terminal_result_attribute = maildrop\n", ["group", "nested", "bad", "alice"]),
    "special": ("special_result_attribute = memberdn\n", ["group", "nested", "url"]), "special bad": ("special_result_attribute = memberdn\n", ["bad"]),
    "attributes": ("result_attribute = maildrop, mail\n", ["alice", "bob"]), "attributes turned": ("result_attribute = mail maildrop\n", ["alice", "bob"]),
    "attribute case": ("result_attribute = MailDrop\n", ["bob"]), "limit": ("expansion_limit = 1\n", ["bob"]), "limit kept": ("expansion_limit = 1\n", ["alice"]),
    "size": ("size_limit = 1\nquery_filter = (cn=*%u*)\n", ["o"]), "recursion": ("recursion_limit = 3\nspecial_result_attribute = memberdn\n", ["loop"]),
    "recursion enough": ("recursion_limit = 3\nspecial_result_attribute = memberdn\n", ["nested"]), "bad recursion": ("recursion_limit = 0\n", ["a"]),
    "format": ("result_format = <%s>%u\n", ["bob"]), "filter": ("result_filter = <%s>\n", ["bob"]), "key format": ("result_format = %D:%s\n", ["alice", "alice@test"]),
    "base": ("search_base = dc=%2,dc=%1\n", ["dora@sub.test", "x@nosuch.test", "dora"]),
    "base quoted": ("search_base = cn=%u,ou=people,dc=%d\nscope = base\nquery_filter = (objectClass=*)\n",
                    ["alice@test", "x,ou=groups@test", "comma, plus+@test", "star*(x)\\@test", "#x@test"]),
    "base unknown": ("search_base = ou=nosuch,dc=test\n", ["alice"]), "base bad": ("search_base = bad\n", ["alice"]), "base empty": ("search_base =\n", ["alice"]),
    "one": ("scope = one\n", ["alice"]), "one level": ("scope = one\nquery_filter = (ou=%s)\nresult_attribute = ou\n", ["people"]), "scope": ("scope = x\n", ["alice"]),
    "fixed": ("query_filter = (cn=alice)\n", ["x"]), "syntax": ("query_filter = (cn=%s\n", ["alice"]), "letter": ("query_filter = (cn=%x)\n", ["alice"]),
    "no bind": ("bind = no\n", ["alice"]), "bind": ("bind_dn = cn=alice,ou=people,dc=test\nbind_pw = alicepw\n", ["carol", "alice"]),
    "bind wrong": ("bind_dn = cn=alice,ou=people,dc=test\nbind_pw = no\n", ["carol"]), "bind bad": ("bind = x\n", ["alice"]),
    "sasl unknown": ("bind = sasl\nsasl_mechs = EXTERNAL\n", ["alice"]), "bind simple": ("bind = Simple\n", ["alice"]), "dereference": ("dereference = 4\n", ["alice"]),
    "referrals": ("chase_referrals = yes\n", ["alice"]), "start tls": ("start_tls = yes\n", ["alice"]),
    "verified": ("start_tls = yes\ntls_require_cert = yes\ntls_ca_cert_file = @cert@\n", ["alice"]),
    "not verified": ("start_tls = yes\ntls_require_cert = yes\ntls_ca_cert_file = /etc/hostname\n", ["alice"]),
    "ldaps": ("server_host = ldaps://127.0.0.1:@tls_port@\n", ["alice"]),
    "ldaps, verified": ("server_host = ldaps://127.0.0.1:@tls_port@\ntls_require_cert = yes\ntls_ca_cert_file = @cert@\n", ["alice"]),
    "socket, known": ("server_host = ldapi://@socket@\nbind = sasl\nsasl_mechs = EXTERNAL\n", ["carol", "alice"]),
    "socket": ("server_host = ldapi://@socket@\n", ["carol", "alice"]), "domain": ("domain = test\n", ["alice", "alice@test"]),
    "refused": ("server_host = 127.0.0.1:9\n", ["alice"]), "second": ("server_host = ldap://127.0.0.1:9 ldap://127.0.0.1:@port@\n", ["alice"]),
    "second host": ("server_host = 127.0.0.1:9, 127.0.0.1:@port@\n", ["alice"]), "scheme": ("server_host = foo://x\n", ["alice"]), "cache": ("cache = yes\n", ["alice"]),
    "bad number": ("debuglevel = x\n", ["alice"]), "old version": ("version = 2\n", ["alice"]), "no ldaps": ("server_host = ldaps://127.0.0.1:@port@\n", ["alice"]),
}
CASES = {f"{t} {n}": (t, *c) for t in OWN for n, c in (SQL | OWN[t]).items() if not (t == "mysql" and n == "parts")}
CASES.update({f"ldap {n}": ("ldap", *c) for n, c in LDAP.items()})
CASES.update({f"{t} no file": (t, None, ["a"]) for t in ("pgsql", "mysql", "ldap")})
CASES["mysql parts"] = ("mysql", "query = select concat('%u', '-', '%d', '-%1-%S-%%')\n", ["u@d", "a@b@c", "u", "@d"])
CASES["memcache real"] = ("memcache", "backup = inline:{b=fromb}\n", ["b", "b", "nosuch"])
CASES["sqlite main.cf"] = ("sqlite", "main.cf", ["a", "m"])
CASES["sqlite main.cf, no path"] = ("sqlite", "other", ["a"])


class Databases:
    """All servers of the session, each started when its first case asks; None: not installed."""

    def __init__(self):
        self.servers = {}

    def start(self, kind):
        try:
            if kind == "pgsql":
                s = Postgres()
                s.sql(schema() + "create function f(text) returns setof text as 'select v from t where k=$1' language sql;")
            elif kind == "mysql":
                s = Mariadb()
                s.sql("create database d character set utf8mb4 collate utf8mb4_general_ci; use d;\n" + schema(True) +
                      "create user tu@'%' identified by 'pw'; grant all on d.* to tu@'%';"
                      "create procedure p(in x text) select v from t where k=x; create procedure q(in x text) select 1 into @a;")
            elif kind == "ldap":
                with open(f"{HERE}/../lib/directory.ldif", encoding="utf-8") as f:
                    s = Slapd(f.read())
            else:
                s = Memcached()
        except Missing:
            s = None
        self.servers[kind] = s

    def settings(self, kind, instance):
        s = self.servers.get(kind)
        if kind == "sqlite":
            return f"dbpath = {instance.base}/t.db\n"
        return {"pgsql": "hosts = 127.0.0.1:{}\ndbname = postgres\nuser = pg\n", "mysql": "hosts = 127.0.0.1:{}\ndbname = d\nuser = tu\npassword = pw\n",
                "ldap": "server_host = 127.0.0.1\nserver_port = {}\nsearch_base = dc=test\nversion = 3\n",
                "memcache": "memcache = inet:127.0.0.1:{}\n"}[kind].format(s.port)


def configuration(databases, instance, kind, text):
    """The case's own settings replace the usual ones."""
    own = {line.split("=")[0].strip() for line in text.splitlines() if "=" in line}
    usual = "".join(line + "\n" for line in databases.settings(kind, instance).splitlines() if line.split("=")[0].strip() not in own)
    s = databases.servers.get(kind)
    return usual + text.replace("@port@", str(getattr(s, "port", ""))).replace("@socket@", str(getattr(s, "socket", ""))) \
        .replace("@cert@", str(getattr(s, "cert", ""))).replace("@tls_port@", str(getattr(s, "tls_port", "")))


def postmap(instance, *args, input=""):
    return subprocess.run(instance.argv("postmap", "-c", instance.config, *args), env=instance.env(), cwd="/", timeout=60, input=input, encoding="utf-8",
                          errors="surrogateescape", capture_output=True)


def case(databases, number, kind, text, keys):
    def run(instance):
        if kind != "sqlite" and databases.servers[kind] is None:
            return "not installed"
        if text is None:
            spec = f"{kind}:/nosuch"
        elif text in ("main.cf", "other"):
            spec = f"{kind}:{text}"
        else:
            spec = f"{kind}:" + instance.write(f"table{number}.cf", configuration(databases, instance, kind, text))
        out = []
        for key in keys if kind == "memcache" else [None]:
            p = postmap(instance, "-q", *([key] if key else keys if len(keys) == 1 else ["-"]), spec, input="\n".join(keys) + "\n")
            out += [p.returncode, p.stdout, p.stderr]
        text_of = instance.normal().text
        s = databases.servers.get(kind)
        out = [text_of(o.replace(f"127.0.0.1:{s.port}", "SERVER") if s else o) if isinstance(o, str) else o for o in out]
        if not instance.suite.is_ours:
            out = [LEFTOVER.sub(r"\1Application error", o) if isinstance(o, str) else o for o in out]
        return out
    return run


REFUSED = [("pgsql", "127.0.0.1:9"), ("mysql", "127.0.0.1:9"), ("pgsql", "unix:/nosuch"), ("mysql", "unix:/nosuch")]
HANGING = ["pgsql", "mysql", "ldap"]


def refused(databases, pair, kind_hosts):
    kind, hosts = kind_hosts
    out = {}
    for i in pair.instances if databases.servers[kind] is not None else []:
        path = i.write(f"refused-{kind}{hosts[:4]}.cf", configuration(databases, i, kind, f"hosts = {hosts}\n" + Q))
        p = postmap(i, "-q", "a", f"{kind}:{path}")
        out[i] = p.returncode, p.stdout, p.stderr
    return out.get(pair.reference), out.get(pair.ours)


def hanging(databases, pair, kind):
    if pair.ours is None or databases.servers[kind] is None:
        return None
    with TableServer({}, HANG, "line") as s:
        own = f"server_port = {s.port}\ntimeout = 1\n" if kind == "ldap" else f"hosts = 127.0.0.1:{s.port}\ntimeout = 1\n" + Q
        path = pair.ours.write(f"hanging-{kind}.cf", configuration(databases, pair.ours, kind, own))
        p = postmap(pair.ours, "-q", "a", f"{kind}:{path}")
        return p.returncode, p.stdout, p.stderr


SLOW = [(refused, REFUSED), (hanging, HANGING)]


@pytest.fixture(scope="module")
def batch(table_servers):
    pair = Pair(main={"main.cf_dbpath": "@base@/t.db", "main.cf_query": "select v from ${nosuch?x}t where k='%s'"})
    databases = Databases()
    # All at once: most of the time they wait for the disk.
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(databases.start, ["pgsql", "mysql", "ldap", "memcache"]))
    for i in pair.instances:
        db = sqlite3.connect(i.base + "/t.db")
        db.executescript(schema())
        db.execute("insert into t values('nul', ?, null)", ["a\0b"])
        db.commit()
        db.close()
    cases = Batch(pair, {n: case(databases, number, *c) for number, (n, c) in enumerate(CASES.items())}, workers=24)
    with ThreadPoolExecutor(8) as pool:       # these wait: they run while the others are compared
        cases.slow = {(f.__name__, k): pool.submit(f, databases, pair, k) for f, ks in SLOW for k in ks}
        yield cases, databases, pair
    for s in databases.servers.values():
        if s is not None:
            s.close()
    pair.destroy()


@pytest.mark.parametrize("name", CASES)
def test_answer(batch, name):
    cases, databases, _ = batch
    kind = CASES[name][0]
    if kind != "sqlite" and databases.servers[kind] is None:
        pytest.skip(f"the server for {kind} is not installed")
    cases.compare(name)


def need_ours(batch, kind):
    _, databases, pair = batch
    if pair.ours is None or SELF_CHECK or (kind != "sqlite" and databases.servers[kind] is None):
        pytest.skip("needs the suite under test and the server")


def ours_only(batch, kind, text, *keys):
    """What only 3.11, or only we do: (status, output, warnings)."""
    need_ours(batch, kind)
    _, databases, pair = batch
    path = pair.ours.write(f"own-{kind}.cf", configuration(databases, pair.ours, kind, text))
    p = postmap(pair.ours, "-q", *(keys if len(keys) == 1 else ["-"]), f"{kind}:{path}", input="\n".join(keys) + "\n")
    return p.returncode, p.stdout, p.stderr.replace(path, "FILE").replace(pair.ours.base, "BASE")


@pytest.mark.parametrize("kind", ["sqlite", "pgsql", "mysql"])
def test_newline_is_refused(batch, kind):
    assert ours_only(batch, kind, Q, "nl") == \
        (1, "", f'postmap: warning: table "{kind}:FILE": lookup result for "nl" with a NUL or a newline -- refused\n'
         f"postmap: fatal: table {kind}:FILE: query error\n")


def test_nul_is_refused(batch):
    assert ours_only(batch, "sqlite", Q, "nul")[:2] == (1, "")


@pytest.mark.parametrize("kind", ["sqlite", "pgsql", "mysql"])
def test_utf8(batch, kind):
    """3.11 speaks UTF-8 with the servers."""
    assert ours_only(batch, kind, Q, "\xf6") == (0, "uml\n", "")


def test_sqlite_errors(batch):
    """The reference ends with "fatal" for what is a failed lookup, and takes a failed update for "not found"."""
    assert ours_only(batch, "sqlite", "query = selec\n", "a") == \
        (1, "", 'postmap: warning: dict_sqlite_lookup: FILE: SQL prepare failed: near "selec": syntax error?\n'
         "postmap: fatal: table sqlite:FILE: query error: Application error\n")
    assert ours_only(batch, "sqlite", "query = update t set v='2' where k='zz'\n", "a") == \
        (1, "", "postmap: warning: dict_sqlite_lookup: FILE: SQL step failed: attempt to write a readonly database?\n"
         "postmap: fatal: table sqlite:FILE: query error: Application error\n")
    rc, out, err = ours_only(batch, "sqlite", "query = select v from t where k=%s\n", "'a'")
    assert (rc, out) == (1, "") and "query >select v from t where k=%s< contains >%s< without the recommended '' quotes" in err


@pytest.mark.parametrize("case", REFUSED)
def test_refused(batch, case):
    """A single host is asked twice since 3.11; otherwise the reference's warning."""
    need_ours(batch, case[0])
    theirs, (rc, out, err) = batch[0].slow["refused", case].result()
    lines = err.splitlines()
    assert (rc, out) == (1, "") and len(lines) == 3 and lines[0] == lines[1]
    if theirs is not None:
        assert theirs[2].splitlines()[0] == lines[0]


@pytest.mark.parametrize("kind", HANGING)
def test_hanging_server(batch, kind):
    """A temporary error in time; each attempt is told once."""
    need_ours(batch, kind)
    rc, out, err = batch[0].slow["hanging", kind].result()
    assert (rc, out) == (1, "") and "query error: Application error" in err
    assert len(err.splitlines()) == (2 if kind == "ldap" else 3)


@pytest.mark.parametrize("kind", ["pgsql", "mysql", "ldap", "memcache"])
def test_server_comes_back(batch, kind):
    """One process, the server restarted in between: the next lookup is answered."""
    _, databases, pair = batch
    s = databases.servers[kind]
    if pair.ours is None or SELF_CHECK or s is None:
        pytest.skip("needs the suite under test and the server")
    for f in batch[0].results.values():
        f.result()
    text = {"ldap": "", "memcache": "backup = inline:{a=1}\nretry_pause = 1\n"}.get(kind, Q)
    key, value = ("alice", "alice@one.test") if kind == "ldap" else ("a", "1")
    path = pair.ours.write("back.cf", configuration(databases, pair.ours, kind, text))
    tty, end = pty.openpty()          # else output is shown at the end only
    p = subprocess.Popen(pair.ours.argv("postmap", "-c", pair.ours.config, "-q", "-", f"{kind}:{path}"), env=pair.ours.env(), cwd="/",
                         stdin=subprocess.PIPE, stdout=end, stderr=subprocess.PIPE, text=True)
    os.close(end)
    try:
        p.stdin.write(f"{key}\n")
        p.stdin.flush()
        assert os.read(tty, 1000).decode() == f"{key}\t{value}\r\n"
        s.end()
        s.begin()
        _, err = p.communicate(f"{key}\n", timeout=30)
        assert p.returncode == 0, err
        assert os.read(tty, 1000).decode() == f"{key}\t{value}\r\n"
    finally:
        p.kill()
        p.wait()
        os.close(tty)


# --- dynamicmaps.cf

DYNAMIC = {
    "none": ("", None), "missing": ("foo nosuch.so f\n", None), "absolute": ("foo /nosuch/x.so f\n", None), "two words": ("foo x.so\n", None),
    "one word": ("foo\n", None), "five words": ("foo x.so a b c\n", None), "up": ("foo ../nosuch.so a\n", None), "twice": ("foo x.so a\nfoo y.so a\n", None),
    "twice in two": ("foo x.so a\n", "foo y.so a\n"), "second file": ("", "foo y.so f m\n"), "comment": ("# foo\n\nfoo x.so a\n", None),
    "other type": ("bar x.so a\n", None), "writable": ("foo x.so a\n", 0o666), "group": ("foo x.so a\n", 0o664), "built in": ("static x.so a\n", None),
}


def dynamic_case(name):
    text, more = DYNAMIC[name]

    def run(instance):
        meta = f"{instance.base}/meta-{name.replace(' ', '-')}"
        os.makedirs(meta + "/dynamicmaps.cf.d")
        shlib = f"{instance.base}/shlib"
        os.makedirs(shlib, exist_ok=True)
        instance.write(meta + "/dynamicmaps.cf", text, more if isinstance(more, int) else 0o644)
        if isinstance(more, str):
            instance.write(meta + "/dynamicmaps.cf.d/a.cf", more)
        directory = f"{instance.base}/conf-{name.replace(' ', '-')}"
        os.makedirs(directory)
        instance.write(directory + "/main.cf", f"compatibility_level = 3.6\nmeta_directory = {meta}\nshlib_directory = {shlib}\n")
        instance.write(directory + "/master.cf", "")
        out = []
        # Built-in types do not look into the file here; in the reference its errors end them too.
        for spec in ("foo:x", "static:x") if name == "built in" else ("foo:x",):
            p = instance.run("postmap", "-c", directory, "-q", "k", spec)
            out += [p.returncode, p.stdout, instance.normal().text(p.stderr)]
        p = instance.run("postconf", "-c", directory, "-m")
        return out + ["foo" in p.stdout.split(), p.stdout.split() == sorted(p.stdout.split())]
    return run


@pytest.fixture(scope="module")
def dynamic():
    pair = Pair()
    yield Batch(pair, {n: dynamic_case(n) for n in DYNAMIC})
    pair.destroy()


@pytest.mark.parametrize("name", DYNAMIC)
def test_dynamicmaps(dynamic, name):
    dynamic.compare(name)


@pytest.mark.skipif(REFERENCE_ONLY or SELF_CHECK, reason="ours only")
@pytest.mark.parametrize("what", ["foreign", "no module", "writable", "writable directory", "link into one", "other type"])
def test_module_is_not_loaded(batch, what):
    """A file that is not ours, or that others could have written: no such type, and nothing of it runs."""
    instance = batch[2].ours
    d = f"{instance.base}/bad-{what.replace(' ', '-')}"
    os.makedirs(d + "/lib")
    so = d + "/lib/x.so"
    good = os.path.dirname(os.path.dirname(instance.suite.daemon_directory)) + "/lib/postfix/postfix-sqlite.so"
    if what == "foreign":
        with open(d + "/x.c", "w") as f:
            f.write(f'#include <stdio.h>\n__attribute__((constructor)) void run(void) {{ fclose(fopen("{d}/ran", "w")); }}\n'
                    "void *dict_foo_open(void) { return 0; }\n")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", so, d + "/x.c"], check=True)
    elif what == "no module":
        instance.write(so, "this is text\n")
    else:
        shutil.copy(good, so)
    os.chmod(so, 0o777 if what == "writable" else 0o755)
    if what == "writable directory":
        os.chmod(d + "/lib", 0o777)
    if what == "link into one":
        os.rename(d + "/lib", d + "/open")
        os.chmod(d + "/open", 0o777)
        os.symlink(d + "/open", d + "/lib")
    instance.write(d + "/dynamicmaps.cf", f"foo {so} dict_foo_open\nsqlite {so} dict_foo_open\n")
    instance.write(d + "/main.cf", f"compatibility_level = 3.6\nmeta_directory = {d}\nx_dbpath = {instance.base}/t.db\nx_query = select 1\n")
    instance.write(d + "/master.cf", "")
    kind = "foo" if what in ("foreign", "no module", "other type") else "sqlite"
    p = instance.run("postmap", "-c", d, "-q", "k", f"{kind}:x")
    why = {"foreign": "not a table type of this program", "no module": "not a table type of this program",
           "other type": "made for another version or type"}.get(what, "file is owned or writable by non-root users")
    assert (p.returncode, p.stdout, p.stderr) == \
        (1, "", f"postmap: warning: unsupported dictionary type: {kind} ({so}: {why})\npostmap: fatal: unsupported dictionary type: {kind}\n")
    assert not os.path.exists(d + "/ran")
