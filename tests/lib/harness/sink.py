# SPDX-License-Identifier: ISC
"""An SMTP or LMTP server for the tests. Replies can be scripted by recipient
(local parts such as rej550, tmp450) or by a hook that sees every command."""

import re
import socket
import threading


class Message:
    def __init__(self):
        self.sender = None
        self.rcpts = []
        self.mail_line = None
        self.rcpt_lines = []
        self.content = b""

    def __repr__(self):
        return f"<{self.sender} -> {self.rcpts}, {len(self.content)} bytes>"


class Sink:
    """hook(verb, line, session) may return a reply (str), "close", or None for
    the usual reply. verb is upper case; "GREETING" and "DOT" are asked too."""

    def __init__(self, keywords=("PIPELINING", "SIZE 10240000", "8BITMIME", "DSN"),
                 hook=None, lmtp=False, host="127.0.0.1", port=0, unix=None):
        self.keywords = list(keywords)
        self.hook = hook
        self.lmtp = lmtp
        self.messages = []
        self.sessions = []          # each a list of lines as received
        self.changed = threading.Condition()
        self.open = 0               # sessions
        if unix:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(unix)
            self.listener.listen(256)
            self.port = unix
        else:
            self.listener = socket.create_server((host, port), backlog=256)
            self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def clear(self):
        with self.changed:
            self.messages.clear()
            self.sessions.clear()

    def wait(self, count=1, timeout=30):
        """Wait until that many messages have arrived; they are returned."""
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.messages) >= count, timeout):
                raise AssertionError(f"sink has {len(self.messages)} messages, not {count}, after {timeout} s")
            return list(self.messages)

    def _accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            self._count(1)
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def wait_quiet(self, timeout=20):
        """Wait until every session has ended: clients say QUIT after they have told what became of the mail."""
        with self.changed:
            if not self.changed.wait_for(lambda: self.open == 0, timeout):
                raise AssertionError(f"{self.open} sessions with the sink are still open after {timeout} s")

    def _count(self, n):
        with self.changed:
            self.open += n
            self.changed.notify_all()

    def _serve(self, conn):
        try:
            _Session(self, conn).run()
        except OSError:
            pass
        finally:
            conn.close()
            self._count(-1)


class _Session:
    def __init__(self, sink, conn):
        self.sink = sink
        self.conn = conn
        if conn.family != socket.AF_UNIX:       # replies to pipelined commands wait for nobody
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = conn.makefile("rb")
        self.log = []
        self.msg = Message()
        with sink.changed:
            sink.sessions.append(self.log)

    def say(self, text):
        self.conn.sendall(text.replace("\n", "\r\n").encode("utf-8", "surrogateescape") + b"\r\n")

    def usual(self, verb, line):
        if verb == "GREETING":
            return "220 sink.example.test ESMTP"
        if verb in ("EHLO", "LHLO"):
            lines = ["sink.example.test"] + self.sink.keywords
            return "\n".join("250" + ("-" if i < len(lines) - 1 else " ") + t for i, t in enumerate(lines))
        if verb == "HELO":
            return "250 sink.example.test"
        if verb == "RCPT":
            m = re.search(r"<(?:rej|tmp)(\d\d\d)[^>]*>", line)
            if m:
                code = m.group(1)
                return f"{code} {code[0]}.1.1 scripted reply"
            return "250 2.1.5 Ok"
        if verb == "DATA":
            return "354 go on" if self.msg.rcpts else "554 5.5.1 no valid recipients"
        if verb == "DOT":
            return "250 2.0.0 queued as SINK"
        if verb == "QUIT":
            return "221 2.0.0 Bye"
        if verb in ("MAIL", "RSET", "NOOP", "XFORWARD"):
            return "250 2.0.0 Ok"
        return "500 5.5.2 unknown"

    def reply(self, verb, line):
        text = self.sink.hook(verb, line, self) if self.sink.hook else None
        return self.usual(verb, line) if text is None else text

    def answer(self, verb, line):
        text = self.reply(verb, line)
        if text != "close":
            self.say(text)
        return text

    def run(self):
        if self.answer("GREETING", "") == "close":
            return
        while True:
            raw = self.file.readline()
            if not raw:
                return
            line = raw.rstrip(b"\r\n").decode("utf-8", "surrogateescape")
            self.log.append(line)
            verb = line.split(" ")[0].split(":")[0].upper()
            if verb in ("EHLO", "HELO", "LHLO", "RSET"):
                self.msg = Message()
            text = self.answer(verb, line)
            if text == "close" or verb == "QUIT" or text.startswith("421"):
                return
            if verb == "MAIL" and text[0] == "2":
                self.msg = Message()
                self.msg.sender = re.search(r"<(.*?)>", line).group(1)
                self.msg.mail_line = line
            elif verb == "RCPT" and text[0] == "2":
                self.msg.rcpts.append(re.search(r"<(.*?)>", line).group(1))
                self.msg.rcpt_lines.append(line)
            elif verb == "DATA" and text[0] == "3":
                if not self.content():
                    return

    def content(self):
        body = []
        while True:
            raw = self.file.readline()
            if not raw:
                return False
            if raw == b".\r\n":
                break
            body.append(raw[1:] if raw.startswith(b".") else raw)
        self.msg.content = b"".join(body)
        self.log.append(".")
        times = len(self.msg.rcpts) if self.sink.lmtp else 1
        replies = [self.reply("DOT", ".") for _ in range(times)]
        if replies[-1][0] == "2" and self.msg.content:     # known before the client hears of it
            with self.sink.changed:
                self.sink.messages.append(self.msg)
                self.sink.changed.notify_all()
        self.msg = Message()
        for text in replies:
            if text == "close":
                return False
            self.say(text)
        return True
