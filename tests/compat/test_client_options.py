# SPDX-License-Identifier: ISC
"""What smtp(8) makes of odd servers when it is told to: reply filters, ignored keywords, status filters, workarounds for
firewalls, XFORWARD, source addresses. The reference and ours, what the servers saw included."""

import re

import pytest
from harness import Flow, Flows

E = "\u00e9"
OPTIONS = {
    "plain": {},
    "replies": {"smtp_reply_filter": "pcre:@config@/replies"}, "repliesfail": {"smtp_reply_filter": "fail:oops"},
    "discard": {"smtp_discard_ehlo_keywords": "pipelining, bogus DSN"}, "discardall": {"smtp_discard_ehlo_keywords": "xforward auth dsn starttls etrn vrfy size pipelining 8bitmime enhancedstatuscodes chunking verp xclient"}, "silent": {"smtp_discard_ehlo_keywords": "pipelining, silent-discard"},
    "discardmap": {"smtp_discard_ehlo_keywords": "dsn", "smtp_discard_ehlo_keyword_address_maps": "inline:{{127.0.0.1 = 8BITMIME, size}}"},
    "discardnone": {"smtp_discard_ehlo_keywords": "dsn", "smtp_discard_ehlo_keyword_address_maps": "inline:{{127.0.0.2 = 8BITMIME, size}}"},
    "discardfail": {"smtp_discard_ehlo_keyword_address_maps": "fail:oops"},
    "status": {"smtp_delivery_status_filter": "pcre:@config@/status"}, "statusfail": {"smtp_delivery_status_filter": "fail:oops"},
    "pix": {"smtp_pix_workaround_threshold_time": "0", "smtp_pix_workaround_delay_time": "1s"}, "pixlate": {"smtp_pix_workaround_threshold_time": "1h"},
    "pixnone": {"smtp_pix_workarounds": ""}, "pixmap": {"smtp_pix_workaround_maps": "inline:{{127.0.0.1 = disable_esmtp}}"},
    "pixesmtp": {"smtp_pix_workarounds": "disable_esmtp"}, "pixbad": {"smtp_pix_workarounds": "frob"}, "pixmapfail": {"smtp_pix_workaround_maps": "fail:oops"},
    "xforward": {"smtp_send_xforward_command": "yes"},
    "bind": {"smtp_bind_address": "192.0.2.1"}, "bindforce": {"smtp_bind_address": "192.0.2.1", "smtp_bind_address_enforce": "yes"},
    "bindok": {"smtp_bind_address": "127.0.0.77", "smtp_bind_address_enforce": "yes"},
}
FILES = {
    "agents": "/^5.1.1 unknown user(.*)/ 4.1.9 later$1\n",
    "replies": "/^250(.)PIPELINING/ 250${1}XPIPELINING\n/^550 5.1.1 (.*)/ 450 4.1.1 maybe $1\n/^551/ garbage\n/^552(.*)/ 250-more\n/^250 2.0.0 queued/ 250 2.0.0 filtered\n!/^[2-5][0-9][0-9]/ 250-filler\n",
    "status": "/^5.1.1 (host .* said: )550(.*)/ 4.1.1 softened $1\n/^2.0.0 (.*)/ 2.1.0 fine: $1\n/^5.1.2 / 2.0.0 never\n/^5.1.3 / nonsense\n/^5.1.4 .*/ 5.1.4\n/^4.1.1 / 5.9.9 hardened\n/^5.1.5 / 4.2.2    blanks   \n",
}


def hook(verb, line, session):
    m = re.search(r"<x(\d\d\d)(\w)@", line) if verb == "RCPT" else None
    if m and m.group(1) in ("551", "552"):
        return f"{m.group(1)}-first\n554 5.1.8 last"
    return f"{m.group(1)} {m.group(1)[0]}.1.{m.group(2)} scripted" if m else None


def stars(verb, line, session):
    return "220 ***2****00" if verb == "GREETING" else hook(verb, line, session)


def no_xforward(verb, line, session):
    return "550 5.7.0 no" if verb == "XFORWARD" else None


def noisy(verb, line, session):
    return "what is this\n220 sink ESMTP" if verb == "GREETING" else hook(verb, line, session)


EVERYTHING = ("PIPELINING", "SIZE 10000000", "8BITMIME", "DSN")
SINKS = {
    "sink": {"keywords": EVERYTHING, "hook": hook}, "stars": {"keywords": EVERYTHING, "hook": stars}, "noisy": {"keywords": EVERYTHING, "hook": noisy},
    "xall": {"keywords": ("PIPELINING", "XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT")}, "xsome": {"keywords": ("xforward name helo frob",)},
    "xonly": {"keywords": ("XFORWARD SOURCE",)}, "xno": {"keywords": ("PIPELINING", "XFORWARD NAME PROTO"), "hook": no_xforward}, "xnone": {"keywords": ("PIPELINING", "XFORWARD")},
}
FLOWS, ROUTES = {}, {}


def flow(option, local="u", sink="sink", name=None, **more):
    domain = f"{sink}.{option}.test"
    ROUTES[domain] = f"{option}:[127.0.0.1]:@{sink}@"
    FLOWS[f"{option}-{name or local}-{sink}"] = Flow(rcpts=[f"{one}@{domain}" for one in local.split()], content=more.pop("content", f"Subject: s\n\nb {E}\n"), **more)


for local in ("u", "x5501", "x5511", "x5521", "u x5501"):
    flow("replies", local)
flow("replies", sink="noisy")
flow("plain", sink="noisy")
flow("repliesfail")
for option in ("plain", "discard", "discardall", "silent", "discardmap", "discardnone", "discardfail", "bind", "bindforce", "bindok"):
    flow(option, options=" ENVID=e BODY=8BITMIME", name="dsn")
for local in ("u", "x5501", "x5502", "x5503", "x5504", "x4501", "x5505", "x5509", "u x5501"):
    flow("status", local)
flow("statusfail")
flow("statusfail", "x5501")
for option in ("plain", "pix", "pixlate", "pixnone", "pixmap", "pixesmtp", "pixbad", "pixmapfail"):
    flow(option, sink="stars")
flow("pix")
for sink in SINKS:
    if sink.startswith("x"):
        flow("xforward", sink=sink)
flow("xforward", sink="xall", name="remote", remote=True)
flow("plain", sink="xall")

for agent in ("virtual", "local"):
    ROUTES[f"{agent}.test"] = f"{agent}f:"
    FLOWS[f"{agent}-unknown"] = Flow(rcpts=f"nobody-here@{agent}.test")
MAIN = {"transport_maps": "inline:{ " + " ".join(f"{{{d}={t}}}" for d, t in ROUTES.items()) + " }", "maximal_backoff_time": "1h", "minimal_backoff_time": "1h",
        "smtpd_client_port_logging": "no", "virtual_mailbox_maps": "inline:{{x@y.test=x}}", "virtual_mailbox_base": "/tmp", "virtual_mailbox_domains": "virtual.test"}
MASTER = "".join(f"{t} unix - - n - - smtp\n" + "".join(f"  -o {{ {k} = {v} }}\n" for k, v in o.items()) for t, o in OPTIONS.items())
MASTER += "".join(f"{agent}f unix - n n - - {agent}\n  -o {{ {agent}_delivery_status_filter = pcre:@config@/agents }}\n" for agent in ("virtual", "local"))


@pytest.fixture(scope="module")
def flows():
    with Flows(FLOWS, {"plain": {}}, main=MAIN, master=MASTER, sinks=SINKS, files=FILES, tags=("smtp", "virtual", "local")) as f:
        yield f


@pytest.mark.parametrize("name", FLOWS)
def test_flow(flows, name):
    flows.compare(name)


def seen(flows, n, sink):
    """What the sessions with a server were, sorted: who came first is a matter of chance."""
    def normal(line):
        line = re.sub(r"\bPORT=\d+", "PORT=n", line)
        return re.sub(r"\b(SIZE|IDENT)=\w+", r"\1=n", line)
    return sorted([normal(line) for line in session] for session in flows.sinks[n][sink].sessions)


@pytest.mark.parametrize("sink", SINKS)
def test_sessions(flows, sink):
    if len(flows.sinks) > 1:
        assert seen(flows, 1, sink) == seen(flows, 0, sink)


def test_loose_lines(flows):
    def normal(n):
        names = {str(sink.port): name for name, sink in flows.sinks[n].items()}
        return sorted({(tag, re.sub(r"\]:(\d+)\b", lambda m: "]:" + names[m.group(1)], text)) for tag, text in flows.loose[n]})
    if len(flows.loose) > 1:
        assert normal(1) == normal(0)
