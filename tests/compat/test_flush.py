# SPDX-License-Identifier: ISC
"""flush(8): what ETRN, postqueue -s and sendmail -qR send again, and its logs."""

import os
import time

import pytest
from harness import Pair, Sink, Smtp, wait_for

from test_commands import clean
from test_delivery import message


@pytest.fixture(scope="module")
def sink():
    with Sink() as s:
        yield s


@pytest.fixture(scope="module")
def pair(sink):
    routes = " ".join(f"{{{d} = smtp:[127.0.0.1]:{sink.port}}}" for d in ("relay.test", "sub.relay.test", "other.test", "[192.0.2.9]"))
    p = Pair(main={"transport_maps": f"inline:{{ {routes} }}", "relay_domains": "relay.test, other.test, [192.0.2.9]",
                   "fast_flush_domains": "relay.test", "in_flow_delay": "0", "smtpd_error_sleep_time": "0"},
             smtpd={"smtp": {}, "noetrn": {"smtpd_etrn_restrictions": "reject"}, "helo": {"smtpd_helo_required": "yes"}})
    try:
        yield p.start()
    finally:
        p.destroy()


def defer(instance, sink, *recipients):
    """A message each, deferred."""
    sink.clear()
    sink.hook = lambda v, line, s: "450 4.2.0 later" if v == "RCPT" else None
    for r in recipients:
        message("a@example.com", r)(instance)
    wait_for(lambda: len(instance.queue_files("deferred")) == len(recipients), what="deferred messages")
    sink.hook = None


def logs(instance):
    """{site: number of IDs} of the flush logs; the service adds after it has answered."""
    out = {}
    for name in os.listdir(instance.queue + "/flush"):
        with open(f"{instance.queue}/flush/{name}", encoding="ascii") as f:
            out[name] = len(f.read().split())
    return out


def clear(instance):
    instance.flush_queue()
    for name in os.listdir(instance.queue + "/flush"):
        os.unlink(f"{instance.queue}/flush/{name}")


def asked(how, site):
    def ask(instance):
        if how == "etrn":
            with Smtp(instance.port()) as c:
                c.cmd("EHLO x")
                return c.cmd("ETRN " + site)
        p = instance.run(*{"postqueue": ["postqueue", "-s", site], "sendmail": ["sendmail", "-qR" + site]}[how])
        return p.returncode, clean(instance, p.stdout), clean(instance, p.stderr)
    return ask


@pytest.mark.parametrize("how", ["etrn", "postqueue", "sendmail"])
def test_site(pair, sink, how):
    """Only the mail of the destination that asks goes out; the log is empty afterwards."""
    def run(instance):
        defer(instance, sink, "u1@relay.test", "u2@RELAY.test", "u3@other.test")
        wait_for(lambda: logs(instance).get("relay_test") == 2, what="the flush log")
        answer = asked(how, "relay.test")(instance)
        got = sorted(r for m in sink.wait(2) for r in m.rcpts)
        wait_for(lambda: len(instance.queue_files("deferred")) == 1, what="the queue")
        left = logs(instance)
        clear(instance)
        return answer, got, left
    pair.compare(run)


def test_log_names(pair, sink):
    def run(instance):
        defer(instance, sink, "u1@sub.Relay.test", "u3@relay.test", "u4@other.test")
        wait_for(lambda: len(logs(instance)) == 2, what="the flush logs")
        out = logs(instance)
        clear(instance)
        return out
    pair.compare(run, expect={"sub_relay_test": 1, "relay_test": 1})


@pytest.mark.parametrize("how,site", [
    ("postqueue", "nowhere.test"), ("postqueue", "bad..site"), ("postqueue", "[192.0.2.9]"), ("postqueue", "relay.test"),
    ("etrn", "nowhere.test"), ("etrn", "@relay.test"), ("etrn", "#relay.test"), ("etrn", "a b"), ("etrn", "bad..dom"), ("etrn", "[192.0.2.9]"),
    ("etrn", "[192.0.2.1]"), ("etrn", "sub.relay.test"), ("etrn", "RELAY.TEST"), ("etrn", ""), ("sendmail", "nowhere.test"),
])
def test_answers(pair, how, site):
    pair.compare(asked(how, site))


def test_etrn_refused(pair):
    def run(instance):
        out = []
        with Smtp(instance.port("noetrn")) as c:
            out += [c.cmd("EHLO x"), c.cmd("ETRN relay.test")]
        with Smtp(instance.port("helo")) as c:
            out += [c.cmd("ETRN relay.test"), c.cmd("EHLO x"), c.cmd("MAIL FROM:<a@example.com>"), c.cmd("ETRN relay.test")]
        return instance.normal().lines(out)
    pair.compare(run)


def test_refresh(pair, sink):
    """A wake-up tries what nobody has asked for in half a day, and removes what has long been empty."""
    def run(instance):
        defer(instance, sink, "u1@relay.test")
        wait_for(lambda: logs(instance).get("relay_test") == 1, what="the flush log")
        now = time.time()
        empty = instance.queue + "/flush/empty_test"
        open(empty, "w", encoding="ascii").close()
        os.chown(empty, instance.account.pw_uid, -1)
        os.utime(empty, (now - 8 * 86400, now - 8 * 86400))
        os.utime(instance.queue + "/flush/relay_test", (now - 13 * 3600, now - 13 * 3600))
        instance.run("postkick", "public", "flush", "W", check=True)
        sink.wait(1)
        wait_for(lambda: not os.path.exists(empty), what="the empty log to go")
        instance.wait_queue_empty()
        out = logs(instance)
        clear(instance)
        return out
    pair.compare(run, expect={"relay_test": 0})
