# SPDX-License-Identifier: ISC
"""A scripted server of lookup tables, for tcp:, socketmap: and memcache:.

answers: {request text: action or list of actions}. An action is bytes (sent as they are), CLOSE, HANG (nothing
more is said on this connection) or FLOOD (bytes for as long as the client takes them). A request that is not
there gets `default`. `requests` has every request in the order of arrival."""

import os
import socket
import threading

CLOSE, HANG, FLOOD = object(), object(), object()


def netstring(text):
    data = text.encode() if isinstance(text, str) else text
    return b"%d:%s," % (len(data), data)


class TableServer:
    """framing: "line" (requests end with LF) or "netstring". path: a UNIX socket instead of a port."""

    def __init__(self, answers, default=b"", framing="line", path=None, port=0):
        self.answers, self.default, self.framing = answers, default, framing
        self.requests = []
        self.connections = 0
        self._open = set()
        self._lock = threading.Lock()
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(path)
            os.chmod(path, 0o666)
        else:
            self.socket = socket.socket()
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind(("127.0.0.1", port))
        self.socket.listen(64)
        self.port = None if path else self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        """Stop listening and drop every connection."""
        self.socket.close()
        with self._lock:
            for c in list(self._open):
                try:
                    c.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _accept(self):
        while True:
            try:
                c, _ = self.socket.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.add(c)
            threading.Thread(target=self._serve, args=(c,), daemon=True).start()

    def _serve(self, c):
        try:
            with c, c.makefile("rb") as f:
                while self._one(c, f):
                    pass
        except (OSError, ValueError):
            pass
        with self._lock:
            self._open.discard(c)

    def _request(self, f):
        if self.framing == "line":
            line = f.readline()
            return line.rstrip(b"\r\n").decode("utf-8", "surrogateescape") if line.endswith(b"\n") else None
        digits = b""
        while True:
            b = f.read(1)
            if not b or b == b":":
                break
            digits += b
        return f.read(int(digits) + 1)[:-1].decode("utf-8", "surrogateescape") if digits else None

    def _one(self, c, f):
        text = self._request(f)
        if text is None:
            return False
        self.requests.append(text)
        if self.framing == "line" and text.startswith("set "):
            f.read(int(text.split()[4]) + 2)
        return self._send(c, f, self.answers.get(text, self.default))

    def _send(self, c, f, actions):
        """False: the connection is to end."""
        for a in actions if isinstance(actions, list) else [actions]:
            if a is CLOSE:
                return False
            if a is HANG:
                f.read()
                return False
            if a is FLOOD:
                while True:
                    c.sendall(b"x" * 65536)
            c.sendall(a)
        return True
