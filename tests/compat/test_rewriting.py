# SPDX-License-Identifier: ISC
"""Rewriting of addresses and headers by cleanup(8) and trivial-rewrite(8): what the next server is given, envelope
and content, and what is logged, for the same messages through the reference and ours."""

import re

import pytest
from harness import CONTENT, Flow, Flows

LONG = "l" * 60
FILES = {
    "virtual": "u1@v.test one@x.test\nu2@v.test two@x.test, three+e3@x.test\nu3+e@v.test full@x.test\nu4@v.test @y.test\n"
               "u5@v.test u5@v.test six@x.test\nu6@v.test u1+q@v.test\n@v.test catch@x.test\nu7@v.test alice\nalice u8@v.test\n"
               "loop1@v.test loop2@v.test\nloop2@v.test loop1@v.test\ngrow@v.test grow+x@v.test a@x.test\n"
               "many@v.test m1@x.test,m2@x.test, \"q q\"@x.test, m1@x.test, M2@x.test\nempty@v.test ()\n@w.test @z.test\n"
               "three@v.test t1@x.test t2@x.test t3@x.test\nfour@v.test t1@x.test t2@x.test t3@x.test t4@x.test\n"
               "n1@v.test n2@v.test\nn2@v.test n3@v.test\nn3@v.test n4@v.test\nn4@v.test n5@x.test\n"
               f"big@v.test {LONG}@x.test\nname@v.test \"Some One\" <so@x.test>\ngroup@v.test g: ga@x.test, gb@x.test;\n"
               "bomb@v.test b1@v.test b2@v.test b3@v.test\nb1@v.test b2@v.test b3@v.test b4@v.test\nb2@v.test b4@v.test b5@v.test\n"
               "b3@v.test b5@v.test b6@v.test\nb4@v.test x1@x.test x2@x.test\nb5@v.test x3@x.test\nb6@v.test bomb@v.test\n"
               "dup@v.test m1@x.test\nbang@v.test h!u\nperc@v.test u%h.test\nroute@v.test <@a.test:u@b.test>\n\"q u\"@v.test quoted@x.test\n"
               "cmt@v.test (c) ca@x.test (d)\nself@v.test self@v.test\nsub+@v.test subplus@x.test\n",
    "canonical": "old@local.test new@can.test\n@cd.test @cd2.test\nc1@local.test c2\nc2@local.test c1\ntwo@local.test a@x.test, b@x.test\n"
                 "user uu@can.test\nnone@local.test ()\ndots@x.test \"d. .d\"@x.test\nhop1@x.test hop2@x.test\nhop2@x.test hop3@x.test\n"
                 "\"q q\"@x.test qq@x.test\nphrase@x.test Some <s.o@x.test>\nup@x.test UP@X.test\n",
    "sender_canonical": "sc@s.test sc2@s.test\nboth@x.test bs@x.test\n",
    "recipient_canonical": "rc@x.test rc2@x.test\nboth@x.test br@x.test\n",
    "relocated": "moved@x.test new@y.test\n@gone.test nowhere\nmuser muser@n.test\n",
}
MAPS = {
    "virtual_alias_maps": "texthash:@config@/virtual", "canonical_maps": "texthash:@config@/canonical",
    "sender_canonical_maps": "texthash:@config@/sender_canonical", "recipient_canonical_maps": "texthash:@config@/recipient_canonical",
}
BCC = {"sender_bcc_maps": "inline:{ {s@s.test=scopy@x.test} {@sd.test=sd+x@x.test} {two@s.test=a@x.test, b@x.test} {bad@s.test=u1@v.test} {l@s.test=plain} }",
       "recipient_bcc_maps": "inline:{ {rcopied@x.test=rcopy@x.test} {@rd.test=rd@x.test} {u1@v.test=u1@v.test} }"}
BAD_MAP = "fail:why"
VARIANTS = {
    "plain": MAPS,
    "nomap": dict(MAPS, receive_override_options="no_address_mappings", always_bcc="all@x.test"),
    "canclass": dict(MAPS, canonical_classes="header_sender, envelope_recipient", sender_canonical_classes="envelope_sender",
                     recipient_canonical_classes="header_recipient"),
    "limits": dict(MAPS, virtual_alias_recursion_limit="3", virtual_alias_expansion_limit="3", virtual_alias_address_length_limit="50"),
    "failmap": {"virtual_alias_maps": BAD_MAP},
    "failcan": {"canonical_maps": BAD_MAP},
    "failbcc": {"sender_bcc_maps": BAD_MAP},
    "masq": {"masquerade_domains": "masq.test, !sub.other.test, other.test", "masquerade_exceptions": "root, Admin"},
    "masqall": {"masquerade_domains": "$mydomain masq.test",
                "masquerade_classes": "envelope_sender, envelope_recipient, header_sender, header_recipient"},
    "masqenv": {"masquerade_domains": "masq.test", "masquerade_classes": "envelope_recipient"},
    "noorigin": {"append_at_myorigin": "no"},
    "dot": {"append_dot_mydomain": "yes"},
    "nodot": {"append_dot_mydomain": "yes", "append_at_myorigin": "no", "swap_bangpath": "no", "allow_percent_hack": "no"},
    "nobang": {"swap_bangpath": "no"},
    "nopercent": {"allow_percent_hack": "no"},
    "remote": dict(MAPS, remote_header_rewrite_domain="rem.invalid"),
    "remdot": {"remote_header_rewrite_domain": "rem.invalid", "append_dot_mydomain": "yes", "local_header_rewrite_clients": ""},
    "remnone": dict(MAPS, always_add_missing_headers="yes"),
    "noprop": dict(MAPS, propagate_unmatched_extensions=""),
    "propcan": dict(MAPS, propagate_unmatched_extensions="canonical"),
    "delims": dict(MAPS, recipient_delimiter="-=+"),
    "nodelim": dict(MAPS, recipient_delimiter=""),
    "owner": dict(MAPS, recipient_delimiter="-", owner_request_special="no"),
    "bcc": dict(BCC, virtual_alias_maps="texthash:@config@/virtual", always_bcc="all+ways@x.test"),
    "alwaysbad": {"always_bcc": "\"quoted one\"@x.test"},
    "noorig": dict(MAPS, enable_original_recipient="no"),
    "filter2": dict(MAPS, duplicate_filter_limit="2"),
    "hops": {"hopcount_limit": "3"},
    "drop": {"message_drop_headers": "x-gone, Subject to", "undisclosed_recipients_header": "To: undisclosed-recipients:;"},
    "undis": {"undisclosed_recipients_header": "Cc: who knows:;"},
    "sizes": {"header_size_limit": "200"},
    "tokens": {"header_address_token_limit": "10"},
    "longids": {"enable_long_queue_ids": "no", "always_add_missing_headers": "yes"},
    "nodequote": {"resolve_dequoted_address": "no"},
    "numeric": {"resolve_numeric_domain": "yes"},
    "nulldom": {"resolve_null_domain": "yes"},
    "minuser": {"allow_min_user": "yes"},
    "moved": {"relocated_maps": "texthash:@config@/relocated"},
    "emptyrcpt": dict(MAPS, empty_address_recipient="nobody"),
    "origin": dict(MAPS, myorigin="other.test", mydomain="md.test", append_dot_mydomain="yes"),
}


def header(*lines):
    return "\n".join(lines) + "\nX-Other: y\n\nbody\n"


def words(text):
    return [w for w in re.findall(r'(?:"[^"]*"|\S)+', text)]


RCPTS = {
    "plain": """u1@v.test u1+ext@v.test u2@v.test u2+ext@v.test u3+e@v.test u3+f@v.test u4@v.test u4+ext@v.test u5@v.test u5+ext@v.test
        u6+r@v.test U1@V.TEST nobody+z@v.test u7@v.test u7+ext@v.test k+l@w.test "u1"@v.test loop1@v.test grow@v.test many@v.test empty@v.test
        three@v.test name@v.test group@v.test bomb@v.test bang@v.test perc@v.test route@v.test "q u"@v.test cmt@v.test self@v.test self+e@v.test
        sub+@v.test sub++x@v.test +x@v.test alice@local.test alice old@local.test old+ext@local.test u+e@cd.test c1@local.test two@local.test
        rc@x.test both@x.test user user+x user@local.test none@local.test dots@x.test hop1@x.test hop1+a@x.test "q"@x.test phrase@x.test
        up@x.test "q+e"@v.test""",
    "canclass": "old@local.test rc@x.test both@x.test u1@v.test",
    "limits": "n1@v.test n2@v.test three@v.test four@v.test big@v.test loop1@v.test u1@v.test bomb@v.test self@v.test u1+extensionextensionextensionextension@v.test",
    "failmap": "a@x.test", "failcan": "a@x.test", "failbcc": "a@x.test",
    "noprop": "u1+ext@v.test old+ext@local.test u4+ext@v.test u+e@cd.test",
    "propcan": "u1+ext@v.test old+ext@local.test u4+ext@v.test u+e@cd.test",
    "delims": "u1-ext@v.test u1=a-b@v.test u1+a=b@v.test u2-=x@v.test -u1@v.test owner-u1@v.test u1-request@v.test postmaster-x@v.test",
    "nodelim": "u1+ext@v.test u1@v.test",
    "owner": "owner-u1@v.test u1-request@v.test u1-request-x@v.test",
    "nomap": "u1@v.test old@local.test rc@x.test user",
    "masqall": "a@h.masq.test a@h.my.test a@masq.test root@h.masq.test",
    "masqenv": "a@h.masq.test a@masq.test",
    "noorig": "u1@v.test many@v.test",
    "bcc": "rcopied@x.test rcopied+e@x.test any@rd.test u1@v.test",
    "alwaysbad": "a@x.test",
    "noorigin": "a a@b a!b a%b a@x.test. @x.test:u@y.test \"a\"",
    "dot": "a a@b a!b a%b a@b. a@[127.0.0.1] a@b.c",
    "nodot": "a a@b a!b a%b",
    "nobang": "a!b a!b@local.test a!b%c",
    "nopercent": "a%b a%b@local.test a!b%c",
    "nodequote": "\"a@b.test\"@local.test \"a%b.test\"@local.test \"a!b.test\"@local.test a%b.test@local.test \"a b@c.test\"@local.test",
    "numeric": "a@1.2.3.4 a@[1.2.3.4] a%1.2.3.4@local.test a@1.2.3",
    "nulldom": "a@ a%x.test@ \"a@\"@local.test a%@local.test",
    "minuser": "-a@x.test",
    "moved": "moved@x.test moved+e@x.test a@gone.test muser@local.test muser+x@local.test",
    "emptyrcpt": "postmaster u1@v.test",
    "origin": "user user@other.test a@b u+x@other.test",
}
RESOLVE = """a@1.2.3.4 -a@x.test "a@b.test"@local.test "a%b.test"@local.test a%b.test@local.test a!b@local.test a@ a@x..test a@-x.test a@x.test.
a@x.test.. a@[1.2.3.4] a@[x.test] a@[IPv6:::1] a@::1 a@x_y.test a%b%c@local.test b!c!a@localhost "a b"@local.test a@b@local.test
@r.test:a@x.test @r.test,@q.test:a@local.test a%b@x.test "a@b"@x.test a@x@y.test ""@x.test .a@x.test a.@x.test a..b@x.test""".split()
RCPTS["plain"] += " " + " ".join(RESOLVE)

SENDERS = {
    "plain": ["", "sc@s.test", "old@local.test", "both@x.test", "MAILER-DAEMON@local.test", "mailer-daemon@LOCAL.test", "bare", '"q q"@s.test',
              "u+e@cd.test", "two@local.test", "c1@local.test", "none@local.test", "a!b", "user", "old+ext@local.test", "@r.test:a@s.test", '"a@b"@s.test'],
    "canclass": ["old@local.test", "sc@s.test"],
    "masq": ["root@h.masq.test", "a@h.masq.test", "a@h.MASQ.test", "a@sub.other.test", "a@b.sub.other.test", "a@h.other.test", "a@masq.test",
             "admin@h.masq.test", "a@notmasq.test", '"q q"@h.masq.test'],
    "bcc": ["any@sd.test", "s+x@s.test", "two@s.test", "bad@s.test", "l@s.test", ""],
    "nomap": ["old@local.test", "sc@s.test"],
    "noorigin": ["a", "a@b"], "dot": ["a", "a@b"],
    "origin": ["a", "user"],
}
HEADERS = {
    "plain": [
        'From: "Fred Foo" <fred>, Bar Bar <bar@cd.test> (comment here), root@h.masq.test',
        'To: a, b@c , "Long Name Person Number One" <long.person.number.one@example.org>',
        "Cc: group: x, y@z.test; , old, old+ext@local.test, u+e@cd.test, @route.test:r@s.test",
        'To: "quoted local"@q.test, "bad@at"@q.test, (c1) p@q.test (c2)', "Reply-To: <>", "Sender : sp@example.test",
        "Disposition-Notification-To: a.b..c@x.test, .lead@x.test", "Errors-To: =?utf-8?q?x=C3=A9?= <enc>", "Resent-To:unspaced",
        "Return-Receipt-To: h!bang, p%cent", 'Apparently-To: "unbalanced <x@y.test>', "Message-ID:   <abc@def>  ", "Subject:   x", "X-To: a",
        "Bcc: secret@x.test", "From: sc@s.test", "To: rc@x.test, sc@s.test", "From: both@x.test\nTo: both@x.test", "From: c1", "To: two",
        "To: ", "To:", "From: \u00fc@example.test", "Resent-Message-Id: <r@x>", "Resent-Date: now", "Resent-From: a", "Resent-Bcc: a, b",
        "Resent-Cc: old", "Resent-Reply-To: old", "Resent-Sender: old", "Mail-Followup-To: a, b", "Content-Length: 5", "Return-Path: <old@local.test>",
        "To: a b c", "To: a b@c d@e (x) f", "To: A Group: a, b, c;", "To: :;", "To: g:;", "To: g: <a>, Bee <b>; , c", "To: g:a;,h:b;",
        "To: <@a,@b:c>", "To: @a:b@c", "To: @a,@b:c@d", "To: x <@a.test,@b.test:c@d.test>", "To: a,,b", "To: ,", "To: a;b", "To: <a", "To: a>", "To: <<a>>",
        "To: \"a b\" <c> (d) (e)", "To: (only comment)", "To: (a(b)c) d", "To: (unclosed d", "To: a(b)c", 'To: "a"b', 'To: "a" "b" <c>', "To: a.b.c <d>", "To: a@b@c",
        "To: \"x\\\"y\" <z>", "To: <\"a b\"@c.test>", "To: <\"ab\"@c.test>, d", "To: a@[1.2.3.4], b@[1.2", "To: a\\ b@c", "To: =?utf-8?q?a,b?= <c>", "To: <a>,\n <b>,\n\t<c>",
        "To: a,\n b (x\n y) <c>,\n  d", "To: \"folded\n name\" <a>", "To: a @ b . test", "To: a\t@ b.test", "To: <a b>", "To: <a, b>", "To: A <a>, B <b> , C<c>", "To: A. Person <ap>",
        "To: \u00e4 \u00f6 <a>", "To: undisclosed-recipients:;", "To: a%b@c, a!b@c", "To: <>, a", 'To: ""@x.test, a', 'To: <"">, a', "To: a (\\) x) , b", "To: a.@b.test, c",
        "To: " + ", ".join(f"person{i}" for i in range(60)),
        "To: " + ",\n ".join(f'"Person Number {i}" <person.number.{i}@cd.test>' for i in range(30)),
        "To: " + "a" * 300 + ", b", "To: " + "Name " * 40 + "<a>, " + "b" * 75, "to: a", "TO: a", "To : a", "To\t: a", "From: a\nFrom: b", "X-Long: " + "x" * 3000,
        "To: abcdefghijklmnopqrstuvwxyz0123456789@x.test, abcdefghijklmnopqrstuv, b", "To: abcdefghijklmnopqrstuvwxyz0123456789@x.test, abcdefghijklmnopqrs, b",
        "Reply-To: phrase@x.test, hop1@x.test", "From: A <user>(x), B <user> (y)", "Date : x\nSubject : y", "From x y z\nTo: a", ">From x\nTo: a",
        "MIME-Version: 1.0\nContent-Type: text/plain\nContent-Transfer-Encoding: 8bit",
    ],
    "canclass": ["From: old", "To: old, rc@x.test", "From: sc@s.test"],
    "masq": ["From: a@h.masq.test, root@h.masq.test\nTo: a@h.masq.test (x)", "Mail-Followup-To: s@sub.other.test, s@a.sub.other.test, s@a.masq.test, s@MASQ.test"],
    "masqall": ["From: a@h.masq.test, b@h.my.test\nTo: c@masq.test"], "masqenv": ["From: a@h.masq.test\nTo: c@h.masq.test"],
    "noorigin": ["From: a, b@c\nTo: d!e, f%g"], "dot": ["From: a, b@c, d@e.\nTo: d!e, f%g, h@[1.2.3.4], i@j.k"], "nodot": ["To: a, b@c, d!e, f%g"],
    "nobang": ["To: a!b, a!b%c"], "nopercent": ["To: a%b, a!b%c"], "nomap": ["From: old@local.test\nTo: old, a"], "delims": ["To: old-x, old=x, old+x"],
    "noprop": ["To: old+x"], "origin": ["To: a, a@b, user"],
    "drop": ["X-Gone: x\nSubject: s", "X-gone: x\n y\nTo: a", "Bcc: kept@x.test\nReturn-Path: <kept>"], "undis": ["X: y", "Cc: a", "Resent-Cc: a", "Bcc: a"],
    "sizes": ["X-Long: " + "a" * 150 + "\n " + "b" * 30 + "\n " + "c" * 100, "X-Long: " + "a" * 195 + "\n b\n c", "X-Long: " + "a" * 500, "X-L: a\n" + " bbbbbbbbb\n" * 50 + "X-After: z",
              "To: " + ", ".join(f"p{i}" for i in range(80)), "X-L: " + "a" * 100 + "\n " + "b" * 200],
    "tokens": ["To: " + ", ".join(f"p{i}" for i in range(12)), "To: a@b.c, d@e.f, g@h.i", "To: A B C D E F G H I J K <a>", "To: p@x.test (a) (b) (c) (d) (e) (f) (g) (h), q@x.test"],
    "hops": ["Received: a", "Received: a\nReceived: b"], "longids": ["X: y"], "remnone": ["From: old"],
}
REMOTE = {
    "plain": ["From: a, old@local.test\nTo: b@c", "X: y", "Resent-To: a", "Date : x"],
    "remote": ["From: a, old@local.test\nTo: b@c, rc@x.test", "X: y", "From: a (x)\nBcc: y"],
    "remdot": ["To: a, b@c, d!e, f%g", "To: a@b.c."],
    "remnone": ["From: a, old@local.test", "X: y", "Resent-To: a"],
}
SPECIAL = {
    "dup-plain": Flow(rcpts=["u1@v.test", "one@x.test", "U1@v.test", "u1@v.test", "ONE@x.test"]),
    "dup-alias": Flow(rcpts=["dup@v.test", "many@v.test", "m1@x.test"]),
    "dup-noorig": Flow("noorig", rcpts=["u1@v.test", "one@x.test", "U1@v.test", "ONE@x.test", "dup@v.test", "many@v.test"]),
    "dup-limit": Flow("filter2", rcpts=["a@x.test", "b@x.test", "c@x.test", "c@x.test", "a@x.test", "b@x.test"]),
    "many-one-bad": Flow(rcpts=["a@x.test", "loop1@v.test", "b@x.test"]),
    "bcc-two": Flow("bcc", rcpts=["rcopied@x.test", "other@rd.test", "scopy@x.test"]),
    "orcpt": Flow(rcpts=["u1@v.test> ORCPT=rfc822;given@x.test NOTIFY=FAILURE,DELAY <"[:-2]]),
    "empty-sender-header": Flow(sender="", content=header("To: a")),
    "utf8": Flow(sender="s\u00fc@s.test", rcpts=["r\u00e4@x.test"], options=" SMTPUTF8"),
    "no-header": Flow(content="\nbody\n"),
    "no-header-at-all": Flow(content="this is body\n"),
    "header-only": Flow(content="Subject: x\nTo: a\n"),
    "continuation-first": Flow(content=" starts odd\nTo: a\n\nbody\n"),
    "space-line": Flow(content="Subject: x\n \nTo: a\n\nbody\n"),
    "colon-first": Flow(content=": x\nTo: a\n\nbody\n"),
    "ctl-name": Flow(content="A\x01b: x\nTo: a\n\nbody\n"),
    "hopcount": Flow("hops", content="Received: a\nReceived: b\nReceived: c\nTo: a\n\nbody\n"),
    "all-headers": Flow(content=CONTENT),
    "remote-all": Flow(remote=True, content=CONTENT),
    "long-line-body": Flow(content="Subject: x\n\n" + "w" * 5000 + "\nend\n"),
    "nul": Flow(content=b"Subject: a\x00b\nTo: a\x00b, c\n\nbo\x00dy\n"),
    "cr": Flow(content=b"Subject: a\rb\nTo: a\n\nbo\rdy\n"),
}


def make_flows():
    flows = {}
    for variant, rcpts in RCPTS.items():
        for n, r in enumerate(words(rcpts)):
            flows[f"{variant}-rcpt{n}-{r}"] = Flow(variant, rcpts=r)
    for variant, senders in SENDERS.items():
        for n, s in enumerate(senders):
            flows[f"{variant}-sender{n}-{s}"] = Flow(variant, sender=s)
    for remote, table in ((False, HEADERS), (True, REMOTE)):
        for variant, headers in table.items():
            for n, h in enumerate(headers):
                flows[f"{variant}-{'remote' if remote else 'header'}{n}"] = Flow(variant, content=header(h), remote=remote)
    flows.update(SPECIAL)
    return flows


FLOWS = make_flows()


@pytest.fixture(scope="module")
def flows():
    with Flows(FLOWS, VARIANTS, main={"smtpd_recipient_limit": "100"}, files=FILES, tags=("cleanup", "error")) as f:
        yield f


OURS = {}


@pytest.mark.parametrize("name", FLOWS)
def test_flow(flows, name):
    flows.compare(name, OURS.get(name))


def test_warnings_without_queue_id(flows):
    """trivial-rewrite and cleanup: what they say of no message in particular. The reference's library adds a line of its own
    about each domain that looks like a number and is none."""
    if len(flows.loose) == 2:
        theirs = [line for line in flows.loose[0] if "valid_ipv4_hostaddr" not in line[1]]
        assert flows.loose[1] == theirs
