# SPDX-License-Identifier: ISC
"""known_tcp_ports: names of ports in master.cf, transports and tables."""

import pytest
from harness import Pair, Sink, Smtp
from harness.instance import STOCK_SERVICES, free_port


@pytest.fixture(scope="module")
def pair():
    with Sink() as sink:
        p = Pair(main={"relay_domains": "relay.test, wrong.test", "in_flow_delay": "0", "notify_classes": "",
                       "transport_maps": "inline:{ {relay.test = smtp:[127.0.0.1]:sinkport} {wrong.test = smtp:[127.0.0.1]:noport} }"}, smtpd={})
        for i in p.instances:
            port = free_port()
            i.set(known_tcp_ports=f"odd = 1, inport=other= {port} ,x,sinkport={sink.port}, noport = 99999999")
            i.write("master.cf", "127.0.0.1:other inet n - n - - smtpd\n" + STOCK_SERVICES)
            i.ports["smtp"] = port
        p.sink = sink
        try:
            yield p.start()
        finally:
            p.destroy()


def test_names(pair):
    def run(instance):
        pair.sink.clear()
        with Smtp(instance.port("smtp")) as c:
            c.cmd("EHLO x")
            out = [c.mail("a@b.test", "u@relay.test", "Subject: x\r\n\r\nx\r\n")[:8]]
            c.cmd("QUIT")
        return out + [m.rcpts for m in pair.sink.wait(1)]
    pair.compare(run, expect=["250 2.0.", ["u@relay.test"]])
