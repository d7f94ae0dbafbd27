# SPDX-License-Identifier: ISC
"""smtp_per_request_deadline and smtp_min_data_rate: servers that say or take a little at a time. The pace is the server's, the
pauses below are what is tested."""

import socket
import time

import pytest
from harness import Flow, Flows

LIMIT = 2           # seconds
TIMES = {f"smtp_{n}_timeout": f"{LIMIT}s" for n in ("helo", "mail", "rcpt", "data_init", "data_xfer")}
TIMES["smtp_data_done_timeout"] = "15s"
TRANSPORTS = {"on": {**TIMES, "smtp_per_request_deadline": "yes", "smtp_connection_cache_on_demand": "no"}, "off": {**TIMES, "smtp_per_request_deadline": "no"},
              "done": {"smtp_data_done_timeout": f"{LIMIT}s", "smtp_per_request_deadline": "yes"},
              "record": {**TIMES, "smtp_per_record_deadline": "yes"}}
LONG = LIMIT * 1.5
CODES = {"GREETING": "220", "EHLO": "250", "MAIL": "250", "RCPT": "250", "DATA": "354", "DOT": "250"}


def trickle(which):
    """A line of its own before the reply, byte by byte: never long between two of them, too long in all."""
    def hook(verb, line, session):
        if verb == which:
            session.conn.sendall(CODES[verb].encode() + b"-")
            for _ in range(int(LONG * 10)):         # as many bytes each time: they stand in the log
                time.sleep(0.1)
                session.conn.sendall(b"x")
            session.conn.sendall(b"\r\n")
        return None
    return hook


def reader(size, rounds):
    """Takes size bytes every tenth of a second, then all that is left."""
    def hook(verb, line, session):
        if verb != "DATA":
            return None
        session.say("354 go on")
        tail = b""
        for _ in range(rounds):
            time.sleep(0.1)
            tail = session.conn.recv(size)
            if not tail:
                return "close"
        while b"\r\n.\r\n" not in tail:
            got = session.conn.recv(1 << 20)
            if not got:
                return "close"
            tail = tail[-5:] + got
        session.say("250 2.0.0 queued as SINK")
        return "close"
    return hook


SINKS = {f"t{verb.lower()}": {"keywords": ("8BITMIME",), "hook": trickle(verb)} for verb in CODES}
SINKS["reader"] = {"keywords": ("8BITMIME",), "hook": reader(65536, int(LONG * 10))}
SINKS["stuck"] = {"keywords": ("8BITMIME",), "hook": reader(20, 100000)}
BIG = "Subject: s\n\n" + (76 * "x" + "\n") * 80000
FLOWS, ROUTES = {}, {}


def flow(transport, sink, **more):
    domain = f"{sink}.{transport}.test"
    ROUTES[domain] = f"{transport}:[127.0.0.1]:@{sink}@"
    FLOWS[f"{transport}-{sink}"] = Flow(rcpts=f"r@{domain}", **more)


for verb in CODES:
    flow("done" if verb == "DOT" else "on", f"t{verb.lower()}")
for transport, sink in (("off", "tgreeting"), ("off", "tdot"), ("record", "trcpt")):
    flow(transport, sink)
flow("on", "stuck", content=BIG)
for name in ("on", "off"):
    flow(name, "reader", content=BIG)

MAIN = {"transport_maps": "inline:{ " + " ".join(f"{{{d}={t}}}" for d, t in ROUTES.items()) + " }", "maximal_backoff_time": "1h", "minimal_backoff_time": "1h"}
MASTER = "".join(f"{t} unix - - n - - smtp\n" + "".join(f"  -o {{ {k} = {v} }}\n" for k, v in o.items()) for t, o in TRANSPORTS.items())


@pytest.fixture(scope="module")
def flows():
    f = Flows(FLOWS, {"plain": {}}, main=MAIN, master=MASTER, sinks=SINKS, tags=("smtp",))
    for sinks in f.sinks:       # what the kernel takes for a server counts as taken
        sinks["stuck"].listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with f:
        yield f


@pytest.mark.parametrize("name", FLOWS)
def test_flow(flows, name):
    flows.compare(name)


@pytest.mark.parametrize("name", FLOWS)
def test_what_was_compared(flows, name):
    """That the cases are what they are called: both sides could agree on something else."""
    text = "\n".join(flows.results[max(flows.results)][name]["log"]["smtp"])
    assert ("timed out while" in text) == (not name.startswith("off-") and name != "on-reader"), text
