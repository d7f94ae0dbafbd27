# SPDX-License-Identifier: ISC
"""A raw SMTP client: sends exactly the bytes it is told to, keeps every reply."""

import re
import socket


class Smtp:
    """One connection. Replies are strings, lines joined by newline; "EOF" when
    the server closed instead of replying, "TIMEOUT" when it said nothing."""

    def __init__(self, port, host="127.0.0.1", timeout=20, banner=True, source=None):
        self.sock = socket.create_connection(
            (host, port), timeout, (source, 0) if source else None)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = b""
        self.banner = self.reply() if banner else None

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        try:
            self.sock.close()
        except OSError:
            pass

    def settimeout(self, seconds):
        self.sock.settimeout(seconds)

    def send(self, data):
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogateescape")
        try:
            self.sock.sendall(data)
        except OSError:
            pass                    # the next reply() says EOF

    def line(self):
        while b"\n" not in self.buf:
            try:
                got = self.sock.recv(65536)
            except (socket.timeout, TimeoutError):
                return None
            except OSError:
                got = b""
            if not got:
                return ""
            self.buf += got
        text, self.buf = self.buf.split(b"\n", 1)
        return text.rstrip(b"\r").decode("utf-8", "surrogateescape")

    def reply(self):
        lines = []
        while True:
            text = self.line()
            if text is None:
                return "\n".join(lines + ["TIMEOUT"])
            if text == "":
                return "\n".join(lines + ["EOF"])
            lines.append(text)
            if text[3:4] != "-":
                return "\n".join(lines)

    def cmd(self, text):
        self.send((text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")) + b"\r\n")
        return self.reply()

    def raw(self, data, replies=1):
        self.send(data)
        return [self.reply() for _ in range(replies)]

    def data(self, content):
        """Send message content (already with CRLF) and the final dot."""
        if isinstance(content, str):
            content = content.encode()
        if not content.endswith(b"\r\n"):
            content += b"\r\n"
        self.send(content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        return self.reply()

    def mail(self, sender, rcpts, content, options=""):
        """A whole transaction; the last reply."""
        if isinstance(rcpts, str):
            rcpts = [rcpts]
        out = self.cmd(f"MAIL FROM:<{sender}>{options}")
        if not out.startswith("250"):
            return out
        for r in rcpts:
            out = self.cmd(f"RCPT TO:<{r}>")
        out = self.cmd("DATA")
        if not out.startswith("354"):
            return out
        return self.data(content)


def dialogue(port, steps, host="127.0.0.1", timeout=20):
    """Play steps, return the transcript as a list of replies. A step is
    a str: a command line, one reply is read;
    bytes: sent as they are, one reply is read;
    (bytes, n): sent as they are, n replies are read;
    callable: called with the connection, its result is noted.
    After EOF nothing more is sent. The greeting is the first entry."""
    out = []
    with Smtp(port, host, timeout) as c:
        out.append(c.banner)
        for step in steps:
            if out and out[-1].endswith("EOF"):
                break
            if isinstance(step, str):
                out.append(c.cmd(step))
            elif isinstance(step, bytes):
                out.extend(c.raw(step))
            elif callable(step):
                out.append(str(step(c)))
            else:
                data, count = step
                c.send(data)
                for _ in range(count):
                    out.append(c.reply())
                    if out[-1].endswith("EOF"):
                        break
    return out


def send_mail(port, sender, rcpts, content, helo="client.example.test", options="", source=None):
    """EHLO, one message, QUIT; the reply to the final dot."""
    with Smtp(port, source=source) as c:
        c.cmd(f"EHLO {helo}")
        out = c.mail(sender, rcpts, content, options)
        c.cmd("QUIT")
        return out


def logged_dialogue(instance, service, steps):
    """A dialogue with a service of that instance: the replies, and what smtpd logged about the session."""
    start = instance.mark()
    replies = dialogue(instance.port(service), steps)
    instance.wait_log(r"smtpd\[\d+\]: disconnect from", start)
    return replies, [re.sub(r"^.*smtpd\[\d+\]: ", "", line) for line in instance.log_lines(start) if "smtpd[" in line]
