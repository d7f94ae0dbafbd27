# SPDX-License-Identifier: ISC
"""Address verification: replies of smtpd, the probes that the next server sees, and what verify(8) remembers."""

import re
import threading

import pytest
from harness import Pair, Sink, Smtp

from test_delivery import as_37, observe

RECIPIENTS = ["good@relay.test", "rej550@relay.test", "tmp450@relay.test", "x@refused.test", "x@error.test", "x@retry.test", "u@vmbox.test",
              "nosuch@vmbox.test", "x@discard.test", "phverify@localhost", "GOOD@Relay.test", "\"odd user\"@relay.test"]


@pytest.fixture(scope="module")
def sink():
    with Sink() as s:
        yield s


@pytest.fixture(scope="module")
def pair(sink):
    routes = f"{{relay.test = smtp:[127.0.0.1]:{sink.port}}} {{refused.test = smtp:[127.0.0.1]:9}} {{error.test = error:5.1.2 no such domain}} " \
        f"{{retry.test = retry:4.4.4 not now}} {{discard.test = discard:}} {{probed.test = smtp:[127.0.0.1]:9}}"
    check = {"address_verify_poll_count": "20", "address_verify_poll_delay": "1s"}
    p = Pair(main={"transport_maps": f"inline:{{ {routes} }}", "address_verify_map": "",
                   "address_verify_transport_maps": f"inline:{{ {{probed.test = smtp:[127.0.0.1]:{sink.port}}} {routes} }}",
                   "virtual_mailbox_domains": "vmbox.test", "virtual_mailbox_base": "@mail@", "virtual_mailbox_maps": "inline:{ {u@vmbox.test = u/} }",
                   "virtual_uid_maps": "static:@uid@", "virtual_gid_maps": "static:@gid@", "virtual_minimum_uid": "1",
                   "local_recipient_maps": "", "in_flow_delay": "0", "smtpd_error_sleep_time": "0", "smtpd_hard_error_limit": "100",
                   "smtpd_reject_unlisted_recipient": "no", "smtpd_soft_error_limit": "100", "smtp_log_tls_feature_status": "no"},
             smtpd={"smtp": {"smtpd_recipient_restrictions": "reject_unverified_recipient, permit_mynetworks, reject", **check},
                    "sender": {"smtpd_sender_restrictions": "reject_unverified_sender", **check},
                    "codes": {"smtpd_recipient_restrictions": "reject_unverified_recipient, permit_mynetworks, reject",
                              "unverified_recipient_reject_code": "550", "unverified_recipient_defer_code": "451",
                              "unverified_recipient_tempfail_action": "defer", **check},
                    "reason": {"smtpd_recipient_restrictions": "reject_unverified_recipient, permit_mynetworks, reject",
                               "unverified_recipient_reject_code": "550", "unverified_recipient_reject_reason": "lookup_failed", **check},
                    "accept": {"smtpd_recipient_restrictions": "reject_unverified_recipient, permit_mynetworks, reject",
                               "unverified_recipient_reject_code": "250", **check},
                    "later": {"smtpd_recipient_restrictions": "reject_unverified_recipient, reject", **check},
                    "impatient": {"smtpd_recipient_restrictions": "reject_unverified_recipient, permit_mynetworks, reject",
                                  "address_verify_poll_count": "1"}})
    try:
        yield p.start()
    finally:
        p.destroy()


def recipients(service, addresses, sender="a@example.com", asked_before=()):
    """asked_before: addresses whose probes are under way before anybody waits for one."""
    def run(instance):
        out = []
        if asked_before:
            with Smtp(instance.port("impatient")) as c:
                for line in ["EHLO x", "MAIL FROM:<a@example.com>"] + [f"RCPT TO:<{r}>" for r in asked_before]:
                    c.cmd(line)
            instance.wait_queue_empty()
        with Smtp(instance.port(service), timeout=60) as c:
            c.cmd("EHLO x")
            out.append(c.cmd(f"MAIL FROM:<{sender}>"))
            out += [c.cmd(f"RCPT TO:<{r}>") for r in addresses]
            c.cmd("QUIT")
        return instance.normal().lines(out)
    return run


@pytest.mark.parametrize("service", ["smtp", "codes", "reason", "accept", "later"])
def test_recipients(pair, service):
    pair.compare(recipients(service, RECIPIENTS, asked_before=RECIPIENTS))


@pytest.mark.parametrize("sender", ["good@relay.test", "rej550@relay.test", "tmp450@relay.test", "x@error.test", "", "double-bounce@mail.example.test"])
def test_sender(pair, sender):
    pair.compare(recipients("sender", ["good@relay.test"], sender))


def test_routing_of_probes(pair):
    pair.compare(recipients("smtp", ["good@probed.test", "rej550@probed.test"]))


def test_to_the_sender_of_probes(pair):
    pair.compare(recipients("smtp", ["double-bounce@mail.example.test", "double-bounce"]))


def test_not_waited_for(pair, sink):
    waiting = threading.Event()
    sink.hook = lambda v, line, s: waiting.wait(30) and None if v == "RCPT" and "slow@" in line else None

    def run(instance):
        waiting.clear()
        try:
            return recipients("impatient", ["slow@relay.test"])(instance)
        finally:
            waiting.set()
            instance.wait_queue_empty()
    try:
        pair.compare(run)
    finally:
        sink.hook = None


@pytest.mark.parametrize("address", ["new1@relay.test", "rej551@relay.test", "tmp451@relay.test", "new@discard.test", "new@error.test"])
def test_log_of_a_probe(pair, sink, address):
    """What the next server sees, and the lines of cleanup, qmgr and the agent."""
    def act(instance):
        mark = instance.mark()
        out = recipients("smtp", [address])(instance)
        instance.wait_log(r"qmgr\[\d+\]: \w+: removed", mark)
        return out

    def run(instance):
        seen = observe(instance, sink, act)
        log = {k: v for k, v in as_37(seen["log"]).items() if not k.endswith("/smtpd")}
        return seen["replies"], log, seen["sink"], seen["left"]
    pair.compare(run)


def test_what_is_remembered():
    """The table: status, time of the probe, time of the answer, reason. A second question sends no second probe."""
    with Sink() as sink:
        routes = f"{{relay.test = smtp:[127.0.0.1]:{sink.port}}}"
        p = Pair(main={"transport_maps": f"inline:{{ {routes} }}", "address_verify_map": "hash:@base@/data/verify_cache", "in_flow_delay": "0",
                       "address_verify_poll_count": "20", "address_verify_poll_delay": "1s",
                       "smtpd_recipient_restrictions": "reject_unverified_recipient, permit_mynetworks, reject"})
        try:
            p.start()

            def run(instance):
                sink.clear()
                answers = [recipients("smtp", ["good@relay.test", "rej550@relay.test", "tmp450@relay.test"])(instance) for _ in range(2)]
                instance.wait_queue_empty()
                probes = len(sink.sessions)
                instance.stop()
                text = instance.run("postmap", "-s", f"hash:{instance.data}/verify_cache", check=True).stdout
                n = instance.normal()
                n.names.append((str(sink.port), "SINK"))
                lines = sorted(re.sub(r":\d{9,}:", ":TIME:", line) for line in text.splitlines() if not line.startswith("_LAST"))
                return answers, probes, [n.text(line) for line in lines]
            p.compare(run)
        finally:
            p.destroy()
