# SPDX-License-Identifier: ISC
"""8-bit content for servers without 8BITMIME, byte for byte: smtp(8) and lmtp(8) of the reference and ours."""

import pytest
from harness import Flow, Flows

VARIANTS = {"plain": {}}
E = "\u00e9"
EIGHT = "Content-Transfer-Encoding: 8bit"
MULTI = "Content-Type: multipart/mixed; boundary=b1"


def top(body, head=EIGHT):
    return f"Subject: s\n{head}\nMessage-Id: <m@x>\n\n{body}"


def part(head, body, of=EIGHT):
    return f"{MULTI}\n{of}\nX-Last: 1\n\npre {E}\n--b1\n{head}\n\n{body}--b1--\nepilogue {E} =\n"


CONTENT = {
    "plain": top(f"h{E}llo = equal\ntrailing space \ntrailing tab\t\ninner\ttab\nFrom here\n.dot\n..\n\x01 \x7f\n"),
    "lengths": top("".join("x" * n + "\n" for n in range(68, 82)) + "".join("x" * n + " \n" for n in range(70, 78)) + "".join("x" * n + E + "\n" for n in range(70, 78))),
    "soft": top(E * 30 + "\n" + "x" * 300 + "\n" + ("word " * 40) + "\n" + "=" * 100 + "\n" + " " * 200 + "\n" + "\t" * 80 + "\n"),
    "longline": top("y" * 5000 + E + "\n" + " " * 2048 + "\n" + "z" * 2047 + " \n" + "z" * 2047 + "  z\n"),
    "nofinal": top(f"a\nlast {E}"), "empty": top(""), "blank": top("\n \n\n"), "nul": top(f"a\x00b{E}\n"), "binary": top(f"{E}\n", "Content-Transfer-Encoding: BINARY"), "folded": top(f"{E}\n", "Content-Transfer-Encoding:\n 8bit"),
    "comment": top(f"{E}\n", "Content-Transfer-Encoding: (x) 8bit (y)"), "quoted": top(f"{E}\n", 'Content-Transfer-Encoding: "8bit"'), "twice": top(f"{E}\n", EIGHT + "\nContent-Transfer-Encoding: 7bit"), "twice2": top(f"{E}\n", "Content-Transfer-Encoding: 7bit\nX: y\n" + EIGHT),
    "seven": top(f"{E}\n", "Content-Transfer-Encoding: 7bit"), "none": top(f"{E}\n", "X: y"), "qp": top(f"{E}=\n", "Content-Transfer-Encoding: quoted-printable"), "odd": top(f"{E}\n", "Content-Transfer-Encoding: x-odd"), "header8": top(f"{E}\n", f"X: {E}\n{EIGHT}"),
    "text": top(f"{E}\n", f"Content-Type: text/plain; charset=utf-8\n{EIGHT}"), "part8": part(EIGHT, f"{E} =\n"), "part7": part("X: y", f"{E} =\n"), "partb64": part("Content-Transfer-Encoding: base64", f"{E} =\n"), "of7": part(EIGHT, f"{E} =\n", "X: y"), "partnone": part("", f"{E}\n").replace("--b1\n\n\n", "--b1\n\n"),
    "twoparts": part(EIGHT, f"{E} =\n--b1\n{EIGHT}\nX: y\n\n{E}\n--b1\n\n{E}\n"), "message": part("Content-Type: message/rfc822\n" + EIGHT, f"Subject: {E}\nContent-Transfer-Encoding: binary\nX: y\n\n{E}\n"),
    "message7": part("Content-Type: message/rfc822", f"Subject: in\n{EIGHT}\n\n{E}\n"), "partial": part("Content-Type: message/partial\n" + EIGHT, f"Subject: in\n\n{E}\n"), "toprfc822": top(f"Subject: n\n{EIGHT}\n\n{E}\n", "Content-Type: message/rfc822\n" + EIGHT),
    "nested": part(MULTI.replace("b1", "b2") + "\n" + EIGHT, f"--b2\n{EIGHT}\n\n{E}\n--b2--\n{E}\n"), "unended": part(EIGHT, f"{E}\n--b1\n{EIGHT}\nno header {E}\n"), "headeronly": part("X: y", "z\n") .split("\n--b1\n")[0] + f"\n--b1\n{EIGHT}\nX: z", "boundaryline": part(EIGHT, f"--b1x {E}\nX: y\n\n{E}\n"),
    "digest": f"Content-Type: multipart/digest; boundary=b1\n{EIGHT}\n\n--b1\n\nSubject: {E}\n{EIGHT}\n\n{E}\n--b1--\n", "dots": top(f".{E}\n.\n..\n{'x' * 73}.y\n"), "cr": top(f"a\rb{E}\n"), "spaces": top(f"a  \nb \t\n{E} \n \n\t\n"), "mime": f"MIME-Version: 1.0\nContent-Type: text/html\n{EIGHT}\nTo: a@x.test\n\n{E}\n",
    "deep": "".join(f"{MULTI.replace('b1', f'b{i}')}\n{EIGHT}\n\n--b{i}\n" for i in range(8)) + f"{EIGHT}\n\n{E}\n",
}
FLOWS = {}
for where in ("old", "new", "off", "lmtp", "size"):
    for name, content in CONTENT.items():
        if where == "old" or name in ("plain", "part8", "none", "qp"):
            FLOWS[f"{where}-{name}"] = Flow(rcpts=f"r@{where}.test", content=content)
FLOWS["declared"] = Flow(rcpts="r@old.test", content=top(f"{E} =\n", "X: y"), options=" BODY=8BITMIME")
FLOWS["declared7"] = Flow(rcpts="r@old.test", content=top(f"{E} =\n", "X: y"), options=" BODY=7BIT")
FLOWS["declared7-8"] = Flow(rcpts="r@old.test", content=top(f"{E} =\n"), options=" BODY=7BIT")

MAIN = {"transport_maps": "inline:{ {old.test=smtp:[127.0.0.1]:@old@} {new.test=smtp:[127.0.0.1]:@sink@} {off.test=smtpoff:[127.0.0.1]:@old@} {lmtp.test=lmtp:[127.0.0.1]:@lmtp@} {size.test=smtp:[127.0.0.1]:@size@} }"}
MASTER = "smtpoff unix - - n - - smtp\n  -o disable_mime_output_conversion=yes\n"
SINKS = {"sink": {"keywords": ("PIPELINING", "8BITMIME")}, "old": {"keywords": ("PIPELINING",)}, "size": {"keywords": ("PIPELINING", "SIZE 1000000")}, "lmtp": {"keywords": ("PIPELINING",), "lmtp": True}}


@pytest.fixture(scope="module")
def flows():
    with Flows(FLOWS, VARIANTS, main=MAIN, master=MASTER, sinks=SINKS) as f:
        yield f


@pytest.mark.parametrize("name", FLOWS)
def test_flow(flows, name):
    flows.compare(name)
