# SPDX-License-Identifier: ISC
"""As much of a MongoDB server as a client needs that only reads: the handshake, and find with equality, $or and a projection
of names, in the wire protocol of versions 3.6 and later (no distribution that we test on has the real one)."""

import socket
import struct
import threading

import bson

OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
HELLO = {"ismaster": True, "isWritablePrimary": True, "maxBsonObjectSize": 16777216, "maxMessageSizeBytes": 48000000, "maxWriteBatchSize": 100000,
         "minWireVersion": 0, "maxWireVersion": 13, "readOnly": False, "ok": 1.0}


def has(document, field, value):
    got = document.get(field)
    return got == value or (isinstance(got, list) and value in got)


def matches(document, wanted):
    return all(any(matches(document, w) for w in v) if k == "$or" else has(document, k, v) for k, v in wanted.items())


def project(document, fields):
    names = [k for k, v in fields.items() if v and k != "_id"]
    return {k: v for k, v in document.items() if k in names or (not names and k != "_id")}


class Mongo:
    """collections: {"db.collection": [documents]}. fault(command) may return "close", "hang", bytes sent as they are, or a
    document in place of the answer to find."""

    def __init__(self, collections):
        self.collections = collections
        self.fault = None
        self.finds = []
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.ended = threading.Event()
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.ended.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        with peer, peer.makefile("rb") as stream:
            while len(head := stream.read(16)) == 16:
                size, request, _, code = struct.unpack("<iiii", head)
                body = stream.read(size - 16)
                if code == OP_QUERY:        # int32 flags, name, int32 skip, int32 count, document
                    document = bson.BSON(body[body.index(b"\0", 4) + 9:]).decode()
                else:                       # uint32 flags, byte 0, document
                    document = bson.BSON(body[5:]).decode()
                answer = self.answer(document)
                if answer == "hang":
                    self.ended.wait(60)
                if answer in ("close", "hang"):
                    return
                if not isinstance(answer, bytes):
                    data = bson.BSON.encode(answer)
                    data = struct.pack("<iqii", 8, 0, 0, 1) + data if code == OP_QUERY else struct.pack("<iB", 0, 0) + data
                    answer = struct.pack("<iiii", len(data) + 16, 1, request, OP_REPLY if code == OP_QUERY else OP_MSG) + data
                peer.sendall(answer)

    def answer(self, command):
        if "find" not in command:
            return HELLO
        self.finds.append(command)
        fault = self.fault(command) if self.fault else None
        if fault is not None:
            return fault
        where = f"{command['$db']}.{command['find']}"
        found = [project(d, command.get("projection", {})) for d in self.collections.get(where, []) if matches(d, command["filter"])]
        return {"cursor": {"id": bson.int64.Int64(0), "ns": where, "firstBatch": found}, "ok": 1.0}
