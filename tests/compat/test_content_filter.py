# SPDX-License-Identifier: ISC
"""content_filter and FILTER: which mail goes to the filter, which does not, and what stands in the queue file."""

import re

import pytest
from harness import Pair, Sink, wait_for

from test_delivery import HEAD, as_37, message, observe


@pytest.fixture(scope="module")
def sink():
    with Sink() as s:
        yield s


@pytest.fixture(scope="module")
def pair(sink):
    hop = f"[127.0.0.1]:{sink.port}"
    p = Pair(main={"transport_maps": f"inline:{{ {{relay.test = smtp:{hop}}} {{other.test = smtp:{hop}}} }}", "relay_domains": "relay.test, other.test",
                   "content_filter": f"scan:{hop}", "in_flow_delay": "0", "smtp_log_tls_feature_status": "no", "smtpd_forbid_bare_newline": "no",
                   "header_checks": f"inline:{{ {{x-filter: yes = FILTER second:{hop}}} }}", "smtp_connection_cache_on_demand": "no",
                   "transport_retry_time": "1s"},
             master="scan unix - - n - - smtp\nsecond unix - - n - - smtp\n",
             smtpd={"smtp": {}, "off": {"content_filter": ""}, "open": {"content_filter": "scan:"},
                    "access": {"smtpd_recipient_restrictions": f"check_recipient_access inline:{{ {{f@relay.test = FILTER second:{hop}}} }}, permit"},
                    "bad": {"content_filter": "nosuch:x"}})
    for i in p.instances:
        i.write("header_checks", f"/^X-Filter: yes/ FILTER second:{hop}\n")
        i.set(header_checks=f"regexp:{i.config}/header_checks")
    try:
        yield p.start()
    finally:
        p.destroy()


CASES = {
    "smtpd": message("a@example.com", "u1@relay.test"),
    "two-domains": message("a@example.com", ["u1@relay.test", "u2@other.test"]),
    "off": message("a@example.com", "u1@relay.test", service="off"),
    "access": message("a@example.com", ["f@relay.test", "u1@relay.test"], service="access"),
    "access-not": message("a@example.com", "u1@relay.test", service="access"),
    "header": message("a@example.com", "u1@relay.test", HEAD + "X-Filter: yes\r\n\r\nx\r\n"),
    "null-sender": message("", "u1@relay.test"),
}


@pytest.mark.parametrize("name", CASES)
def test_filter(pair, sink, name):
    def run(i):
        seen = observe(i, sink, CASES[name])
        return seen["replies"], as_37(seen["log"]), seen["sink"], seen["messages"], seen["left"]
    pair.compare(run)


def test_pickup(pair, sink):
    def act(i):
        mark = i.mark()
        p = i.run("sendmail", "-f", "a@example.com", "u1@relay.test", input=HEAD.replace("\r\n", "\n") + "\nx\n")
        i.wait_log(r"qmgr\[\d+\]: \w+: removed", mark)
        return [str(p.returncode), p.stderr]

    def run(i):
        seen = observe(i, sink, act)
        return seen["replies"], as_37(seen["log"]), seen["sink"], seen["left"]
    pair.compare(run)


@pytest.mark.parametrize("service", ["open", "bad"])
def test_what_the_queue_file_says(pair, sink, service):
    """A filter without a destination takes the recipient's domain; one that does not exist keeps the mail."""
    def run(i):
        sink.hook = lambda v, line, s: "450 4.2.0 later" if v == "RCPT" else None
        try:
            mark = i.mark()
            message("a@example.com", "u1@nosuch.invalid", service=service)(i)
            i.wait_log(r"status=deferred|status=bounced", mark)
            wait_for(lambda: not i.queue_files("incoming", "active"), what="the active queue")
            files = i.queue_files("deferred")
            text = i.run("postcat", "-e", *files.values()).stdout if files else ""
            transport = re.findall(r"postfix/(\w+)\[\d+\]: \w+: to=<u1@nosuch.invalid>", i.log_text(mark))
        finally:
            sink.hook = None
            i.flush_queue()
        return re.findall(r"(?m)^content_filter: (.*)$", text), transport[:1]
    pair.compare(run)
