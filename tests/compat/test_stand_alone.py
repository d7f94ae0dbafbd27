# SPDX-License-Identifier: ISC
"""sendmail -bs: an ordinary user speaks SMTP on standard input while the mail system is down. Replies, what is said on
standard error, and the queue files in maildrop."""

import glob
import os
import re
import subprocess

import pytest
from harness import Batch, Pair

from test_multi import Host

MAIL = b"MAIL FROM:<a@b.test>\r\nRCPT TO:<u@far.test>\r\n"
CASES = {
    "quit": b"QUIT\r\n",
    "nothing": b"",
    "end of input": b"EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<u@far.test>\r\n",
    "end of input in a message": b"EHLO x\r\n" + MAIL + b"DATA\r\nSubject: x\r\n\r\nhalf",
    "commands": b"EHLO x\r\nVRFY alice\r\nVRFY <nosuch@localhost>\r\nETRN relay.test\r\nETRN bad..name\r\nXCLIENT NAME=x\r\nXFORWARD NAME=x\r\nAUTH PLAIN\r\nSTARTTLS\r\n"
                b"NOOP\r\nFOO\r\nDATA\r\nRSET\r\nQUIT\r\n",
    "no helo": MAIL + b"DATA\r\nSubject: x\r\n\r\ntext\r\n.\r\nQUIT\r\n",
    "helo": b"HELO y\r\n" + MAIL + b"RCPT TO:<v@far.test>\r\nDATA\r\nSubject: x\r\n\r\ntext\r\n.\r\nQUIT\r\n",
    "esmtp": b"EHLO x\r\nMAIL FROM:<a@b.test> BODY=8BITMIME RET=HDRS ENVID=abc SIZE=100 AUTH=<>\r\nRCPT TO:<x@far.test> NOTIFY=FAILURE ORCPT=rfc822;x+2By@far.test\r\n"
             b"RCPT TO:<nosuch@localhost> NOTIFY=NEVER\r\nDATA\r\nFrom: foo@bar\r\nSubject: x\r\n\r\nhello \xe4\r\n..dot\r\n" + b"x" * 3000 + b"\r\n.\r\nQUIT\r\n",
    "no pipelining check": b"HELO x\r\nNOOP\r\nMAIL FROM:<>\r\nRCPT TO:<u@far.test>\r\nDATA\r\nSubject: x\r\n\r\n\r\n.\r\nNOOP\r\nQUIT\r\n",
    "bdat": b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<z@z>\r\nBDAT 10\r\nSubject: aBDAT 9 LAST\r\n\r\na\r\nabcd" + MAIL + b"BDAT 4\r\nabcdRSET\r\nQUIT\r\n",
    "too large": b"HELO x\r\nMAIL FROM:<a@b.test> SIZE=99999999\r\nQUIT\r\n",
    "refused": b"EHLO x\r\nMAIL FROM:<a@b.test> XVERP\r\nMAIL FROM:<@@>\r\nMAIL FROM:<a@b.test> FOO\r\n"
               b"MAIL FROM:<a@b.test>\r\nRCPT TO:<@@>\r\nRCPT TO:<u@far.test> FOO\r\nRCPT TO:u@nowhere.invalid\r\nRCPT TO:<a%b@c>\r\nQUIT\r\n",
    "any domain": b"EHLO x\r\n" + b"".join(b"MAIL FROM:<" + a + b">\r\nRCPT TO:<" + a + b">\r\nVRFY <" + a + b">\r\nRSET\r\n" for a in
                  (b"@@", b"a@@b", b"a@b..c", b"a@[1.2]", b"a b@c", b"a@1.2.3.4", "\u00fc@\u00fc".encode(), b"a@", b"", b"(")) + b"QUIT\r\n",
    "reset": b"EHLO x\r\n" + MAIL + b"RSET\r\n" + MAIL + b"DATA\r\nSubject: y\r\n\r\n.\r\nQUIT\r\n",
    "separator": b"EHLO x\r\n" + MAIL + b"DATA\r\nFrom a Mon\r\nSubject: y\r\n\r\nz\r\n.\r\nQUIT\r\n",
    "no header": b"EHLO x\r\n" + MAIL + b"DATA\r\n text\r\n.\r\nQUIT\r\n",
    "bare line feeds": b"EHLO x\n" + MAIL.replace(b"\r", b"") + b"DATA\nSubject: y\n\nz\n.\r\nQUIT\r\n",
    "unicode": "EHLO x\r\nMAIL FROM:<ü@b.test> SMTPUTF8\r\nRCPT TO:<é@far.test>\r\nDATA\r\nSubject: é\r\n\r\n.\r\nQUIT\r\n".encode(),
    "errors": b"EHLO x\r\n" + b"FOO\r\n" * 9 + b"QUIT\r\n",
}


EXPECTED = {
    # The reference comes to a sudden end.
    "too large": [["220 mail.example.test ESMTP Postfix", "250 mail.example.test", "552 5.3.4 Message size exceeds fixed limit", "221 2.0.0 Bye", ""], "", []],
}


class User:
    """A configuration of its own for each case, so that they can run side by side."""

    def __init__(self, instance, name):
        self.host = Host(instance, name)
        self.instance = instance
        self.host.write("postfix/main.cf", self.host.read("postfix/main.cf") + "myhostname = mail.example.test\n")

    def run(self, text):
        h, i = self.host, self.instance
        env = i.env(ASAN_OPTIONS=i.env()["ASAN_OPTIONS"])
        del env["MAIL_CONFIG"]
        for path in (f"{h.base}/etc/postfix/main.cf", f"{h.base}/etc/postfix/master.cf"):
            os.utime(path, (1e9, 1e9))
        argv = h.argv("sendmail", "-bs")
        at = argv.index(i.suite.prog("sendmail"))
        argv[at:at] = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]
        p = subprocess.run(argv, input=text, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, cwd="/")
        normal = i.normal()
        # A sanitizer says that it cannot look for leaks in a set-gid program.
        said = re.sub(rb"(?m)^==\d+==.*\n", b"", p.stderr)
        return [normal.text(p.stdout).split('\r\n'), normal.text(said), [self.queue_file(normal, f) for f in self.files()]]

    def files(self):
        return sorted(glob.glob(f"{self.host.base}/spool/postfix/maildrop/*"), key=os.path.getmtime)

    def queue_file(self, normal, path):
        with open(path, "rb") as f:
            found = records(f.read())
        if not self.instance.suite.is_ours:     # 3.11 says what is not ASCII (facts: queue-file)
            found = [(k, t.replace(b"rfc822;", b"utf-8;") if not t.isascii() else t) for k, t in found]
        st = os.stat(path)
        return oct(st.st_mode), st.st_uid, [kind + (normal.text(text.decode("latin-1")) if kind != "T" else "") for kind, text in found]


def records(content):
    """[(type, payload)]"""
    out = []
    while content:
        length = shift = 0
        for at, byte in enumerate(content[1:], 1):
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        out.append((chr(content[0]), content[at + 1:at + 1 + length]))
        content = content[at + 1 + length:]
    return out


@pytest.fixture(scope="module")
def batch():
    if os.getuid() != 0:
        pytest.skip("needs root")
    pair = Pair(smtpd={})
    try:
        yield Batch(pair, {name: lambda instance, name=name, text=text: User(instance, re.sub(r"\W", "-", name)).run(text)
                           for name, text in CASES.items()}, workers=6)
    finally:
        pair.destroy()


@pytest.mark.parametrize("name", CASES)
def test_dialogue(batch, name):
    batch.compare(name, EXPECTED.get(name))
