# SPDX-License-Identifier: ISC
"""Notices of bounce(8) beyond the usual ones, compared as messages: templates, VERP, threads, delay and its end, postmaster copies."""

import os
import re

import pytest
from harness import Batch, Pair, Sink, wait_for

from test_commands import clean
from test_delivery import HEAD, message, observe

TEMPLATES = """# own words
failure_template = <<EOF
Charset: utf-8
From: MAILER-DAEMON (Ma fa)
Subject: Returned
Postmaster-Subject: PM: $myhostname

To jest $myhostname, $maximal_queue_lifetime_hours hours, $mydomain $$x gr\u00fc\u00dfe
EOF

  delay_template = <<END OF TEXT
Subject: Late

After $delay_warning_time_seconds s.

END OF TEXT
"""


@pytest.fixture(scope="module")
def sink():
    with Sink() as s:
        yield s


def started(sink, **extra):
    main = {"transport_maps": f"inline:{{ {{relay.test = smtp:[127.0.0.1]:{sink.port}}} {{relay2.test = smtp:[127.0.0.1]:{sink.port}}} }}",
            "relay_domains": "relay.test, relay2.test", "in_flow_delay": "0", "delay_warning_time": "1s",
            "confirm_delay_cleared": "yes", "notify_classes": "bounce, 2bounce, delay", "bounce_notice_recipient": "pb@relay.test",
            "2bounce_notice_recipient": "p2@relay.test", "delay_notice_recipient": "pd@relay.test",
            "smtp_log_tls_feature_status": "no", "smtp_connection_cache_on_demand": "no", "smtpd_forbid_bare_newline": "no"}
    pair = Pair(main={**main, **extra})
    for i in pair.instances:
        i.write("templates", TEMPLATES)
    return pair.start()


@pytest.fixture(scope="module")
def plain(sink):
    pair = started(sink)
    yield pair
    pair.destroy()


@pytest.fixture(scope="module")
def own(sink):
    pair = started(sink, bounce_template_file="@config@/templates", enable_threaded_bounces="yes")
    yield pair
    pair.destroy()


def texts(instance, sink):
    """What has arrived, in an order that does not depend on who was faster: by recipient and subject."""
    def key(m):
        return m.rcpts, re.findall(rb"(?m)^(?:Subject|Final-Recipient): .*", m.content)
    out = []
    for m in sorted(sink.messages, key=key):
        n = instance.normal()
        n.names.append((str(sink.port), "SINK"))
        lines = [re.sub(r"SIZE=\d+", "SIZE", line) for line in n.lines([m.mail_line] + m.rcpt_lines)]
        # Retry times count from when the warning was tried, in whole seconds.
        out.append(lines + [re.sub(r"Will-Retry-Until: .*", "Will-Retry-Until: DATE", n.text(m.content))])
    return out


def compare(pair, sink, act):
    def run(instance):
        seen = observe(instance, sink, act)
        words = {k: [re.sub(r"QID\d+", "QID", t) for t in v] for k, v in seen["log"].items() if k.endswith(("/bounce", "/qmgr"))}
        # Which of two notices is faster through the queue is nobody's business.
        return seen["replies"], {k: sorted(v) for k, v in words.items()}, texts(instance, sink), seen["left"]
    pair.compare(run)


CASES = {
    "failure": message("a@relay.test", "rej550@relay2.test"),
    "failure-two": message("a@relay.test", ["rej550@relay2.test", "rej554@relay2.test"]),
    "null-sender": message("", "rej550@relay2.test"),
    "headers": message("a@relay.test", "rej550@relay2.test", options=" RET=HDRS ENVID=x"),
    "no-id": message("a@relay.test", "rej550@relay2.test", "Subject: x\r\n\r\nx\r\n"),
    "long": message("a@relay.test", "rej550@relay2.test", HEAD + "\r\n" + ("x" * 60 + "\r\n") * 1000),
}


@pytest.mark.parametrize("name", CASES)
def test_notice(plain, sink, name):
    compare(plain, sink, CASES[name])


@pytest.mark.parametrize("name", ["failure", "null-sender", "no-id"])
def test_own_words(own, sink, name):
    compare(own, sink, CASES[name])


def delayed(instance, sink, then):
    """A message that is deferred until its sender has been warned, and then what happens to it."""
    sink.hook = lambda v, line, s: "450 4.2.0 later" if v == "RCPT" and "late@" in line else None
    try:
        mark = instance.mark()
        message("a@relay.test", "late@relay2.test")(instance)
        wait_for(lambda: instance.queue_files("deferred"), what="a deferred message")
        # The warning is due a second after arrival: flush until it was sent.
        def warned():
            instance.run("postqueue", "-c", instance.config, "-f")
            return "delay notification" in instance.log_text(mark)
        wait_for(warned, what="the delay warning", poll=0.3)
        instance.wait_log("postmaster delay notification", mark)
        sink.wait(2)
        if then == "delivered":
            sink.hook = None

            def told():
                if instance.queue_files("deferred"):
                    instance.run("postqueue", "-c", instance.config, "-f")
                return "sender delivery status notification" in instance.log_text(mark)
            wait_for(told, what="the end of the delay", poll=0.3)
            sink.wait(4)
            instance.wait_queue_empty()
        return texts(instance, sink)
    finally:
        # Nothing that is still on its way may reach the sink in the next case.
        wait_for(lambda: not instance.queue_files("incoming", "active"), what="the last flush")
        instance.flush_queue()
        sink.hook = None


@pytest.mark.parametrize("then", ["waiting", "delivered"])
def test_delay(plain, sink, then):
    def run(instance):
        sink.clear()
        return delayed(instance, sink, then)
    got = plain.compare(run)
    assert len(got) == (4 if then == "delivered" else 2)


def test_own_delay(own, sink):
    def run(instance):
        sink.clear()
        return delayed(instance, sink, "waiting")
    own.compare(run)


def submit(*args):
    def act(instance):
        mark = instance.mark()
        p = instance.run("sendmail", *args, input=HEAD.replace("\r\n", "\n") + "\nhello\n")
        instance.wait_log(r"pickup\[\d+\]: \w+: uid=", mark)
        instance.wait_log(r"qmgr\[\d+\]: \w+: removed", mark)
        return [str(p.returncode), p.stdout, p.stderr]
    return act


@pytest.mark.parametrize("args", [
    ["-XV", "-f", "list@relay.test", "u1@relay2.test", "u2@relay2.test"],
    ["-XV-=", "-f", "list-owner@relay.test", "rej550@relay2.test", "u2@relay2.test"],
    ["-XV", "-f", "list@relay.test", "rej550@relay2.test", "rej554@relay2.test"],
], ids=" ".join)
def test_verp(plain, sink, args):
    compare(plain, sink, submit(*args))


FILES = {
    "unknown-label": "failure_template = <<EOF\nX-Foo: x\nSubject: x\n\nhi\nEOF\n",
    "eight-bit": "failure_template = <<EOF\nSubject: x\n\nh\u00fc\nEOF\n",
    "no-mark": "failure_template = <<\nSubject: x\n\nhi\n",
    "bad-mark": "failure_template = <<\"EOF\"\nSubject: x\n\nhi\n\"EOF\"\n",
    "no-value": "failure_template\n",
    "undefined": "failure_template = <<EOF\nSubject: x\n\nhi $nosuch x\nEOF\n",
    "times": "failure_template = <<EOF\nSubject: x\n\n$delay_warning_time_days $maximal_queue_lifetime_seconds $$x ${myhostname}\nEOF\n",
    "zero": "delay_template = <<EOF\n\n$maximal_queue_lifetime_weeks $maximal_queue_lifetime_hours\nEOF\n",
    "empty-value": "failure_template = <<EOF\nSubject:\n\nhi\nEOF\n",
    "eight-bit-value": "failure_template = <<EOF\nSubject: \u00fc\n\nhi\nEOF\n",
    "bad-name": "failure_template = <<EOF\nCharset: utf-8\nSubject: a\n\nh\u00fc $\nEOF\n",
    "no-text": "failure_template = <<EOF\n\nEOF\n",
    "empty": "failure_template = <<EOF\nEOF\n",
    "indented": "  failure_template = <<EOF\nSubject: x\n\nhi\nEOF\n",
    "one-line": "failure_template = hello\n",
    "inapplicable": "success_template = <<EOF\nPostmaster-Subject: x\n\nhi\nEOF\n",
    "no-blank": "failure_template = <<EOF\nSubject: x\nhi there\nEOF\n",
    "words-mark": "failure_template = <<EOF x\nSubject: x\n\nhi\nEOF x\n",
    "blank-lines": "verify_template = <<EOF\nsubject: x\n\n\n hi\n\nEOF\n",
    "test": "failure_template = <<EOF\nSubject: x\n\n${delay_warning_time_hours}${nosuch?x} ${myhostname?y}\nEOF\n",
    "comment": "# c\n\n \nfailure_template = <<EOF\n# kept\n\nhi\nEOF\n",
    "own": TEMPLATES,
}


@pytest.fixture(scope="module")
def shown():
    pair = Pair(smtpd={})

    def case(name, option):
        def run(instance):
            path = f"{instance.base}/template-{name}"
            if not os.path.exists(path):
                instance.write(path, FILES[name])
            p = instance.run("postconf", option, path)
            return p.returncode, clean(instance, p.stdout), clean(instance, p.stderr)
        return run
    yield Batch(pair, {f"{n}{o}": case(n, o) for n in FILES for o in ("-b", "-t")})
    pair.destroy()


@pytest.mark.parametrize("option", ["-b", "-t"])
@pytest.mark.parametrize("name", FILES)
def test_template_file(shown, name, option):
    shown.compare(name + option)


def test_unknown_template(tmp_path):
    """The reference repeats this line for each template."""
    pair = Pair(smtpd={})
    try:
        for i in pair.instances:
            i.write("t", "foo_template = <<EOF\nSubject: x\n\nhi\nEOF\n")
            p = i.run("postconf", "-b", i.config + "/t")
            lines = set(clean(i, p.stderr).splitlines())
            assert lines == {"postfix/bounce: warning: CONFIG/t, line 6: unknown template name: foo_template -- ignoring this template"}
    finally:
        pair.destroy()
