# SPDX-License-Identifier: ISC
"""A Milter that makes the same edits to every message: for queue files with pointer records."""

import socket
import struct
import threading

# Milter protocol version 6: commands and replies are one letter each.
CONTINUE, ACCEPT = b"c", b"a"
ACTIONS = 0x1FF         # add and change headers, body, sender, recipients ...


def words(*texts):
    return b"".join(t.encode() + b"\0" for t in texts)


def add_header(name, value):
    return b"h" + words(name, value)


def insert_header(at, name, value):
    return b"i" + struct.pack("!I", at) + words(name, value)


def change_header(number, name, value):
    return b"m" + struct.pack("!I", number) + words(name, value)


def change_sender(address):
    return b"e" + words(f"<{address}>")


def add_recipient(address):
    return b"+" + words(f"<{address}>")


def delete_recipient(address):
    return b"-" + words(f"<{address}>")


def replace_body(data):
    return b"b" + data


class Milter:
    """edits: {word in the message's header: replies at its end}."""

    def __init__(self, edits):
        self.edits = {k.encode(): v for k, v in edits.items()}
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                c, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(c,), daemon=True).start()

    def _serve(self, c):
        header = b""
        with c, c.makefile("rb") as f:
            while True:
                head = f.read(4)
                if len(head) < 4:
                    return
                data = f.read(struct.unpack("!I", head)[0])
                command = data[:1]
                replies = [CONTINUE]
                if command == b"O":
                    version, = struct.unpack("!I", data[1:5])
                    replies = [b"O" + struct.pack("!III", min(6, version), ACTIONS, 0)]
                elif command == b"L":
                    header += data[1:]
                elif command == b"E":
                    replies = [r for k, v in self.edits.items() if k in header for r in v] + [ACCEPT]
                    header = b""
                elif command in (b"D", b"A", b"K"):
                    header = b"" if command == b"A" else header
                    continue
                elif command == b"Q":
                    return
                for r in replies:
                    c.sendall(struct.pack("!I", len(r)) + r)
