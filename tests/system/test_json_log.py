# SPDX-License-Identifier: ISC
"""maillog_format = text, json: one line of JSON for each message that leaves the queue; the text log stays what it is."""

import gzip
import json
import os

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Sink, Smtp, send_mail, wait_for
from harness.under_test import IS_REFERENCE, make

pytestmark = pytest.mark.skipif(IS_REFERENCE or REFERENCE_ONLY or SELF_CHECK, reason="needs the suite under test")
HOSTILE = {}        # reply to RCPT by local part


def hook(verb, line, session):
    for name, text in HOSTILE.items():
        if verb == "RCPT" and f"<{name}@" in line:
            return text
    return None


@pytest.fixture(scope="module")
def live():
    with Sink(hook=hook) as sink:
        i = make(sink, main={"relay_domains": "relay.test", "maillog_format": "text, json", "maillog_json_file": "@base@/mail.json", "smtpd_peername_lookup": "no",
                             "smtp_skip_quit_response": "yes", "cleanup_replace_stray_cr_lf": "no", "minimal_backoff_time": "1h", "maximal_backoff_time": "1h",
                             "virtual_alias_maps": "inline:{ {alias@relay.test = real@relay.test} }"})
        i.sink, i.json = sink, i.base + "/mail.json"
        try:
            yield i.start()
        finally:
            i.destroy()


def lines(live):
    with open(live.json, "rb") as f:
        data = f.read()
    assert data == b"" or data.endswith(b"\n")
    return [json.loads(line.decode("utf-8", "strict")) for line in data.splitlines()]


def of(live, queue_id, timeout=20):
    found = []

    def look():
        found[:] = [o for o in lines(live) if o["queue_id"] == queue_id]
        return found
    wait_for(look, timeout, f"the JSON line of {queue_id}")
    assert len(found) == 1
    return found[0]


def send(live, rcpts, content="Subject: x\r\nMessage-Id: <m@x>\r\n\r\nx\r\n", sender="a@example.com", **more):
    reply = send_mail(live.port(), sender, rcpts, content, **more)
    assert reply.startswith("250")
    return reply.split()[-1]


def test_sent(live):
    queue_id = send(live, ["alias@relay.test"])
    o = of(live, queue_id)
    assert list(o) == ["queue_id", "result", "arrival", "end", "delay", "sender", "message_id", "size", "nrcpt", "client_name", "client_address", "client_port",
                       "protocol", "helo", "recipients"]
    assert o["result"] == "sent" and o["sender"] == "a@example.com" and o["message_id"] == "<m@x>" and o["nrcpt"] == 1 and o["helo"] == "client.example.test"
    assert (o["client_name"], o["client_address"], o["protocol"]) == ("unknown", "127.0.0.1", "ESMTP")
    assert o["arrival"].endswith("Z") and o["arrival"] <= o["end"] and o["size"] > 0
    (r,) = o["recipients"]
    delay = r.pop("delay")
    assert 0 <= delay <= o["delay"] + 0.01
    assert r == {"address": "real@relay.test", "orig_address": "alias@relay.test", "status": "sent", "dsn": "2.0.0",
                 "relay": f"127.0.0.1[127.0.0.1]:{live.sink.port}", "text": "250 2.0.0 queued as SINK"}
    # The text log is what it was.
    assert live.wait_log(rf"{queue_id}: to=<real@relay.test>, orig_to=<alias@relay.test>, .*status=sent")


def test_bounced(live):
    o = of(live, send(live, ["rej550@relay.test", "ok@relay.test"]))
    assert o["result"] == "bounced" and [(r["address"], r["status"], r["dsn"]) for r in sorted(o["recipients"], key=str)] == [
        ("ok@relay.test", "sent", "2.0.0"), ("rej550@relay.test", "bounced", "5.1.1")]


def test_deferred_then_sent(live):
    """One line, when the last recipient is done, with those of the first attempt."""
    HOSTILE["slow"] = "450 4.2.0 later"
    queue_id = send(live, ["slow@relay.test", "fast@relay.test"])
    wait_for(lambda: queue_id in live.queue_files("deferred"), what="a deferred message")
    assert queue_id not in [o["queue_id"] for o in lines(live)]
    del HOSTILE["slow"]
    live.postfix("flush")
    o = of(live, queue_id)
    assert o["result"] == "sent" and sorted((r["address"], r["status"]) for r in o["recipients"]) == [("fast@relay.test", "sent"), ("slow@relay.test", "sent")]


def test_after_restart(live):
    """Recipients done in an earlier attempt that nobody remembers are named."""
    HOSTILE["slow"] = "450 4.2.0 later"
    queue_id = send(live, ["slow@relay.test", "fast@relay.test"])
    wait_for(lambda: queue_id in live.queue_files("deferred"), what="a deferred message")
    live.stop()
    del HOSTILE["slow"]
    live.start()
    live.postfix("flush")
    assert sorted((r["address"], r["status"]) for r in of(live, queue_id)["recipients"]) == [("fast@relay.test", "done"), ("slow@relay.test", "sent")]


def test_expired(live):
    HOSTILE["never"] = "450 4.2.0 not now"
    queue_id = send(live, ["never@relay.test"])
    wait_for(lambda: queue_id in live.queue_files("deferred"), what="a deferred message")
    live.run("postsuper", "-f", queue_id, check=True)
    del HOSTILE["never"]
    live.postfix("flush")
    o = of(live, queue_id)
    assert o["result"] == "expired" and o["recipients"][0]["status"] == "expired" and o["recipients"][0]["address"] == "never@relay.test"


EVIL = '", "x": "\\\\\\u0041\t\x01\x7f\u2028'


@pytest.mark.parametrize("name, value", [
    ("quotes", '"<\\"}],{\\"a\\":1>"'), ("newline", "<a\r\n\tb@x>"), ("control", "<a\x01\x08\x0c\x7f\x1b[0m@x>"), ("broken", b"<\xff\xfe\xc3(\xed\xa0\x80@x>"),
    ("utf8", "<\u00e9\u2028\U0001f4a9@x>"), ("long", "<" + "x" * 20000 + "@x>"), ("folded", "\r\n <folded@x>"), ("braces", "{}[],:\\u0000\\"),
])
def test_hostile_header(live, name, value):
    """Whatever the header holds: one line, valid UTF-8, valid JSON, no key that we did not write."""
    value = value if isinstance(value, bytes) else value.encode("utf-8")
    o = of(live, send(live, ["ok@relay.test"], b"Message-Id: " + value + b"\r\n\r\nx\r\n"))
    assert set(o) <= {"queue_id", "result", "arrival", "end", "delay", "sender", "message_id", "size", "nrcpt", "client_name", "client_address", "client_port",
                      "protocol", "helo", "recipients"}
    assert "\n" not in o.get("message_id", "")
    if name == "utf8":
        assert o["message_id"] == value.decode()
    if name == "folded":
        assert o["message_id"] == "<folded@x>"


def test_hostile_envelope_and_reply(live):
    HOSTILE["evil"] = "550 5.1.1 \"},{\\\x01\x7f\udcff\udcfe end"
    with Smtp(live.port()) as c:
        c.cmd('EHLO a"b\\c\x7f{}')
        assert c.cmd('MAIL FROM:<"x\\"y{}\\\\z"@example.com>').startswith("250")
        assert c.cmd("RCPT TO:<evil@relay.test>").startswith("250") and c.cmd("DATA").startswith("354")
        queue_id = c.data(b"Message-Id: <e@x>\r\n\r\nx\r\n").split()[-1]
    o = of(live, queue_id)
    assert o["sender"] == 'x"y{}\\z@example.com' and o["recipients"][0]["text"].count('"},{\\') == 1 and o["message_id"] == "<e@x>"


def test_many_at_a_time(live):
    with Smtp(live.port()) as c:
        c.cmd("EHLO x")
        replies = [c.mail("a@example.com", ["ok@relay.test"], b"Subject: x\r\n\r\nx\r\n") for _ in range(50)]
    assert all(r.startswith("250 ") for r in replies)
    sent = {r.split()[-1] for r in replies}     # an earlier test's last message may get its line meanwhile
    wait_for(lambda: sent <= {o["queue_id"] for o in lines(live)}, what="fifty lines")
    assert len(sent) == 50 and len([o for o in lines(live) if o["queue_id"] in sent]) == 50
    assert os.stat(live.json).st_mode & 0o777 == 0o600


def test_configuration(live):
    """No file, a file elsewhere, an unknown format: a warning, and mail goes on."""
    for settings, warning in (({"maillog_json_file": ""}, "maillog_format has json, but maillog_json_file is empty"),
                              ({"maillog_json_file": "/etc/x.json"}, "maillog_json_file value '/etc/x.json' does not match any prefix in maillog_file_prefixes"),
                              ({"maillog_format": "text, xml"}, 'maillog_format: unknown format "xml"')):
        saved = live.save_main()
        start = live.mark()
        live.set(**settings)
        live.reload()
        queue_id = send(live, ["ok@relay.test"])
        assert live.wait_log(warning, start) and live.wait_log(f"{queue_id}: removed", start)
        assert queue_id not in [o["queue_id"] for o in lines(live)]
        if saved is not None:
            live.write("main.cf", saved)
        else:
            live.set(maillog_format="text, json", maillog_json_file=live.json)
    live.reload()


def of_postsuper(live, queue_id):
    return [o for o in lines(live) if o["queue_id"] == queue_id and "queue" in o]


def test_postsuper(live):
    """A line for each message that was changed, with what it was."""
    live.postfix("status")
    HOSTILE.update({"w1": "450 4.2.0 not now", "w2": "450 4.2.0 not now"})
    one, two = send(live, ["w1@relay.test", "w2@relay.test"], sender="x@example.com"), send(live, ["w2@relay.test"], sender="")
    wait_for(lambda: {one, two} <= set(live.queue_files("deferred")), what="deferred messages")
    live.run("postsuper", "-h", one, check=True)
    live.run("postsuper", "-e", one, check=True)
    live.run("postsuper", "-H", one, check=True)
    live.run("postsuper", "--dry-run", "-d", one, check=True)
    live.run("postsuper", "-d", one, "-d", "NOSUCH99", check=True)
    live.run("postsuper", "--sender", "<>", "-d", "ALL", check=True)
    assert [(o["result"], o["queue"]) for o in of_postsuper(live, one)] == [
        ("held", "deferred"), ("released", "hold"), ("deleted", "deferred")]
    for o in of_postsuper(live, one):
        assert o["sender"] == "x@example.com" and o["size"] > 0 and o["arrival"] <= o["end"]
        assert sorted(r["address"] for r in o["recipients"]) == ["w1@relay.test", "w2@relay.test"]
        assert all("450 4.2.0 not now" in r["text"] for r in o["recipients"])
    (o,) = of_postsuper(live, two)
    assert (o["result"], o["sender"]) == ("deleted", "MAILER-DAEMON")
    HOSTILE.clear()


def test_requeued(live):
    HOSTILE["w3"] = "450 4.2.0 not now"
    queue_id = send(live, ["w3@relay.test"])
    wait_for(lambda: queue_id in live.queue_files("deferred"), what="a deferred message")
    HOSTILE.clear()
    live.run("postsuper", "-r", queue_id, check=True)
    assert [o["result"] for o in of_postsuper(live, queue_id)] == ["requeued"]
    live.flush_queue()


def test_rotation(live):
    """Both files get the same name, nothing is lost, and what a busy writer still holds is not compressed away."""
    before = send(live, ["r1@relay.test"])
    of(live, before)
    count = len(lines(live))
    live.postfix("logrotate")
    rotated = [f for f in os.listdir(live.base) if f.startswith("mail.json.")]
    text = [f for f in os.listdir(live.base) if f.startswith("maillog.")]
    assert len(rotated) == 1 and rotated[0].endswith(".gz") and [f.split(".", 1)[1] for f in text] == [rotated[0].split(".", 2)[2]]
    with gzip.open(f"{live.base}/{rotated[0]}", "rt") as f:
        assert len([json.loads(line) for line in f]) == count
    after = send(live, ["r2@relay.test"])
    assert of(live, after)["result"] == "sent" and before not in [o["queue_id"] for o in lines(live)]
