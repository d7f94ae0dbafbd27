# SPDX-License-Identifier: ISC
"""smtp_header_checks, smtp_mime_header_checks, smtp_nested_header_checks, smtp_body_checks and those of lmtp: every action of
header_checks(5), what the client makes of those that it does not have, and the order of checks, generic maps and conversion."""

import pytest
from harness import Flow, Flows

E = "\u00e9"
EIGHT = "Content-Transfer-Encoding: 8bit"
ACTIONS = {
    "bcc": "BCC hbcc@x.test", "discard": "DISCARD", "dunno": "DUNNO text", "ok": "OK", "filter": "FILTER smtp:[127.0.0.1]:9", "hold": "HOLD", "ignore": "IGNORE text",
    "info": "INFO", "infot": "INFO text here", "pass": "PASS why", "prepend0": "PREPEND", "prependbad": "PREPEND bad text", "redirect": "REDIRECT red@x.test",
    "reject": "REJECT text", "replace0": "REPLACE", "replacebad": "REPLACE bad text", "strip": "STRIP", "stript": "STRIP why not", "warn": "WARN", "warnt": "WARN warned text",
    "unknown": "FROBNICATE x", "lower": "warn lower case", "empty": "   ", "longtext": "WARN " + "t" * 300, "ctl": "WARN a\tb",
}


def table(where, prefix):
    more = {"prepend": "PREPEND " + ("a line before" if where == "body" else "X-Pre: yes"),
            "replace": "REPLACE " + ("new ${1}" if where == "body" else "X-New: ${1}"), "replacelong": "REPLACE X-L: " + "l" * 1200}
    return "".join(f"/^{prefix}W-({name})(?:$|[^a-z0-9])/ {value}\n" for name, value in {**ACTIONS, **more}.items())


FILES = {
    "header": table("header", "X-") + "/^Subject: .*folded.*\\n\\s+here/ WARN folded seen\n/^From: (.*)/ INFO from $1\n/^Content-/ WARN never\n/^X-Eight: \\xc3/ WARN eight\n/^X-Gen/ REPLACE To: gen@gen.test\n",
    "mime": table("mime", "M-") + "/^(Content-Transfer-Encoding: .*)/ INFO $1\n/^X-Part/ INFO part\n/^Content-Type: (.*)/ INFO mime\n",
    "nested": table("nested", "N-") + "/^Subject: (.*)/ INFO nested $1\n",
    "body": table("body", "") + "/^--b/ INFO boundary\n/=C3/ INFO converted\n/\\xc3/ INFO eight\n/^long/ INFO long\n/^last/ INFO last\n/tail$/ INFO tail\n/^\\./ INFO dot\n",
}
CHECKS = {f"{kind}_checks": f"pcre:@config@/{name}" for kind, name in
          (("header", "header"), ("mime_header", "mime"), ("nested_header", "nested"), ("body", "body"))}
TRANSPORTS = {
    "checks": CHECKS, "headeronly": {"header_checks": CHECKS["header_checks"]}, "bodyonly": {"body_checks": CHECKS["body_checks"]},
    "failing": {"header_checks": "fail:oops"}, "failbody": {"body_checks": "fail:oops"},
    "generic": dict(CHECKS, generic_maps="inline:{ {from@in.test=out@out.test} {gen@gen.test=mapped@out.test} }"),
}


def part(head, body="body\n", top=""):
    return f"{top}MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b1\n\npre\n--b1\n{head}\n\n{body}--b1--\nend\n"


FLOWS = {}


def flow(name, where, content, **more):
    FLOWS[f"{where}-{name}"] = Flow(rcpts=f"r@{where}.test", content=content, **more)


for action in [*ACTIONS, "prepend", "replace"]:
    flow(f"header-{action}", "checks", f"X-First: 1\nX-W-{action}: text 1\n folded\nX-W-warn: after\nSubject: s\n\nW-warn body\n")
    flow(f"body-{action}", "checks", f"Subject: s\n\nfirst\nW-{action} text\nW-warn after\nlast\n")
for action in ("info", "strip", "prepend", "replace", "ignore", "reject", "warnt"):
    flow(f"part-{action}", "checks", part(f"M-W-{action}: text\n folded\nM-W-warn: after\nX-Part: 1"))
    flow(f"nested-{action}", "checks", part("Content-Type: message/rfc822", f"N-W-{action}: text\nN-W-warn: after\n\nW-warn: body\n"))
    flow(action, "lmtp", f"X-W-{action}: text 1\n folded\nSubject: s\n\nW-{action} body\n")
MIXED = {
    "folded": "Subject: a folded\n   here\n\nb\n", "long": "S: x\n\nlong" + "x" * 2040 + "tail\nlong" + "x" * 2044 + "tail\n" + "x" * 2048 + "tail\n", "noend": "S: x\n\nW-warn\nlast",
    "dots": "S: x\n\n.\n..\n.W-warn\n", "several": "X-W-warn: 1\nX-W-info: 2\nX-W-prepend: x\nX-W-strip: y\nX-W-replacelong: x\n\nW-warn\nW-strip\nW-prepend\n", "empty": "S: x\n\n", "noheader": "W-warn\n",
    "eight": f"{EIGHT}\nX-Eight: {E}\n\n{E} x\n", "emptylines": "S: x\n\n\n\nW-warn\n\n", "ctl": "X-W-warn: a\x01b\x7fc\td\n\nW-warn \x02 x\n", "51200": "S: x\n\n" + ("x" * 99 + "\n") * 511 + "long in\nlong\n" + ("x" * 99 + "\n") * 2 + "long out\n",
    "part": part("X-Part: 1\nContent-Type: text/plain", "W-strip\nlast\n"),
}
for name, content in MIXED.items():
    flow(name, "checks", content)
for name in ("part", "several"):
    flow(name, "headeronly", MIXED[name])
    flow(name, "bodyonly", MIXED[name])
flow("one", "failing", "S: x\n\nb\n")
flow("one", "failbody", "S: x\n\nb\n")
flow("one", "lfail", "S: x\n\nb\n")
flow("order", "generic", "From: from@in.test\nX-Gen: x\nX-W-strip: y\n\nb\n", sender="from@in.test")
flow("converted", "old", part(EIGHT, f"{E} =\nlast\n", f"{EIGHT}\nX-W-warn: {E}\n"))
flow("converted-plain", "old", f"{EIGHT}\nM-W-x: y\n\n{E} {'x' * 100}\nW-strip\nlast\n")

MAIN = {"transport_maps": "inline:{ " + " ".join(f"{{{t}.test={t}:[127.0.0.1]:@sink@}}" for t in TRANSPORTS) + " {old.test=checks:[127.0.0.1]:@old@} {lmtp.test=lmtp:[127.0.0.1]:@lmtp@} {lfail.test=lfail:[127.0.0.1]:@lmtp@} }",
        "lmtp_connection_cache_on_demand": "no", **{f"lmtp_{k}": v for k, v in CHECKS.items()}}
MASTER = "".join(f"{t} unix - - n - - smtp\n" + "".join(f"  -o {{ smtp_{k} = {v} }}\n" for k, v in o.items()) for t, o in TRANSPORTS.items()) + "lfail unix - - n - - lmtp\n  -o lmtp_body_checks=fail:oops\n"
SINKS = {"sink": {"keywords": ("PIPELINING", "8BITMIME")}, "old": {"keywords": ("PIPELINING",)}, "lmtp": {"keywords": ("PIPELINING",), "lmtp": True}}


@pytest.fixture(scope="module")
def flows():
    with Flows(FLOWS, {"plain": {}}, main=MAIN, master=MASTER, sinks=SINKS, files=FILES, tags=("lmtp", "smtp")) as f:
        yield f


@pytest.mark.parametrize("name", FLOWS)
def test_flow(flows, name):
    flows.compare(name)


def test_loose_lines(flows):
    assert flows.loose[1] == flows.loose[0] or len(flows.loose) < 2
