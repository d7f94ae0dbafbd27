# SPDX-License-Identifier: ISC
"""smtpd_delay_open_until_valid_rcpt = no: the queue file, or the filter's session, is opened at MAIL."""

import re

import pytest
from harness import Pair, Sink, dialogue

EARLY = {"smtpd_delay_open_until_valid_rcpt": "no"}
RESTRICTIONS = ("check_recipient_access inline:{ {reject@relay.test=REJECT} {hold@relay.test=HOLD} {discard@relay.test=DISCARD} {warn@relay.test=WARN careful} "
                "{prepend@relay.test=PREPEND X-A: b} {redirect@relay.test=REDIRECT r@relay.test} {filter@relay.test=FILTER discard:} }")
SERVICES = {
    "early": EARLY,
    "nodelay": {**EARLY, "smtpd_delay_reject": "no", "smtpd_sender_restrictions": "check_sender_access inline:{bad@sender.test=REJECT}"},
    "xclient": {**EARLY, "smtpd_authorized_xclient_hosts": "127.0.0.1", "smtpd_authorized_xforward_hosts": "127.0.0.1"},
    "small": {**EARLY, "message_size_limit": "3000"},
    "data": {**EARLY, "smtpd_data_restrictions": "check_recipient_access inline:{data@relay.test=REJECT}",
             "smtpd_end_of_data_restrictions": "check_recipient_access inline:{end@relay.test=REJECT}"},
    "filter": {**EARLY, "smtpd_proxy_filter": "127.0.0.1:@filter@"},
    "nofilter": {**EARLY, "smtpd_proxy_filter": "127.0.0.1:1"},
}
MAIL = ["EHLO x", "MAIL FROM:<a@sender.test>"]
BODY = ["DATA", b"Subject: x\r\nDate: x\r\nMessage-Id: <x@y>\r\nFrom: a@sender.test\r\n\r\nx\r\n.\r\n"]
CASES = {
    "message": ("early", MAIL + ["RCPT TO:<u@relay.test>"] + BODY + ["QUIT"]),
    "two messages": ("early", (MAIL + ["RCPT TO:<u@relay.test>"] + BODY) * 2 + ["QUIT"]),
    "reset": ("early", MAIL + ["RSET", "MAIL FROM:<b@sender.test>", "EHLO y", "QUIT"]),
    "rejected": ("early", MAIL + ["RCPT TO:<reject@relay.test>", "RCPT TO:<nosuch@localhost>", "DATA", "RCPT TO:<u@relay.test>"] + BODY + ["QUIT"]),
    "syntax": ("early", MAIL + ["RCPT TO:<>", "RCPT TO:<a b>", "QUIT"]),
    "bad mail": ("early", ["EHLO x", "MAIL FROM:<a b>", "MAIL FROM:<a@sender.test> FOO", "MAIL FROM:<a@sender.test>", "MAIL FROM:<b@sender.test>", "QUIT"]),
    "hold": ("early", MAIL + ["RCPT TO:<hold@relay.test>"] + BODY + ["QUIT"]),
    "discard": ("early", MAIL + ["RCPT TO:<discard@relay.test>"] + BODY + ["QUIT"]),
    "warn": ("early", MAIL + ["RCPT TO:<warn@relay.test>"] + BODY + ["QUIT"]),
    "prepend": ("early", MAIL + ["RCPT TO:<prepend@relay.test>"] + BODY + ["QUIT"]),
    "redirect": ("early", MAIL + ["RCPT TO:<redirect@relay.test>"] + BODY + ["QUIT"]),
    "filter action": ("early", MAIL + ["RCPT TO:<filter@relay.test>"] + BODY + ["QUIT"]),
    "lost": ("early", MAIL + [lambda c: c.close()]),
    "lost after rcpt": ("early", MAIL + ["RCPT TO:<u@relay.test>", lambda c: c.close()]),
    "unicode": ("early", ["EHLO x", "MAIL FROM:<\u00fc@sender.test> SMTPUTF8", "RCPT TO:<\u00fc@relay.test>"] + BODY + ["QUIT"]),
    "bdat": ("early", MAIL + ["RCPT TO:<u@relay.test>", b"BDAT 14 LAST\r\nSubject: x\r\n\r\n", "QUIT"]),
    "bdat without rcpt": ("early", MAIL + [b"BDAT 14 LAST\r\nSubject: x\r\n\r\n", "QUIT"]),
    "sender rejected": ("nodelay", ["EHLO x", "MAIL FROM:<bad@sender.test>", "MAIL FROM:<a@sender.test>", "QUIT"]),
    "xforward": ("xclient", ["EHLO x", "XFORWARD NAME=a.example ADDR=192.0.2.1"] + MAIL[1:] + ["XCLIENT NAME=x", "RCPT TO:<u@relay.test>"] + BODY + ["QUIT"]),
    "xclient": ("xclient", ["EHLO x", "XCLIENT NAME=a.example ADDR=192.0.2.1", "EHLO z"] + MAIL[1:] + ["RCPT TO:<reject@relay.test>", "QUIT"]),
    "size": ("small", ["EHLO x", "MAIL FROM:<a@sender.test> SIZE=9999", "MAIL FROM:<a@sender.test> SIZE=99", "QUIT"]),
    "data rejected": ("data", MAIL + ["RCPT TO:<data@relay.test>", "DATA", "QUIT"]),
    "end rejected": ("data", MAIL + ["RCPT TO:<end@relay.test>"] + BODY + ["QUIT"]),
    "proxy": ("filter", MAIL + ["RCPT TO:<u@relay.test>"] + BODY + ["QUIT"]),
    "proxy rejects": ("filter", MAIL + ["RCPT TO:<reject@relay.test>", "RCPT TO:<rej550@relay.test>", "QUIT"]),
    "proxy unused": ("filter", MAIL + ["RSET", "QUIT"]),
    "no proxy": ("nofilter", MAIL + ["RCPT TO:<u@relay.test>", "QUIT"]),
}


@pytest.fixture(scope="module")
def pair():
    with Sink(keywords=()) as sink:
        services = {n: {k: v.replace("@filter@", str(sink.port)) for k, v in s.items()} for n, s in SERVICES.items()}
        p = Pair(main={"transport_maps": "inline:{ {relay.test = discard:} }", "relay_domains": "relay.test", "in_flow_delay": "0", "smtpd_error_sleep_time": "0",
                       "local_recipient_maps": "unix:passwd.byname", "smtpd_recipient_restrictions": RESTRICTIONS, "notify_classes": ""}, smtpd=services)
        try:
            yield p.start()
        finally:
            p.destroy()


@pytest.mark.parametrize("case", CASES)
def test_dialogue(pair, case):
    service, steps = CASES[case]

    def run(instance):
        start = instance.mark()
        replies = dialogue(instance.port(service), steps)
        instance.wait_log(r"smtpd\[\d+\]: disconnect from", start)
        lines = [re.sub(r"^.*smtpd\[\d+\]: ", "", x) for x in instance.log_lines(start) if "smtpd[" in x]
        if not instance.suite.is_ours:      # 3.11 names the queue file in this line, too (facts: logs)
            qid = next((x.split(":")[0] for x in lines if ": client=" in x), "NOQUEUE")
            lines = [f"{qid}: {x}" if x.startswith("lost connection") else x for x in lines]
        return instance.normal().lines([r for r in replies if r != "None"] + lines)
    pair.compare(run)
