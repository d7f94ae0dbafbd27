# SPDX-License-Identifier: ISC
"""XCLIENT, XFORWARD and XVERP: who may use them, every attribute, what the session becomes, and what shows in the log, in
policy requests and in the queue file. (Row 29 of the table of attacks.)"""

import re

import pytest
from harness import Pair, dialogue, logged_dialogue
from harness.policy_server import PolicyServer

ALL = {"smtpd_authorized_xclient_hosts": "127.0.0.1", "smtpd_authorized_xforward_hosts": "127.0.0.1"}
SERVICES = {
    "smtp": ALL,
    "neither": {},
    "xclient": {"smtpd_authorized_xclient_hosts": "127.0.0.0/8"},
    "xforward": {"smtpd_authorized_xforward_hosts": "localhost, 192.0.2.5"},
    "v6": {"inet_protocols": "all", **ALL},
    "hidden": {"smtpd_discard_ehlo_keywords": "xclient, xforward", **ALL},
    "nodelay": {"smtpd_delay_reject": "no", "smtpd_client_restrictions": "check_client_access inline:{ {192.0.2.9 = REJECT} {bad.example = 421 go away} }",
                "smtpd_helo_restrictions": "check_helo_access inline:{evil=REJECT}", **ALL},
    "hold": {"smtpd_recipient_restrictions": "check_recipient_access static:HOLD", "inet_protocols": "all", **ALL},
    "xverp": {"smtpd_authorized_verp_clients": "127.0.0.1", "smtpd_recipient_restrictions": "check_recipient_access static:HOLD", **ALL},
    "noxverp": {"smtpd_discard_ehlo_keywords": "verp", "smtpd_authorized_verp_clients": "127.0.0.1"},
    "names": {"smtpd_client_restrictions": "reject_unknown_client_hostname", **ALL},
    "reverse": {"smtpd_client_restrictions": "reject_unknown_reverse_client_hostname", **ALL},
    "policy": {"smtpd_recipient_restrictions": "check_policy_service unix:@base@/policy, reject", **ALL},
    "outside": {"smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination", **ALL},
}
MAIL = ["MAIL FROM:<a@sender.test>", "RCPT TO:<u@discard.test>"]
MESSAGE = MAIL + ["DATA", b"Subject: x\r\nDate: x\r\nMessage-Id: <x@y>\r\nFrom: a@sender.test\r\n\r\nx\r\n.\r\n"]
# All that one XCLIENT or XFORWARD can say: {id: (service, steps)}
CASES = {
    "unauthorised": ("neither", ["EHLO x", "XCLIENT", "XCLIENT NAME=x ADDR=192.0.2.1", "XFORWARD", "XFORWARD NAME=x", "XCLIENT FOO=bar", "XFORWARD x"] + MAIL
                     + ["XCLIENT NAME=x", "XFORWARD NAME=x", "QUIT"]),
    "xclient only": ("xclient", ["EHLO x", "XFORWARD NAME=x", "XCLIENT NAME=q ADDR=127.0.0.2", "EHLO x", "XCLIENT ADDR=192.0.2.1", "XCLIENT ADDR=127.0.0.1", "QUIT"]),
    "xforward only": ("xforward", ["EHLO x", "XCLIENT NAME=x", "XFORWARD NAME=x.example", "QUIT"]),
    "hidden": ("hidden", ["EHLO x", "XFORWARD NAME=x.example", "XCLIENT NAME=x", "QUIT"]),
    "without helo": ("smtp", ["XFORWARD NAME=x.example", "XCLIENT NAME=x.example", "QUIT"]),
    "session": ("smtp", ["EHLO x", "XCLIENT NAME=spike.example.com ADDR=192.0.2.77", "EHLO y"] + MAIL + ["QUIT"]),
    "no new helo": ("smtp", ["EHLO x", "XCLIENT NAME=spike.example.com ADDR=192.0.2.77"] + MAIL + ["QUIT"]),
    "all attributes": ("hold", ["EHLO x", "XCLIENT NAME=spike.example.com ADDR=192.0.2.77 HELO=hello PROTO=ESMTP PORT=99 REVERSE_NAME=rev.example DESTADDR=192.0.2.1 "
                                "DESTPORT=26"] + MESSAGE + ["XCLIENT NAME=x", "QUIT"]),
    "in transaction": ("smtp", ["EHLO x"] + MAIL + ["XCLIENT NAME=x", "XFORWARD NAME=x", "RSET", "XFORWARD NAME=x", "QUIT"]),
    "syntax": ("smtp", ["EHLO x", "XCLIENT FOO", "XCLIENT NAME=", "XCLIENT =x", "XCLIENT NAME=a b", "XCLIENT FOO=bar", "XCLIENT NAME=bad..name",
                        "XCLIENT NAME=a+40b", "XCLIENT NAME=bad+2", "XCLIENT NAME=1.2.3.4", "XCLIENT NAME=[1.2.3.4]", "XCLIENT REVERSE_NAME=-bad",
                        "XCLIENT ADDR=foo", "XCLIENT ADDR=1.2.3", "XCLIENT ADDR=[127.0.0.1]", "XCLIENT ADDR=[TEMPUNAVAIL]", "XCLIENT ADDR=IPv6:2001:db8::1",
                        "XCLIENT ADDR=::ffff:192.0.2.5", "XCLIENT PORT=abc", "XCLIENT PORT=-1", "XCLIENT PORT=99999", "XCLIENT NAME=a=b", "XCLIENT =", "QUIT"]),
    "syntax 2": ("smtp", ["EHLO x", "XCLIENT PROTO=FOO", "XCLIENT PROTO=esmtp", "XCLIENT PROTO=SMTP", "XCLIENT PROTO=[UNAVAILABLE]", "XCLIENT LOGIN=[UNAVAILABLE]",
                          "XCLIENT DESTADDR=x", "XCLIENT DESTPORT=x", "XCLIENT DESTADDR=[UNAVAILABLE]", "XCLIENT DESTPORT=[UNAVAILABLE]", "XCLIENT PORT=[UNAVAILABLE]",
                          "XCLIENT HELO=[UNAVAILABLE]", "XCLIENT HELO=[TEMPUNAVAIL]", "XCLIENT NAME=[tempunavail]", "XCLIENT NAME=[unavailable]", "QUIT"]),
    "long": ("smtp", ["EHLO x", "XCLIENT HELO=" + "h" * 255, "XCLIENT HELO=" + "h" * 256, "XCLIENT HELO=" + "+41" * 255, "XCLIENT NAME=" + "x" * 255,
                      "XFORWARD PROTO=" + "p" * 64, "XFORWARD PROTO=" + "p" * 65, "XFORWARD IDENT=" + "i" * 255, "XFORWARD NAME=" + "x" * 256, "QUIT"]),
    "lower": ("smtp", ["EHLO x", "xclient name=lower addr=192.0.2.5 helo=h", "MAIL FROM:<a@sender.test>", "RCPT TO:<nosuch@localhost>", "QUIT"]),
    "controls": ("smtp", ["EHLO x", "XCLIENT HELO=a+0Ab+0Dd", "MAIL FROM:<a@sender.test>", "RCPT TO:<nosuch@localhost>", "RSET", "XCLIENT HELO=<a+20b>+22",
                          "MAIL FROM:<a@sender.test>", "RCPT TO:<nosuch@localhost>", "RSET", "XCLIENT HELO=+C3+BC", "MAIL FROM:<a@sender.test>",
                          "RCPT TO:<nosuch@localhost>", "QUIT"]),
    "pipelining": ("smtp", ["EHLO x", (b"NOOP\r\n", 1), (b"RSET\r\nXCLIENT NAME=x.example ADDR=127.0.0.1 PROTO=ESMTP\r\nXFORWARD NAME=a.example\r\n", 3), "QUIT"]),
    "pipelining esmtp": ("smtp", ["XCLIENT PROTO=ESMTP", (b"RSET\r\nNOOP\r\n", 2), "QUIT"]),
    "pipelining smtp": ("smtp", ["EHLO x", "XCLIENT NAME=x.example", (b"RSET\r\nNOOP\r\n", 1), "QUIT"]),
    "authority": ("smtp", ["EHLO x", "XCLIENT NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE]", "XCLIENT NAME=localhost ADDR=127.0.0.1", "XFORWARD NAME=a.example", "QUIT"]),
    "temporary": ("names", ["EHLO x", "XCLIENT NAME=[TEMPUNAVAIL]"] + MAIL + ["RSET", "XCLIENT NAME=[UNAVAILABLE]"] + MAIL + ["RSET", "XCLIENT NAME=known.example"]
                  + MAIL + ["RSET", "XCLIENT NAME=[UNAVAILABLE] REVERSE_NAME=r.example"] + MAIL + ["QUIT"]),
    "reverse": ("reverse", ["EHLO x", "XCLIENT NAME=[TEMPUNAVAIL]"] + MAIL + ["RSET", "XCLIENT NAME=[UNAVAILABLE]"] + MAIL + ["RSET", "XCLIENT NAME=known.example"]
                + MAIL + ["RSET", "XCLIENT NAME=[UNAVAILABLE] REVERSE_NAME=r.example"] + MAIL + ["RSET", "XCLIENT REVERSE_NAME=[TEMPUNAVAIL]"] + MAIL + ["QUIT"]),
    "rejected": ("nodelay", ["EHLO x", "XCLIENT ADDR=192.0.2.9", "EHLO y", "XCLIENT ADDR=127.0.0.1", "QUIT"]),
    "closed": ("nodelay", ["EHLO x", "XCLIENT NAME=bad.example ADDR=192.0.2.8", "EHLO y"]),
    "helo restriction": ("nodelay", ["EHLO x", "XCLIENT HELO=evil"] + MAIL + ["QUIT"]),
    "networks": ("outside", ["EHLO x", "MAIL FROM:<a@sender.test>", "RCPT TO:<a@far.test>", "RSET", "XCLIENT ADDR=192.0.2.9", "MAIL FROM:<a@sender.test>",
                             "RCPT TO:<a@far.test>", "QUIT"]),
    "v6": ("v6", ["EHLO x", "XFORWARD ADDR=IPV6:2001:DB8:0:0::5"] + MAIL + ["RSET", "XFORWARD ADDR=::ffff:192.0.2.5"] + MAIL
           + ["RSET", "XCLIENT ADDR=ipv6:::ffff:127.0.0.1"] + MAIL + ["RSET", "XCLIENT ADDR=IPv6:127.0.0.1", "XCLIENT ADDR=IPv6:::1"] + MAIL + ["QUIT"]),
    "forwarded": ("hold", ["EHLO x", "XFORWARD NAME=spike.example.com ADDR=192.0.2.77 PORT=99 HELO=spike PROTO=ESMTP SOURCE=REMOTE IDENT=ABC123"] + MESSAGE
                  + MAIL + ["QUIT"]),
    "forwarded unknown": ("hold", ["EHLO x", "XFORWARD NAME=[UNAVAILABLE] ADDR=[unavailable] HELO=[unavailable] PORT=[UNAVAILABLE] PROTO=[UNAVAILABLE] "
                                   "SOURCE=[UNAVAILABLE] IDENT=[UNAVAILABLE]"] + MESSAGE + ["QUIT"]),
    "forwarded in parts": ("hold", ["EHLO x", "XFORWARD ADDR=192.0.2.3", "XFORWARD NAME=b.example", "XFORWARD HELO=h SOURCE=LOCAL"] + MESSAGE + ["QUIT"]),
    "forwarded address": ("hold", ["EHLO x", "XFORWARD ADDR=2001:db8::7"] + MESSAGE + ["QUIT"]),
    "forwarded address 6": ("hold", ["EHLO x", "XFORWARD ADDR=IPV6:2001:db8::7"] + MESSAGE + ["QUIT"]),
    "forwarded ident": ("hold", ["EHLO x", "XFORWARD IDENT=i"] + MESSAGE + ["QUIT"]),
    "forwarded port": ("hold", ["EHLO x", "XFORWARD PORT=5"] + MESSAGE + ["QUIT"]),
    "forwarded proto": ("hold", ["EHLO x", "XFORWARD PROTO=x"] + MESSAGE + ["QUIT"]),
    "forwarded source": ("hold", ["EHLO x", "XFORWARD SOURCE=REMOTE"] + MESSAGE + ["QUIT"]),
    "forwarded name": ("hold", ["EHLO x", "XFORWARD NAME=n.example PROTO=xyz"] + MESSAGE + ["QUIT"]),
    "forwarded helo": ("hold", ["EHLO x", "XFORWARD HELO=a+20b+0A<c>"] + MESSAGE + ["QUIT"]),
    "forwarded nothing": ("hold", ["EHLO x", "XFORWARD SOURCE=foo"] + MESSAGE + ["QUIT"]),
    "forwarded syntax": ("smtp", ["EHLO x", "XFORWARD SOURCE=foo", "XFORWARD IDENT=a+zzb", "XFORWARD PORT=x", "XFORWARD NAME=-bad", "XFORWARD ADDR=zzz", "XFORWARD FOO=x",
                                  "XFORWARD DOMAIN=x", "XFORWARD NAME=a b", "XFORWARD ADDR=[TEMPUNAVAIL]", "XFORWARD NAME=[TEMPUNAVAIL]", "XFORWARD IDENT=a+0Ab"]
                         + MAIL + ["QUIT"]),
    "forwarded then helo": ("smtp", ["EHLO x", "XFORWARD NAME=a.example", "EHLO x"] + MAIL + ["QUIT"]),
    "forwarded then rset": ("smtp", ["EHLO x", "XFORWARD NAME=a.example", "RSET"] + MAIL + ["QUIT"]),
    "forwarded then bad mail": ("smtp", ["EHLO x", "XFORWARD NAME=a.example", "MAIL FROM:<a@@b>"] + MAIL + ["QUIT"]),
    "forwarded then xclient": ("smtp", ["EHLO x", "XFORWARD NAME=a.example", "XCLIENT NAME=x.example"] + MAIL + ["QUIT"]),
    "xverp": ("xverp", ["EHLO x", "MAIL FROM:<a@sender.test> XVERP"] + MESSAGE[1:] + ["MAIL FROM:<a@sender.test> xverp=-="] + MESSAGE[1:] + ["QUIT"]),
    "xverp syntax": ("xverp", ["EHLO x", "MAIL FROM:<> XVERP", "MAIL FROM:<a@sender.test> XVERP=abc", "MAIL FROM:<a@sender.test> XVERP=ab", "MAIL FROM:<a@sender.test> XVERP=",
                               "MAIL FROM:<a> XVERP", "RSET", "MAIL FROM:<a@sender.test> XVERP XVERP=-=", "QUIT"]),
    "xverp unauthorised": ("smtp", ["EHLO x", "MAIL FROM:<a@sender.test> XVERP", "MAIL FROM:<a@sender.test> XVERP=-=", "QUIT"]),
    "xverp hidden": ("noxverp", ["EHLO x", "MAIL FROM:<a@sender.test> XVERP", "QUIT"]),
    "xverp after xclient": ("xverp", ["EHLO x", "XCLIENT ADDR=192.0.2.1", "EHLO x", "MAIL FROM:<a@sender.test> XVERP", "QUIT"]),
    "unknown client": ("hold", ["EHLO x", "XCLIENT ADDR=[UNAVAILABLE] NAME=[UNAVAILABLE]"] + MESSAGE + ["QUIT"]),
    "unknown name": ("hold", ["EHLO x", "XCLIENT NAME=[UNAVAILABLE] ADDR=192.0.2.9 REVERSE_NAME=r.example PORT=[UNAVAILABLE] HELO=h"] + MESSAGE + ["QUIT"]),
    "client of version 6": ("hold", ["EHLO x", "XCLIENT ADDR=IPv6:2001:db8::9 DESTADDR=IPv6:2001:db8::1 HELO=h"] + MESSAGE + ["QUIT"]),
}


@pytest.fixture(scope="module")
def pair():
    p = Pair(main={"transport_maps": "inline:{ {discard.test = discard:} }", "relay_domains": "discard.test", "in_flow_delay": "0", "smtpd_error_sleep_time": "0", "smtpd_forbid_unauth_pipelining": "yes",
                   "smtpd_soft_error_limit": "100", "smtpd_hard_error_limit": "200", "local_recipient_maps": "unix:passwd.byname"},
             smtpd=SERVICES)
    servers = []
    try:
        for i in p.instances:
            i.policy = PolicyServer({}, path=f"{i.base}/policy")
            servers.append(i.policy)
        yield p.start()
    finally:
        p.destroy()
        for s in servers:
            s.close()


def held(instance, *parts):
    """What is in the hold queue, and it is emptied."""
    out = []
    for name, path in sorted(instance.queue_files("hold").items()):
        p = instance.run("postcat", *(parts or ("-e", "-h")), path)
        # The size counts the queue ID, whose length follows the inode number.
        out += [re.sub(r"(client_port=)\d{5}$|(server_port=)\d{5}$", r"\1\2PORT", line) for line in p.stdout.replace(path, "FILE").splitlines()
                if not re.match("message_size:|named_attribute: message_id=", line)]     # (the latter is newer than the reference)
        instance.run("postsuper", "-d", name)
    return out


def play(service, steps):
    def run(instance):
        replies, log = logged_dialogue(instance, service, steps)
        return instance.normal().lines(replies + log + (held(instance) if service in ("hold", "xverp") else []))
    return run


@pytest.mark.parametrize("case", CASES)
def test_dialogue(pair, case):
    pair.compare(play(*CASES[case]))


def test_policy_request(pair):
    def run(instance):
        instance.policy.clear()
        dialogue(instance.port("policy"), ["EHLO x", "XCLIENT NAME=spike.example.com ADDR=192.0.2.77 LOGIN=joe+20x DESTADDR=192.0.2.1 DESTPORT=26 HELO=hello PROTO=ESMTP "
                                           "PORT=99 REVERSE_NAME=rev.example"] + MAIL + ["QUIT"])
        return [line for line in instance.policy.blocks[0] if not re.match(r"instance=|mail_version=|compatibility_level=", line)]
    pair.compare(run)


def test_login(pair):
    """Lines about recipients name the login, which the reference does not do yet; its other lines are compared."""
    steps = ["EHLO x", "XCLIENT NAME=spike.example.com LOGIN=joe PROTO=ESMTP HELO=h"] + MESSAGE + ["QUIT"]

    def run(instance):
        return [line for line in play("hold", steps)(instance) if ": hold: " not in line]
    pair.compare(run)
