# SPDX-License-Identifier: ISC
"""AUTH with a scripted login server that speaks Dovecot's protocol: what clients are told, what the server is asked, what the log says; then
answers and greetings that no good server gives. (Rows 23 to 25 of the table of attacks.)"""

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Batch, Pair, Smtp, dialogue, wait_for
from harness.auth_server import AuthServer, b64, greeting, plain
from harness.table_server import CLOSE, FLOOD, HANG

BASE = {"smtpd_sasl_auth_enable": "yes", "smtpd_sasl_type": "dovecot", "smtpd_sasl_path": "@base@/auth"}
ANSWERS = {
    "reason": b"FAIL\t@id@\tuser=reason\treason=Account\x01 is locked\n", "temp": b"FAIL\t@id@\tuser=temp\ttemp\n",
    "code": b"FAIL\t@id@\tcode=temp_fail\tauthz\treason=a\treason=b\n", "noreason": b"FAIL\t@id@\treason=\n", "bare": b"FAIL\t@id@\n",
    "nouser": b"OK\t@id@\n", "emptyuser": b"OK\t@id@\tuser=\n", "other": b"OK\t@id@\tuser=someone else\n", "twice": b"OK\t@id@\tfoo\tuser=x\tuser=y\tz=1\n",
    "foreign": b"OK\t99999\tuser=evil\nFAIL\t0\nOK\t@id@\tuser=good\n", "badid": b"OK\tx\tuser=evil\nOK\t@id@\tuser=good\n",
    "junk": b"\n\nNOSUCH\t1\n\t\t\nOK\t@id@\tuser=good\n", "long": b"OK\t@id@\tuser=" + b"l" * 300 + b"\n", "utf": "OK\t@id@\tuser=grün\n".encode(),
    "Anonymous": b"OK\t@id@\tuser=Anonymous\n", "anonymous": b"OK\t@id@\tuser=anonymous\n", "contbare": b"CONT\t@id@\n", "crlf": b"OK\t@id@\tuser=x\r\n", "equals": b"OK\t@id@\tuser=a=b=c\n", "paren": b"OK\t@id@\tuser=a)b(c\\\n",
    "pieces": [b"O", b"K\t@id@\tus", b"er=pie", b"ces\n"], "close": CLOSE,
}
GREETINGS = {
    "minor": greeting(version="1\t99"), "noversion": greeting().split(b"\n", 1)[1], "private": greeting({"PLAIN": "plaintext", "SECRET": "private"}),
    "external": greeting({"EXTERNAL": "", "PLAIN": "plaintext"}), "twice": greeting({"PLAIN": "plaintext", "plain": "plaintext", "lower": "x"}),
    "junk": b"\nJUNK\tx\nVERSION\t1\t1\nMECH\nMECH\t\nMECH\tPLAIN\tplaintext\tfoo\nDONE\tx\n", "anonymous": greeting({"ANONYMOUS": "anonymous", "PLAIN": "plaintext"}),
    "later": [b"VERSION\t1\t2\nMECH\tPL", b"AIN\n", b"SPID\t1\nDO", b"NE\n"],
}
BAD_GREETINGS = {
    "version": greeting(version="2\t0"), "word": b"VERSION\tx\ty\n" + greeting(), "half": [b"VERSION\t1\t2\nMECH\tPL", CLOSE], "close": CLOSE,
    "master": b"VERSION\t1\t2\nSPID\t1\nMECH\tPLAIN\nDONE\n", "nothing": greeting({}), "unended": [b"VERSION\t1\t2\nMECH\tPLAIN\n", CLOSE],
    "anonymous": greeting({"ANONYMOUS": "anonymous"}), "external": greeting({"EXTERNAL": ""}), "early": b"VERSION\t1\t2\nDONE\n", "minor": greeting(version="1"),
}
SERVICES = {
    "smtp": {"maxproc": "1"},
    "off": {"smtpd_sasl_auth_enable": "no", "smtpd_authorized_xclient_hosts": "127.0.0.1", "smtpd_relay_restrictions": "permit_mynetworks, reject"},
    "xclient": {"smtpd_authorized_xclient_hosts": "127.0.0.1"},
    "helo": {"smtpd_helo_required": "yes"},
    "filter": {"smtpd_sasl_mechanism_filter": "!plain, static:all"},
    "names": {"smtpd_sasl_mechanism_filter": "login, cram-md5"},
    "noplain": {"smtpd_sasl_security_options": "noanonymous, noplaintext"},
    "nodict": {"smtpd_sasl_security_options": "nodictionary NoActive"},
    "anyone": {"smtpd_sasl_security_options": "", "smtpd_sasl_path": "@base@/g_anonymous"},
    "broken": {"broken_sasl_auth_clients": "yes"},
    "except": {"smtpd_sasl_exceptions_networks": "127.0.0.1"},
    "except2": {"smtpd_sasl_exceptions_networks": "!127.0.0.1, 127.0.0.0/8"},
    "hidden": {"smtpd_discard_ehlo_keywords": "auth"},
    "tlsonly": {"smtpd_tls_auth_only": "yes", "smtpd_tls_security_level": ""},
    "service": {"smtpd_sasl_service": "submission", "smtpd_sasl_local_domain": "realm.test"},
    "unix": {"smtpd_sasl_path": "unix:@base@/auth"},
    "denied": {"smtpd_delay_reject": "no", "smtpd_client_restrictions": "reject"},
    "timeout": {"smtpd_timeout": "1s"},
    "rate": {"smtpd_client_auth_rate_limit": "2", "smtpd_client_event_limit_exceptions": "192.0.2.1"},
    "rate2": {"smtpd_client_auth_rate_limit": "2", "smtpd_client_event_limit_exceptions": "192.0.2.1"},
    "errors": {"smtpd_hard_error_limit": "3"},
    "silent": {"smtpd_sasl_path": "@base@/silent"},
    "letters": {"notify_classes": "protocol"},
    "long": {"notify_classes": ""},
    "pipe": {"smtpd_forbid_unauth_pipelining": "no"},
    **{f"g_{name}": {"smtpd_sasl_path": f"@base@/g_{name}"} for name in GREETINGS},
}
H = ["EHLO x"]
BOB = "AUTH PLAIN " + plain("bob")
MAIL = ["MAIL FROM:<a@sender.test>", "RCPT TO:<u@far.test>"]
CASES = {
    "syntax": ("smtp", H + ["AUTH", "AUTH PLAIN a b", "AUTH PLAIN = b", "QUIT"]),
    "plain": ("smtp", H + ["AUTH PLAIN", "*", "AUTH PLAIN " + plain("bob", "bad"), BOB, BOB, "AUTH", "AUTH FOO"] + MAIL + [BOB, "AUTH", "QUIT"]),
    "without helo": ("smtp", [BOB, "HELO x"] + MAIL + ["QUIT"]),
    "helo required": ("helo", [BOB, "EHLO x", BOB, "QUIT"]),
    "with helo": ("smtp", ["HELO x", BOB, "EHLO x", BOB, "RSET", BOB, "QUIT"]),
    "login": ("smtp", H + ["AUTH LOGIN", "*", "AUTH LOGIN", b64("bob"), "*", "AUTH LOGIN", b64("bob"), b64("secret"), "QUIT"]),
    "login initial": ("smtp", H + ["AUTH LOGIN " + b64("bob"), b64("bad"), "auth login " + b64("bob"), b64("secret")] + MAIL + ["QUIT"]),
    "challenge": ("smtp", H + ["AUTH CRAM-MD5", b64("bob xx"), "QUIT"]),
    "switch": ("smtp", H + ["AUTH CRAM-MD5", "*", "AUTH LOGIN", b64("joe"), "AUTH PLAIN", "AUTH PLAIN", plain("joe")] + MAIL + ["QUIT"]),
    "no such": ("smtp", H + ["AUTH FOO", "AUTH EXTERNAL", "AUTH ANONYMOUS " + b64("x"), "AUTH EXTERNAL =", "AUTH PLAIN-", "QUIT"]),
    "long name": ("smtp", H + ["AUTH " + "M" * 100, "QUIT"]),
    "garbage": ("smtp", H + ["AUTH PLAIN !!!", "AUTH PLAIN", "!!!", "AUTH PLAIN =", "AUTH LOGIN", "", "", "AUTH PLAIN", "  *", "AUTH PLAIN", "* ", "AUTH PLAIN",
                             b"\xff\xfe\r\n", "AUTH PLAIN ab-_", "AUTH PLAIN a*b", "AUTH PLAIN ab==", "QUIT"]),
    "spaces": ("smtp", H + ["AUTH PLAIN", "ab cd", "AUTH PLAIN", "ab ", "AUTH PLAIN", " ab", "AUTH   PLAIN   " + plain("bob") + "  ", "QUIT"]),
    "line ends": ("smtp", H + ["AUTH PLAIN", b"*\n", b"AUTH LOGIN\n", b"Ym9i\0xx\r\n", b64("secret"), "QUIT"]),
    "transaction": ("smtp", H + ["MAIL FROM:<a@sender.test>", BOB, "AUTH", "RSET", "AUTH XOAUTH2 " + b64("joe x"), "MAIL FROM:<a@sender.test>", "AUTH", "QUIT"]),
    "limit": ("smtp", H + ["AUTH PLAIN", "A" * 12284, "AUTH PLAIN", "A" * 12288, "NOOP", "AUTH PLAIN", "A" * 12287, "NOOP", "AUTH PLAIN", "A" * 30000, "NOOP", "QUIT"]),
    "pipelined": ("smtp", H + [(b"AUTH PLAIN\r\n" + plain("bob").encode() + b"\r\nNOOP\r\nRSET\r\n", 4), "QUIT"]),
    "lost": ("smtp", H + ["AUTH PLAIN"]),
    "lost within a line": ("smtp", H + ["AUTH LOGIN", lambda c: c.send("abc")]),
    "lost later": ("smtp", H + ["AUTH LOGIN", b64("bob"), b64("bad"), "AUTH LOGIN", b64("x")]),
    "off": ("off", H + ["AUTH", BOB, "MAIL FROM:<a@sender.test>", BOB, "QUIT"]),
    "hidden": ("hidden", H + ["AUTH", BOB, "AUTH PLAIN", "QUIT"]),
    "only within tls": ("tlsonly", H + ["AUTH", BOB, "QUIT"]),
    "filter": ("filter", H + [BOB, "QUIT"]),
    "filter of names": ("names", H + ["QUIT"]),
    "no plain text": ("noplain", H + [BOB, "AUTH CRAM-MD5", "*", "QUIT"]),
    "no dictionary": ("nodict", H + ["AUTH CRAM-MD5", BOB, "QUIT"]),
    "anonymous": ("anyone", H + ["AUTH anonymous " + b64("anonymous")] + MAIL + ["QUIT"], "sasl_method=anonymous sasl_username=anonymous"),
    "anonymous by name": ("anyone", H + ["AUTH ANONYMOUS " + b64("joe")] + MAIL + ["QUIT"], "sasl_method=ANONYMOUS sasl_username=joe"),
    "anonymous by xclient": ("xclient", H + ["XCLIENT LOGIN=anonymous"] + MAIL + ["QUIT"]),
    "broken clients": ("broken", H + ["QUIT"]),
    "exceptions": ("except", H + [BOB, "QUIT"]),
    "no exception": ("except2", H + [BOB, "QUIT"]),
    "service": ("service", H + [BOB, "QUIT"]),
    "prefix": ("unix", H + [BOB, "QUIT"]),
    "denied": ("denied", H + [BOB, "AUTH", "QUIT"]),
    "timeout": ("timeout", H + ["AUTH PLAIN", lambda c: c.reply()]),
    "rate": ("rate", H + ["AUTH", "AUTH PLAIN " + plain("bob", "x"), "AUTH PLAIN " + plain("bob", "x"), "AUTH PLAIN " + plain("bob"), "AUTH", "QUIT"]),
    "rate when logged in": ("rate2", H + [BOB, "MAIL FROM:<a@sender.test>", BOB, "RSET", BOB, "AUTH", "QUIT"]),
    "errors": ("errors", H + ["AUTH PLAIN", "x!", "AUTH PLAIN", "*", "AUTH PLAIN", "x!", "NOOP"]),
    "pipelining allowed": ("pipe", [(b"AUTH PLAIN\r\n" + b64("\0bob\0secret").encode() + b"\r\n", 2), "QUIT"]),
    "xclient login": ("xclient", H + ["XCLIENT LOGIN=joe", "EHLO x", BOB] + MAIL + ["RSET", "XCLIENT NAME=x.test", "EHLO x", BOB] + MAIL
                      + ["RSET", "XCLIENT ADDR=192.0.2.7 DESTADDR=192.0.2.1", "EHLO x", BOB, "XCLIENT ADDR=[UNAVAILABLE]", BOB, "QUIT"]),
    "xclient without sasl": ("off", H + ["XCLIENT LOGIN=joe", "EHLO x", BOB] + MAIL + ["QUIT"]),
    **{f"answer {name}": ("smtp", H + ["AUTH PLAIN " + plain(name), "AUTH FOO"] + MAIL + ["QUIT"]) for name in ANSWERS},
    **{f"greeting {name}": (f"g_{name}", H + [BOB, "AUTH FOO", "QUIT"]) for name in GREETINGS},
}
SAID_MORE = re.compile(r"Invalid authentication mechanism$")


@pytest.fixture(scope="module")
def pair():
    p = Pair(main={**BASE, "transport_maps": "static:discard:", "defer_transports": "discard", "smtpd_error_sleep_time": "0", "smtpd_soft_error_limit": "100", "in_flow_delay": "0",
                   "smtpd_hard_error_limit": "200", "smtpd_relay_restrictions": "permit_sasl_authenticated, reject", "smtpd_forbid_unauth_pipelining": "yes"},
             smtpd=SERVICES)
    servers = []
    try:
        for i in p.instances:
            i.auth = AuthServer(ANSWERS, path=f"{i.base}/auth")
            i.greeters = {name: AuthServer(hello=hello, path=f"{i.base}/g_{name}") for name, hello in GREETINGS.items()}
            servers += [i.auth, *i.greeters.values(), AuthServer({"hang": [b"OK", HANG]}, path=f"{i.base}/silent")]
        p.start()
        with ThreadPoolExecutor(2) as pool:         # these wait while the others work
            for i in p.instances:
                i.silence = pool.submit(silence, i)
            yield p
    finally:
        p.destroy()
        for s in servers:
            s.close()


def silence(instance):
    began = time.monotonic()
    return dialogue(instance.port("silent"), H + ["AUTH PLAIN " + plain("hang"), "QUIT"]), time.monotonic() - began


def as_311(lines, login=""):
    """Since 3.10 the reason names the mechanism, lines about lost connections begin with a queue ID, and lines about refused recipients end with the login."""
    # What follows AUTH may be a password: ours does not log it.
    lines = [re.sub(r"(command pipelining after AUTH from \S+): .*", r"\1: ***", line) for line in lines]
    names = [m.group(1) for m in (re.search(r"SASL (\S+) authentication failed: Invalid authentication mechanism, ", line) for line in lines) if m]
    out = []
    for line in lines:
        line = re.sub(r"(SASL (\S+) .*: Invalid authentication mechanism), ", r"\1: '\2', ", line)
        if SAID_MORE.search(line):
            line += f": '{names.pop(0)}'"
        line += " " + login if login and re.match(r"NOQUEUE: reject: RCPT ", line) else ""
        out.append(re.sub("^(?=(?:lost connection|timeout|too many errors) after )", "NOQUEUE: ", line))
    return out


def asked(lines, pattern="AUTH|CONT"):
    """What the login server was asked, and how often it was greeted: which process was the first to do so is chance."""
    return [line for line in lines if re.match(pattern, line)]


def play(service, steps, login=""):
    def run(instance):
        start = instance.mark()
        instance.auth.clear()
        replies = dialogue(instance.port(service), steps)
        instance.wait_log(r"smtpd\[\d+\]: disconnect from", start)
        log = [re.sub(r"^.*smtpd\[\d+\]: ", "", line) for line in instance.log_lines(start) if "smtpd[" in line]
        # A dialogue may end while the server's thread still reads what was said last.
        wait_for(lambda: instance.auth.idle(), 10, "the login server to have read all")
        lines = instance.normal().lines(replies + log)
        return (as_311(lines, login) if not instance.suite.is_ours else lines) + asked(instance.auth.lines)
    return run


@pytest.mark.parametrize("case", CASES)
def test_dialogue(pair, case):
    pair.compare(play(*CASES[case]))


# What no good server says. The reference takes half a line for a whole one, and a name up to its NUL; it passes over what it does not understand.
MALFORMED = {
    "half": [b"OK\t@id@\tuser=ha", CLOSE], "nul": b"OK\t@id@\tuser=a\0b\n", "no number": b"OK\nOK\t@id@\tuser=good\n", "million": b"x" * 1000000 + b"\nOK\t@id@\tuser=good\n",
    "flood": FLOOD, "cont without number": b"CONT\n", "fail without number": b"FAIL\n", "nul elsewhere": b"\0\nOK\t@id@\tuser=good\n",
}
LOST = "454 4.7.0 Temporary authentication failure: Connection lost to authentication server"


@pytest.mark.skipif(REFERENCE_ONLY or SELF_CHECK, reason="needs the suite under test")
@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_answer(pair, case):
    start = pair.ours.mark()
    pair.ours.auth.answers["bad"] = MALFORMED[case]
    assert dialogue(pair.ours.port(), H + ["AUTH PLAIN " + plain("bad"), BOB, "QUIT"])[2:] == [LOST, "235 2.7.0 Authentication successful", "221 2.0.0 Bye"]
    lines = pair.ours.wait_log(r"smtpd\[\d+\]: disconnect from", start)
    assert not [line for line in lines if re.search("exit status|killed|good", line)]


def test_silent_server(pair):
    """An answer is waited for ten seconds."""
    def run(instance):
        replies, seconds = instance.silence.result()
        assert 9 < seconds < 13
        return replies
    got = pair.compare(run)
    assert got[2] == LOST


@pytest.mark.skipif(REFERENCE_ONLY or SELF_CHECK, reason="needs the suite under test")
def test_no_secrets_in_the_log(pair):
    """Nor in letters to the postmaster, where the reference has them."""
    secret = b64("\0bob\0canary")[8:]
    i, start = pair.ours, pair.ours.mark()
    for service, steps in {
        "smtp": ["EHLO x", "AUTH PLAIN " + plain("bob", "canary"), "AUTH PLAIN", plain("bob", "canary"), "AUTH LOGIN", b64("bob"), b64("canary"), "QUIT"],
        "pipe": [(f"HELO x\r\nAUTH PLAIN {plain('bob', 'canary')}\r\n".encode(), 2), (f"AUTH PLAIN\r\n{plain('bob', 'canary')}\r\n".encode(), 2), "QUIT"],
        "letters": ["EHLO x", "AUTH PLAIN " + plain("bob", "canary"), "AUTH PLAIN", plain("bob", "canary"), "MAIL FROM:<>", "AUTH PLAIN " + plain("bob", "canary"), "QUIT"],
        "long": ["EHLO x", "AUTH PLAIN " + plain("bob", "canary") + "x" * 9000],
    }.items():
        dialogue(i.port(service), steps)
    i.wait_log(r"smtpd\[\d+\]: disconnect from", start, count=4)
    found = [line for line in i.log_lines(start) if secret in line or "canary" in line or b64("canary") in line]
    letters = [i.run("postcat", "-b", path).stdout for path in wait_for(lambda: i.queue_files("deferred"), 10, "a letter to the postmaster").values()]
    assert found == [] and any("AUTH PLAIN ***" in text for text in letters) and not any(secret in text for text in letters)


def test_letters(pair):
    """Failed logins are no trouble for the postmaster; AUTH out of place is."""
    def run(instance):
        instance.run("postsuper", "-d", "ALL")
        for steps in (["AUTH PLAIN " + plain("bob", "x")], ["AUTH LOGIN", "*"], ["AUTH FOO"], ["AUTH PLAIN !!!"], ["AUTH PLAIN " + plain("close")],
                      ["AUTH PLAIN", "A" * 13000], ["MAIL FROM:<>", "AUTH PLAIN"]):
            dialogue(instance.port("letters"), steps + ["QUIT"])
        path, = wait_for(lambda: instance.queue_files("deferred"), 10, "a letter to the postmaster").values()
        text = instance.run("postcat", "-b", path).stdout
        assert len(instance.queue_files()) == 1
        return instance.normal().text(text[text.index("Transcript"):])
    assert " In:  MAIL FROM:<>\n" in pair.compare(run)


FATAL = {
    **{f"greeting {name}": {"smtpd_sasl_path": f"@base@/b_{name}"} for name in BAD_GREETINGS},
    "no socket": {"smtpd_sasl_path": "@base@/nosuch"}, "no server": {"smtpd_sasl_path": "inet:127.0.0.1:9"},
    "filter": {"smtpd_sasl_mechanism_filter": "nosuch"}, "empty filter": {"smtpd_sasl_mechanism_filter": ""},
    "strength": {"smtpd_sasl_security_options": "forward_secrecy"},
    "option": {"smtpd_sasl_security_options": "noanonymous, foo"}, "type": {"smtpd_sasl_type": "foo"},
    "cyrus": {"smtpd_sasl_type": "cyrus", "smtpd_sasl_path": "none", "cyrus_sasl_config_path": "@config@", "smtpd_sasl_security_options": "mutual_auth forward_secrecy"},
    "cyrus option": {"smtpd_sasl_type": "cyrus", "smtpd_sasl_path": "none", "smtpd_sasl_security_options": "foo"},
}


def nothing_to_offer(case):
    early = case in ("option", "type", "cyrus option")      # ours finds these before it takes a client
    tag = f"postfix/c{list(FATAL).index(case)}/smtpd["

    def run(instance):
        with Smtp(instance.port(case), banner=False, timeout=20) as c:
            lines = instance.wait_log(re.escape(tag) + r"\d+\]: fatal: ")
            greeting_line = None if early else c.reply()
        log = [re.sub(r"^.*smtpd\[\d+\]: ", "", line) for line in lines if tag in line]
        if early:
            log = [re.sub("^(fatal|warning): ", "", line) for line in log if re.search("unknown .* value|unsupported", line)][:1]
        return [greeting_line] + instance.normal().lines(log)
    return run


@pytest.fixture(scope="module")
def broken():
    """Nobody can be served here. For ours each client finds a new process."""
    p = Pair(main=BASE, smtpd={name: {"maxproc": "1", "syslog_name": f"postfix/c{n}", **options} for n, (name, options) in enumerate(FATAL.items())})
    servers = []
    try:
        for i in p.instances:
            servers.append(AuthServer(path=f"{i.base}/auth"))
            servers += [AuthServer(hello=hello, path=f"{i.base}/b_{name}") for name, hello in BAD_GREETINGS.items()]
            i.postfix("start")
            i.running = True
            wait_for(lambda: "daemon started" in i.read_log(), 10, "the master's start")
        yield Batch(p, {name: nothing_to_offer(name) for name in FATAL}, workers=2 * len(FATAL))      # who dies takes a second for it
    finally:
        p.destroy()
        for s in servers:
            s.close()


@pytest.mark.parametrize("case", FATAL)
def test_nothing_to_offer(broken, case):
    got = broken.compare(case)
    assert len(got) > 1 and got[0] in (None, "EOF")
