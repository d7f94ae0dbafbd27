# SPDX-License-Identifier: ISC
"""Guides that administrators follow, typed as they stand: a main.cf written by hand, a null client, transports of one's own, the shell
pipelines of the small hours, mail programs, log summaries. The same on the reference and on ours."""

import os
import re
import subprocess

import pytest
from harness import Pair, Sink, Smtp, dialogue, free_port, send_mail, wait_for

TEXT = "From: a@example.com\r\nTo: u@relay.test\r\nSubject: test\r\nMessage-Id: <m@example.com>\r\nDate: Sat, 21 Nov 2026 01:02:03 +0000\r\n\r\nhello\r\n"
# What the reference does not know yet, or has another default for.
SAME = {"smtpd_forbid_unauth_pipelining": "yes", "smtpd_forbid_bare_newline": "no", "smtp_log_tls_feature_status": "no", "lmtp_log_tls_feature_status": "no",
        "smtpd_client_connection_count_limit": "0", "in_flow_delay": "0"}


@pytest.fixture
def make(request):
    """make(main, master, smtpd): a started pair, ended with the test."""
    made = []

    def run(main, master="", smtpd=None, start=True):
        p = Pair(main={**SAME, **main}, master=master, smtpd=smtpd)
        made.append(p)
        return p.start() if start else p
    yield run
    for p in made:
        p.destroy()


@pytest.fixture
def sink():
    with Sink() as s:
        yield s


def log_of(instance, mark, *programs, names=()):
    n = instance.normal()
    n.names.extend(names)
    out = n.log(instance.log_lines(mark))
    return {tag: lines for tag, lines in out.items() if tag.split("/")[-1] in programs}


# --- a relay with a main.cf written by hand

RELAY = {
    "smtpd_banner": "$myhostname ESMTP", "append_dot_mydomain": "no", "mynetworks": "@config@/mynetworks", "recipient_delimiter": "+",
    "bounce_queue_lifetime": "12h", "smtpd_recipient_restrictions": "permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination",
    "smtpd_relay_restrictions": "permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination", "mydestination": "",
    "local_transport": "error:no local mail here", "smtpd_error_sleep_time": "0",
}


def test_relay_written_by_hand(make, sink):
    """Listed networks may relay, others may not; a network added to the file is known after a reload, and no session is lost by it."""
    pair = make({**RELAY, "relayhost": f"[127.0.0.1]:{sink.port}"}, start=False)
    for i in pair.instances:
        i.write("mynetworks", "# ours\n127.0.0.2\n192.0.2.0/24 [2001:db8::]/32\n")
    pair.start()

    def session(instance, source):
        with Smtp(instance.port(), source=source) as c:
            return [c.banner, c.cmd("EHLO x").split("\n")[0], c.cmd("MAIL FROM:<a@example.com>"), c.cmd("RCPT TO:<u+x@elsewhere.test>"), c.cmd("QUIT")]

    def run(instance):
        mark = instance.mark()
        out = [session(instance, "127.0.0.2"), session(instance, "127.0.0.3")]
        with Smtp(instance.port(), source="127.0.0.3") as held:
            out.append(held.cmd("EHLO x").split("\n")[0])
            instance.write("mynetworks", "127.0.0.2\n127.0.0.3\n")
            instance.reload()
            wait_for(lambda: session(instance, "127.0.0.3")[3].startswith("250"), 20, "the new network")
            out += [held.cmd("MAIL FROM:<a@example.com>"), held.cmd("RCPT TO:<u@elsewhere.test>"), held.cmd("QUIT")]
        rejects = [line for lines in log_of(instance, mark, "smtpd").values() for line in lines if "reject:" in line]
        return out, sorted(set(rejects))
    pair.compare(run)
    assert all(len(i.pids("qmgr")) >= 1 for i in pair.instances)


# --- a null client

def test_null_client(make, sink):
    """All mail goes to the gateway; there is no local delivery."""
    pair = make({"myhostname": "client.example.com", "myorigin": "relay.example.com", "mydestination": "", "inet_interfaces": "loopback-only",
                 "local_transport": "error: local delivery disabled", "mynetworks": "127.0.0.0/8, [::1]/128", "relayhost": f"[127.0.0.1]:{sink.port}"})

    def run(instance):
        sink.clear()
        mark = instance.mark()
        p = instance.run("sendmail", "-i", "-f", "root", "user@far.test", "phalice", input="Subject: out\n\ntext\n")
        instance.wait_settled(mark)
        instance.wait_queue_empty()
        log = log_of(instance, mark, "smtp", "error", "pickup", names=[(str(sink.port), "SINK")])
        return p.returncode, sorted((m.sender, tuple(sorted(m.rcpts))) for m in sink.messages), {t: sorted(x) for t, x in log.items()}
    pair.compare(run)


# --- transports of one's own

def test_transport_with_options(make):
    """Source address, EHLO name and log tag of a service are those of its -o options; the sender decides which service it is."""
    seen = []

    def hook(verb, line, session):
        if verb in ("EHLO", "MAIL"):
            seen.append((session.conn.getpeername()[0], line))

    with Sink(hook=hook) as server:
        master = ("out_default unix - - n - - smtp\n  -o smtp_bind_address=127.0.0.5\n  -o smtp_helo_name=out.example.test\n  -o syslog_name=postfix-out\n"
                  "by_sender unix - - n - - smtp -o smtp_bind_address=127.0.0.6 -o smtp_helo_name=by-sender.example.test -o syslog_name=postfix-sender\n")
        pair = make({"mydestination": "", "transport_maps": "inline:{ {via.test = out_default:[127.0.0.1]:PORT} }".replace("PORT", str(server.port)),
                     "sender_dependent_default_transport_maps": f"inline:{{ {{@sender.test = by_sender:[127.0.0.1]:{server.port}}} }}",
                     "default_transport": f"smtp:[127.0.0.1]:{server.port}"}, master)

        def run(instance):
            seen.clear()
            mark = instance.mark()
            for sender, rcpt in (("a@example.com", "u@via.test"), ("a@sender.test", "u@other.test"), ("a@sender.test", "u@via.test"), ("a@example.com", "u@other.test")):
                assert send_mail(instance.port(), sender, rcpt, TEXT).startswith("250")
                instance.wait_queue_empty()
            instance.wait_settled(mark)
            n = instance.normal()
            n.names.append((str(server.port), "SINK"))
            log = n.log(instance.log_lines(mark))
            return [re.sub(r" SIZE=\d+.*", "", f"{peer} {line}") for peer, line in seen], {t: x for t, x in log.items() if t.endswith("/smtp")}
        pair.compare(run)


def test_limits_of_one_transport(make):
    """Three recipients a delivery and two deliveries at a time for one transport, while another goes on as ever."""
    state = {}

    def hook(verb, line, session):
        me = state.setdefault("sessions", {})
        if verb == "MAIL":
            me[session] = line
            state["most"] = max(state.get("most", 0), sum("slow" in x for x in me.values()))
        elif verb == "DOT":
            state.setdefault("rcpts", []).append(len(session.msg.rcpts))
            wait_for(lambda: state["most"] >= 2 or "slow" not in me[session] or state.get("done"), 10, "a second session")
            me.pop(session, None)

    with Sink(hook=hook) as server:
        pair = make({"mydestination": "", "relay_domains": "limited.test, free.test", "initial_destination_concurrency": "3", "default_extra_recipient_limit": "50",
                     "transport_maps": f"inline:{{ {{limited.test = com_limit:[127.0.0.1]:{server.port}}} {{free.test = smtp:[127.0.0.1]:{server.port}}} }}",
                     "com_limit_destination_concurrency_limit": "2", "com_limit_destination_recipient_limit": "3"},
                    "com_limit unix - - n - - smtp\n")

        def run(instance):
            state.clear()
            server.clear()
            rcpts = [f"u{n}@limited.test" for n in range(12)]
            assert send_mail(instance.port(), "slow@example.com", rcpts, TEXT).startswith("250")
            instance.wait_queue_empty()
            limited = sorted(len(m.rcpts) for m in server.messages)
            server.clear()
            state["done"] = True
            assert send_mail(instance.port(), "a@example.com", [f"u{n}@free.test" for n in range(12)], TEXT).startswith("250")
            instance.wait_queue_empty()
            return limited, state["most"], sorted(len(m.rcpts) for m in server.messages)
        assert pair.compare(run) == ([3, 3, 3, 3], 2, [12])


# --- header checks and virtual aliases in files

def test_header_checks_in_a_file(make, sink):
    pair = make({"mydestination": "", "relay_domains": "relay.test", "relayhost": f"[127.0.0.1]:{sink.port}", "header_checks": "pcre:@config@/header_checks"}, start=False)
    for i in pair.instances:
        i.write("header_checks", "/^X-.*localhost.*/ IGNORE\n/^(Received: from) \\S+ (.*)/ REPLACE ${1} somewhere\n")
    pair.start()

    def run(instance):
        sink.clear()
        mark = instance.mark()
        assert send_mail(instance.port(), "a@example.com", "u@relay.test", "X-Host: at localhost here\r\nX-Keep: this\r\n" + TEXT).startswith("250")
        instance.wait_queue_empty()
        n = instance.normal()
        return n.text(sink.messages[0].content), log_of(instance, mark, "cleanup")
    pair.compare(run)


@pytest.mark.parametrize("classes", ["", "bounce"])
def test_checks_of_reports(make, sink, classes):
    """internal_mail_filter_classes: reports pass the checks only when it says so."""
    pair = make({"mydestination": "", "relay_domains": "relay.test, back.test", "relayhost": f"[127.0.0.1]:{sink.port}", "internal_mail_filter_classes": classes,
                 "header_checks": "regexp:{{/^Subject: Undelivered/ WARN a report}}"})

    def run(instance):
        sink.clear()
        mark = instance.mark()
        assert send_mail(instance.port(), "a@back.test", "rej550@relay.test", TEXT).startswith("250")
        sink.wait(1)
        instance.wait_queue_empty()
        log = log_of(instance, mark, "cleanup")
        return [line for lines in log.values() for line in lines if "warning" in line]
    assert len(pair.compare(run)) == (classes == "bounce")


def test_virtual_domains(make, sink):
    """postmap of a file with several domains; the table's own suffix; redirected."""
    pair = make({"mydestination": "", "virtual_alias_maps": "hash:@config@/virtual", "virtual_alias_domains": "one.test two.test",
                 "relayhost": f"[127.0.0.1]:{sink.port}"}, start=False)
    for i in pair.instances:
        i.write("virtual", "# domains\n\ninfo@one.test  a@far.test, b@far.test\n@two.test c@far.test\nsales@two.test\n  d@far.test\n")
        assert i.run("postmap", i.config + "/virtual").returncode == 0
    pair.start()
    assert not [line for i in pair.instances for line in i.log_lines() if "not acted upon" in line]

    def run(instance):
        sink.clear()
        out = [send_mail(instance.port(), "x@example.com", r, TEXT)[:3] for r in ("info@one.test", "any@two.test", "sales@two.test", "none@one.test")]
        instance.wait_queue_empty()
        return out, sorted(tuple(sorted(m.rcpts)) for m in sink.messages), sorted(f for f in os.listdir(instance.config) if f.startswith("virtual"))
    pair.compare(run)


# --- listeners

@pytest.mark.parametrize("value", ["loopback-only", "all", "127.0.0.1, 127.0.0.2", "127.0.0.1/32", "[::1], 127.0.0.1", "192.0.2.77", "127.0.0.1, no.such.host.invalid"])
def test_inet_interfaces(make, value):
    """postconf -e, then start: the addresses that listen, or the words with which it refuses."""
    # Two suites cannot have the same port on all addresses at once: one after the other.
    pair = make({"inet_interfaces": value, "myhostname": "localhost"}, smtpd={}, start=False)

    def run(instance):
        port = free_port()
        with open(instance.config + "/master.cf") as f:
            services = f.read()
        instance.write("master.cf", f"{port} inet n - n - - smtpd\n" + services)
        assert instance.run("postconf", "-c", instance.config, "-e", f"inet_interfaces = {value}").returncode == 0
        mark = instance.log_size()
        # On a terminal: the reference says nothing otherwise, other than to syslog.
        p = subprocess.run(["script", "-qec", f"{instance.suite.prog('postfix')} -c {instance.config} start", "/dev/null"], env=instance.env(), capture_output=True,
                           text=True, timeout=60, check=False)
        try:
            listening = re.findall(rf"LISTEN\s+\d+\s+\d+\s+(\S+):{port}\s", subprocess.run(["ss", "-Hltn"], capture_output=True, text=True, check=True).stdout)
            said = [line.split("fatal: ", 1)[1] for line in [*p.stdout.splitlines(), *instance.read_log(mark).splitlines()] if "fatal: " in line]
            return p.returncode, sorted(x for x in listening if not x.startswith("[") or x == "[::1]"), sorted(set(instance.normal().lines(said)))
        finally:
            if p.returncode == 0:
                instance.running = True
                instance.stop()
    pair.compare(run)


# --- mail programs

PROGRAMS = {
    "bsd-mailx": ["bsd-mailx", "-s", "subject", "-r", "from@example.com", "to@relay.test"],
    "mailutils": ["mail.mailutils", "-s", "subject", "-r", "from@example.com", "to@relay.test"],
    "s-nail": ["s-nail", "-n", "-S", "mta=@sendmail@", "-S", "sendwait", "-s", "subject", "-r", "from@example.com", "to@relay.test"],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_mail_program(make, sink, name, tmp_path):
    argv = PROGRAMS[name]
    if not os.path.exists("/usr/bin/" + argv[0]):
        pytest.skip(f"no {name}")
    pair = make({"mydestination": "", "relayhost": f"[127.0.0.1]:{sink.port}"})

    def run(instance):
        sink.clear()
        (tmp_path / ".mailrc").write_text(f'set sendmail="{instance.suite.sendmail}"\n')
        env = instance.env(HOME=str(tmp_path), MAILRC=str(tmp_path / ".mailrc"), SENDMAIL=instance.suite.sendmail)
        words = [w.replace("@sendmail@", instance.suite.sendmail) for w in argv]
        if name == "mailutils":
            words[1:1] = ["-E", f'set sendmail="sendmail:{instance.suite.sendmail}"']
        p = subprocess.run(words, input=b"text\n", env=env, capture_output=True, timeout=30, check=False)
        m = sink.wait(1)[0]
        instance.wait_queue_empty()
        return p.returncode, m.sender, m.rcpts, b"\r\nSubject: subject\r\n" in m.content, m.content.endswith(b"\r\n\r\ntext\r\n")
    assert pair.compare(run)[2:] == (["to@relay.test"], True, True)


def test_mail_between_users(make):
    """From one local user to another, into the mailbox."""
    if not os.path.exists("/usr/bin/s-nail"):
        pytest.skip("no s-nail")
    pair = make({"mail_spool_directory": "@base@/spool/", "local_recipient_maps": "unix:passwd.byname"})

    def run(instance):
        env = instance.env(HOME="/nonexistent")
        p = subprocess.run(["s-nail", "-n", "-S", f"mta={instance.suite.sendmail}", "-S", "sendwait", "-s", "hello", "-r", "phbob", "phalice"], input=b"text\n",
                           env=env, capture_output=True, timeout=30, check=False)
        instance.wait_queue_empty()
        boxes = instance.mailboxes()
        return p.returncode, sorted(boxes), [b"Subject: hello" in t for texts in boxes.values() for t in texts]
    pair.compare(run)


# --- shell pipelines

SHELL = {
    "list": "mailq -bp",
    "count": "mailq | grep -c '^[A-F0-9]'",
    "last line": "mailq | tail -1",
    "delete a sender's": "mailq | tail -n +2 | grep -v '^ *(' | awk 'BEGIN { RS = \"\" } { if ($7 == \"spam@example.com\") print $1 }' | tr -d '*!' | postsuper -d -",
    "grep, cut": "mailq | grep ' keep@example.com' | cut -c1-12 | tr -d '*! ' | postsuper -h -",
    "queue IDs as JSON": "postqueue -j | grep -c '\"queue_name\": \"deferred\"'",
    "delete all": "postsuper -d ALL deferred",
    "what is left": "mailq | tail -1",
    "release": "postsuper -H ALL hold",
    "empty": "postsuper -d ALL; mailq",
}


def test_shell_pipelines(make):
    """As typed at three in the morning: exactly those messages go, and the counts are told."""
    pair = make({"mydestination": "", "defer_transports": "smtp"})

    def run(instance):
        for sender, count in (("spam@example.com", 4), ("keep@example.com", 2), ("other@example.com", 3)):
            for n in range(count):
                assert send_mail(instance.port(), sender, f"u{n}@far.test", TEXT).startswith("250")
        wait_for(lambda: len(instance.queue_files("deferred")) == 9 and not instance.queue_files("incoming", "active"), 30, "nine deferred messages")
        out = {}
        n = instance.normal()
        for name, line in SHELL.items():
            env = instance.env()
            env["PATH"] = f"{os.path.dirname(instance.suite.prog('postsuper'))}:{os.path.dirname(instance.suite.prog('mailq'))}:{env['PATH']}"
            p = subprocess.run(["sh", "-c", line], env=env, capture_output=True, text=True, timeout=60, check=False)
            # The queue has no order: which message is listed, or taken, first is chance.
            out[name] = p.returncode, *(sorted(re.sub(r"QID\d+", "QID", x) for x in re.split(r"\n\n|(?<=-\n)" if name == "list" else r"\n", n.text(text)))
                                        for text in (p.stdout, p.stderr))
        return out
    pair.compare(run)


# --- log summaries

def test_pflogsumm(make, sink):
    """The same traffic, the same summary."""
    if not os.path.exists("/usr/sbin/pflogsumm"):
        pytest.skip("no pflogsumm")
    pair = make({"mydestination": "localhost", "relay_domains": "relay.test, refused.test", "smtpd_error_sleep_time": "0",
                 "local_recipient_maps": "inline:{u=x}", "virtual_alias_maps": "inline:{ {u@localhost = u@relay.test} }",
                 "transport_maps": f"inline:{{ {{relay.test = smtp:[127.0.0.1]:{sink.port}}} {{refused.test = smtp:[127.0.0.1]:9}} }}"})

    def run(instance):
        mark = instance.mark()
        for rcpt in ("u@relay.test", "rej550@relay.test", "tmp450@relay.test", "u@refused.test", "u@localhost"):
            assert send_mail(instance.port(), "a@example.com", rcpt, TEXT).startswith("250")
        dialogue(instance.port(), ["EHLO x", "MAIL FROM:<a@example.com>", "RCPT TO:<u@elsewhere.test>", "RCPT TO:<none@localhost>", "NONSENSE", "QUIT"])
        instance.run("sendmail", "-i", "-f", "b@example.com", "u@relay.test", input="Subject: x\n\ntext\n")
        instance.wait_settled(mark)
        wait_for(lambda: len(instance.queue_files("deferred")) == 2 and not instance.queue_files("incoming", "active", "maildrop"), 30, "two deferred messages")
        p = subprocess.run(["pflogsumm", "--no_no_msg_size", "--problems_first", "--verbose_msg_detail"], input="\n".join(instance.log_lines(mark)), capture_output=True,
                           text=True, timeout=60, check=False)
        text = p.stdout.replace(str(sink.port), "SINK").replace(str(instance.port()), "PORT")
        # What differs by nature: sizes (a message holds its queue ID), moments, delays.
        text = re.sub(r"(?m)^ +\d+k?(  bytes (received|delivered))$", r" N\1", text)
        text = re.sub(r"\b\d{4}-\d{4}\b.*|\d+\.\d+ s\b|\d+:\d\d:\d\d", "TIME", text)
        return p.returncode, text
    pair.compare(run)
