# SPDX-License-Identifier: ISC
"""A scripted policy server: requests are blocks of name=value lines, ended by an empty line.

answers: {key: action or list of actions} as in table_server; the key is the local part of the request's recipient, else
that of its sender, else its helo_name. A str action is sent as "action=TEXT" and an empty line."""

from .table_server import TableServer


class PolicyServer(TableServer):
    def __init__(self, answers, default="DUNNO", **kw):
        full = {k: [self._bytes(a) for a in (v if isinstance(v, list) else [v])] for k, v in answers.items()}
        self.blocks = []                    # every request as it came: a list of lines
        super().__init__(full, self._bytes(default), **kw)

    @staticmethod
    def _bytes(action):
        return f"action={action}\n\n".encode("utf-8", "surrogateescape") if isinstance(action, str) else action

    def _request(self, f):
        lines = []
        while True:
            line = f.readline()
            if not line.endswith(b"\n"):
                return None
            if line == b"\n":
                break
            lines.append(line[:-1].decode("utf-8", "surrogateescape"))
        self.blocks.append(lines)
        values = dict(line.split("=", 1) for line in lines if "=" in line)
        for name in ("recipient", "sender", "helo_name"):
            if values.get(name):
                return values[name].split("@")[0]
        return "connect"

    def clear(self):
        self.blocks.clear()
        self.requests.clear()
