# SPDX-License-Identifier: ISC
"""Delivery by MX records of a private name server: order, fallback, null MX, loops, trouble."""

import re

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Dns, Sink, free_port, send_mail
from harness.under_test import IS_REFERENCE, make

# The reference knows no name server but the machine's.
pytestmark = pytest.mark.skipif(REFERENCE_ONLY or SELF_CHECK or IS_REFERENCE, reason="needs the suite under test")
PLAIN = "Subject: x\r\n\r\nhello\r\n"

ZONE = {
    "two.test": {"MX": [(20, "mx2.test"), (10, "mx1.test")]},
    "first-down.test": {"MX": [(10, "down.test"), (20, "mx2.test")]},
    "all-down.test": {"MX": [(10, "down.test")]},
    "null.test": {"MX": [(0, ".")]},
    "a-only.test": {"A": ["127.0.0.12"]},
    "alias.test": {"CNAME": "two.test"},
    "no-address.test": {"MX": [(10, "nowhere.test")]},
    "one-bad.test": {"MX": [(10, "nowhere.test"), (20, "mx2.test")]},
    "servfail.test": "servfail",
    "mx-servfail.test": {"MX": [(10, "servfail.test")]},
    "empty.test": {"TXT": ["nothing else"]},
    "loop.test": {"MX": [(10, "self.test")]},
    "backup.test": {"MX": [(10, "down.test"), (20, "self.test"), (30, "mx2.test")]},
    "busy.test": {"MX": [(10, "busy-host.test"), (20, "mx2.test")]},
    "other-name.test": {"CNAME": "mx1.test"},
    "many.test": {"A": [f"127.0.0.{n}" for n in range(21, 28)], "AAAA": ["2001:db8::1", "2001:db8::2", "2001:db8::3"]},
    "mx1.test": {"A": ["127.0.0.11"]},
    "mx2.test": {"A": ["127.0.0.12"]},
    "busy-host.test": {"A": ["127.0.0.14"]},
    "down.test": {"A": ["127.0.0.13"]},
    "self.test": {"A": ["127.0.0.1"]},
}


def busy(verb, line, session):
    return "450 4.3.2 not now" if verb == "MAIL" else None


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    port = free_port()
    conf = tmp_path_factory.mktemp("dns") / "resolv.conf"
    conf.parent.chmod(0o755)
    with Dns(ZONE) as dns, Sink(host="127.0.0.11", port=port) as mx1, Sink(host="127.0.0.12", port=port) as mx2, \
            Sink(host="127.0.0.14", port=port, hook=busy) as busy_host:
        i = make(environment={"POSTHASTE_RESOLV_CONF": dns.write_resolv_conf(str(conf))}, main={
            "smtp_tcp_port": port, "minimal_backoff_time": "300s", "smtp_connect_timeout": "5s",
            # Loops are looked for on port 25 only.
            "transport_maps": "inline:{ loop.test=smtp:loop.test:25 backup.test=smtp:backup.test:25 names.test=smtp:[other-name.test] old.test=old:mx1.test renamed.test=renamed:[other-name.test] balanced.test=balanced:[many.test] unbalanced.test=unbalanced:[many.test] }"},
                 master="renamed unix - - n - - smtp\n  -o smtp_cname_overrides_servername=yes\nold unix - - n - - smtp\n  -o disable_dns_lookups=yes\n" + "".join(
                     f"{name} unix - - n - - smtp\n  -o inet_protocols=all -o smtp_address_preference=ipv4 -o smtp_mx_session_limit=0 -o smtp_balance_inet_protocols={value}\n"
                     for name, value in (("balanced", "yes"), ("unbalanced", "no"))))
        conf.chmod(0o644)
        i.mx1, i.mx2, i.busy, i.dns, i.mx_port = mx1, mx2, busy_host, dns, port
        try:
            yield i.start()
        finally:
            i.destroy()


def send(net, domain):
    """The delivery's log line, without times."""
    for s in (net.mx1, net.mx2, net.busy):
        s.clear()
    mark = net.mark()
    assert send_mail(net.port(), "", f"u@{domain}", PLAIN).startswith("250")
    lines = net.wait_log(rf"smtp\[\d+\]: \w+: to=<u@{domain}>.*status=", mark, timeout=40)
    line = [x for x in lines if re.search(rf"smtp\[\d+\]: \w+: to=<u@{domain}>.*status=", x)][-1]
    net.last_log = "\n".join(lines)
    return re.sub(r"delay=.*?, dsn", "dsn", line[line.index("relay="):]).replace(str(net.mx_port), "PORT")


def test_best_mx_first(net):
    assert send(net, "two.test") == "relay=mx1.test[127.0.0.11]:PORT, dsn=2.0.0, status=sent (250 2.0.0 queued as SINK)"
    assert len(net.mx1.messages) == 1 and not net.mx2.sessions


def test_next_mx_when_the_first_is_down(net):
    assert send(net, "first-down.test").startswith("relay=mx2.test[127.0.0.12]:PORT, dsn=2.0.0, status=sent")
    assert re.search(r"smtp\[\d+\]: connect to down.test\[127.0.0.13\]:\d+: Connection refused", net.last_log)


def test_next_mx_after_a_temporary_reply(net):
    assert send(net, "busy.test").startswith("relay=mx2.test[127.0.0.12]:PORT, dsn=2.0.0, status=sent")
    assert re.search(r": \w+: host busy-host.test\[127.0.0.14\] said: 450 4.3.2 not now \(in reply to MAIL FROM command\)",
                     net.last_log)


def test_all_down(net):
    assert send(net, "all-down.test") == \
        "relay=none, dsn=4.4.1, status=deferred (connect to down.test[127.0.0.13]:PORT: Connection refused)"


def test_null_mx(net):
    assert send(net, "null.test") == "relay=none, dsn=5.1.0, status=bounced (Domain null.test does not accept mail (nullMX))"


def test_address_only(net):
    assert send(net, "a-only.test").startswith("relay=a-only.test[127.0.0.12]:PORT, dsn=2.0.0, status=sent")


def test_cname(net):
    assert send(net, "alias.test").startswith("relay=mx1.test[127.0.0.11]:PORT, dsn=2.0.0, status=sent")


def test_no_such_domain(net):
    assert send(net, "nosuch.test") == ("relay=none, dsn=5.4.4, status=bounced (Host or domain name not found. Name service "
                                        "error for name=nosuch.test type=A: Host not found)")


def test_no_record(net):
    assert send(net, "empty.test") == ("relay=none, dsn=5.4.4, status=bounced (Host or domain name not found. Name service "
                                       "error for name=empty.test type=A: Host found but no data record of requested type)")


def test_mx_without_address(net):
    assert send(net, "no-address.test") == ("relay=none, dsn=5.4.4, status=bounced (Host or domain name not found. Name service "
                                            "error for name=nowhere.test type=A: Host not found)")
    assert "warning: no MX host for no-address.test has a valid address record" in net.last_log


def test_one_mx_without_address(net):
    assert send(net, "one-bad.test").startswith("relay=mx2.test[127.0.0.12]:PORT, dsn=2.0.0, status=sent")


def test_server_failure(net):
    assert send(net, "servfail.test") == ("relay=none, dsn=4.4.3, status=deferred (Host or domain name not found. Name service "
                                          "error for name=servfail.test type=MX: Host not found, try again)")


def test_server_failure_of_the_mx_host(net):
    assert send(net, "mx-servfail.test").startswith("relay=none, dsn=4.4.3, status=deferred (Host or domain name not found. Name "
                                                    "service error for name=servfail.test type=A: Host not found, try again)")


def test_loop(net):
    assert send(net, "loop.test") == "relay=none, dsn=5.4.6, status=bounced (mail for loop.test loops back to myself)"


def test_backup_mx_never_goes_past_itself(net):
    assert send(net, "backup.test").startswith("relay=none, dsn=4.4.1, status=deferred (connect to down.test[127.0.0.13]:25: ")
    assert not net.mx2.sessions


def test_name_behind_alias(net):
    assert send(net, "names.test").startswith("relay=other-name.test[127.0.0.11]:PORT")
    assert send(net, "renamed.test").startswith("relay=mx1.test[127.0.0.11]:PORT")


@pytest.mark.parametrize("domain, v4, v6", [("balanced.test", 3, 2), ("unbalanced.test", 5, 0)])
def test_both_families(net, domain, v4, v6):
    """Five addresses are tried: some of each family, or the preferred ones alone."""
    send(net, domain)
    tried = re.findall(r"connect to many.test\[([^]]*)\]", net.last_log)
    assert (sum("." in a for a in set(tried)), sum(":" in a for a in set(tried))) == (v4, v6)


def test_no_dns(net):
    """disable_dns_lookups, the parameter of old: names are looked up as the system does, and the system does not know this one."""
    line = send(net, "old.test")
    assert "status=bounced" in line and "mx1.test" in line and not net.mx1.messages, line
