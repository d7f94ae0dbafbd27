# SPDX-License-Identifier: ISC
"""Address mapping, header rewriting, header and body checks of cleanup(8): the records of
the queue file and the log, compared."""

import re
import subprocess

import pytest
from harness import SELF_CHECK, Pair, Smtp, wait_for

MAIN = {
    "mydestination": "local.test, localhost",
    "myorigin": "local.test",
    "recipient_delimiter": "+",
    "mynetworks": "127.0.0.1/32",
    "local_recipient_maps": "",
    "virtual_alias_domains": "v.test, w.test",
    "smtpd_reject_unlisted_recipient": "no",
    "defer_transports": "hold",
    "transport_maps": "inline:{ {*=hold:} }",
    "virtual_alias_maps": "texthash:@config@/virtual",
    "canonical_maps": "texthash:@config@/canonical",
    "sender_canonical_maps": "texthash:@config@/sender_canonical",
    "recipient_canonical_maps": "texthash:@config@/recipient_canonical",
    "masquerade_domains": "local.test, !sub.masq.test, masq.test",
    "masquerade_exceptions": "root",
    "sender_bcc_maps": "inline:{ {copied@s.test=scopy@x.test} {@sd.test=sd+x@x.test} }",
    "recipient_bcc_maps": "inline:{ {rcopied@x.test=rcopy@x.test} }",
    "header_checks": "pcre:@config@/header_checks",
    "mime_header_checks": "pcre:@config@/mime_checks",
    "nested_header_checks": "pcre:@config@/nested_checks",
    "body_checks": "pcre:@config@/body_checks",
    "smtpd_relay_restrictions": "permit_mynetworks, reject",
    "smtpd_forbid_bare_newline": "no",
    "notify_classes": "",
}
FILES = {
    "virtual": "u1@v.test one@x.test\nu2@v.test two@x.test three+e3@x.test\nu3+e@v.test full@x.test\nu4@v.test @y.test\n"
               "u5@v.test u5@v.test six@x.test\nu6@v.test u1+q@v.test\n@v.test catch@x.test\nu7@v.test alice\nalice u8@v.test\n"
               "alice@local.test u9@x.test\nbobby bob1@x.test\n@w.test @z.test\nloop1@v.test loop2@v.test\nloop2@v.test loop1@v.test\n"
               "grow@v.test grow+x@v.test a@x.test\nmany@v.test m1@x.test,m2@x.test, \"q q\"@x.test, m1@x.test\nempty@v.test ()\n",
    "canonical": "old@local.test new@can.test\n@cd.test @cd2.test\nc1@local.test c2\nc2@local.test c1\ntwo@local.test a@x.test, b@x.test\n",
    "sender_canonical": "sc@s.test sc2@s.test\n",
    "recipient_canonical": "rc@x.test rc2@x.test\n",
    "header_checks": "/^X-Bcc:/ BCC hbcc@x.test\n/^X-Filter: (.*)/ FILTER $1\n/^X-Redirect:/ REDIRECT red\n/^X-Redirect2:/ REDIRECT red@x.test\n"
                     "/^X-Prepend:/ PREPEND X-Before: yes\n/^X-BadPrepend:/ PREPEND no header\n/^X-NoPrepend:/ PREPEND\n"
                     "/^X-Replace: (.*)/ REPLACE $1\n/^X-Rej4:/ REJECT 4.7.9 later\n/^X-Rej2:/ REJECT 2.0.0 odd\n/^X-Strip:/ STRIP why\n"
                     "/^X-Ignore:/ IGNORE\n/^X-Unknown:/ FROB x\n/^X-Pass:/ PASS\n/^X-Warn:/ WARN\n/^X-Info: (.*)/ INFO saw $1\n"
                     "/^X-Hold:/ HOLD\n/^X-Dunno:/ DUNNO x\n/^X-Ok:/ OK\n/^X-NoFilter:/ FILTER\n/^X-BadBcc:/ BCC nobody\n/^Bcc:.*secret/ WARN bcc seen\n",
    "mime_checks": "/^Content-Type:.*name=.*exe/ REJECT no programs\n/^Content-Description:/ WARN mime\n/^X-Part:/ INFO part header\n",
    "nested_checks": "/^X-Inner:/ WARN inner\n/^Subject: strip me/ STRIP\n",
    "body_checks": "/^prepend/ PREPEND a line\n/^warn/ WARN body\n/^strip/ STRIP\n/^--b1/ INFO boundary\n/^replace/ REPLACE with\n/^long/ INFO long\n/^reject4/ REJECT 4.5.6 not now\n",
}


@pytest.fixture(scope="module")
def pair():
    p = Pair(main=MAIN, master="hold unix - - n - - error\n")
    for i in p.instances:
        for name, text in FILES.items():
            i.write(name, text)
    try:
        yield p.start()
    finally:
        p.destroy()


REMOVED = re.compile(r"^\w+: removed \((?:canceled|discarded)\)$")


def records(instance, path):
    text = subprocess.run(["/usr/sbin/postcat", "-c", instance.config, path], capture_output=True, check=True).stdout
    lines = text.decode("utf-8", "surrogateescape").split("\n")
    # Sizes and the attribute that 3.11 added; the rest is compared as it is.
    return [line for line in lines if not re.match(r"\*\*\*|message_size:|named_attribute: message_id=|named_attribute: log_client_port|"
                                                   r"named_attribute: (client|server)_port|message_arrival_time|create_time", line)]


def submit(instance, sender, rcpts, content):
    mark = instance.mark()
    instance.flush_queue()
    out = []
    with Smtp(instance.port()) as c:
        c.cmd("EHLO client.test")
        out.append(c.cmd(f"MAIL FROM:<{sender}>"))
        out += [c.cmd(f"RCPT TO:<{r}>") for r in rcpts]
        c.cmd("DATA")
        out.append(c.data(content.replace("\n", "\r\n").encode("utf-8", "surrogateescape")))
        c.cmd("QUIT")
    files = []
    if out[-1].startswith("250"):
        qid = out[-1].split()[-1]
        wait_for(lambda: qid in instance.queue_files("deferred", "hold", "corrupt"), what=f"{qid} at rest")
        files = records(instance, instance.queue_files("deferred", "hold", "corrupt")[qid])
    instance.wait_log(r"smtpd\[\d+\]: disconnect", mark)
    n = instance.normal()
    log = n.log(instance.log_lines(mark)).get("postfix/cleanup", [])
    instance.flush_queue()
    return {"replies": n.lines(out), "file": n.lines(files),
            "log": [line for line in log if SELF_CHECK or not REMOVED.match(line)]}


def check(pair, sender, rcpts, content="Subject: x\nMessage-Id: <m@x>\n\nhello\n"):
    results = [submit(i, sender, rcpts, content) for i in pair.instances]
    if len(results) == 2:
        for part in ("replies", "log", "file"):
            assert results[1][part] == results[0][part], part


RECIPIENTS = """u1@v.test u1+ext@v.test u2@v.test u2+ext@v.test u3+e@v.test u3+f@v.test u4@v.test u4+ext@v.test u5@v.test u5+ext@v.test
u6+r@v.test U1@V.TEST nobody+z@v.test u7@v.test u7+ext@v.test bobby@local.test bobby+x@local.test k+l@w.test "u1"@v.test "u 1"@v.test
loop1@v.test many@v.test empty@v.test alice bobby old@local.test old+ext@local.test u+e@cd.test c1@local.test two@local.test rc@x.test
rcopied@x.test a@h.masq.test plain@x.test""".split("\n")
RECIPIENTS = [r for line in RECIPIENTS for r in re.findall(r'"[^"]*"\S*|\S+', line)]
SENDERS = ["", "sc@s.test", "old@local.test", "copied@s.test", "any@sd.test", "root@h.masq.test", "a@h.masq.test", "a@sub.masq.test",
           "MAILER-DAEMON@local.test", "bare", '"q q"@s.test', "u+e@cd.test"]


@pytest.mark.parametrize("rcpt", RECIPIENTS)
def test_recipient(pair, rcpt):
    check(pair, "s@s.test", [rcpt])


@pytest.mark.parametrize("sender", SENDERS)
def test_sender(pair, sender):
    check(pair, sender, ["r@x.test"])


def test_duplicates(pair):
    check(pair, "s@s.test", ["u1@v.test", "one@x.test", "U1@v.test", "u1@v.test", "ONE@x.test"])


HEADERS = [
    'From: "Fred Foo" <fred>, Bar Bar <bar@host.masq.test> (comment here), root@h.masq.test',
    'To: a, b@c , "Long Name Person Number One" <long.person.number.one@example.org>',
    "Cc: group: x, y@z.test; , old, old+ext@local.test, u+e@cd.test, @route.test:r@s.test",
    'To: "quoted local"@q.test, "bad@at"@q.test, (c1) p@q.test (c2)',
    "Reply-To: <>", "Sender : sp@example.test", "Disposition-Notification-To: a.b..c@x.test, .lead@x.test",
    "Errors-To: =?utf-8?q?x=C3=A9?= <enc>", "Resent-To:unspaced", "Return-Receipt-To: h!bang, p%cent",
    "Mail-Followup-To: s@sub.masq.test, s@a.sub.masq.test, s@a.masq.test, s@MASQ.test", 'Apparently-To: "unbalanced <x@y.test>',
    "Message-ID:   <abc@def>  ", "Subject:   x", "X-To: a", "Bcc: secret@x.test", "From: sc@s.test", "To: rc@x.test, sc@s.test",
    "From: c1", "To: two", "Return-Path: <old@local.test>", "To: ", "From: \u00fc@example.test", "Resent-Message-Id: <r@x>",
]


@pytest.mark.parametrize("header", HEADERS)
def test_header(pair, header):
    check(pair, "s@s.test", ["r@x.test"], f"{header}\nX-Other: y\n\nhello\n")


CHECKS = {
    "bcc": "X-Bcc: 1", "filter": "X-Filter: hold:next", "bad-filter": "X-Filter: hold", "no-filter": "X-NoFilter: x",
    "redirect": "X-Redirect2: x", "bad-redirect": "X-Redirect: x", "prepend": "X-Prepend: x", "bad-prepend": "X-BadPrepend: x",
    "no-prepend": "X-NoPrepend: x", "replace": "X-Replace: To: someone", "bad-replace": "X-Replace: nothing", "reject4": "X-Rej4: x",
    "reject2": "X-Rej2: x", "strip": "X-Strip: x", "ignore": "X-Ignore: x", "unknown": "X-Unknown: x", "pass": "X-Pass: x\nX-Rej4: x",
    "warn": "X-Warn: one\n two", "info": "X-Info: x", "hold": "X-Hold: x\nX-Hold: y", "dunno": "X-Dunno: x", "ok": "X-Ok: x",
    "bad-bcc": "X-BadBcc: x", "dropped": "Bcc: secret", "long": "X-Warn: " + "word " * 60, "folded-replace": "X-Replace: X-A: b\n c",
    "two-filters": "X-Filter: hold:one\nX-Filter: hold:two",
}


@pytest.mark.parametrize("name", CHECKS)
def test_header_check(pair, name):
    check(pair, "s@s.test", ["r@x.test"], f"{CHECKS[name]}\nSubject: x\n\nhello\n")


MULTI = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b1\n\npre\n"
BODIES = {
    "body": "Subject: x\n\nwarn 1\nprepend\nstrip\nreplace it\nend\n",
    "body-reject": "Subject: x\n\nreject4\nwarn after\n",
    "body-long": "Subject: x\n\nlong" + "l" * 5000 + "\nend\n",
    "no-empty-line": "Subject: x\nno header at all\nwarn\n",
    "part": MULTI + "--b1\nX-Part: 1\nContent-Description: d\n\nwarn\n--b1--\nwarn post\n",
    "part-reject": MULTI + "--b1\nContent-Type: application/octet-stream;\n name=x.exe\n\nwarn\n--b1--\n",
    "part-no-header": MULTI + "--b1\n\nwarn\n--b1\nwarn no empty line\n--b1--\n",
    "nested": MULTI + "--b1\nContent-Type: message/rfc822\n\nSubject: strip me\nX-Inner: 1\nX-Part: no\n\nwarn\n--b1--\n",
    "primary-mime": "Content-Description: x\nX-Part: no\nSubject: y\n\nwarn\n",
    "nested-8bit": MULTI + "--b1\nContent-Transfer-Encoding: 8bit\n\nx\n--b1--\n",
    "message": "Content-Type: message/rfc822\nSubject: a\n\nX-Inner: 2\n\nwarn\n",
}


@pytest.mark.parametrize("name", BODIES)
def test_body(pair, name):
    check(pair, "s@s.test", ["r@x.test"], BODIES[name])
