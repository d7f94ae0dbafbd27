# SPDX-License-Identifier: ISC
"""smtpd_client_*_limit, their exceptions, and what anvil says: replies and log lines, with one server process and with many."""

import re

import pytest
from harness import SELF_CHECK, Pair, Smtp, wait_for

LIMITS = {
    "none": {},
    "count": {"smtpd_client_connection_count_limit": "2"},
    "rate": {"smtpd_client_connection_rate_limit": "2"},
    "message": {"smtpd_client_message_rate_limit": "2"},
    "recipient": {"smtpd_client_recipient_rate_limit": "3"},
    "excepted": {"smtpd_client_event_limit_exceptions": "127.0.0.2", "smtpd_client_connection_count_limit": "1", "smtpd_client_connection_rate_limit": "1",
                 "smtpd_client_message_rate_limit": "1", "smtpd_client_recipient_rate_limit": "1"},
    "networks": {"mynetworks": "127.0.0.2/32", "smtpd_client_message_rate_limit": "1"},
    "table": {"smtpd_client_event_limit_exceptions": "inline:{127.0.0.2=x}", "smtpd_client_message_rate_limit": "1"},
    "prefix": {"smtpd_client_message_rate_limit": "1", "smtpd_client_ipv4_prefix_length": "24"},
    "many": {"smtpd_client_connection_count_limit": "5"},
    "early": {"smtpd_client_connection_rate_limit": "1", "smtpd_delay_reject": "no"},
    "errors": {"smtpd_client_recipient_rate_limit": "1", "smtpd_hard_error_limit": "3", "smtpd_error_sleep_time": "0"},
    "proxied": {"smtpd_client_message_rate_limit": "1", "smtpd_authorized_xclient_hosts": "127.0.0.3"},
}
HELO = "EHLO client.example.test"
MESSAGE = ("MAIL FROM:<a@example.com>", "RCPT TO:<u@relay.test>", "DATA", "Subject: x\r\n\r\nx\r\n.")


@pytest.fixture(scope="module")
def pair():
    p = Pair(main={"mynetworks": "192.0.2.1/32", "relay_domains": "relay.test", "transport_maps": "static:discard:", "smtpd_peername_lookup": "no",
                   "smtpd_forbid_unauth_pipelining": "yes"}, smtpd=LIMITS)
    try:
        yield p.start()
    finally:
        p.destroy()


def short(reply):
    return re.sub(r"(?s)\n250[- ].*", "", re.sub(r"queued as \w+", "queued as ID", reply))


def as_311(line):
    """3.11 names the queue file, or that there is none."""
    return re.sub(r"^(?:\w+: )?(?=(?:lost connection|timeout|too many errors) after)", "", line)


def observed(run):
    """What run(instance) gets, and what smtpd and anvil say meanwhile."""
    def both(instance):
        mark = instance.mark()
        with_sessions = run(instance)
        wait_for(lambda: sum(" disconnect from" in line for line in instance.log_lines(mark)) == with_sessions[1], 20, "the end of all sessions")
        n = instance.normal()
        log = n.log(instance.log_lines(mark))
        return [short(r) for r in with_sessions[0]], sorted(as_311(line) for tag in log if tag.endswith("/smtpd") for line in log[tag])
    return both


def sessions(service, *each):
    """Sessions one after the other; each is (source address, commands)."""
    def run(instance):
        out = []
        for source, commands in each:
            with Smtp(instance.port(service), source=source) as c:
                out.append(c.banner)
                for command in commands if c.banner.startswith("220") else ():
                    out.append(c.cmd(command))
        return out, len(each)
    return observed(run)


def held(service, source, count):
    """So many sessions that are open at the same time, then one more when the first has gone. One that is refused may still be
    counted when the next comes: how far the limit is exceeded is chance."""
    def run(instance):
        clients = [Smtp(instance.port(service), source=source) for _ in range(count)]
        out = [c.banner for c in clients]
        mark = instance.mark()
        clients[0].cmd("QUIT")
        instance.wait_log(r"disconnect from", mark)
        with Smtp(instance.port(service), source=source) as again:
            out.append(again.banner)
        for c in clients:
            c.close()
        return out, count + 1

    def without_number(instance):
        replies, log = observed(run)(instance)
        return replies, sorted(re.sub(r"(limit exceeded): \d+", r"\1: N", line) for line in log)
    return without_number


A, B, C = "127.0.0.2", "127.0.0.3", "127.0.0.130"
ONE = (HELO, *MESSAGE, "QUIT")
TWO = (HELO, *MESSAGE, *MESSAGE, "QUIT")
THREE = (HELO, *MESSAGE, *MESSAGE, *MESSAGE, "QUIT")
NOTHING = (HELO, "QUIT")
CASES = {
    "no limit": sessions("none", (A, THREE), (A, NOTHING)),
    "count": held("count", A, 4),
    "count, another client": held("count", B, 2),
    "many processes": held("many", A, 12),
    "rate": sessions("rate", (A, NOTHING), (A, NOTHING), (A, NOTHING), (B, NOTHING), (A, NOTHING)),
    "message": sessions("message", (A, TWO), (A, ONE), (B, ONE)),
    "message in one session": sessions("message", (C, THREE)),
    "message, refused ones count": sessions("message", (B, (HELO, "MAIL FROM:<bad", "MAIL FROM:<a@example.com>", "RSET", "MAIL FROM:<a@example.com>", "RSET",
                                                           "MAIL FROM:<a@example.com>", "QUIT"))),
    "recipient": sessions("recipient", (A, (HELO, MESSAGE[0], *[f"RCPT TO:<u{n}@relay.test>" for n in range(5)], *MESSAGE[2:], "QUIT"))),
    "recipient, refused ones count": sessions("recipient", (B, (HELO, MESSAGE[0], *["RCPT TO:<u@elsewhere.test>"] * 3, MESSAGE[1], "QUIT"))),
    "excepted": sessions("excepted", (A, THREE), (A, THREE), (B, ONE), (B, ONE)),
    "of mynetworks": sessions("networks", (A, TWO), (B, TWO)),
    "excepted by a table": sessions("table", (A, TWO), (B, TWO)),
    "before the greeting": sessions("early", (A, NOTHING), (A, NOTHING)),
    "errors that end the session": sessions("errors", (A, (HELO, MESSAGE[0], *[f"RCPT TO:<u{n}@relay.test>" for n in range(6)], "QUIT"))),
    "by XCLIENT": sessions("proxied", (B, ("XCLIENT ADDR=192.0.2.77 NAME=a.example", *TWO)), (B, TWO)),
}


@pytest.mark.parametrize("name", CASES)
def test_limit(pair, name):
    pair.compare(CASES[name])


def test_network(pair):
    """smtpd_client_ipv4_prefix_length (since 3.8): a network's addresses are counted together."""
    if pair.ours is None or SELF_CHECK:
        pytest.skip("ours only")
    replies, log = sessions("prefix", (A, ONE), (C, ONE))(pair.ours)
    assert "450 4.7.1 Error: too much mail from 127.0.0.130" in replies
    assert any(line.startswith("warning: Message delivery request rate limit exceeded: 2 from unknown[127.0.0.130] for service ") for line in log)


STATUS = {"smtpd_client_connection_count_limit": "50", "smtpd_client_connection_rate_limit": "100", "smtpd_client_message_rate_limit": "100",
          "smtpd_client_recipient_rate_limit": "100"}


def test_statistics():
    """The maxima, told every anvil_status_update_time: an interval may end between two of the sessions."""
    p = Pair(main={"mynetworks": "192.0.2.1/32", "relay_domains": "relay.test", "transport_maps": "static:discard:", "smtpd_peername_lookup": "no",
                   "anvil_status_update_time": "2s"}, smtpd={"smtp": STATUS})

    def run(instance):
        mark = instance.mark()
        sessions("smtp", (A, THREE), (B, TWO), (A, NOTHING))(instance)
        instance.wait_log(rf"statistics: max recipient rate \S+ for \(127.0.0.1:\d+:{A}\)", mark)
        instance.wait_log(r"statistics: max cache size", mark)
        said = (re.sub(r"^.*anvil\[\d+\]: (.*) at \w+ +\d+ [\d:]+$", r"\1", line) for line in instance.log_lines(mark) if "/anvil[" in line)
        return {line.replace(str(instance.port("smtp")), "PORT") for line in said}
    try:
        p.start()
        for i in p.instances:
            seen = run(i)
            assert {f"statistics: max recipient rate 3/60s for (127.0.0.1:PORT:{A})", f"statistics: max message rate 3/60s for (127.0.0.1:PORT:{A})"} <= seen, seen
            assert all(re.fullmatch(r"statistics: max (connection rate|connection count|message rate|recipient rate|cache size) \d+(/60s)?( for \(127.0.0.1:PORT:127.0.0.\d\))?", line)
                       for line in seen), seen
    finally:
        p.destroy()
