# SPDX-License-Identifier: ISC
"""mongodb: tables (which the reference is built without) against a server that speaks the protocol."""

import os

import pytest
from harness import Instance, ours
from harness.under_test import IS_REFERENCE

pytest.importorskip("bson")
from harness.mongo import Mongo  # noqa: E402

pytestmark = pytest.mark.skipif(IS_REFERENCE, reason="ours only")
PEOPLE = [
    {"_id": 1, "user": "alice@test", "box": "alice/", "also": ["al@test", "a@test"], "uid": 1000, "active": 1},
    {"_id": 2, "user": "bob@test", "box": "bob/", "also": [], "uid": 5000000000, "active": 0},
    {"_id": 3, "user": "o\"x\\y@test", "box": "quoted", "active": 1},
    {"_id": 4, "user": "ü@test", "box": "umlaut", "active": 1},
    {"_id": 5, "user": "empty@test", "box": "", "active": 1},
    {"_id": 6, "user": "line@test", "box": "a\nb", "active": 1},
    {"_id": 7, "user": "odd@test", "box": 1.5, "active": 1},
    {"_id": 8, "user": "null@test", "box": None, "active": 1},
] + [{"_id": 100 + n, "user": "many@test", "box": f"m{n}", "active": 1} for n in range(11)]


@pytest.fixture(scope="module")
def mongo():
    server = Mongo({"mail.people": PEOPLE})
    yield server
    server.close()


@pytest.fixture(scope="module")
def box():
    i = Instance(ours())
    if not os.path.exists(i.suite.daemon_directory + "/../../lib/postfix/postfix-mongodb.so") and "mongodb" not in i.run("postconf", "-m").stdout.split():
        i.destroy()
        pytest.skip("built without mongodb")
    yield i
    i.destroy()


@pytest.fixture(autouse=True)
def no_fault(mongo):
    mongo.fault = None
    mongo.finds.clear()


def query(box, mongo, text, *keys):
    text = f"uri = mongodb://127.0.0.1:{mongo.port}\ndbname = mail\ncollection = people\n" + text
    path = box.write("mongo.cf", text)
    p = box.run("postmap", "-c", box.config, "-q", "-" if len(keys) > 1 else keys[0], f"mongodb:{path}", input="\n".join(keys) + "\n")
    return p.returncode, p.stdout, p.stderr.replace(path, "FILE")


BY_USER = 'query_filter = {"user": "%s"}\n'
CASES = {
    "attribute": (BY_USER + "result_attribute = box\n", ["alice@test", "nobody@test", "bob@test"], "alice@test\talice/\nbob@test\tbob/\n"),
    "attributes": (BY_USER + "result_attribute = box, uid also\n", ["alice@test"], "alice/,al@test,a@test,1000\n"),
    "big number": (BY_USER + "result_attribute = uid\n", ["bob@test"], "5000000000\n"),
    "empty array": (BY_USER + "result_attribute = also\n", ["bob@test"], ""),
    "projection": (BY_USER + 'projection = {"_id": 0, "uid": 1}\nresult_attribute = box\n', ["alice@test"], "1000\n"),
    "any": ('query_filter = {"$or": [{"user": "%s"}, {"also": "%s"}], "active": 1}\nresult_attribute = user\n', ["a@test", "bob@test"], "a@test\talice@test\n"),
    "parts": ('query_filter = {"user": "%u@%d"}\nresult_attribute = box\nresult_format = /mail/%1/%s\n', ["alice@test", "alice"], "alice@test\t/mail/test/alice/\n"),
    "folded": (BY_USER + "result_attribute = box\n", ["ALICE@test"], "alice/\n"),
    "quotes": (BY_USER + "result_attribute = box\n", ['o"x\\y@test', '"}, "active": 0, "x": "', "\\"], 'o"x\\y@test\tquoted\n'),
    "utf8": (BY_USER + "result_attribute = box\n", ["ü@test", "u@test"], "ü@test\tumlaut\n"),
    "null": (BY_USER + "result_attribute = box\n", ["null@test"], ""),
    "domain": (BY_USER + "result_attribute = box\ndomain = other\n", ["alice@test"], ""),
    "many": (BY_USER + "result_attribute = box\nexpansion_limit = 11\n", ["many@test"], ",".join(f"m{n}" for n in range(11)) + "\n"),
}


@pytest.mark.parametrize("name", CASES)
def test_answer(mongo, box, name):
    text, keys, want = CASES[name]
    assert query(box, mongo, text, *keys) == (0 if want else 1, want, "")


def test_key_is_a_value(mongo, box):
    """Whatever a key holds, it is one string in the filter that arrives."""
    for key in ('"}, "$where": "1', "%s", "\\\\\"", "a\tb", "$ne"):
        query(box, mongo, BY_USER + "result_attribute = box\n", key)
    assert [f["filter"] for f in mongo.finds] == [{"user": k} for k in ('"}, "$where": "1', "%s", "\\\\\"", "a\tb", "$ne")]


FAILURES = {
    "newline": ("result_attribute = box\n", "line@test", "with a NUL or a newline -- refused"),
    "too many": ("result_attribute = box\n", "many@test", "Expansion limit exceeded for key 'many@test'"),
    "no result": ("", "a", "no result_attribute and no projection"),
    "limit": ("result_attribute = box\nexpansion_limit = 101\n", "a", "expansion_limit"),
    "projection": ("projection = {x\n", "a", "projection is not JSON: {x"),
    "filter": ('result_attribute = box\nquery_filter = {"a": "%s"\n', "a", "query_filter is not JSON"),
    "bare letter": ('result_attribute = box\nquery_filter = {"a": %s}\n', "a", 'put % letters of query_filter between "": {"a": %s}'),
    "letter": ('result_attribute = box\nquery_filter = {"a": "%x"}\n', "a", "Invalid query template"),
    "no collection": ("result_attribute = box\ncollection =\n", "a", "bad string length 0 < 1"),
    "uri": ("result_attribute = box\nuri = mongo:/x\n", "a", "uri cannot be used"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_failure(mongo, box, name):
    text, key, want = FAILURES[name]
    rc, out, err = query(box, mongo, BY_USER + text, key)
    assert rc == 1 and out == "" and want in err, err


@pytest.mark.parametrize("key,want", [("empty@test", "empty lookup result"), ("odd@test", "neither text nor a whole number -- ignored")])
def test_ignored(mongo, box, key, want):
    rc, out, err = query(box, mongo, BY_USER + "result_attribute = box\n", key)
    assert rc == 1 and out == "" and want in err


FAULTS = {
    "closes": ("close", "query failed"),
    "hangs": ("hang", "query failed"),
    "refuses": ({"ok": 0.0, "code": 13, "codeName": "Unauthorized", "errmsg": "not authorized on mail"}, "not authorized on mail"),
    "babbles": (b"HTTP/1.1 200 OK\r\n\r\n" + bytes(64), "query failed"),
    "no cursor": ({"ok": 1.0}, "query failed"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault(mongo, box, name):
    """Each ends within the time limit in a temporary error; the server is asked again for the next key."""
    fault, want = FAULTS[name]
    mongo.fault = lambda command: fault if command["filter"] == {"user": "x"} else None
    text = BY_USER + "result_attribute = box\ntimeout = 1\n"
    rc, out, err = query(box, mongo, text, "x")
    assert (rc, out) == (1, "") and want in err, err
    assert len(mongo.finds) <= 4
    assert query(box, mongo, text, "alice@test") == (0, "alice/\n", "")


def test_server_restarts(mongo, box):
    """A connection that was lost while nobody asked costs nothing."""
    answered = []

    def once(command):
        answered.append(command)
        return "close" if len(answered) == 2 else None
    mongo.fault = once
    assert query(box, mongo, BY_USER + "result_attribute = box\n", "alice@test", "bob@test") == (0, "alice@test\talice/\nbob@test\tbob/\n", "")


def test_nobody_there(mongo, box):
    rc, out, err = query(box, mongo, BY_USER + "result_attribute = box\nuri = mongodb://127.0.0.1:1\ntimeout = 1\n", "x")
    assert (rc, out) == (1, "") and "query failed: No suitable servers found" in err and "127.0.0.1:1" in err
