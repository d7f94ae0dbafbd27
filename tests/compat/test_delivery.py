# SPDX-License-Identifier: ISC
"""The way of a message, compared as a whole: replies, log lines of every program,
what the next server saw, what arrived in mailboxes, bounces included."""

import re

import pytest
from harness import SELF_CHECK, Smtp, dialogue, wait_for

HEAD = "From: a@example.com\r\nTo: u1@relay.test\r\nSubject: test\r\nMessage-Id: <m1@example.com>\r\nDate: Sat, 21 Nov 2026 01:02:03 +0000\r\n"
PLAIN = HEAD + "\r\nhello\r\n"

# What 3.11 logs and the reference does not yet: the queue ID in front of a lost session,
# and the end of a queue file that never reached the queue (since 3.10).
LOST = re.compile(r"^(?=(?:lost connection|timeout|too many errors) after)")
REMOVED = re.compile(r"^\w+: removed \((?:canceled|discarded)\)$")


def as_311(tag, lines):
    if SELF_CHECK or not tag.endswith("/smtpd"):
        return lines
    return [LOST.sub("NOQUEUE: ", line) for line in lines]


def as_37(log):
    if SELF_CHECK:
        return log
    kept = {tag: [t for t in lines if not (tag.endswith("/cleanup") and REMOVED.match(t))] for tag, lines in log.items()}
    return {tag: lines for tag, lines in kept.items() if lines}


def observe(instance, sink, act):
    """Do act on instance and gather everything that can be seen of it."""
    sink.clear()
    instance.clear_mailboxes()
    instance.flush_queue()
    mark = instance.mark()
    replies = act(instance)
    instance.wait_settled(mark)
    if sink:
        sink.wait_quiet()
    n = instance.normal()
    if sink:
        n.names.append((str(sink.port), "SINK"))
    lines = instance.log_lines(mark)
    log = {}
    for tag, text in n.log(lines, drop=(r"^fatal: master_spawn",)).items():
        if tag.endswith("/qmgr"):               # messages go their ways side by side: the order of each one's lines counts
            text = sorted(text, key=lambda line: line.split(":")[0])
        if not tag.endswith("/postsuper"):      # clearing the queue between cases
            log[tag] = text
    out = {
        "replies": n.lines(replies),
        "log": log,
        "sink": sorted(str(n.lines(s)) for s in sink.sessions),
        "messages": sorted(n.text(m.content) for m in sink.messages),
        "mail": {k: [n.text(t) for t in v] for k, v in instance.mailboxes().items()},
        "left": sorted(p.split("/")[-2 if len(p.split("/")[-2]) > 1 else -3] for p in instance.queue_files().values()),
    }
    instance.flush_queue()
    return out


def differ(road, sink, act, adjust=None):
    theirs = None
    if road.reference is not None:
        theirs = observe(road.reference, sink, act)
    if road.ours is None:
        return theirs
    got = observe(road.ours, sink, act)
    if theirs is None:
        return got
    theirs["log"] = {tag: as_311(tag, lines) for tag, lines in theirs["log"].items()}
    got["log"] = as_37(got["log"])
    if adjust:
        adjust(theirs)
    # One part after the other: the first difference is the cause of the others.
    assert got["replies"] == theirs["replies"]
    for tag in sorted(set(got["log"]) | set(theirs["log"])):
        assert got["log"].get(tag) == theirs["log"].get(tag), tag
    for part in ("sink", "messages", "mail", "left"):
        assert got[part] == theirs[part], part
    return got


def message(sender, rcpts, content=PLAIN, options="", service="smtp", rcpt_options=""):
    def act(instance):
        out = []
        with Smtp(instance.port(service)) as c:
            out.append(c.cmd("EHLO client.example.test"))
            out.append(c.cmd(f"MAIL FROM:<{sender}>{options}"))
            for r in [rcpts] if isinstance(rcpts, str) else rcpts:
                out.append(c.cmd(f"RCPT TO:<{r}>{rcpt_options}"))
            out.append(c.cmd("DATA"))
            if out[-1].startswith("354"):
                body = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
                out.append(c.data(body))
            out.append(c.cmd("QUIT"))
        return out
    return act


CASES = {
    "relay": message("a@example.com", "u1@relay.test"),
    "relay-two": message("a@example.com", ["u1@relay.test", "u2@relay.test"]),
    "relay-null-sender": message("", "u1@relay.test"),
    "relay-case": message("A.B@Example.COM", "U.One@RELAY.test"),
    "relay-duplicate": message("a@example.com", ["u1@relay.test", "u1@relay.test", "U1@relay.test"]),
    "relay-quoted": message('"a b"@example.com', '"u one"@relay.test'),
    "relay-dsn": message("a@example.com", "u1@relay.test", options=" RET=HDRS ENVID=id+2B1", rcpt_options=" NOTIFY=FAILURE ORCPT=rfc822;orig+40x.test"),
    "relay-8bit": message("a@example.com", "u1@relay.test", HEAD + "\r\ngr\u00fc\u00dfe\r\n", options=" BODY=8BITMIME"),
    "relay-size": message("a@example.com", "u1@relay.test", options=" SIZE=1000"),
    "no-headers": message("a@example.com", "u1@relay.test", "just text\r\nmore\r\n"),
    "no-message-id": message("a@example.com", "u1@relay.test", "Subject: x\r\nFrom: a@example.com\r\n\r\nx\r\n"),
    "no-date": message("a@example.com", "u1@relay.test", "Subject: x\r\nMessage-Id: <x@y>\r\n\r\nx\r\n"),
    "only-headers": message("a@example.com", "u1@relay.test", "Subject: x\r\nMessage-Id: <x@y>\r\n"),
    "empty-message": message("a@example.com", "u1@relay.test", ""),
    "blank-first": message("a@example.com", "u1@relay.test", "\r\nSubject: in the body\r\n"),
    "header-bcc": message("a@example.com", "u1@relay.test", HEAD + "Bcc: secret@relay.test\r\nReturn-Path: <x@y>\r\nContent-Length: 5\r\nStatus: R\r\n\r\nhello\r\n"),
    "header-unqualified": message("a@example.com", "u1@relay.test", "From: root\r\nTo: someone, other@host\r\nCc: x@y.test (c), \"Q\" <q>\r\nMessage-Id: <m@x>\r\nDate: now\r\n\r\nx\r\n"),
    "header-long": message("a@example.com", "u1@relay.test", HEAD + "X-Long: " + "word " * 500 + "\r\n\r\nx\r\n"),
    "header-folded": message("a@example.com", "u1@relay.test", HEAD + "X-Fold: one\r\n\ttwo\r\n   three\r\n\r\nx\r\n"),
    "header-odd": message("a@example.com", "u1@relay.test", HEAD + "X-Empty:\r\nX Space: y\r\nX-Tab\t: z\r\n\r\nx\r\n"),
    "body-dots": message("a@example.com", "u1@relay.test", HEAD + "\r\n.\r\n..\r\n.x\r\nend\r\n"),
    "body-long-line": message("a@example.com", "u1@relay.test", HEAD + "\r\n" + "x" * 5000 + "\r\nend\r\n"),
    "body-nul": message("a@example.com", "u1@relay.test", HEAD.encode() + b"\r\na\x00b\x01\x7f\xff\r\n"),
    "body-cr": message("a@example.com", "u1@relay.test", HEAD.encode() + b"\r\na\rb\r\r\nc\nd\r\n"),
    "body-from": message("a@example.com", ["u1@relay.test", "phalice@mbox.test"], HEAD + "\r\nFrom here\r\n>From there\r\n\r\nFrom x\r\n"),
    "mime": message("a@example.com", "u1@relay.test", HEAD + "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b1\r\n\r\npre\r\n--b1\r\nContent-Type: text/plain\r\n\r\none\r\n--b1\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\nX-Reject: not primary\r\n\r\ntwo\r\n--b1--\r\npost\r\n"),
    "crlf-long-received": message("a@example.com", "u1@relay.test", "Received: from a by b; x\r\n" * 10 + HEAD + "\r\nx\r\n"),
    "resent": message("a@example.com", "u1@relay.test", HEAD + "Resent-From: r@example.com\r\nResent-To: t\r\n\r\nx\r\n"),
    "maildir": message("a@example.com", "u1@vmbox.test"),
    "maildir-two": message("a@example.com", ["u1@vmbox.test", "u2@vmbox.test"]),
    "virtual-mbox": message("a@example.com", "box@vmbox.test", HEAD + "\r\nFrom me\r\n"),
    "local": message("a@example.com", "phalice@localhost"),
    "local-extension": message("a@example.com", "phalice+ext@localhost"),
    "local-mbox": message("a@example.com", "phalice@mbox.test"),
    "local-null-sender": message("", "phalice@mbox.test"),
    "alias": message("a@example.com", "alice@localhost"),
    "alias-two": message("a@example.com", "both@localhost"),
    "alias-forward": message("a@example.com", "fwd@localhost"),
    "alias-file": message("a@example.com", "file@localhost"),
    "postmaster": message("a@example.com", "postmaster"),
    "virtual-alias": message("a@example.com", "a1@valias.test"),
    "virtual-alias-two": message("a@example.com", "two@valias.test"),
    "virtual-alias-chain": message("a@example.com", "chain@valias.test"),
    "virtual-alias-loop": message("a@example.com", "loop@valias.test"),
    "virtual-alias-local": message("a@example.com", "local@valias.test"),
    "virtual-alias-domain": message("a@example.com", "any@vend.test"),
    "discard": message("a@example.com", "x@discard.test"),
    "mixed": message("a@example.com", ["u1@relay.test", "u1@vmbox.test", "phalice@localhost", "x@discard.test"]),
    "bounce-remote": message("a@relay.test", "rej550@relay2.test"),
    "bounce-headers": message("a@relay.test", "rej550@relay2.test", options=" RET=HDRS"),
    "bounce-full-envid": message("a@relay.test", "rej550@relay2.test", options=" RET=FULL ENVID=abc"),
    "bounce-never": message("a@relay.test", "rej550@relay2.test", rcpt_options=" NOTIFY=NEVER"),
    "bounce-partly": message("a@relay.test", ["rej550@relay2.test", "ok@relay2.test"]),
    "bounce-two": message("a@relay.test", ["rej550@relay2.test", "rej554@relay2.test"]),
    "bounce-orcpt": message("a@relay.test", "rej550@relay2.test", rcpt_options=" ORCPT=rfc822;orig+2Baddr@x.test"),
    "bounce-null": message("", "rej550@relay2.test"),
    "bounce-local-sender": message("phalice@localhost", "rej550@relay2.test"),
    "bounce-alias-loop": message("a@relay.test", "looper@localhost"),
    "bounce-8bit": message("a@relay.test", "rej550@relay2.test", HEAD + "\r\ngr\u00fc\u00df\r\n", options=" BODY=8BITMIME"),
    "dsn-success": message("a@relay.test", "u1@vmbox.test", rcpt_options=" NOTIFY=SUCCESS"),
    "defer-remote": message("a@example.com", "tmp450@relay.test"),
    "defer-refused": message("a@example.com", "x@refused.test"),
    "defer-partly": message("a@example.com", ["tmp450@relay.test", "u1@relay.test"]),
    "check-reject": message("a@example.com", "u1@relay.test", HEAD + "X-Reject: bad\r\n\r\nx\r\n"),
    "check-ignore": message("a@example.com", "u1@relay.test", HEAD + "X-Ignore: bad\r\n\r\nx\r\n"),
    "check-replace": message("a@example.com", "u1@relay.test", HEAD + "X-Replace: old\r\n\r\nx\r\n"),
    "check-prepend": message("a@example.com", "u1@relay.test", HEAD + "X-Prepend: old\r\n\r\nx\r\n"),
    "check-warn": message("a@example.com", "u1@relay.test", HEAD + "X-Warn: w\r\n\r\nx\r\n"),
    "check-info": message("a@example.com", "u1@relay.test", HEAD + "X-Info: w\r\n\r\nx\r\n"),
    "check-hold": message("a@example.com", "u1@relay.test", HEAD + "X-Hold: w\r\n\r\nx\r\n"),
    "check-discard": message("a@example.com", "u1@relay.test", HEAD + "X-Discard: w\r\n\r\nx\r\n"),
    "check-redirect": message("a@example.com", "u1@relay.test", HEAD + "X-Redirect: w\r\n\r\nx\r\n"),
    "check-body": message("a@example.com", "u1@relay.test", HEAD + "\r\nsecret word\r\ndropme\r\nkeep\r\n"),
    "check-body-reject": message("a@example.com", "u1@relay.test", HEAD + "\r\nviagra\r\n"),
    "access-hold": message("a@example.com", "hold@localhost", service="access"),
    "access-prepend": message("a@example.com", ["prep@localhost", "u1@relay.test"], service="access"),
    "access-redirect": message("a@example.com", "redir@localhost", service="access"),
    "access-discard": message("a@example.com", "disc@localhost", service="access"),
    "access-filter": message("a@example.com", "filt@localhost", service="access"),
    "access-bcc": message("a@example.com", ["bcc@localhost", "u1@relay.test"], service="access"),
    "tag": message("a@example.com", "u1@relay.test", service="submission"),
    "smtputf8": message("\u00fc@example.com", "u1@relay.test", options=" SMTPUTF8 BODY=8BITMIME"),
    "bare-lf": message("a@example.com", "u1@relay.test", HEAD.encode() + b"\r\na\nb\r\n", service="barelf"),
}


# 3.11 tells of a notification that nobody wants, and cancels it before its content.
def never_311(theirs):
    theirs["log"]["postfix/cleanup"].pop()
    theirs["log"]["postfix/bounce"] = ["QID1: sender non-delivery notification: QID2"]


# 3.11 has other words for it.
def smtputf8_311(theirs):
    old = "SMTPUTF8 is required, but was not offered by host "
    new = "message requires SMTPUTF8, but no server was found that supports SMTPUTF8. The last attempted server was "
    log = theirs["log"]
    assert old in log["postfix/smtp"][0]
    log["postfix/smtp"][0] = log["postfix/smtp"][0].replace(old, new)
    # twice in the notification, wrapped
    log["postfix/qmgr"] = [re.sub(r"size=\d+", "size=2402", t) if "from=<>" in t else t for t in log["postfix/qmgr"]]


ADJUST = {"bounce-never": never_311, "smtputf8": smtputf8_311}


@pytest.mark.parametrize("name", CASES)
def test_way(road, sink, name):
    differ(road, sink, CASES[name], None if SELF_CHECK else ADJUST.get(name))


SERVERS = {
    "plain": {"keywords": ()},
    "no-pipelining": {"keywords": ("SIZE 10240000", "8BITMIME", "DSN")},
    "size-small": {"keywords": ("PIPELINING", "SIZE 100")},
    "no-dsn": {"keywords": ("PIPELINING", "8BITMIME")},
    "helo-only": {"hook": lambda v, line, s: "502 5.5.2 no" if v == "EHLO" else None},
    "greeting-421": {"hook": lambda v, line, s: "421 4.3.2 go away" if v == "GREETING" else None},
    "greeting-554": {"hook": lambda v, line, s: "554 5.3.2 no smtp here" if v == "GREETING" else None},
    "greeting-close": {"hook": lambda v, line, s: "close" if v == "GREETING" else None},
    "greeting-multi": {"hook": lambda v, line, s: "220-one\n220 two ESMTP" if v == "GREETING" else None},
    "ehlo-550": {"hook": lambda v, line, s: "550 5.7.1 bad name" if v in ("EHLO", "HELO") else None},
    "ehlo-close": {"hook": lambda v, line, s: "close" if v == "EHLO" else None},
    "mail-550": {"hook": lambda v, line, s: "550 5.1.8 no sender" if v == "MAIL" else None},
    "mail-450": {"hook": lambda v, line, s: "450 4.1.8 later" if v == "MAIL" else None},
    "mail-close": {"hook": lambda v, line, s: "close" if v == "MAIL" else None},
    "data-550": {"hook": lambda v, line, s: "550 5.6.0 no data" if v == "DATA" else None},
    "data-450": {"hook": lambda v, line, s: "450 4.6.0 no data" if v == "DATA" else None},
    "dot-552": {"hook": lambda v, line, s: "552 5.2.2 too big" if v == "DOT" else None},
    "dot-451": {"hook": lambda v, line, s: "451 4.3.0 again" if v == "DOT" else None},
    "dot-close": {"hook": lambda v, line, s: "close" if v == "DOT" else None},
    "dot-421": {"hook": lambda v, line, s: "421 4.3.2 closing" if v == "DOT" else None},
    "rcpt-multi": {"hook": lambda v, line, s: "550-5.1.1 line one\n550-5.1.1 line two\n550 5.1.1 line three" if v == "RCPT" else None},
    "rcpt-noenh": {"hook": lambda v, line, s: "550 just text" if v == "RCPT" else None},
    "rcpt-mismatch": {"hook": lambda v, line, s: "550 2.1.1 mismatch" if v == "RCPT" else None},
    "rcpt-421": {"hook": lambda v, line, s: "421 4.2.1 enough" if v == "RCPT" else None},
    "rcpt-some": {"hook": lambda v, line, s: "552 5.5.3 too many" if v == "RCPT" and "u2" in line else None},
    "quit-close": {"hook": lambda v, line, s: "close" if v == "QUIT" else None},
}


@pytest.mark.parametrize("name", SERVERS)
def test_next_server(road, sink, name):
    """What our client does with every kind of server."""
    spec = SERVERS[name]
    old = sink.keywords, sink.hook
    sink.keywords, sink.hook = list(spec.get("keywords", sink.keywords)), spec.get("hook")
    try:
        differ(road, sink, message("", ["u1@relay.test", "u2@relay.test"]))
    finally:
        sink.keywords, sink.hook = old


def test_lost_session(road, sink):
    """Sessions that end in each state leave the right line."""
    def act(instance):
        for steps in ([], ["EHLO x"], ["EHLO x", "MAIL FROM:<a@example.com>"], ["FOO"],
                      ["EHLO x", "MAIL FROM:<a@example.com>", "RCPT TO:<nosuch@localhost>"]):
            mark = instance.mark()
            dialogue(instance.port(), steps)
            instance.wait_log("disconnect from", mark)
        return []
    differ(road, sink, act)


def test_cached_connection(road, sink):
    """Several messages at once arrive each exactly once."""
    def run(instance):
        sink.clear()
        with Smtp(instance.port()) as c:
            c.cmd("EHLO x")
            for i in range(10):
                assert c.mail("a@example.com", f"n{i}@relay.test", PLAIN).startswith("250")
            c.cmd("QUIT")
        sink.wait(10)
        instance.wait_queue_empty()
        return sorted(m.rcpts[0] for m in sink.messages)
    road.compare(run, expect=[f"n{i}@relay.test" for i in range(10)])


def test_retry_after_flush(road, sink):
    """A deferred message goes out on postqueue -f and on -i."""
    def run(instance):
        out = []
        for how in ("-f", "-i"):
            sink.clear()
            sink.hook = lambda v, line, s: "450 4.2.0 later" if v == "RCPT" else None
            mark = instance.mark()
            message("a@example.com", "u1@relay.test")(instance)
            lines = instance.wait_log("status=deferred", mark)
            qid = re.search(r": (\w+): to=", "\n".join(lines)).group(1)
            wait_for(lambda: qid in instance.queue_files("deferred"), what="message in deferred")
            sink.hook = None
            p = instance.run("postqueue", "-c", instance.config, *(["-f"] if how == "-f" else ["-i", qid]))
            sink.wait(1)
            instance.wait_queue_empty()
            out.append((p.returncode, p.stdout, p.stderr, len(sink.messages)))
        return out
    try:
        road.compare(run, expect=[(0, "", "", 1)] * 2)
    finally:
        sink.hook = None
