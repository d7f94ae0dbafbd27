# SPDX-License-Identifier: ISC
"""Every SMTP command in every state: replies of both suites, byte for byte.

A script is lines "command" or "command => expected"; the expectation, when
given, is checked on both. "=>311" is what ours says where replies changed after
the reference's version. "raw:TEXT" sends TEXT (with escapes) as it is; "raw2:"
expects two replies. " / " separates the lines of a reply."""

import re

import pytest
from harness import SELF_CHECK, dialogue


def parse(script):
    steps, ref, own = [], {}, {}
    n = 1
    for line in script.strip("\n").split("\n"):
        line = line.strip()
        if not line:
            continue
        cmd, m, want = line.partition(" =>")
        now = m and want.startswith("311")
        raw = re.match(r"raw(\d*):(.*)", cmd)
        if raw:
            count = int(raw.group(1) or 1)
            text = raw.group(2).encode("utf-8").decode("unicode_escape").encode("latin-1")
            steps.append((text, count))
        else:
            count = 1
            steps.append(cmd)
        if m:
            want = (want[3:] if now else want).strip().replace(" / ", "\n")
            (own if now else ref)[n] = want
        n += count
    return steps, ref, own


def play(road, service, script):
    steps, want, own = parse(script)

    def run(instance):
        out = dialogue(instance.port(service), steps)
        return instance.normal().lines(out)

    if road.reference is not None:
        theirs = run(road.reference)
        for n, text in want.items():
            assert theirs[n] == text, f"the reference itself, reply {n}"
        if road.ours is None:
            return
        expected = list(theirs)
    else:
        expected = None
    got = run(road.ours)
    if expected is None:
        for n, text in {**want, **own}.items():
            assert got[n] == text
        return
    for n, text in ({} if SELF_CHECK else own).items():
        if n < len(expected):
            expected[n:n + 1] = [text]
            if text.endswith("EOF"):
                del expected[n + 1:]
        else:
            expected.append(text)
    assert got == expected


def cases(table):
    return pytest.mark.parametrize("service,script", [pytest.param(s, t, id=i) for i, s, t in table])


SESSIONS = [
    ("vrfy-open-bracket", "smtp", "EHLO x\n" + "".join(f"VRFY {a}\n" for a in (
        "<", "<a", "<a@b", "a>", "<>", "<a>x", '"a', "<@a:b@localhost", "<(", "root>", "<root", "<root@localhost", ">", "<<root>>", "<root>>", "<a@[1", "@")) + "QUIT"),
    ("greeting", "smtp", "QUIT => 221 2.0.0 Bye"),
    ("banner", "banner", "QUIT"),
    ("helo", "smtp", "HELO client.example.test => 250 mail.example.test\nQUIT"),
    ("helo-none", "smtp", "HELO => 501 Syntax: HELO hostname\nEHLO => 501 Syntax: EHLO hostname\nQUIT"),
    ("helo-words", "smtp", "HELO two words here => 250 mail.example.test\nQUIT"),
    ("helo-case", "smtp", "helo x\nHelo x\neHlO x\nQUIT"),
    ("helo-blanks", "smtp", "raw:  ehlo   x  \\r\\n\nquit"),
    ("helo-utf8", "smtp", "HELO ünicode.test\nQUIT"),
    ("ehlo", "smtp", "EHLO x\nEHLO y\nHELO z\nQUIT"),
    ("ehlo-cancels", "smtp", "EHLO x\nMAIL FROM:<a@example.com>\nEHLO x\nRCPT TO:<phalice@localhost> => 503 5.5.1 Error: need MAIL command\nQUIT"),
    ("ehlo-discarded", "noehlo", "EHLO x\nQUIT"),
    ("ehlo-size0", "nosize", "EHLO x\nMAIL FROM:<a@example.com> SIZE=99999999\nQUIT"),
    ("ehlo-noutf8", "verbatim", "EHLO x\nVRFY\nMAIL FROM:<a@example.com> SMTPUTF8\nraw:NOOP \\xc3\\r\\n\nQUIT"),
    ("ehlo-novrfy", "strict", "EHLO x\nVRFY alice => 502 5.5.1 VRFY command is disabled\nQUIT"),
    ("helo-required", "strict", "MAIL FROM:<a@example.com> => 503 5.5.1 Error: send HELO/EHLO first\nETRN x => 503 Error: send HELO/EHLO first\nRCPT TO:<x>\nDATA\nRSET\nNOOP\nQUIT"),
    ("empty", "smtp", "EHLO x\nraw:\\r\\n => 500 5.5.2 Error: bad syntax\nraw: \\r\\n => 500 5.5.2 Error: bad syntax\nQUIT"),
    ("unknown", "smtp", "EHLO x\nFOO => 500 5.5.2 Error: command not recognized\nEXPN list\nTURN\nSEND FROM:<a@b>\nSAML\nSOML\nQUIT"),
    ("noop", "smtp", "NOOP\nNOOP with text\nQUIT"),
    ("rset", "smtp", "RSET\nRSET x => 501 5.5.4 Syntax: RSET\nQUIT"),
    ("quit-arg", "smtp", "QUIT now => 221 2.0.0 Bye"),
    ("help", "smtp", "HELP =>311 214 2.0.0 Commands: AUTH BDAT DATA EHLO ETRN HELO HELP MAIL NOOP QUIT RCPT RSET STARTTLS VRFY XCLIENT XFORWARD\nQUIT"),
    ("get", "smtp", "GET / HTTP/1.0 => 221 2.7.0 Error: I can break rules, too. Goodbye."),
    ("post", "smtp", "POST / HTTP/1.1"),
    ("connect", "smtp", "connect x"),
    ("header-as-command", "smtp", "Subject: hello"),
    ("header-as-command2", "smtp", "helo: x"),
    ("noop-commands", "noop", "XNOOP\nxnoop foo\nXOTHER\nQUIT"),
    ("command-filter", "filter", "XFOO bar => 250 2.0.0 Ok\nEHLO two => 250 mail.example.test\nQUIT"),
    ("controls", "smtp", "raw:NOOP \\x00\\x01\\x02 x\\r\\n\nraw:EHLO a\\x00b\\r\\n\nQUIT"),
    ("bad-utf8", "smtp", "raw:NOOP\\x80\\r\\n => 500 5.5.2 Error: bad UTF-8 syntax\nraw:MAIL FROM:<\\x80@x>\\r\\n\nQUIT"),
    ("cr-cr-lf", "smtp", "raw:NOOP\\r\\r\\n\nQUIT"),
    ("bare-lf", "smtp", "raw:EHLO x\\n\nraw:NOOP\\n\nQUIT"),
    ("long-line", "smtp", "NOOP " + "x" * 2044 + "\nNOOP\nQUIT"),
    ("long-line-exact", "smtp", "NOOP " + "x" * 2036 + "\nMAIL FROM:<" + "a" * 600 + "@example.com>\nQUIT"),
    ("etrn", "smtp", "ETRN => 500 Syntax: ETRN domain\nETRN a b\nETRN bad..dom => 501 Error: invalid parameter syntax\nETRN example.com\nETRN [1.2.3.4]\nETRN @example.com\nETRN #sharp\nQUIT"),
    ("etrn-transaction", "smtp", "EHLO x\nMAIL FROM:<a@example.com>\nETRN relay.test => 503 Error: MAIL transaction in progress\nQUIT"),
    ("starttls-off", "smtp", "EHLO x\nSTARTTLS => 502 5.5.1 Error: command not implemented\nSTARTTLS now\nQUIT"),
    ("auth-off", "smtp", "EHLO x\nAUTH => 503 5.5.1 Error: authentication not enabled\nAUTH PLAIN\nAUTH PLAIN a b\nQUIT"),
    ("xclient-unauthorised", "smtp", "EHLO x\nXCLIENT => 501 5.5.4 Syntax: XCLIENT attribute=value...\nXCLIENT NAME=x => 550 5.7.0 Error: insufficient authorization\nXFORWARD\nXFORWARD NAME=x\nQUIT"),
    ("nested-mail", "smtp", "EHLO x\nMAIL FROM:<a@example.com>\nMAIL FROM:<b@example.com> => 503 5.5.1 Error: nested MAIL command\nRSET\nMAIL FROM:<b@example.com>\nQUIT"),
    ("rcpt-early", "smtp", "EHLO x\nRCPT TO:<phalice@localhost> => 503 5.5.1 Error: need MAIL command\nQUIT"),
    ("data-early", "smtp", "EHLO x\nDATA => 503 5.5.1 Error: need RCPT command\nMAIL FROM:<a@example.com>\nDATA\nRCPT TO:<nosuch@localhost>\nDATA => 554 5.5.1 Error: no valid recipients\nDATA foo\nQUIT"),
    ("no-helo", "smtp", "MAIL FROM:<a@example.com>\nRCPT TO:<u1@relay.test>\nQUIT"),
    ("helo-parameters", "smtp", "HELO x\nMAIL FROM:<a@example.com> SIZE=10 BODY=8BITMIME RET=HDRS\nQUIT"),
    ("vrfy", "smtp", "EHLO x\nVRFY => 501 5.5.4 Syntax: VRFY address [SMTPUTF8]\nVRFY phalice => 252 2.0.0 phalice\nVRFY <phalice@localhost>\nVRFY x@example.com\nVRFY nosuch@localhost\nVRFY \"\"\nVRFY <>\nVRFY bad@@localhost\nVRFY phalice@localhost FOO\nVRFY phalice@localhost SMTPUTF8\nQUIT"),
    ("too-large", "small", "EHLO x\nMAIL FROM:<a@example.com> SIZE=2001 => 552 5.3.4 Message size exceeds fixed limit\nMAIL FROM:<a@example.com> SIZE=2000\nRCPT TO:<u1@relay.test>\nDATA\nraw:" + "x" * 70 + ("\\r\\n" + "y" * 70) * 40 + "\\r\\n.\\r\\n => 552 5.3.4 Error: message file too big\nMAIL FROM:<a@example.com>\nQUIT"),
    ("data-empty", "smtp", "EHLO x\nMAIL FROM:<a@example.com>\nRCPT TO:<u1@discard.test>\nDATA => 354 End data with <CR><LF>.<CR><LF>\nraw:.\\r\\n => 250 2.0.0 Ok: queued as QID1\nQUIT"),
    ("two-messages", "smtp", "EHLO x\nMAIL FROM:<a@example.com>\nRCPT TO:<u1@discard.test>\nDATA\nraw:Subject: 1\\r\\n\\r\\nx\\r\\n.\\r\\n\nMAIL FROM:<>\nRCPT TO:<u1@discard.test>\nDATA\nraw:Subject: 1\\r\\n\\r\\nx\\r\\n.\\r\\n\nQUIT"),
    ("too-many-hops", "smtp", "EHLO x\nMAIL FROM:<a@example.com>\nRCPT TO:<u1@relay.test>\nDATA\nraw:" + "Received: from x\\r\\n" * 21 + "\\r\\nx\\r\\n.\\r\\n => 554 5.4.0 Error: too many hops\nQUIT"),
    ("rej-data", "rejdata", "EHLO x\nMAIL FROM:<a@example.com>\nRCPT TO:<u1@relay.test>\nDATA => 554 5.7.1 <DATA>: Data command rejected: Access denied\nRCPT TO:<u2@relay.test>\nDATA\nQUIT"),
    # 3.11 ends the transaction here, 3.7 still says "nested MAIL command".
    ("rej-eod", "rejeod", "EHLO x\nMAIL FROM:<a@example.com>\nRCPT TO:<u1@relay.test>\nDATA\nraw:x\\r\\n.\\r\\n => 554 5.7.1 <END-OF-MESSAGE>: End-of-data rejected: Access denied\nMAIL FROM:<a@example.com> =>311 250 2.1.0 Ok\nQUIT"),
    ("rej-client", "rejclient", "EHLO x\nMAIL FROM:<a@example.com>\nRCPT TO:<u1@relay.test> => 554 5.7.1 <localhost[127.0.0.1]>: Client host rejected: Access denied\nVRFY x\nDATA\nQUIT"),
    ("rej-helo", "rejhelo", "EHLO x\nMAIL FROM:<a@example.com>\nRCPT TO:<u1@relay.test>\nQUIT"),
    ("rej-helo-none", "rejhelo", "MAIL FROM:<a@example.com>\nRCPT TO:<u1@relay.test>\nQUIT"),
    ("rej-sender", "rejsender", "EHLO x\nMAIL FROM:<a@example.com>\nRCPT TO:<u1@relay.test>\nRSET\nMAIL FROM:<>\nRCPT TO:<u1@relay.test>\nQUIT"),
    ("rej-nodelay", "nodelay", "EHLO x\nMAIL FROM:<a@example.com>\nFOO\nNOOP\nQUIT"),
    ("defer-all", "deferall", "EHLO x\nMAIL FROM:<a@example.com>\nRCPT TO:<u1@relay.test>\nQUIT"),
    ("helo-checks", "helocheck", "EHLO -bad\nMAIL FROM:<a@example.com>\nRCPT TO:<u1@relay.test>\nEHLO [1.2.3]\nMAIL FROM:<a@example.com>\nRCPT TO:<u1@relay.test>\nEHLO x\nMAIL FROM:<a@example.com>\nRCPT TO:<u1@relay.test>\nEHLO ok.example.com\nMAIL FROM:<a@example.com>\nRCPT TO:<u1@relay.test>\nEHLO [127.0.0.1]\nMAIL FROM:<a@example.com>\nRCPT TO:<u1@relay.test>\nEHLO 1.2.3.4\nMAIL FROM:<a@example.com>\nRCPT TO:<u1@relay.test>\nQUIT"),
    ("fqdn-checks", "fqdn", "EHLO x\nMAIL FROM:<a>\nRCPT TO:<u1@relay.test> => 504 5.5.2 <a>: Sender address rejected: need fully-qualified address\nRSET\nMAIL FROM:<>\nRCPT TO:<phalice>\nRCPT TO:<u1@relay.test>\nRCPT TO:<postmaster>\nQUIT"),
    ("unlisted-sender", "unlisted", "EHLO x\nMAIL FROM:<nosuchuser@localhost>\nRCPT TO:<u1@relay.test>\nRSET\nMAIL FROM:<phalice@localhost>\nRCPT TO:<u1@relay.test>\nQUIT"),
    ("outside-relay", "outside", "EHLO x\nMAIL FROM:<a@example.com>\nRCPT TO:<x@far.test> => 454 4.7.1 <x@far.test>: Relay access denied\nRCPT TO:<u1@relay.test>\nRCPT TO:<u1@sub.relay.test>\nRCPT TO:<phalice@localhost>\nRCPT TO:<u%far.test@localhost>\nRCPT TO:<@relay.test:u@far.test>\nRCPT TO:<\"u@far.test\"@localhost>\nRCPT TO:<far.test!u@localhost>\nQUIT"),
    ("outside-nolists", "nolists", "EHLO x\nMAIL FROM:<a@example.com>\nRCPT TO:<x@far.test>\nRCPT TO:<u1@relay.test>\nQUIT"),
    ("outside-defer", "deferdest", "EHLO x\nMAIL FROM:<a@example.com>\nRCPT TO:<x@far.test> => 454 4.7.1 <x@far.test>: Relay access denied\nRCPT TO:<u1@relay.test>\nQUIT"),
    ("auth-destination", "auth", "EHLO x\nMAIL FROM:<a@example.com>\nRCPT TO:<x@far.test>\nRCPT TO:<u1@relay.test>\nQUIT"),
    ("class", "class", "EHLO x\nMAIL FROM:<a@example.com>\nRCPT TO:<phalice@localhost>\nRCPT TO:<phbob@localhost>\nRCPT TO:<u1@relay.test>\nQUIT"),
    ("warn-if", "warnif", "EHLO x\nMAIL FROM:<a@example.com>\nRCPT TO:<u1@relay.test> => 250 2.1.5 Ok\nQUIT"),
    ("soft-bounce", "softb", "FOO\nEHLO x\nMAIL FROM:<a@example.com>\nRCPT TO:<nosuch@localhost> => 450 4.1.1 <nosuch@localhost>: Recipient address rejected: User unknown in local recipient table\nDATA\nMAIL\nQUIT"),
    ("footer", "footer", "FOO\nEHLO x\nMAIL FROM:<a@example.com>\nRCPT TO:<nosuch@localhost>\nQUIT"),
    ("footer-lines", "footer2", "FOO\nEHLO x\nMAIL FROM:<a@example.com>\nRCPT TO:<nosuch@localhost>\nQUIT"),
    ("limit-errors", "limits", "EHLO x\nFOO\nFOO\nFOO\nFOO\nraw2:FOO\\r\\n\nNOOP"),
    ("limit-junk", "limits", "EHLO x\n" + "NOOP\n" * 8 + "raw2:NOOP\\r\\n"),
    ("limit-recipients", "rcptlimit", "EHLO x\nMAIL FROM:<a@example.com>\n" + "".join(f"RCPT TO:<u{i}@relay.test>\n" for i in range(8)) + "raw2:RCPT TO:<u9@relay.test>\\r\\n"),
    ("timeout", "short", "EHLO x\nraw:\x20 => 421 4.4.2 mail.example.test Error: timeout exceeded"),
    ("timeout-data", "short", "EHLO x\nMAIL FROM:<a@example.com>\nRCPT TO:<u1@relay.test>\nDATA\nraw:hello\\r\\n"),
    ("bdat", "smtp", "EHLO x\nMAIL FROM:<a@example.com>\nRCPT TO:<u1@discard.test>\nraw:BDAT 12\\r\\nSubject: x\\r\\n => 250 2.0.0 Ok: 12 bytes\nraw:BDAT 8\\r\\n\\r\\nhello.\nBDAT 0 LAST\nQUIT"),
    ("bdat-last", "smtp", "EHLO x\nMAIL FROM:<a@example.com>\nRCPT TO:<u1@discard.test>\nraw:BDAT 5 LAST\\r\\na\\nb\\r\\n\nQUIT"),
    ("bdat-syntax", "smtp", "EHLO x\nBDAT"),
    ("bdat-syntax2", "smtp", "EHLO x\nBDAT x"),
    ("bdat-syntax3", "smtp", "EHLO x\nMAIL FROM:<a@example.com>\nBDAT 1 FOO"),
    ("bdat-off", "nochunk", "EHLO x\nBDAT 3"),
    ("bdat-early", "smtp", "EHLO x\nraw:BDAT 3\\r\\nabc\nMAIL FROM:<a@example.com>\nRSET\nMAIL FROM:<a@example.com>\nraw:BDAT 3\\r\\nabc\nRCPT TO:<u1@relay.test>\nQUIT"),
    ("bdat-null", "smtp", "EHLO x\nMAIL FROM:<a@example.com>\nRCPT TO:<u1@relay.test>\nBDAT 0\nQUIT"),
    ("bdat-mixed", "smtp", "EHLO x\nMAIL FROM:<a@example.com>\nRCPT TO:<u1@relay.test>\nraw:BDAT 3\\r\\nabc\nDATA\nRCPT TO:<u2@relay.test>\nRSET\nQUIT"),
    ("bdat-rejected", "rejdata", "EHLO x\nMAIL FROM:<a@example.com>\nRCPT TO:<u1@relay.test>\nraw:BDAT 3\\r\\nabc\nraw:BDAT 3 LAST\\r\\nabc\nMAIL FROM:<a@example.com>\nQUIT"),
    ("dsn-off", "nochunk", "EHLO x\nMAIL FROM:<a@example.com> RET=FULL => 501 5.7.1 DSN support is disabled\nMAIL FROM:<a@example.com>\nRCPT TO:<u1@relay.test> NOTIFY=NEVER\nQUIT"),
    ("pipelining", "smtp", "EHLO x\nraw6:RSET\\r\\nMAIL FROM:<a@example.com>\\r\\nRSET\\r\\nMAIL FROM:<a@example.com>\\r\\nRCPT TO:<u1@relay.test>\\r\\nQUIT\\r\\n"),
    ("pipelining-data", "smtp", "EHLO x\nraw3:MAIL FROM:<a@example.com>\\r\\nRCPT TO:<u1@discard.test>\\r\\nDATA\\r\\n\nraw3:foo\\r\\n.\\r\\nMAIL FROM:<a@example.com>\\r\\nQUIT\\r\\n"),
    ("pipelining-rejected", "smtp", "EHLO x\nraw3:MAIL FROM:<a@example.com>\\r\\nRCPT TO:<nosuch@localhost>\\r\\nDATA\\r\\n\nQUIT"),
    ("sync-noop", "smtp", "EHLO x\nraw:NOOP\\r\\nNOOP\\r\\n"),
    ("sync-vrfy", "smtp", "EHLO x\nraw:VRFY alice\\r\\nVRFY alice\\r\\n"),
    ("sync-helo", "smtp", "HELO x\nraw:MAIL FROM:<a@example.com>\\r\\nRCPT TO:<phalice@localhost>\\r\\n"),
    ("sync-data", "smtp", "EHLO x\nMAIL FROM:<a@example.com>\nRCPT TO:<u1@discard.test>\nraw:DATA\\r\\nfoo\\r\\n.\\r\\nQUIT\\r\\n"),
    ("sync-off", "nopipe", "HELO x\nraw2:MAIL FROM:<a@example.com>\\r\\nRCPT TO:<phalice@localhost>\\r\\n\nQUIT"),
    ("lf-data", "smtp", "EHLO x\nMAIL FROM:<a@example.com>\nRCPT TO:<u1@discard.test>\nDATA\nraw:a\\n.\\n\nQUIT"),
    ("normalize-lf", "barelf", "EHLO x\nMAIL FROM:<a@example.com>\nRCPT TO:<u1@discard.test>\nDATA\nraw:a\\n.\\nb\\n.\\r\\nc\\r\\n.\\r\\n\nQUIT"),
    ("utf8-strict", "strict8", "EHLO x\nMAIL FROM:<ü@example.com>\nMAIL FROM:<a@example.com>\nRCPT TO:<ü@localhost>\nVRFY ü@localhost\nQUIT"),
    ("relocated", "smtp", "EHLO x\nMAIL FROM:<a@example.com>\nRCPT TO:<moved@localhost>\nRCPT TO:<x@error.test>\nRCPT TO:<x@retry.test>\nQUIT"),
]



@cases(SESSIONS)
def test_session(road, service, script):
    play(road, service, script)


MAIL = """
MAIL|MAIL FROM|MAIL FROM:|MAIL FROM <a@example.com>|MAIL TO:<a@example.com>|MAIL FROM: a@example.com|MAIL FROM:a@example.com
MAIL FROM: <a@example.com>|mail from:<a@example.com>|MAIL FROM:<>|MAIL FROM:< >|MAIL FROM:<"a b"@example.com>|MAIL FROM:<a b@example.com>
MAIL FROM:<a@example.com|MAIL FROM:a@example.com>|MAIL FROM:<@hop1,@hop2:a@example.com>|MAIL FROM:<a@b@example.com>|MAIL FROM:<a>|MAIL FROM:<@example.com>
MAIL FROM:<a@>|MAIL FROM:<a@[999.2.3.4]>|MAIL FROM:<a@-example.com>|MAIL FROM:<a@example..com>|MAIL FROM:<a@[1.2.3.4]>|MAIL FROM:<a@[IPv6:2001:db8::1]>
MAIL FROM:<a..b@example.com>|MAIL FROM:<a@exa_mple.com>|MAIL FROM:<a@example.com>SIZE=10|MAIL FROM:<a@example.com> <b@example.com>
MAIL FROM:Foo Bar <a@example.com>|MAIL FROM:<a@example.com> SIZE=10240000|MAIL FROM:<a@example.com> SIZE=10240001|MAIL FROM:<a@example.com> SIZE=
MAIL FROM:<a@example.com> SIZE=abc|MAIL FROM:<a@example.com> SIZE=-1|MAIL FROM:<a@example.com> SIZE=99999999999999999999999
MAIL FROM:<a@example.com> BODY=7BIT|MAIL FROM:<a@example.com> BODY=8bitmime|MAIL FROM:<a@example.com> BODY=BINARYMIME|MAIL FROM:<a@example.com> BODY=
MAIL FROM:<a@example.com> RET=FULL ENVID=abc+2B|MAIL FROM:<a@example.com> RET=HDRS RET=FULL|MAIL FROM:<a@example.com> RET=BODY|MAIL FROM:<a@example.com> ENVID=a ENVID=b
MAIL FROM:<a@example.com> ENVID=a+2|MAIL FROM:<a@example.com> ENVID=|MAIL FROM:<a@example.com> AUTH=<>|MAIL FROM:<a@example.com> AUTH=a+40b
MAIL FROM:<a@example.com> AUTH=a AUTH=b|MAIL FROM:<a@example.com> XVERP|MAIL FROM:<a@example.com> SMTPUTF8|MAIL FROM:<a@example.com> SMTPUTF8=1
MAIL FROM:<ü@example.com>|MAIL FROM:<a@ü.example.com>|MAIL FROM:<ü@example.com> SMTPUTF8|MAIL FROM:<a@ü.example.com> SMTPUTF8|MAIL FROM:<a@example.com> FOO=bar
MAIL FROM:<a@example.com> FOO|MAIL FROM:<a@example.com> size=10 body=7bit|MAIL FROM:<a(comment)@example.com>|MAIL FROM:<(c)a@example.com>|MAIL FROM:<"a\\"b"@example.com>
MAIL FROM:<"a@example.com>|MAIL FROM:<a@example.com>>|MAIL FROM:<<a@example.com>>|MAIL FROM:<a@[1.2.3.4>|MAIL FROM:<a@example.com.>|MAIL FROM:<.a@example.com>
MAIL FROM:<a.@example.com>|MAIL FROM:<a@.example.com>|MAIL FROM:<a@127.0.0.1>|MAIL FROM:<a!b>|MAIL FROM:<b!a@example.com>|MAIL FROM:<a%b@example.com>
MAIL FROM:<a,b@example.com>|MAIL FROM:<a;b@example.com>|MAIL FROM:<a:b@example.com>|MAIL FROM:<a@example.com>  SIZE=1|MAIL  FROM:<a@example.com>|MAIL FROM :<a@example.com>
MAIL FROM:<<a@example.com>|MAIL FROM:<a@example.com><|MAIL FROM:<a@example.com>< >|MAIL FROM:<a<b>@example.com>|MAIL FROM:x<a@example.com|MAIL FROM:x<a@example.com>
MAIL FROM:<(<)a@example.com>|MAIL FROM:< a@example.com|MAIL FROM:<@x,@y:a@example.com|MAIL FROM:<"a b|MAIL FROM:"a b"@example.com|MAIL FROM:"a b"|MAIL FROM:<a\\|MAIL FROM:"x<"<a@example.com>
MAIL FROM:<"">|MAIL FROM:<""@example.com>|MAIL FROM:<a\\b@example.com>|MAIL FROM:<group:a@example.com;>
"""
RCPT = """
RCPT|RCPT TO|RCPT TO:|RCPT FROM:<phalice@localhost>|RCPT TO:<>|RCPT TO:<phalice@localhost|RCPT TO: phalice@localhost|RCPT TO:phalice@localhost
RCPT TO:<phalice>|RCPT TO:<postmaster>|RCPT TO:<Postmaster>|RCPT TO:<PHALICE@LOCALHOST>|RCPT TO:<@hop:phalice@localhost>|RCPT TO:<"phalice"@localhost>
RCPT TO:<phalice@[127.0.0.1]>|RCPT TO:<phalice@[IPv6:::1]>|RCPT TO:<phalice%localhost@localhost>|RCPT TO:<localhost!phalice>|RCPT TO:<nosuch@localhost>
RCPT TO:<nosuch@valias.test>|RCPT TO:<a1@valias.test>|RCPT TO:<nosuch@vmbox.test>|RCPT TO:<u1@vmbox.test>|RCPT TO:<u1+x@vmbox.test>|RCPT TO:<phalice+ext@localhost>
RCPT TO:<alice@localhost>|RCPT TO:<alice+x@localhost>|RCPT TO:<fwd@localhost>|RCPT TO:<phalice@localhost> NOTIFY=NEVER
RCPT TO:<phalice@localhost> NOTIFY=SUCCESS,FAILURE,DELAY|RCPT TO:<phalice@localhost> NOTIFY=success|RCPT TO:<phalice@localhost> NOTIFY=NEVER,SUCCESS
RCPT TO:<phalice@localhost> NOTIFY=|RCPT TO:<phalice@localhost> NOTIFY=FOO|RCPT TO:<phalice@localhost> NOTIFY=DELAY NOTIFY=DELAY
RCPT TO:<phalice@localhost> ORCPT=rfc822;phalice+40localhost|RCPT TO:<phalice@localhost> ORCPT=rfc822;|RCPT TO:<phalice@localhost> ORCPT=phalice
RCPT TO:<phalice@localhost> ORCPT=rfc822;a+4|RCPT TO:<phalice@localhost> ORCPT=rfc822;a ORCPT=rfc822;b|RCPT TO:<phalice@localhost> FOO|RCPT TO:<phalice@localhost> SIZE=10
RCPT TO:<phalice@localhost> <phbob@localhost>|RCPT TO:<a b@localhost>|RCPT TO:<a@>|RCPT TO:<@localhost>|RCPT TO:<a@-x.test>|RCPT TO:<ü@localhost>|RCPT TO:<x@far.test>
RCPT TO:<u1@relay.test.>|RCPT TO:<u1@sub.relay.test>|RCPT TO:<moved@localhost>|RCPT TO:<x@error.test>|RCPT TO:<x@retry.test>|RCPT TO:<phalice@mail.example.test>
RCPT TO:<phalice@localhost.example.test>|RCPT TO:<"ph alice"@localhost>|RCPT TO:<phalice@Localhost>|RCPT TO:<double-bounce@localhost>|RCPT TO:<MAILER-DAEMON@localhost>|RCPT TO:<root>
RCPT TO:<<phalice@localhost>|RCPT TO:x<phalice@localhost>|RCPT TO:"phalice"|RCPT TO:<"phalice|RCPT TO:<phalice@localhost><|RCPT TO:x<phalice@localhost
RCPT TO:<phalice@[127.0.0.2]>|RCPT TO:<a@[1.2.3]>|RCPT TO:<a@1.2.3.4>|RCPT TO:<"a@b"@localhost>|RCPT TO:<a@b@localhost>|RCPT TO:<phalice@mbox.test>|rcpt to : <x>
"""
ACCESS = ("ok relay digits dunno phalice phbob rej57 t550 t552 t450 t451 t599 t421 t521 bad1 bad2 defer defer2 defer3 dip dip2 dir "
          "info warn list wir hold prep redir bcc disc filt filt2 prep2 redir2").split()


def variants(text):
    return [v for line in text.strip().split("\n") for v in line.split("|")]


@pytest.mark.parametrize("command", variants(MAIL))
def test_mail(road, command):
    play(road, "smtp", f"EHLO x\n{command}\nMAIL FROM:<again@example.com>\nQUIT")


STRICT = ["MAIL FROM:a@example.com", "MAIL FROM:<@example.com>", "MAIL FROM:Foo <a@example.com>", "MAIL FROM: <a@example.com>",
          "MAIL FROM:<@hop:a@example.com>", "MAIL FROM:<a>", "MAIL FROM:<a(c)@example.com>"]


@pytest.mark.parametrize("command", STRICT)
def test_mail_strict(road, command):
    play(road, "strict", f"EHLO x\n{command}\nQUIT")


@pytest.mark.parametrize("command", variants(RCPT))
def test_rcpt(road, command):
    play(road, "smtp", f"EHLO x\nMAIL FROM:<a@example.com>\n{command}\nQUIT")


@pytest.mark.parametrize("name", ACCESS)
def test_access(road, name):
    play(road, "access", f"EHLO x\nMAIL FROM:<a@example.com>\nRCPT TO:<{name}@localhost>\nRCPT TO:<t550@localhost>\nQUIT")


CHECKS = ["X-Reject: text", "X-Plain: x", "X-Code: x", "X-Warn: x", "X-Discard: x", "X-Info: x", "Subject: ok", "Subject: x\r\n\r\nviagra",
          "no header line", "X: y\r\n folded"]


@pytest.mark.parametrize("line", CHECKS)
def test_content_checks(road, line):
    def run(instance):
        out = dialogue(instance.port(), ["EHLO x", "MAIL FROM:<a@example.com>", "RCPT TO:<u1@discard.test>", "DATA",
                                         (line + "\r\n\r\nbody\r\n.\r\n").encode(), "QUIT"])
        return instance.normal().lines(out)
    road.compare(run)


PATHS = ("<bad", "<a b@c>", "<a@b><", "<a@b>< >", "<<a@b>", "<a<b>@c>", "x<a@b", "<(<)a@b>", '"a b', '<"a', "<a\\", "<a>x", "<a@b x>", "<@>", "<a@b SIZE=3")


def test_path_warnings(road):
    """What is no path at all is refused without a word in the log."""
    def run(instance):
        mark = instance.mark()
        out = dialogue(instance.port(), ["EHLO x", *[f"MAIL FROM:{p}" for p in PATHS], "MAIL FROM:<a@example.com>", *[f"RCPT TO:{p}" for p in PATHS], "QUIT"])
        return out[2:], [line.split("warning: ")[1] for line in instance.log_lines(mark) if "Illegal address" in line]
    road.compare(run)


def test_311_forbidden_commands(road):
    """3.11's default refuses every line that does not start with a letter."""
    if road.ours is None or SELF_CHECK:
        pytest.skip("ours only")
    for first in (b".\r\n", b"*\r\n", b"1\r\n"):
        out = dialogue(road.ours.port("submission"), [first])
        assert out[0].startswith("220 ") and len(out) == 2


LONG_LINES = ["NOOP " + "x" * 2042, "NOOP " + "x" * 2043, "NOOP " + "x" * 2044, b"NOOP \tx\x00z" + b"y" * 2100 + b"\r\n", "MAIL FROM:<a@example.com> " + "x" * 4000, "x" * 2100]


def test_long_line_warnings(road):
    """What is cut off is told, with the line's first bytes."""
    def run(instance):
        mark = instance.mark()
        out = dialogue(instance.port(), ["EHLO x", *LONG_LINES, "QUIT"])
        instance.wait_log(r"smtpd\[\d+\]: disconnect from", mark)
        return out[2:], [line.split("warning: ")[1] for line in instance.log_lines(mark) if "request longer" in line]
    road.compare(run)
