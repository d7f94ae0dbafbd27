# SPDX-License-Identifier: ISC
"""A name server for the tests, on a loopback port of its own.

zone: {name: {"A": [address], "AAAA": [...], "MX": [(preference, host)], "TXT": [text],
"CNAME": host}}; {name: "servfail"} fails. Names that are not in it do not exist."""

import ipaddress
import socket
import struct
import threading

TYPES = {1: "A", 5: "CNAME", 15: "MX", 16: "TXT", 28: "AAAA"}
NUMBERS = {v: k for k, v in TYPES.items()}
NXDOMAIN, SERVFAIL = 3, 2


def wire_name(name):
    labels = [label for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"


def wire_data(kind, value):
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(value).packed
    if kind == "MX":
        return struct.pack("!H", value[0]) + wire_name(value[1])
    if kind == "TXT":
        return bytes([len(value)]) + value.encode()
    return wire_name(value)


class Dns:
    def __init__(self, zone):
        self.zone = {k.lower(): v for k, v in zone.items()}
        self.queries = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def write_resolv_conf(self, path):
        with open(path, "w") as f:
            f.write(f"nameserver 127.0.0.1@{self.port}\n")
        return path

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def _serve(self):
        while True:
            try:
                query, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            try:
                self.socket.sendto(self.answer(query), peer)
            except (OSError, IndexError, struct.error):
                pass

    def _records(self, name, kind):
        """(rcode, [(owner, type, data)]) with CNAMEs followed."""
        out = []
        for _ in range(8):
            entry = self.zone.get(name.lower())
            if entry == "servfail":
                return SERVFAIL, []
            if entry is None:
                return (0 if out else NXDOMAIN), out
            if "CNAME" in entry and kind != "CNAME":
                out.append((name, "CNAME", entry["CNAME"]))
                name = entry["CNAME"]
                continue
            return 0, out + [(name, kind, v) for v in entry.get(kind, [])]
        return SERVFAIL, []

    def answer(self, query):
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1"))
            at += 1 + query[at]
        name, end = ".".join(labels), at + 5
        number = struct.unpack("!H", query[at + 1:at + 3])[0]
        self.queries.append((name, TYPES.get(number, number)))
        rcode, records = self._records(name, TYPES.get(number, ""))
        body = b""
        for owner, kind, value in records:
            data = wire_data(kind, value)
            body += wire_name(owner) + struct.pack("!HHIH", NUMBERS[kind], 1, 60, len(data)) + data
        flags = 0x8180 | rcode
        return query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0) + query[12:end] + body
