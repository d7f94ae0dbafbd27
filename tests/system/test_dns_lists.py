# SPDX-License-Identifier: ISC
"""DNS lists of a private name server: who is refused, with which words, who passes. The expected replies are those that
the reference gave for the same zone."""

import re

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Dns, Smtp
from harness.under_test import IS_REFERENCE, make

# The reference knows no name server but the machine's.
pytestmark = pytest.mark.skipif(REFERENCE_ONLY or SELF_CHECK or IS_REFERENCE, reason="needs the suite under test")

ZONE = {
    "20.2.0.192.rbl.test": {"A": ["127.0.0.2"], "TXT": ["listed for testing, see http://rbl.test/20"]},
    "21.2.0.192.rbl.test": {"A": ["127.0.0.3"]},
    "23.2.0.192.rbl.test": "servfail",
    "24.2.0.192.rbl.test": {"TXT": ["no address"]},
    "1." + 23 * "0." + "8.b.d.0.1.0.0.2.rbl.test": {"A": ["127.0.0.2"]},
    "listed.test.dbl.test": {"A": ["127.0.0.2"]},
    "spam.test.dbl.test": {"A": ["127.0.0.2"], "TXT": ["domain is listed"]},
}
TWENTY = "listed for testing, see http://rbl.test/20"

# service: (restrictions, further settings)
SERVICES = {
    "plain": ("reject_rbl_client rbl.test", {}),
    "other": ("reject_rbl_client rbl.test=127.0.0.9", {}),
    "range": ("reject_rbl_client rbl.test=127.0.0.[1..5]", {}),
    "client": ("reject_rhsbl_client dbl.test", {}),
    "helo": ("reject_rhsbl_helo dbl.test", {}),
    "sender": ("reject_rhsbl_sender dbl.test", {}),
    "recipient": ("reject_rhsbl_recipient dbl.test", {}),
    "warn": ("warn_if_reject reject_rbl_client rbl.test", {}),
    "template": ("reject_rbl_client rbl.test", {"default_rbl_reply": "$rbl_code 5.7.606 $rbl_class $rbl_what by $rbl_domain: "
                 "${rbl_txt?{see $rbl_txt}:{no reason}}; $client $helo_name $sender $sender_domain $recipient_name $server_name"}),
    "filter": ("reject_rbl_client rbl.test", {"smtpd_expansion_filter": "abcdefghijklmnopqrstuvwxyzC0123456789"}),
    "code": ("reject_rbl_client rbl.test", {"maps_rbl_reject_code": "450"}),
    "soft": ("reject_rbl_client rbl.test", {"default_rbl_reply": "450 4.7.1 Try later, $rbl_what"}),
    "class": ("reject_rbl_client rbl.test", {"default_rbl_reply": "550 4.7.1 odd"}),
    "no status": ("reject_rbl_client rbl.test", {"default_rbl_reply": "421 go away"}),
    "malformed": ("reject_rbl_client rbl.test", {"default_rbl_reply": "go away"}),
    "syntax": ("reject_rbl_client rbl.test", {"default_rbl_reply": "554 ${rbl_what"}),
    "map": ("reject_rbl_client rbl.test", {"rbl_reply_maps": "texthash:@config@/rbl_replies"}),
    "map whole": ("reject_rbl_client rbl.test=127.0.0.2", {"rbl_reply_maps": "texthash:@config@/rbl_replies"}),
    "map without": ("reject_rbl_client rbl.test=127.0.0.[2;3]", {"rbl_reply_maps": "texthash:@config@/rbl_replies"}),
    "map other": ("reject_rbl_client rbl.test", {"rbl_reply_maps": "inline:{ {dbl.test=550 Map} }"}),
    "map broken": ("reject_rbl_client rbl.test", {"rbl_reply_maps": "fail:broken"}),
    "allow": ("permit_dnswl_client rbl.test, reject", {}),
}

# service, client, sender: the reply to RCPT; None: accepted.
SERVICE = "554 5.7.1 Service unavailable; "
CASES = {
    ("plain", "192.0.2.20"): f"{SERVICE}Client host [192.0.2.20] blocked using rbl.test; {TWENTY}",
    ("plain", "192.0.2.21"): f"{SERVICE}Client host [192.0.2.21] blocked using rbl.test",
    ("plain", "192.0.2.23"): None,
    ("plain", "192.0.2.24"): None,
    ("plain", "192.0.2.25"): None,
    ("plain", "IPV6:2001:db8::1"): f"{SERVICE}Client host [2001:db8::1] blocked using rbl.test",
    ("other", "192.0.2.20"): None,
    ("range", "192.0.2.20"): f"{SERVICE}Client host [192.0.2.20] blocked using rbl.test; {TWENTY}",
    ("range", "192.0.2.21"): f"{SERVICE}Client host [192.0.2.21] blocked using rbl.test",
    ("client", "192.0.2.30"): f"{SERVICE}Client host [listed.test] blocked using dbl.test",
    ("helo", "192.0.2.30"): f"{SERVICE}Helo command [spam.test] blocked using dbl.test; domain is listed",
    ("sender", "192.0.2.30"): f"{SERVICE}Sender address [a@spam.test] blocked using dbl.test; domain is listed",
    ("recipient", "192.0.2.30"): None,
    ("warn", "192.0.2.20"): None,
    ("filter", "192.0.2.20"): f"{SERVICE}Client_host [192_0_2_20] blocked using rbl_test; listed_for_testing__see_http___rbl_test_20",
    ("template", "192.0.2.20"): f"554 5.7.606 Client host 192.0.2.20 by rbl.test: see {TWENTY}; listed.test[192.0.2.20] spam.test "
                                "a@spam.test spam.test user mail.example.test",
    ("template", "192.0.2.21"): "554 5.7.606 Client host 192.0.2.21 by rbl.test: no reason; listed.test[192.0.2.21] spam.test "
                                "a@spam.test spam.test user mail.example.test",
    ("code", "192.0.2.21"): "450 4.7.1 Service unavailable; Client host [192.0.2.21] blocked using rbl.test",
    ("soft", "192.0.2.21"): "450 4.7.1 Try later, 192.0.2.21",
    ("class", "192.0.2.21"): "550 5.7.1 odd",
    ("no status", "192.0.2.21"): "421 4.7.1 go away",
    ("malformed", "192.0.2.21"): "450 4.7.1 Service unavailable",
    ("syntax", "192.0.2.21"): "450 4.7.1 Service unavailable",
    ("map", "192.0.2.21"): "552 5.7.1 without rbl.test",
    ("map whole", "192.0.2.20"): "551 5.7.1 whole rbl.test",
    ("map without", "192.0.2.20"): "552 5.7.1 without rbl.test",
    ("map other", "192.0.2.21"): f"{SERVICE}Client host [192.0.2.21] blocked using rbl.test",
    ("map broken", "192.0.2.21"): "451 4.3.5 Server configuration error",
    ("allow", "192.0.2.20"): None,
    ("allow", "192.0.2.25"): "554 5.7.1 <listed.test[192.0.2.25]>: Client host rejected: Access denied",
    ("allow", "192.0.2.23"): "450 4.7.1 <192.0.2.23>: Client host rejected: Service unavailable",
}


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    conf = tmp_path_factory.mktemp("dns") / "resolv.conf"
    conf.parent.chmod(0o755)
    with Dns(ZONE) as dns:
        services = {name: {"smtpd_client_restrictions": rules, **more} for name, (rules, more) in SERVICES.items()}
        i = make(environment={"POSTHASTE_RESOLV_CONF": dns.write_resolv_conf(str(conf))}, smtpd=services,
                 main={"smtpd_authorized_xclient_hosts": "127.0.0.1", "inet_protocols": "all", "myhostname": "mail.example.test"})
        i.write("rbl_replies", "rbl.test=127.0.0.2 551 whole $rbl_domain\nrbl.test 552 without $rbl_domain\n")
        conf.chmod(0o644)
        try:
            yield i.start()
        finally:
            i.destroy()


def ask(net, service, client):
    with Smtp(net.port(service)) as c:
        c.cmd("EHLO first.test")
        assert c.cmd(f"XCLIENT NAME=listed.test ADDR={client}").startswith("220")
        c.cmd("EHLO spam.test")
        assert c.cmd("MAIL FROM:<a@spam.test>").startswith("250")
        reply = c.cmd("RCPT TO:<user@vmbox.test>")
        c.cmd("QUIT")
    return reply


@pytest.mark.parametrize("service, client", CASES, ids=[" ".join(x) for x in CASES])
def test_reply(net, service, client):
    expected = CASES[service, client]
    mark = net.mark()
    assert ask(net, service, client) == ("250 2.1.5 Ok" if expected is None else expected)
    if expected is not None:
        address = client.removeprefix("IPV6:")
        net.wait_log(re.escape(f"NOQUEUE: reject: RCPT from listed.test[{address}]: {expected}; from=<a@spam.test> "
                               "to=<user@vmbox.test> proto=ESMTP helo=<spam.test>"), mark)


@pytest.mark.parametrize("service, client, line", [
    ("plain", "192.0.2.23", "warning: 23.2.0.192.rbl.test: RBL lookup error: "),
    ("warn", "192.0.2.21", "NOQUEUE: reject_warning: RCPT from listed.test[192.0.2.21]: 554 5.7.1 Service unavailable; Client host "
                           "[192.0.2.21] blocked using rbl.test; from=<a@spam.test>"),
    ("malformed", "192.0.2.21", "warning: "),
    ("map broken", "192.0.2.21", "warning: fail:broken lookup error for \"rbl.test\""),
])
def test_log(net, service, client, line):
    mark = net.mark()
    ask(net, service, client)
    net.wait_log(re.escape(line), mark)
