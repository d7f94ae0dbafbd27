# SPDX-License-Identifier: ISC
"""One spool, two suites: what one has queued, half delivered or been killed over is read, changed and
delivered by the other, as the reference alone would do it."""

import json
import os
import re
import signal
import threading

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Instance, Sink, Smtp, ours, reference, wait_for
from harness.milter import Milter, add_header, add_recipient, change_header, change_sender, delete_recipient, insert_header, replace_body

pytestmark = pytest.mark.skipif(os.getuid() != 0 or REFERENCE_ONLY, reason="needs both suites, as root")

DIRECTIONS = ["theirs-to-ours", "ours-to-theirs"]
LONG = """\
cleanlong unix  n       -       n       -       0       cleanup
  -o enable_long_queue_ids=yes
"""
SMTPD = {"smtp": {}, "long": {"cleanup_service_name": "cleanlong"}, "edit": {"smtpd_milters": "@milter@"}}
HEADER_CHECKS = """\
/^X-Hold:/ HOLD
/^X-Filter:/ FILTER smtp:[127.0.0.1]:@sink@
/^X-Redirect:/ REDIRECT other@relay.test
/^X-Elsewhere:/ REDIRECT later50@relay.test
/^X-Replace: (.*)/ REPLACE X-Replaced: <$1> in more bytes than there were
/^X-Prepend:/ PREPEND X-Before: yes
/^X-Ignore:/ IGNORE
"""

# name: (sender, recipients, MAIL options, RCPT options, header lines). "later" recipients are deferred at first.
MESSAGES = {
    "plain": ("a@relay.test", ["later1@relay.test"], "", "", ""),
    "half": ("a@relay.test", ["now1@relay.test", "later2@relay.test", "box@vmbox.test", "later3@relay.test"], "", "", ""),
    "bounced": ("a@relay.test", ["rej550@relay.test", "later4@relay.test"], "", "", ""),
    "null": ("", ["later5@relay.test"], "", "", ""),
    "dsn": ("a@relay.test", ["later6@relay.test", "now2@relay.test"], " RET=HDRS ENVID=a+2Bb", " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;o+40x", ""),
    "never": ("a@relay.test", ["later7@relay.test"], "", " NOTIFY=NEVER", ""),
    "utf8": ("\u00fc@relay.test", ["later8@relay.test"], " SMTPUTF8 BODY=8BITMIME", "", "X-Text: \u00e4\r\n"),
    "8bit": ("a@relay.test", ["later9@relay.test"], " BODY=8BITMIME", "", ""),
    "filter": ("a@relay.test", ["later10@vmbox.test", "later11@relay.test"], "", "", "X-Filter: x\r\n"),
    "redirect": ("a@relay.test", ["x@relay.test", "y@relay.test"], "", "", "X-Redirect: x\r\n"),
    "redirected": ("a@relay.test", ["x@relay.test", "y@relay.test"], "", "", "X-Elsewhere: x\r\n"),
    "edits": ("a@relay.test", ["later12@relay.test"], "", "", "X-Replace: x\r\nX-Prepend: x\r\nX-Ignore: y\r\n"),
    "alias": ("a@relay.test", ["list@valias.test"], "", "", ""),
    "bcc": ("bcc@relay.test", ["later13@relay.test"], "", "", ""),
    "hold": ("a@relay.test", ["now3@relay.test", "now4@relay.test"], "", "", "X-Hold: x\r\n"),
    "quoted": ("\"a b\"@relay.test", ["\"later 14\"@relay.test"], "", "", ""),
    "verpsmtp": ("v@relay.test", ["later15@relay.test", "now5@relay.test"], " XVERP=+=", "", ""),
}
LATE = ("late1", "late2")               # still in incoming when the first suite ends
MILTER = {
    "edit1@swap": [change_sender("changed@relay.test"), add_recipient("added@relay.test"), delete_recipient("later20@relay.test"),
                   insert_header(0, "X-First", "inserted in front"), change_header(1, "Subject", "changed by the filter"),
                   add_header("X-Last", "appended"), replace_body(b"new body\r\nof three\r\nlines" + b"x" * 3000 + b"\r\n")],
    "edit2@swap": [change_header(1, "X-Gone", ""), replace_body(b"short\r\n"), delete_recipient("later21@relay.test"),
                   delete_recipient("later22@relay.test"), add_recipient("added2@relay.test"), add_recipient("added3@relay.test")],
}


def content(name, head=""):
    return (f"From: a@relay.test\r\nTo: u@relay.test\r\nSubject: {name}\r\nMessage-Id: <{name}@swap>\r\n"
            f"Date: Sat, 21 Nov 2026 01:02:03 +0000\r\n{head}\r\n" + f"text of {name}\r\n" * 5 + ".dot\r\n" + "l" * 3000 + "\r\n").encode()


def config(sink):
    return {
        "relay_domains": "relay.test", "transport_maps": f"inline:{{ relay.test=smtp:[127.0.0.1]:{sink.port} }}",
        "virtual_mailbox_domains": "vmbox.test", "virtual_mailbox_base": "@mail@", "virtual_mailbox_maps": "static:user/",
        "virtual_uid_maps": "static:@uid@", "virtual_gid_maps": "static:@gid@", "virtual_minimum_uid": "1",
        "virtual_alias_domains": "valias.test", "virtual_alias_maps": "inline:{ { list@valias.test = later30@relay.test, now30@relay.test } }",
        "sender_bcc_maps": "inline:{ {bcc@relay.test = copy@relay.test} }", "header_checks": "pcre:@config@/header_checks",
        "smtpd_authorized_verp_clients": "127.0.0.1", "delay_warning_time": "4h", "smtp_log_tls_feature_status": "no",
        "smtputf8_enable": "yes", "in_flow_delay": "0", "enable_long_queue_ids": "no", "local_recipient_maps": "",
    }


def later(verb, line, session):
    return "450 4.2.0 later" if verb == "RCPT" and "later" in line else None


def instance(suite, sink, milter, spool=None, **main):
    """With spool, an instance, its queue is the queue of this one, too."""
    if spool:
        main["queue_directory"] = spool.queue
    smtpd = {n: {k: v.replace("@milter@", f"inet:127.0.0.1:{milter.port}") for k, v in o.items()} for n, o in SMTPD.items()} if milter else None
    i = Instance(suite, main={**config(sink), **main}, smtpd=smtpd, master=LONG)
    if spool:
        i.queue = spool.queue
        i.write(i.log, "", 0o666)       # postsuper writes it as mail_owner while there is no postlogd
    i.write("header_checks", HEADER_CHECKS.replace("@sink@", str(sink.port)))
    return i


def submit(i, names, port="smtp"):
    with Smtp(i.port(port)) as c:
        c.cmd("EHLO client.test")
        for name in names:
            sender, rcpts, options, rcpt_options, head = MESSAGES.get(name, ("a@relay.test", [f"{name}@relay.test"], "", "", ""))
            assert c.cmd(f"MAIL FROM:<{sender}>{options}")[:3] == "250", name
            for r in rcpts:
                assert c.cmd(f"RCPT TO:<{r}>{rcpt_options}")[:3] == "250", (name, r)
            assert c.cmd("DATA")[:3] == "354"
            reply = c.data(content(name, head))
            assert reply[:3] == "250", (name, reply, i.log_lines()[-5:])
        c.cmd("QUIT")


def fill(i, sink, edit):
    """Everything that a queue can hold: {message name: path}. edit: with a Milter, and XVERP, which only the reference has."""
    sink.hook = later
    i.start()
    mark = i.mark()
    submit(i, [n for n in MESSAGES if edit or n != "verpsmtp"])
    submit(i, ["laterlong1", "laterlong2"], "long")
    if edit:
        with Smtp(i.port("edit")) as c:
            c.cmd("EHLO client.test")
            assert c.mail("a@relay.test", ["later20@relay.test", "later23@relay.test"], content("edit1"))[:3] == "250"
            assert c.mail("a@relay.test", ["later21@relay.test", "later22@relay.test", "later24@relay.test"], content("edit2", "X-Gone: x\r\n"))[:3] == "250"
            c.cmd("QUIT")
    i.run("sendmail", "-f", "v@relay.test", "-XV", "-F", "Full N\u00e4me", "later40@relay.test", "now40@relay.test",
          input=content("verp").replace(b"\r", b""), check=True)
    i.run("sendmail", "-f", "t@relay.test", "-t", "-N", "failure,delay", "-V", "env1", "-R", "hdrs", check=True,
          input=b"To: later41@relay.test\nBcc: later42@relay.test, now42@relay.test\nMessage-Id: <extract@swap>\nSubject: t\nDate: x\n\nextracted\n")
    i.wait_settled(mark)
    wait_for(lambda: not i.queue_files("maildrop", "incoming", "active"), what="an idle queue")
    for p in i.pids("qmgr"):            # what comes now stays in incoming
        os.kill(p, signal.SIGSTOP)
    submit(i, LATE[:1])
    submit(i, LATE[1:], "long")
    i.stop()
    os.chmod(i.log, 0o666)              # postsuper writes it as mail_owner while there is no postlogd
    i.run("sendmail", "-f", "d@relay.test", "-N", "success", "drop@relay.test", input=content("drop").replace(b"\r", b""), check=True)
    return named(i)


def named(i):
    out = {}
    for path in i.queue_files().values():
        with open(path, "rb") as f:
            out[re.search(rb"Message-Id: <(\w+)@", f.read()).group(1).decode()] = path
    return out


def without_original(text):
    """3.11 shows original addresses, too."""
    out = []
    for line in text.splitlines():
        m = json.loads(line)
        for r in m["recipients"]:
            r.pop("orig_address", None)
        out.append(m)
    return out


def equal_views(one, two, files):
    """All that both suites' commands say about the spool."""
    for args in (["-p"], ["-j"]):
        said = [i.run("postqueue", *args) for i in (one, two)]
        assert said[0].stderr == said[1].stderr
        assert said[0].returncode == said[1].returncode == 0
        if args == ["-j"]:
            assert without_original(said[0].stdout) == without_original(said[1].stdout)
        else:
            assert said[0].stdout == said[1].stdout
    paths = sorted(files.values())
    ids = [os.path.basename(p) for p in paths]
    for args in (["-e", "-v", *paths], ["-o", *paths], ["-r", *paths], ["-d", *paths], ["-bh", *paths], ["-eq", *ids], ["-bq", *ids]):
        said = [i.run("postcat", *args) for i in (one, two)]
        assert said[0].stdout.splitlines() == said[1].stdout.splitlines(), args[:2]
        assert said[0].returncode == said[1].returncode == 0 and said[0].stdout


def mend(one, two, files):
    """Administration with either suite's postsuper on what the first has written."""
    out = []
    for i, args in ((two, ["-h", "plain"]), (one, ["-H", "plain"]), (two, ["-r", "half"]), (two, ["-r", "filter"]), (one, ["-r", "dsn"]), (two, ["-r", "verp"]), (two, ["-r", "edit2"]),
                    (two, ["-r", "utf8"]), (two, ["-r", "extract"]), (one, ["-r", "redirected"]), (two, ["-f", "hold"]), (two, ["-e", "bounced"]), (two, ["-e", "never"]), (one, ["-h", "laterlong2"]), (two, ["-d", "quoted"]), (two, ["-s"]), (one, ["-s"]), (two, ["-p"])):
        p = i.run("postsuper", *[os.path.basename(files[a]) if a in files else a for a in args])
        text = p.stderr
        for name, path in files.items():
            text = text.replace(os.path.basename(path), name)
        out.append((args, p.returncode, text))
    return out


def delivered(i, sink):
    def line(text):
        return re.sub(r"\bSIZE=\d+", "SIZE=N", text)
    n = i.normal()
    n.names.append((str(sink.port), "SINK"))
    messages = sorted((m.sender, sorted(m.rcpts), line(m.mail_line), sorted(m.rcpt_lines), [re.sub(r"QID\d+", "QID", t) for t in
                       n.text(re.sub(rb"[0-9A-Za-z]+\.\d+/mail\.", b"BOUNDARY/mail.", m.content)).split("\n")]) for m in sink.messages)
    return messages


def swap(first, second, edit):
    """Fill with first, look and change with both, deliver with second: all that can be seen."""
    with Sink(keywords=("PIPELINING", "SIZE 10240000", "8BITMIME", "DSN", "SMTPUTF8")) as sink, Milter(MILTER) as milter:
        a = instance(first, sink, milter)
        b = None
        try:
            files = fill(a, sink, edit)
            queues = {n: os.path.relpath(p, a.queue).split("/")[0] for n, p in files.items()}
            before = delivered(a, sink)
            sink.clear()
            b = instance(second, sink, milter, a, enable_long_queue_ids="no")
            equal_views(a, b, files)
            b.set(enable_long_queue_ids="yes")          # short names stay, long ones need not be renamed
            said = mend(a, b, files)
            sink.hook = None
            mark = b.mark()
            b.start()
            b.run("postqueue", "-f", check=True)
            b.run("postsuper", "-H", "ALL", check=True)
            b.run("postqueue", "-f", check=True)
            wait_for(lambda: not b.queue_files(), 30, "an empty queue")
            b.wait_settled(mark)
            after = delivered(b, sink)
            mail = {k: len(v) for k, v in b.mailboxes().items()}
            status = sorted(re.sub(r"^.*?: (\w+): |(?:conn_use=\d+, )?delays?=.*?(?=dsn)", "", x) for x in b.log_lines(mark) if ", status=" in x)
            bad = [x for x in b.log_lines(mark) if re.search(r"corrupt|panic|fatal|error:", x)]
            return {"queues": queues, "before": before, "postsuper": said, "after": after, "mail": mail, "bad": bad,
                    "status": [b.normal().text(s.replace(str(sink.port), "SINK").split(" (")[0]) for s in status]}
        finally:
            try:
                if b is not None:
                    b.destroy()
            finally:
                a.destroy()


@pytest.fixture(scope="module")
def alone():
    """What the reference alone does; with edits by a Milter and without."""
    return {edit: swap(reference(), reference(), edit) for edit in (True, False)}


def suites(direction):
    both = [reference(), reference() if SELF_CHECK else ours()]
    return both if direction == "theirs-to-ours" else both[::-1]


@pytest.mark.limit(120)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_swap(direction, alone):
    first, second = suites(direction)
    edit = not first.is_ours
    got, want = swap(first, second, edit), dict(alone[edit])
    if second.is_ours:                  # 3.11 lets a requeued message keep what it needs; the reference forgets it
        want["after"] = sorted(((m[0], m[1], m[2] + " SMTPUTF8", *m[3:]) if m[0].startswith("\u00fc") else m for m in want["after"]))
    for part in want:
        assert got[part] == want[part], part


class Load:
    """Numbered messages to two recipients each, one of them refused for now; acked are the recipients that were accepted, of messages that
    were. (While processes are being killed a server may still answer, and refuse a recipient that it cannot look up any more.)"""

    def __init__(self, port, count):
        self.port, self.count, self.acked = port, count, set()
        self.threads = [threading.Thread(target=self._work, args=(n,), daemon=True) for n in range(4)]
        for t in self.threads:
            t.start()

    def _work(self, first):
        try:
            with Smtp(self.port, timeout=10) as c:
                c.cmd("EHLO x")
                for n in range(first, self.count, 4):
                    c.cmd("MAIL FROM:<a@relay.test>")
                    accepted = [r for r in (f"now{n}@relay.test", f"later{n}@relay.test") if c.cmd(f"RCPT TO:<{r}>").startswith("250")]
                    if c.cmd("DATA").startswith("354") and c.data(content(f"n{n}")).startswith("250"):
                        self.acked.update(accepted)
        except OSError:
            pass                        # killed

    def end(self):
        for t in self.threads:
            t.join(15)


def kill(i):
    for p in [i.master_pid()] + i.pids():
        try:
            os.kill(p, signal.SIGKILL)
        except ProcessLookupError:
            pass
    i.kill_left()
    # A message that a dying process still has locked is put off for a minute by the reference, and by us.
    wait_for(lambda: not i.left(), 20, "the end of all processes")
    i.running = False


class Missing:
    """A text that is made when it is needed."""

    def __init__(self, fn):
        self.fn = fn

    def __str__(self):
        return str(self.fn())


def mode(path):
    try:
        return os.stat(path).st_mode
    except OSError:
        return 0


@pytest.mark.limit(120)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_killed(direction):
    """kill -9 of one suite in the middle of deliveries; the other delivers what is left and nothing else."""
    first, second = suites(direction)
    with Sink() as sink:
        a = instance(first, sink, None)
        b = None
        try:
            sink.hook = later
            a.start()
            load = Load(a.port(), 400)
            wait_for(lambda: len(load.acked) > 240 and len(sink.messages) > 60, 30, "deliveries under way")
            kill(a)
            load.end()
            before = {m.rcpts[0] for m in sink.messages}
            sink.hook = None
            b = instance(second, sink, None, a)
            b.start()
            b.run("postqueue", "-f", check=True)
            want = set(load.acked)

            def got():
                return {r for m in list(sink.messages) for r in m.rcpts}
            wait_for(lambda: want <= got(), 30, Missing(lambda: f"all acknowledged mail: {sorted(want - got())[:20]}; queue: "
                     f"{sorted(b.queue_files().values())[:20]}\n" + "\n".join(b.log_lines()[-40:])))
            # What a killed cleanup had not completed goes later, or never.
            wait_for(lambda: not [p for p in b.queue_files("incoming", "active").values() if mode(p) & 0o100], 30, "an idle queue")
            assert not b.queue_files("corrupt")
            again = [r for m in sink.messages for r in m.rcpts if r in before]
            # Twice: only what a delivery agent had in hand when it was killed.
            assert len(again) - len(before) <= 20, len(again) - len(before)
            assert not [x for x in b.log_lines() if "panic:" in x or "killed by signal" in x]
        finally:
            try:
                if b is not None:
                    b.destroy()
            finally:
                a.destroy()
