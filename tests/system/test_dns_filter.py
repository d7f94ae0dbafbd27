# SPDX-License-Identifier: ISC
"""smtpd_dns_reply_filter and smtp_dns_reply_filter, with a private name server. The expected replies and log lines are those
that the reference gave for the same zone."""

import re

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Dns, Smtp
from harness.under_test import IS_REFERENCE, make

# The reference knows no name server but the machine's.
pytestmark = pytest.mark.skipif(REFERENCE_ONLY or SELF_CHECK or IS_REFERENCE, reason="needs the suite under test")

ZONE = {
    "20.2.0.192.rbl.test": {"A": ["127.0.0.2"], "TXT": ["listed, see"]},
    "21.2.0.192.rbl.test": {"A": ["127.0.0.2", "127.0.0.3"], "TXT": ["listed"]},
    "mx.test": {"MX": [(10, "h1.test"), (20, "h2.test")]}, "one.test": {"MX": [(10, "h1.test")]},
    "h1.test": {"A": ["192.0.2.1"]}, "h2.test": {"A": ["192.0.2.2"], "AAAA": ["2001:db8::1"]},
    "a.test": {"A": ["192.0.2.5"]}, "c.test": {"CNAME": "a.test"},
}
FILTER = r"""
/^20\.2\.0\.192\.rbl\.test\. \d+ IN A 127\.0\.0\.2$/ IGNORE
/^21\.2\.0\.192\.rbl\.test\. \d+ IN A 127\.0\.0\.2$/ ignore
/^21\.2\.0\.192\.rbl\.test\. \d+ IN TXT listed$/ IGNORE
/^mx\.test\. \d+ IN MX 10 H1\.test\.$/ IGNORE
/^a\.test\. \d+ IN A 192\.0\.2\.5$/ IGNORE
/^h2\.test\. \d+ IN A / IGNORE this
"""
SMTP_FILTER = "/^mx\\.test\\. .* IN MX /\tIGNORE\n/^a\\.test\\. .* A 192.0.2.5$/\tIGNORE\n/^h2\\.test\\. .* A /\tIGNORE\n"
GONE = "DNS reply filter drops all results"
SERVICES = {
    "rbl": ("smtpd_recipient_restrictions", "reject_rbl_client rbl.test, permit", "pcre:@config@/filter"),
    "helo": ("smtpd_helo_restrictions", "reject_unknown_helo_hostname", "pcre:@config@/filter"),
    "sender": ("smtpd_sender_restrictions", "reject_unknown_sender_domain", "pcre:@config@/filter"),
    "mx": ("smtpd_sender_restrictions", "check_sender_mx_access inline:{h1.test=REJECT}, permit", "pcre:@config@/filter"),
    "action": ("smtpd_sender_restrictions", "reject_unknown_sender_domain", "static:FOO bar"),
    "dunno": ("smtpd_sender_restrictions", "reject_unknown_sender_domain", "static:DUNNO"),
    "fail": ("smtpd_sender_restrictions", "reject_unknown_sender_domain", "fail:x"),
    "several": ("smtpd_sender_restrictions", "reject_unknown_sender_domain", "inline:{x=y}, pcre:@config@/filter"),
}
OK = "250 2.1.5 Ok"
LATER = "450 4.1.8 <a@%s>: Sender address rejected: Domain not found"
# (service, client address, name): the name is HELO's and the sender's domain; the reply to RCPT, and what is logged
CASES = {
    ("rbl", "192.0.2.20", "h1.test"): (OK, ["ignoring DNS RR: 20.2.0.192.rbl.test. 60 IN A 127.0.0.2",
        f"warning: 20.2.0.192.rbl.test: RBL lookup error: Error looking up name=20.2.0.192.rbl.test type=A: {GONE}"]),
    ("rbl", "192.0.2.21", "h1.test"): ("554 5.7.1 Service unavailable; Client host [192.0.2.21] blocked using rbl.test", [
        "ignoring DNS RR: 21.2.0.192.rbl.test. 60 IN A 127.0.0.2", "ignoring DNS RR: 21.2.0.192.rbl.test. 60 IN TXT listed",
        f"warning: 21.2.0.192.rbl.test: TXT lookup error: {GONE}"]),
    ("helo", "192.0.2.1", "a.test"): (OK, ["ignoring DNS RR: a.test. 60 IN A 192.0.2.5", f"warning: a.test: address or MX lookup error: {GONE}"]),
    ("helo", "192.0.2.1", "h1.test"): (OK, []),
    ("helo", "192.0.2.1", "mx.test"): (OK, ["ignoring DNS RR: mx.test. 60 IN MX 10 h1.test."]),
    ("helo", "192.0.2.1", "c.test"): (OK, ["ignoring DNS RR: a.test. 60 IN A 192.0.2.5", f"warning: c.test: address or MX lookup error: {GONE}"]),
    ("helo", "192.0.2.1", "h2.test"): (OK, ["ignoring DNS RR: h2.test. 60 IN A 192.0.2.2"]),
    ("sender", "192.0.2.1", "a.test"): (OK, ["ignoring DNS RR: a.test. 60 IN A 192.0.2.5", f"warning: a.test: MX or address lookup error: {GONE}"]),
    ("sender", "192.0.2.1", "mx.test"): (OK, ["ignoring DNS RR: mx.test. 60 IN MX 10 h1.test."]),
    ("sender", "192.0.2.1", "c.test"): (OK, ["ignoring DNS RR: a.test. 60 IN A 192.0.2.5", f"warning: c.test: MX or address lookup error: {GONE}"]),
    ("several", "192.0.2.1", "h2.test"): (OK, ["ignoring DNS RR: h2.test. 60 IN A 192.0.2.2"]),
    ("mx", "192.0.2.1", "mx.test"): (OK, ["ignoring DNS RR: mx.test. 60 IN MX 10 h1.test."]),
    ("mx", "192.0.2.1", "one.test"): ("554 5.7.1 <a@one.test>: Sender address rejected: Access denied", []),
    ("action", "192.0.2.1", "one.test"): (LATER % "one.test", ['warning: smtpd_dns_reply_filter: unknown DNS filter action: "FOO"']),
    ("dunno", "192.0.2.1", "one.test"): (LATER % "one.test", ['warning: smtpd_dns_reply_filter: unknown DNS filter action: "DUNNO"']),
    ("fail", "192.0.2.1", "one.test"): (LATER % "one.test", ['warning: fail:x lookup error for "one.test. 60 IN MX 10 h1.test."']),
}
DELIVERIES = {
    "mx.test": (["ignoring DNS RR: mx.test. 60 IN MX 10 h1.test.", "ignoring DNS RR: mx.test. 60 IN MX 20 h2.test."], "mx.test type=MX"),
    "a.test": (["ignoring DNS RR: a.test. 60 IN A 192.0.2.5"], "a.test type=A"),
    "c.test": (["ignoring DNS RR: a.test. 60 IN A 192.0.2.5"], "c.test type=A"),
    "h2.test": (["ignoring DNS RR: h2.test. 60 IN A 192.0.2.2"], "h2.test type=A"),
}


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    conf = tmp_path_factory.mktemp("dns") / "resolv.conf"
    conf.parent.chmod(0o755)
    with Dns(ZONE) as dns:
        services = {name: {rule: value, "smtpd_dns_reply_filter": tables} for name, (rule, value, tables) in SERVICES.items()}
        i = make(environment={"POSTHASTE_RESOLV_CONF": dns.write_resolv_conf(str(conf))}, smtpd=dict(services, plain={}),
                 main={"smtpd_authorized_xclient_hosts": "127.0.0.1", "mynetworks": "127.0.0.1, 192.0.2.0/24", "smtp_dns_reply_filter": "regexp:@config@/smtp_filter",
                       "smtpd_peername_lookup": "no", "transport_maps": "", "default_transport": "smtp"})
        i.write("filter", FILTER)
        i.write("smtp_filter", SMTP_FILTER)
        conf.chmod(0o644)
        try:
            yield i.start()
        finally:
            i.destroy()


@pytest.mark.parametrize("service, client, name", CASES, ids=[" ".join(x) for x in CASES])
def test_server(net, service, client, name):
    reply, lines = CASES[service, client, name]
    mark = net.mark()
    with Smtp(net.port(service)) as c:
        c.cmd("EHLO first.test")
        assert c.cmd(f"XCLIENT NAME=listed.test ADDR={client}").startswith("220")
        c.cmd(f"EHLO {name}")
        c.cmd(f"MAIL FROM:<a@{name}>")
        assert c.cmd("RCPT TO:<user@far.test>") == reply
        c.cmd("QUIT")
    log = [re.sub(r"^.*smtpd\[\d+\]: ", "", x) for x in net.wait_log(r"smtpd\[\d+\]: disconnect from", mark) if "smtpd[" in x]
    said = [re.sub(r"(?<=\.) \d+ IN ", " 60 IN ", x) for x in log if x.startswith(("warning: ", "ignoring "))]     # the resolver counts the seconds
    assert said == lines


def test_client(net):
    mark = net.mark()
    with Smtp(net.port("plain")) as c:
        c.cmd("EHLO x")
        for domain in DELIVERIES:
            assert c.mail("a@h1.test", f"u@{domain}", "Subject: x\r\n\r\nx\r\n").startswith("250")
        c.cmd("QUIT")
    log = [re.sub(r"(?<=\.) \d+ IN ", " 60 IN ", re.sub(r"^.*/smtp\[\d+\]: ", "", x)) for x in net.wait_log("status=", mark, count=len(DELIVERIES)) if "/smtp[" in x]
    for domain, (lines, what) in DELIVERIES.items():
        assert [x for x in lines if x not in log] == [], domain
        told = next(x for x in log if f"to=<u@{domain}>" in x)
        assert told.endswith(f"dsn=4.7.0, status=deferred (Error looking up name={what}: {GONE})"), told
