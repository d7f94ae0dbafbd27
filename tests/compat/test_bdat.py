# SPDX-License-Identifier: ISC
"""How many bytes the reply to the last chunk counts: a line longer than line_length_limit is several, wherever it is cut."""

import re

import pytest
from harness import Smtp

H = b"S: x\r\n\r\n"
CASES = {
    "short": [H, b"xxx", b"yyy\r\n"],
    "divided line end": [H, b"xxx\r", b"\nyyy\r\n"],
    "3000": [H + b"x" * 3000 + b"\r\n"],
    "3000 without end": [H + b"x" * 3000],
    "3000 by 100": [H] + [b"x" * 100] * 30 + [b"\r\n"],
    "3000 by 1000": [H] + [b"x" * 1000] * 3 + [b"\r\n"],
    "2047": [H, b"x" * 2047, b"\r\n"],
    "2048": [H, b"x" * 2048, b"\r\n"],
    "2049": [H, b"x" * 2049, b"\r\n"],
    "2048 without end": [H, b"x" * 2048],
    "2049 without end": [H, b"x" * 2049],
    "2047 and one": [H, b"x" * 2047, b"x"],
    "2048 and one": [H, b"x" * 2048, b"x\r\n"],
    "2047 and a divided end": [H, b"x" * 2047 + b"\r", b"\n"],
    "2048 and a divided end": [H, b"x" * 2048 + b"\r", b"\n"],
    "4096": [H] + [b"x" * 1024] * 4 + [b"\r\n"],
    "6144": [H] + [b"x" * 1024] * 6 + [b"\r\n"],
    "10000 by 10": [H] + [b"x" * 10] * 1000 + [b"\r\n"],
    "two lines": [H] + [b"x" * 1500] * 2 + [b"\r\n"] + [b"y" * 1500] * 2 + [b"\r\n"],
    "long header": [b"S: " + b"x" * 5000 + b"\r\n\r\n"],
}


@pytest.mark.parametrize("case", CASES)
def test_size(road, case):
    chunks = CASES[case]

    def run(instance):
        with Smtp(instance.port("smtp")) as c:
            c.cmd("EHLO x")
            c.cmd("MAIL FROM:<a@example.com>")
            c.cmd("RCPT TO:<u@discard.test>")
            replies = []
            for n, chunk in enumerate(chunks):
                c.send(b"BDAT %d%s\r\n" % (len(chunk), b" LAST" if n == len(chunks) - 1 else b"") + chunk)
                replies.append(c.reply())
            c.cmd("QUIT")
        return [re.sub(r"as \w+$", "as QID", r) for r in replies]
    road.compare(run)
