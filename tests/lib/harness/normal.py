# SPDX-License-Identifier: ISC
"""Normalisers: they hide what must differ between two runs or two instances
(queue IDs, times, process ids, ports, directories, the version number) by
giving each distinct value a name, and hide nothing else."""

import re

MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
DAYS = "Mon|Tue|Wed|Thu|Fri|Sat|Sun"

LOG_PREFIX = re.compile(rf"^(?:{MONTHS}) [ \d]\d \d\d:\d\d:\d\d (\S+) ")
LOG_TAG = re.compile(r"^([^\s\[]+)\[\d+\]: ")

RULES = [
    # RFC 5322 dates
    (re.compile(rf"(?:(?:{DAYS}), +)?\d{{1,2}} (?:{MONTHS}) \d{{4}} \d\d:\d\d:\d\d [+-]\d{{4}}(?: \([A-Z]+\))?"), "DATE"),
    # ctime-like: mailq and postcat
    (re.compile(rf"(?:{DAYS}) (?:{MONTHS}) [ \d]\d \d\d:\d\d:\d\d(?: \d{{4}})?"), "CTIME"),
    (re.compile(r"delay=[\d.]+, delays=[\d.]+/[\d.]+/[\d.]+/[\d.]+"), "delay=D, delays=D/D/D/D"),
    (re.compile(r"\b\d{14}\.(?=QID)"), "STAMP."),
    (re.compile(r"\b1[0-9]{9}(?:\.\d+)?\b"), "UNIXTIME"),
    (re.compile(r"\[(\d{2,7})\](?=:)"), "[PID]"),
    (re.compile(r"\bprocess id \d+"), "process id PID"),
    (re.compile(r"\bpid:? \d+"), "pid PID"),
    (re.compile(r"version 3\.\d+(?:\.\d+)?(?:-\w+)?"), "version V"),
]

# Short queue IDs: five digits of microseconds and the inode, both in hex; long ones.
QID = re.compile(r"\b(?:[0-9A-F]{6,15}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,12}z[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{2,8})\b")


# A message's size counts its queue ID (in Received: and often in Message-Id:), whose
# length follows the inode number: sizes are taken less that.
SIZE = re.compile(r"(?<= )([0-9A-Za-z]+)(: from=<.*>, size=)(\d+)(?=, nrcpt=)")
MESSAGE_ID = re.compile(r": ([0-9A-Za-z]+): message-id=<.*\1")


class Normal:
    """names: literal texts of this instance and what to call them, for example
    its directories and ports. One object names queue IDs consistently."""

    def __init__(self, names=()):
        self.names = sorted(names, key=lambda kv: -len(str(kv[0])))
        self.ids = {}
        self.sizes = {}
        self.stamped = set()        # queue IDs that are part of their Message-Id

    def _qid(self, m):
        text = m.group(0)
        if text.isdigit() and not 9 <= len(text) <= 12:
            return text
        if not any(c.isdigit() for c in text):
            return text
        return self.ids.setdefault(text, f"QID{len(self.ids) + 1}")

    def text(self, s):
        if isinstance(s, bytes):
            s = s.decode("utf-8", "backslashreplace")
        for literal, name in self.names:
            literal = str(literal)
            if literal.isdigit():
                s = re.sub(rf"(?<![\d.]){literal}(?!\d)", name, s)
            else:
                s = s.replace(literal, name)
        s = re.sub(r"\bSIZE=(\d+)", lambda m: "SIZE=" + self.sizes.get(m.group(1), m.group(1)), s)
        s = re.sub(r"\b(1\d{9})(?:\.\d+)?\b", "UNIXTIME", s)
        s = QID.sub(self._qid, s)
        for pattern, by in RULES:
            s = pattern.sub(by, s)
        return s

    def _size(self, m):
        qid, mid, size = m.groups()
        own = len(qid) * (2 if qid in self.stamped else 1)
        self.sizes[size] = f"{int(size) - own}+ID"
        return f"{qid}{mid}{self.sizes[size]}"

    def lines(self, items):
        return [self.text(i) for i in items]

    def log_line(self, line):
        """(program tag, text) of one log line."""
        rest = LOG_PREFIX.sub("", line)
        m = MESSAGE_ID.search(rest)
        if m:
            self.stamped.add(m.group(1))
        rest = SIZE.sub(self._size, rest)
        m = LOG_TAG.match(rest)
        if not m:
            return "?", self.text(line)
        return m.group(1), self.text(rest[m.end():])

    def log(self, lines, drop=()):
        """Log lines by program tag: what one program says keeps its order, how the
        lines of different programs interleave is not fixed."""
        out = {}
        for line in lines:
            tag, text = self.log_line(line)
            if any(re.search(d, text) for d in drop):
                continue
            out.setdefault(tag, []).append(text)
        return out
