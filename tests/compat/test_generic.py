# SPDX-License-Identifier: ISC
"""smtp_generic_maps and lmtp_generic_maps: envelope and headers as servers of the outside see them, the reference and ours."""

import pytest
from harness import Flow, Flows

TABLE = ("in@local.test out@out.test\n@dom.test @dom2.test\nuser uu@out.test\na1@x.test a2@x.test\na2@x.test a3@x.test\nmany@x.test m1@out.test, m2@out.test\n"
         "\"q q\"@x.test quoted@out.test\nl1@x.test l2@x.test\nl2@x.test l1@x.test\nself@x.test self@x.test\nbare@x.test unqualified\nplus+e@x.test p@out.test\nname@x.test N <n@out.test>\n")
HEADERS = ["From: in@local.test\nTo: a@dom.test, other@x.test", "To: user@local.test, user+e@local.test, in+e@local.test", "Cc: A <in@local.test> (c), \"q q\"@x.test", "Reply-To: a1@x.test",
           "Sender: many@x.test", "To: g: in@local.test, b@dom.test;, c@x.test", "Resent-To: in@local.test", "X-To: in@local.test", "Message-Id: <in@local.test>", "Return-Receipt-To: in@local.test",
           "Disposition-Notification-To: in@local.test\nErrors-To: in@local.test\nMail-Followup-To: in@local.test\nApparently-To: in@local.test", "To: " + ", ".join(["in@local.test"] * 12), "To:\n in@local.test,\n\tx@x.test", "To: x@x.test ,  y@y.test",
           "From: l1@x.test", "To: self@x.test , z@x.test", "To: bare@x.test, name@x.test", "Subject: in@local.test\nReceived: by in@local.test"]
RCPTS = ["in@local.test", "a@dom.test", "a+e@dom.test", "user@local.test", "user+e@local.test", "in+e@local.test", "a1@x.test", "many@x.test", "plus+e@x.test", "none@x.test", '"q q"@x.test', "bare@x.test"]
FLOWS = {}
for n, h in enumerate(HEADERS):
    FLOWS[f"header{n}"] = Flow(sender="other@x.test", rcpts="r@x.test", content=h + "\n\nTo: in@local.test\nbody\n")
    FLOWS[f"header{n}-8bit"] = Flow(sender="other@x.test", rcpts="r@old.test", content=h + "\nContent-Transfer-Encoding: 8bit\n\nTo: in@local.test \u00e9\n")
for n, r in enumerate(RCPTS):
    FLOWS[f"rcpt{n}"] = Flow(sender="other@x.test", rcpts=r)
    FLOWS[f"sender{n}"] = Flow(sender=r, rcpts="r@x.test")
FLOWS["lmtp"] = Flow(sender="in@local.test", rcpts="r@lmtp.test", content="To: in@local.test\n\nx\n")
FLOWS["propagate"] = Flow(sender="in+e@local.test", rcpts="r@prop.test", content="To: in+f@local.test, a+f@dom.test\n\nx\n")
FLOWS["part"] = Flow(sender="", rcpts="r@x.test", content="Content-Type: multipart/mixed; boundary=b\n\n--b\nTo: in@local.test\n\n--b\nContent-Type: message/rfc822\n\nTo: in@local.test\n\nx\n--b--\n")
FLOWS["noheader"] = Flow(sender="", rcpts="r@x.test", content="\nTo: in@local.test\n")
TRANSPORT = ("inline:{ {old.test=smtp:[127.0.0.1]:@old@} {lmtp.test=lmtp:[127.0.0.1]:@lmtp@} {prop.test=prop:[127.0.0.1]:@sink@} {*=smtp:[127.0.0.1]:@sink@} }")
MAIN = {"transport_maps": TRANSPORT, "smtp_generic_maps": "texthash:@config@/generic", "lmtp_generic_maps": "texthash:@config@/generic"}
MASTER = "prop unix - - n - - smtp\n  -o propagate_unmatched_extensions=generic\n"
SINKS = {"sink": {"keywords": ("PIPELINING", "8BITMIME")}, "old": {"keywords": ("PIPELINING",)}, "lmtp": {"keywords": ("PIPELINING",), "lmtp": True}}


@pytest.fixture(scope="module")
def flows():
    with Flows(FLOWS, {"plain": {}}, main=MAIN, master=MASTER, sinks=SINKS, files={"generic": TABLE}) as f:
        yield f


@pytest.mark.parametrize("name", FLOWS)
def test_flow(flows, name):
    flows.compare(name)
