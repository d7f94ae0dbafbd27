# SPDX-License-Identifier: ISC
"""smtpd_upstream_proxy_protocol: headers of a load balancer, good and bad, whole and in pieces. (Row 28 of the table of attacks.)"""

import re
import socket
import struct

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Batch, Instance, Pair, Smtp, ours, wait_for

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2(command, family, body, length=None):
    return SIGNATURE + bytes([0x20 | command, family]) + struct.pack(">H", len(body) if length is None else length) + body


def six(text):
    return socket.inet_pton(socket.AF_INET6, text)


PORTS = struct.pack(">HH", 1234, 25)
FOUR = bytes([192, 0, 2, 5, 192, 0, 2, 1]) + PORTS
SIX = six("2001:db8::5") + six("2001:db8::1") + PORTS
MAPPED = six("::ffff:192.0.2.9") + six("::ffff:192.0.2.1") + PORTS
V1 = b"PROXY TCP4 192.0.2.5 192.0.2.1 1234 25\r\n"
HEADERS = {
    "v1": V1, "lf": V1[:-2] + b"\n", "lower": V1.lower(), "more": V1[:-2] + b" more words\r\n", "blanks": V1.replace(b" ", b"  "),
    "v1 six": b"PROXY TCP6 2001:db8::5 2001:db8::1 1234 25\r\n", "v1 mixed": b"PROXY TCP4 2001:db8::5 2001:db8::1 1234 25\r\n",
    "v1 mixed 2": b"PROXY TCP6 192.0.2.5 192.0.2.1 1234 25\r\n", "v1 mapped": b"PROXY TCP6 ::ffff:192.0.2.5 ::ffff:192.0.2.1 1234 25\r\n",
    "unknown": b"PROXY UNKNOWN\r\n", "unknown long": V1.replace(b"TCP4", b"UNKNOWN"), "v1 udp": V1.replace(b"TCP4", b"UDP4"),
    "port too large": V1.replace(b"1234", b"99999"), "port zero": V1.replace(b"1234 25", b"0 0"), "port leading zero": V1.replace(b"1234", b"01234"),
    "port sign": V1.replace(b"1234", b"+1"), "no addresses": b"PROXY TCP4             \r\n", "one address": b"PROXY TCP4 192.0.2.5\r\n",
    "one port": V1.replace(b" 25", b""), "bad address": V1.replace(b"2.5", b"2.555"), "bad server": V1.replace(b"192.0.2.1", b"x"),
    "no end": V1[:-2], "long": V1[:-2] + b" " + b"x" * 600 + b"\r\n", "smtp": b"EHLO x\r\n", "short": b"x\r\n", "http": b"GET / HTTP/1.0\r\n\r\n",
    "blank": b"\r\n", "proxy": b"PROXY\r\n", "controls": V1.replace(b"2.5 ", b"2.5\x01\x02 "), "nul": V1.replace(b"2.5 ", b"2.5\0 "),
    "v2": v2(1, 0x11, FOUR), "v2 six": v2(1, 0x21, SIX), "v2 mapped": v2(1, 0x21, MAPPED), "local": v2(0, 0, b""), "local with address": v2(0, 0x11, FOUR),
    "unspecified": v2(1, 0, b""), "v2 udp": v2(1, 0x12, FOUR), "unix": v2(1, 0x31, b"x" * 216), "v2 command": v2(5, 0x11, FOUR),
    "version 1": SIGNATURE + b"\x11\x11" + struct.pack(">H", 12) + FOUR, "v2 short": v2(1, 0x11, FOUR[:8]), "v2 six short": v2(1, 0x21, FOUR),
    "tlv": v2(1, 0x11, FOUR + b"\x04\0\x03abc"), "tlv overflow": v2(1, 0x11, FOUR + b"\x04\xff\xff"), "v2 truncated": v2(1, 0x11, FOUR, 100),
    "v2 large": v2(1, 0x11, FOUR + b"\x04\x02\x00" + b"x" * 512), "v2 gigantic": v2(1, 0x11, FOUR, 65535), "signature": SIGNATURE, "nothing": b"",
}
IPV4_ONLY = ("v1", "v1 six", "v1 mapped", "v2", "v2 six", "v2 mapped", "local")
HAPROXY = {"smtpd_upstream_proxy_protocol": "haproxy", "smtpd_upstream_proxy_timeout": "1s"}


@pytest.fixture(scope="module")
def pair():
    p = Pair(main={"inet_protocols": "all", "smtpd_forbid_unauth_pipelining": "yes"},
             smtpd={"smtp": {"smtpd_peername_lookup": "no", **HAPROXY}, "v4": {"smtpd_peername_lookup": "no", "inet_protocols": "ipv4", **HAPROXY}, "direct": {},
                    "access": {"smtpd_client_restrictions": "check_client_access inline:{192.0.2.5=REJECT}", "smtpd_delay_reject": "no",
                               "smtpd_client_connection_rate_limit": "1", "smtpd_client_event_limit_exceptions": "", **HAPROXY}})
    try:
        yield p.start()
    finally:
        p.destroy()


def connect(service, header, pieces=False, steps=("EHLO x", "QUIT")):
    def run(instance):
        with Smtp(instance.port(service), banner=False) as c:
            for part in ([header[i:i + 1] for i in range(len(header))] if pieces else [header]):
                c.send(part)
            out = [c.reply()]
            for step in steps if out[0].startswith("220") else []:
                out.append(c.cmd(step))
        return [re.sub(r"\n250[- ].*", "", x) for x in out]
    return run


def logged(service, header):
    """One session at a time: its replies and its log lines."""
    def run(instance):
        start = instance.mark()
        out = connect(service, header)(instance)
        instance.wait_log(r"smtpd\[\d+\]: disconnect from", start)
        return out + [re.sub(r"^.*smtpd\[\d+\]: ", "", line) for line in instance.log_lines(start) if "smtpd[" in line]
    return run


@pytest.fixture(scope="module")
def batch(pair):
    cases = {f"smtp {n}": connect("smtp", h) for n, h in HEADERS.items()}
    cases.update({f"v4 {n}": connect("v4", HEADERS[n]) for n in IPV4_ONLY})
    return Batch(pair, cases)


@pytest.mark.parametrize("name", HEADERS)
def test_header(batch, name):
    batch.compare(f"smtp {name}")


@pytest.mark.parametrize("name", IPV4_ONLY)
def test_ipv4_only(batch, name):
    batch.compare(f"v4 {name}")


@pytest.fixture(scope="module")
def quiet(pair, batch):
    """No session is left that could put its lines between those of another one."""
    for r in batch.results.values():
        r.result()
    for i in pair.instances:
        wait_for(i.settled, what="sessions to end")


SLOW = ("no end", "v2 truncated", "v2 gigantic", "signature")


@pytest.mark.parametrize("service,name", [("smtp", n) for n in HEADERS if n not in SLOW + ("nul",)] + [("v4", n) for n in IPV4_ONLY] + [("smtp", "no end")])
def test_log(pair, quiet, service, name):
    pair.compare(logged(service, HEADERS[name]))


@pytest.mark.parametrize("name", ["v1", "v2", "v1 six", "local"])
@pytest.mark.skipif(REFERENCE_ONLY or SELF_CHECK, reason="the reference wants a header in one piece")
def test_in_pieces(pair, name):
    assert connect("smtp", HEADERS[name], pieces=True)(pair.ours)[1:] == ["250-mail.example.test", "221 2.0.0 Bye"]


def test_command_behind_the_header(pair):
    pair.compare(connect("smtp", V1 + b"EHLO x\r\n", steps=()))


def test_access_and_counters(pair):
    pair.compare(connect("access", V1))
    pair.compare(connect("access", V1.replace(b"192.0.2.5", b"192.0.2.6")))
    pair.compare(connect("access", V1.replace(b"192.0.2.5", b"192.0.2.6")))


def test_header_that_is_not_expected(pair):
    pair.compare(connect("direct", b"", steps=(V1[:-2], "QUIT")))


@pytest.mark.skipif(REFERENCE_ONLY or SELF_CHECK, reason="a feature of ours alone")
def test_trusted_networks():
    """One port for balancers and for direct clients: only balancers send a header, and nobody else can."""
    with Instance(ours(), smtpd={"smtp": {"smtpd_proxy_trusted_networks": "127.0.0.2", "smtpd_peername_lookup": "no", **HAPROXY}}) as i:
        port, start = i.port("smtp"), i.mark()
        with Smtp(port) as c:
            assert c.banner.startswith("220 ") and c.cmd(V1[:-2]) == "500 5.5.2 Error: command not recognized" and c.cmd("QUIT") == "221 2.0.0 Bye"
        with Smtp(port, source="127.0.0.2", banner=False) as c:
            c.send(V1)
            assert c.reply().startswith("220 ") and c.cmd("QUIT") == "221 2.0.0 Bye"
        with Smtp(port, source="127.0.0.2", banner=False) as c:
            c.send("EHLO x\r\n")
            assert c.reply() == "421 4.3.0 mail.example.test Server local error"
        i.wait_log(r"disconnect from unknown\[127.0.0.2\]", start)
        assert i.wait_log(r": connect from unknown\[192.0.2.5\]", start)
