# SPDX-License-Identifier: ISC
"""smtpd_rate_limit_maps and check_rate_limit: limits by user, sender, sender's and recipient's domain, over all server processes."""

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Instance, Smtp, ours

pytestmark = pytest.mark.skipif(REFERENCE_ONLY or SELF_CHECK, reason="a feature of ours alone")

TABLE = """
sender=many@x.test 10/1h
sender=held@x.test 1/1h hold
sender=hard@x.test 1/1h recipients reject
sender=mails@x.test 2/1h messages
sender=window@x.test 1/1s
sender=two@x.test 100/1h, 1/1d reject
sender=free@limited.test none
sender=ext@x.test 1/1h
sender=<> 1/1h
sender=nothing@x.test 0/1h
sender=atomic@x.test 2/1h
sender_domain=limited.test 1/1h
recipient_domain=full.test 1/1h
recipient_domain=full2.test 1/1h
sasl_username=joe 2/1h
sasl_username=* 1/1h
"""
MALFORMED = ("10/1parsec", "10/1h bounce", "10", "/1h", "10/", "10/0", "10/h", "-1/1h", "99999999999/1h", "10/99999w", "10/1h, 20", "10/1h, none", "x/1h", "10 /1h", "OK", "REJECT", "none, none",
             "10/1h defer later", ",", " , ".join(["10/1h"] * 33))
TABLE += "".join(f"sender=bad{n}@x.test {value}\n" for n, value in enumerate(MALFORMED))


@pytest.fixture(scope="module")
def live():
    common = {"smtpd_peername_lookup": "no", "smtpd_authorized_xclient_hosts": "127.0.0.1, 127.0.0.9", "smtpd_error_sleep_time": "0"}
    i = Instance(ours(), main={"relay_domains": "static:any", "default_transport": "discard:", "relay_transport": "discard:", "max_idle": "1s", "recipient_delimiter": "+",
                 "smtpd_client_connection_count_limit": "0"},
                 smtpd={"smtp": {**common, "smtpd_rate_limit_maps": "texthash:@config@/rates"},
                        "element": {**common, "smtpd_recipient_restrictions": "check_client_access inline:{127.0.0.9=permit}, check_rate_limit texthash:@config@/rates, permit"},
                        "failing": {**common, "smtpd_rate_limit_maps": "fail:oops"},
                        "plain": {**common, "smtpd_relay_restrictions": "check_rate_limit oops, reject"}})
    i.write("rates", TABLE)
    try:
        yield i.start()
    finally:
        i.destroy()


def recipients(live, sender, rcpts, service="smtp", login=None, source=None):
    """Replies to RCPT, codes and status alone."""
    with Smtp(live.port(service), source=source) as c:
        if login:
            assert c.cmd(f"XCLIENT LOGIN={login}").startswith("220")
        assert c.cmd("EHLO x").startswith("250") and c.cmd(f"MAIL FROM:<{sender}>").startswith("250")
        return [c.cmd(f"RCPT TO:<{r}>") for r in rcpts]


def codes(*args, **kw):
    return [r[:9] for r in recipients(*args, **kw)]


OK, DEFER, REJECT = "250 2.1.5", "450 4.7.1", "554 5.7.1"


def test_many_processes(live):
    """Twelve sessions at the same time, each with a process of its own: together they have what one would have."""
    sessions = [Smtp(live.port()) for _ in range(12)]
    for c in sessions:
        assert c.cmd("EHLO x").startswith("250") and c.cmd("MAIL FROM:<many@x.test>").startswith("250")
    assert len(live.pids("smtpd")) > 12
    with ThreadPoolExecutor(12) as pool:
        replies = list(pool.map(lambda c: [c.cmd(f"RCPT TO:<u{n}@r.test>")[:9] for n in range(3)], sessions))
    for c in sessions:
        c.close()
    flat = [r for replies in replies for r in replies]
    assert flat.count(OK) == 10 and flat.count(DEFER) == 26


def test_reply_and_log(live):
    start = live.mark()
    text = "<b@r.test>: Recipient address rejected: Rate limit exceeded: 1/1h recipients for sender=hard@x.test"
    replies = recipients(live, "Hard@x.test", ["a@r.test", "b@r.test"])
    assert replies == ["250 2.1.5 Ok", "554 5.7.1 " + text]
    assert live.wait_log(rf"reject: RCPT from unknown\[127.0.0.1\]: 554 5.7.1 {text}; from=<Hard@x.test> to=<b@r.test> proto=ESMTP helo=<x>", start)


def test_hold(live):
    start = live.mark()
    with Smtp(live.port()) as c:
        for step in ("EHLO x", "MAIL FROM:<held@x.test>", "RCPT TO:<a@r.test>", "RCPT TO:<b@r.test>", "DATA"):
            assert c.cmd(step)[0] in "23"
        queue_id = c.data(b"Subject: x\r\n\r\nx\r\n").split()[-1]
    assert live.wait_log(rf"{queue_id}: hold: RCPT from unknown\[127.0.0.1\]: <b@r.test>: Recipient address Rate limit exceeded: 1/1h recipients for sender=held@x.test;", start)
    assert queue_id in live.queue_files("hold")


@pytest.mark.parametrize("sender, rcpts, want", [
    ("a@limited.test", ("u@r.test", "v@r.test"), [OK, DEFER]),
    ("free@limited.test", ("u@r.test",), [DEFER]),        # the domain's count is full
    ("b@x.test", ("u@full.test", "v@FULL.test", "w@other.test"), [OK, DEFER, OK]),
    ("", ("u@r.test", "v@r.test"), [OK, DEFER]),
    ("ext+1@x.test", ("u@r.test",), [OK]), ("EXT+2@x.test", ("u@r.test",), [DEFER]),
    ("nothing@x.test", ("u@r.test",), [DEFER]),
    ("two@x.test", ("u@r.test", "v@r.test"), [OK, REJECT]),
    ("nobody@x.test", [f"u{n}@r.test" for n in range(20)], 20 * [OK]),
])
def test_keys(live, sender, rcpts, want):
    assert codes(live, sender, rcpts) == want


def test_user(live):
    assert codes(live, "any@x.test", ["a@r.test", "b@r.test", "c@r.test"], login="joe") == [OK, OK, DEFER]
    assert codes(live, "any@x.test", ["a@r.test", "b@r.test"], login="ann") == [OK, DEFER]
    assert codes(live, "any@x.test", ["a@r.test", "b@r.test"], login="bob") == [OK, DEFER]


def test_messages(live):
    """Any number of recipients, two messages; what is refused for another reason counts for nothing."""
    for want in (OK, OK, DEFER):
        assert codes(live, "mails@x.test", [f"u{n}@r.test" for n in range(5)]) == 5 * [want]


def test_refused_counts_for_none(live):
    """The recipient's domain is full: the sender has not spent anything."""
    assert codes(live, "filler@x.test", ["u@full2.test"]) == [OK]
    assert codes(live, "atomic@x.test", ["one@r.test", "no@full2.test", "no@full2.test"]) == [OK, DEFER, DEFER]
    assert codes(live, "atomic@x.test", ["two@r.test", "three@r.test"]) == [OK, DEFER]


def test_window(live):
    assert codes(live, "window@x.test", ["a@r.test", "b@r.test"]) == [OK, DEFER]
    end = time.monotonic() + 20
    while codes(live, "window@x.test", ["a@r.test"]) != [OK]:
        assert time.monotonic() < end


@pytest.mark.parametrize("n", range(len(MALFORMED)))
def test_malformed(live, n):
    """Mail is not lost over a typing error, and the log says where it is."""
    start = live.mark()
    assert recipients(live, f"bad{n}@x.test", ["a@r.test"]) == ["451 4.3.5 Server configuration error"]
    key = re.escape(f"sender=bad{n}@x.test")
    assert live.wait_log(rf'warning: smtpd_rate_limit_maps: table texthash:\S+/rates, key "{key}": bad rate limit "{re.escape(MALFORMED[n])}" -- need count/time', start)
    assert live.log_text(start).count("bad rate limit") == 1


def test_table_fails(live):
    assert recipients(live, "a@x.test", ["a@r.test"], service="failing") == ["451 4.3.0 <a@r.test>: Temporary lookup failure"]


def test_element(live):
    """In a list the place decides who is counted; the counts are those of the parameter."""
    assert codes(live, "el@limited2.test", ["u@r.test"], service="element") == [OK]
    assert codes(live, "elhard@x.test", 3 * ["u@r.test"], service="element") == 3 * [OK]
    assert codes(live, "ann2@x.test", ["a@r.test", "b@r.test"], login="carl", service="element") == [OK, DEFER]
    assert codes(live, "ann2@x.test", ["a@r.test"], login="carl") == [DEFER]
    assert codes(live, "ann2@x.test", ["a@r.test", "b@r.test"], login="carl", service="element", source="127.0.0.9") == [OK, OK]
    assert recipients(live, "a@x.test", ["a@r.test"], service="plain") == ["451 4.3.5 Server configuration error"]
