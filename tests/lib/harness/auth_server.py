# SPDX-License-Identifier: ISC
"""A scripted login server that speaks the protocol of Dovecot's, for smtpd_sasl_type = dovecot.

answers: {user: action or list of actions} as in table_server; "@id@" in bytes is the number of the request. Who is not there and has the
password "secret" is let in, others are not. Mechanisms: PLAIN, LOGIN, and whatever else is announced: that gets one challenge, CHALLENGE,
and then the user is all that came back before a blank. `lines` has every line that a client sent, without the number of its process."""

import base64
import re
import select
import socket

from .table_server import CLOSE, TableServer

CHALLENGE = base64.b64encode(b"<1.2@mail.example.test>")
MECHANISMS = {"PLAIN": "plaintext", "LOGIN": "plaintext", "CRAM-MD5": "dictionary\tactive", "XOAUTH2": ""}


def greeting(mechanisms=None, version="1\t2", before="", after="SPID\t77\nCUID\t1\nCOOKIE\t00112233445566778899aabbccddeeff\n", done="DONE\n"):
    lines = "".join(f"MECH\t{name}{properties and chr(9) + properties}\n" for name, properties in (MECHANISMS if mechanisms is None else mechanisms).items())
    return f"VERSION\t{version}\n{before}{lines}{after}{done}".encode()


def plain(user, password="secret", authorize=""):
    return base64.b64encode(f"{authorize}\0{user}\0{password}".encode()).decode()


def b64(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


class AuthServer(TableServer):
    def __init__(self, answers=None, hello=None, **kw):
        self.hello = greeting() if hello is None else hello
        self.lines = []
        super().__init__(answers or {}, **kw)

    def clear(self):
        self.lines.clear()

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)      # nobody is accepted any more
        except OSError:
            pass
        super().close()

    def idle(self):
        """Has all been read that clients have sent?"""
        with self._lock:
            return not any(select.select([c], [], [], 0)[0] for c in self._open if c.fileno() >= 0)

    def _answer(self, c, f, actions, number):
        actions = actions if isinstance(actions, list) else [actions]
        return self._send(c, f, [a.replace(b"@id@", number) if isinstance(a, bytes) else a for a in actions])

    def _serve(self, c):
        try:
            with c, c.makefile("rb") as f:
                if self.hello is CLOSE or isinstance(self.hello, list) and CLOSE in self.hello:
                    f.readline(), f.readline()          # whether a client could still write is not left to chance
                if self._send(c, f, self.hello):
                    self._talk(c, f, {})
        except (OSError, ValueError):
            pass
        with self._lock:
            self._open.discard(c)

    def _talk(self, c, f, pending):
        while True:
            line = f.readline()
            if not line.endswith(b"\n"):
                return
            self.lines.append(re.sub(r"^CPID\t\d+$", "CPID\tPID", line[:-1].decode("utf-8", "surrogateescape")))
            field = line[:-1].split(b"\t")
            if field[0] == b"AUTH":
                response = next((v[5:] for v in field if v.startswith(b"resp=")), None)
                pending[field[1]] = [field[2].upper(), []]
            elif field[0] == b"CONT" and field[1] in pending:
                response = field[2]
            else:
                continue
            if not self._step(c, f, pending, field[1], response):
                return

    def _step(self, c, f, pending, number, response):
        mechanism, got = pending[number]
        if response is not None:
            got.append(base64.b64decode(response))
        prompts = {b"PLAIN": [b""], b"LOGIN": [b"VXNlcm5hbWU6", b"UGFzc3dvcmQ6"]}.get(mechanism, [CHALLENGE])
        if len(got) < len(prompts):
            return self._answer(c, f, b"CONT\t@id@\t" + prompts[len(got)] + b"\n", number)
        del pending[number]
        if mechanism == b"PLAIN":
            parts = got[0].split(b"\0")
            user, password = (parts + [b"", b"", b""])[1:3]
        elif mechanism == b"LOGIN":
            user, password = got
        else:
            user, password = got[0].split(b" ")[0], b"secret"
        reply = b"OK\t@id@\tuser=" + user + b"\n" if password == b"secret" else b"FAIL\t@id@\tuser=" + user + b"\n"
        return self._answer(c, f, self.answers.get(user.decode("utf-8", "surrogateescape"), reply), number)
