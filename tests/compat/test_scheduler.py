# SPDX-License-Identifier: ISC
"""The queue manager's decisions, seen from the next server: the order of deliveries, how many at a
time, and how long it waits. Each case gets a transport of its own, so that limits hold for that one alone."""

import re
import threading
import time

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Pair, Sink, Smtp, wait_for

TRANSPORTS = {
    # name: (maxproc, {suffix: value})
    "single": ("1", {"destination_recipient_limit": "1"}),
    "stingy": ("1", {"destination_recipient_limit": "1", "delivery_slot_loan": "0", "delivery_slot_discount": "0",
                     "delivery_slot_cost": "2", "minimum_delivery_slots": "2"}),
    "debug": ("1", {"initial_destination_concurrency": "2", "destination_concurrency_positive_feedback": "1/2"}),
    "fifo": ("1", {"destination_recipient_limit": "1", "delivery_slot_cost": "0"}),
    "two": ("-", {"destination_concurrency_limit": "2"}),
    "three": ("-", {"destination_recipient_limit": "3"}),
    "slow": ("-", {"destination_rate_delay": "1s"}),
    "paced": ("-", {"transport_rate_delay": "1s"}),
    "small": ("1", {"destination_recipient_limit": "1", "recipient_limit": "20", "extra_recipient_limit": "4",
                    "recipient_refill_limit": "5"}),
}


@pytest.fixture(scope="module")
def gate():
    """A sink whose DOT replies wait while .closed is set for the recipient's domain."""
    with Sink() as s:
        s.order = []
        s.now = s.most = 0
        s.lock = threading.Condition()
        s.stop_at = {}              # number of deliveries: event to wait for
        yield s


@pytest.fixture(scope="module")
def pair(gate):
    transports = " ".join(f"{{{n}.test = {n}:[127.0.0.1]:{gate.port}}}" for n in TRANSPORTS)
    main = {"transport_maps": f"inline:{{ {transports} }}", "relay_domains": ", ".join(f"{n}.test" for n in TRANSPORTS),
            "in_flow_delay": "0", "destination_concurrency_feedback_debug": "yes", "smtp_connection_cache_on_demand": "no", "smtpd_recipient_limit": "2000"}
    master = ""
    for n, (limit, settings) in TRANSPORTS.items():
        master += f"{n} unix - - n - {limit} smtp\n"
        main.update({f"{n}_{k}": v for k, v in settings.items()})
    p = Pair(main=main, master=master)
    try:
        yield p.start()
    finally:
        p.destroy()


def send(instance, name, domain, count):
    """One message of that name to so many recipients; returns when it is in the active queue."""
    mark = instance.mark()
    with Smtp(instance.port()) as c:
        c.cmd("EHLO x")
        assert c.cmd(f"MAIL FROM:<{name}@example.com>").startswith("250")
        for i in range(count):
            assert c.cmd(f"RCPT TO:<{name}{i:03d}@{domain}.test>").startswith("250")
        assert c.cmd("DATA").startswith("354")
        assert c.data("Subject: x\r\n\r\nx\r\n").startswith("250")
        c.cmd("QUIT")
    instance.wait_log(rf"qmgr\[\d+\]: \w+: from=<{name}@", mark)


def runs(order):
    """b b a b -> [(b, 2), (a, 1), (b, 1)]"""
    out = []
    for x in order:
        if out and out[-1][0] == x:
            out[-1] = (x, out[-1][1] + 1)
        else:
            out.append((x, 1))
    return out


def delivery_order(instance, gate, domain, first, later, stop_at):
    """Deliveries of message `first`, held at number stop_at until the `later` ones are in the active queue and
    the clock shows another second: who may preempt is looked for once a second."""
    order, reached, go = [], threading.Event(), threading.Event()

    def hook(verb, line, session):
        if verb == "MAIL":
            order.append(re.search(r"<(\w+)@", line).group(1))
            if len(order) == stop_at:
                reached.set()
                go.wait(60)
    gate.hook = hook
    try:
        send(instance, first[0], domain, first[1])
        assert reached.wait(30)
        second = int(time.time())
        for name, count in later:
            send(instance, name, domain, count)
        wait_for(lambda: int(time.time()) > second, what="the next second")
        go.set()
        instance.wait_queue_empty(60)
    finally:
        go.set()
        gate.hook = None
    return runs(order)


def test_preemption(pair, gate):
    """The worked example of the facts: a small message pays with the slots that the large one has earned."""
    pair.compare(lambda i: delivery_order(i, gate, "single", ("big", 120), [("two", 2), ("tw", 20)], 11),
                 expect=[("big", 11), ("two", 2), ("big", 34), ("tw", 20), ("big", 75)])


@pytest.mark.parametrize("count", [2, 3, 7])
def test_preemption_without_loan(pair, gate, count):
    got = pair.compare(lambda i: delivery_order(i, gate, "stingy", ("big", 40), [("small", count)], 3))
    assert REFERENCE_ONLY or len(got) == 3


def test_preemption_nested(pair, gate):
    got = pair.compare(lambda i: delivery_order(i, gate, "single", ("big", 150), [("mid", 16), ("tiny", 1)], 100))
    assert REFERENCE_ONLY or got[0][0] == "big"


def test_no_preemption(pair, gate):
    pair.compare(lambda i: delivery_order(i, gate, "fifo", ("big", 40), [("small", 1)], 30),
                 expect=[("big", 40), ("small", 1)])


def test_small_pool(pair, gate):
    """More recipients than the transport may have in memory: all are delivered, once each."""
    def run(i):
        got = []
        gate.hook = lambda verb, line, session: got.append(re.search(r"<(\w+)@", line).group(1)) if verb == "RCPT" else None
        try:
            send(i, "pool", "small", 130)
            i.wait_queue_empty(60)
        finally:
            gate.hook = None
        return sorted(got) == [f"pool{n:03d}" for n in range(130)]
    pair.compare(run, expect=True)


def most_at_once(instance, gate, domain, messages, expected):
    """How many deliveries to the domain are under way at the same time, when none of them ends before `expected`
    have begun; a further one would begin within the time that the last reply is held back."""
    now, lock, most = [0], threading.Condition(), [0]

    def hook(verb, line, session):
        with lock:
            if verb == "MAIL":
                now[0] += 1
                most[0] = max(most[0], now[0])
                lock.notify_all()
            if verb == "DOT":
                lock.wait_for(lambda: most[0] >= expected, 20)
                lock.wait_for(lambda: most[0] > expected, 0.1)
                now[0] -= 1
    gate.hook = hook
    try:
        for i in range(messages):
            send(instance, f"m{i}", domain, 1)
        instance.wait_queue_empty(60)
    finally:
        gate.hook = None
    return most[0]


def test_concurrency_limit(pair, gate):
    pair.compare(lambda i: most_at_once(i, gate, "two", 8, 2), expect=2)


def test_recipient_limit(pair, gate):
    def run(i):
        gate.clear()
        send(i, "three", "three", 8)
        i.wait_queue_empty()
        return sorted(len(m.rcpts) for m in gate.messages)
    pair.compare(run, expect=[2, 3, 3])


@pytest.mark.parametrize("domain", ["slow", "paced"])
def test_pause(pair, gate, domain):
    """One delivery at a time, and at least the pause between two of them."""
    def run(i):
        starts, ends = [], []

        def hook(verb, line, session):
            if verb == "MAIL":
                starts.append(time.monotonic())
            if verb == "DOT":
                ends.append(time.monotonic())
        gate.hook = hook
        try:
            t = time.monotonic()
            for n in range(3):
                send(i, f"r{n}", domain, 1)
            i.wait_queue_empty()
        finally:
            gate.hook = None
        # The timer counts whole seconds from when the loop woke up last, so that a pause may look a little short.
        pauses = [b - a >= 0.9 for a, b in zip(ends, starts[1:])]
        return len(starts), pauses, domain == "paced" and starts[0] - t >= 0.9
    pair.compare(run, expect=(3, [True, True], domain == "paced"))


def test_count_of_recipients(pair, gate):
    """A message that comes back from the deferred queue still shows the recipients that it had."""
    def run(i):
        gate.hook = lambda verb, line, session: "450 4.2.0 later" if verb == "RCPT" and "left001" in line else None
        mark = i.mark()
        try:
            send(i, "left", "three", 3)
            wait_for(lambda: i.queue_files("deferred"), what="the deferred message")
        finally:
            gate.hook = None
        i.run("postqueue", "-c", i.config, "-f")
        i.wait_queue_empty()
        return re.findall(r"nrcpt=(\d+) \(queue active\)", i.log_text(mark))
    pair.compare(run, expect=["3", "3"])


@pytest.mark.parametrize("case", ["good", "later", "bad"])
def test_feedback_debug(pair, gate, case):
    """destination_concurrency_feedback_debug: every step of a destination's window, in numbers."""
    def run(i):
        go = threading.Event()      # all four are in the active queue before the first ends

        def hook(verb, line, session):
            if verb == "GREETING":
                go.wait(30)
                return "421 4.3.2 no" if case == "bad" else None
            return "450 4.2.0 later" if case == "later" and verb == "RCPT" else None
        gate.hook = hook
        mark = i.mark()
        try:
            for n in range(4):
                send(i, f"f{n}", "debug", 1)
            go.set()
            i.wait_log(r"status=(?:sent|deferred)", mark, count=4)
            wait_for(lambda: not i.queue_files("active", "incoming"), what="the active queue")
        finally:
            go.set()
            gate.hook = None
            i.flush_queue()
        n = i.normal()
        n.names.append((str(gate.port), "SINK"))
        return [t.split("]: ", 1)[1] for t in n.lines(i.log_lines(mark)) if "qmgr_queue_" in t]
    got = pair.compare(run)
    assert REFERENCE_ONLY or got


def test_self_check():
    assert runs("aab") == [("a", 2), ("b", 1)] or SELF_CHECK
