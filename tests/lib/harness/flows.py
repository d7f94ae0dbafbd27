# SPDX-License-Identifier: ISC
"""Many messages through the same pair of instances at the same time. A flow is one message: its replies, the log lines that
bear its queue ID, and what the next server was given, envelope and content. Each flow has a loopback address of its own as
its source, so that a message is known by its client however it ends."""

import difflib
import pprint
import re
from concurrent.futures import ThreadPoolExecutor

from .client import Smtp
from .instance import STOCK_SERVICES, wait_for
from .pair import SELF_CHECK, Pair
from .sink import Sink

SERVICES = "cleanup", "trivial-rewrite"
REMOVED = re.compile(r"^\w+: removed \((?:canceled|discarded)\)$")       # said since 3.9
CONTENT = "From: f@x.test\nTo: t@x.test\nDate: Sat, 21 Nov 2026 02:28:20 +0000\nMessage-Id: <m@x>\nSubject: s\n\nbody\n"


def variant_services(variants):
    """(smtpd, master lines): for each {name: {parameter: value}} an smtpd, and a cleanup and a trivial-rewrite of its own,
    all of which are given the parameters."""
    smtpd, master = {}, ""
    for name, options in variants.items():
        smtpd[name] = dict(options, cleanup_service_name=f"cleanup_{name}", rewrite_service_name=f"rewrite_{name}")
        given = "".join(f"  -o {{ {k} = {v} }}\n" for k, v in options.items())
        master += f"cleanup_{name} unix n - n - 0 cleanup\n{given}  -o rewrite_service_name=rewrite_{name}\n"
        master += f"rewrite_{name} unix - - n - - trivial-rewrite\n{given}"
    return smtpd, master


def difference(want, got):
    lines = [pprint.pformat(v, width=150).splitlines() for v in (want, got)]
    return "\n".join(difflib.unified_diff(*lines, "reference", "ours", n=1, lineterm=""))


class Flow:
    """sender, rcpts: envelope. content: text with LF, or bytes. options: behind MAIL FROM. remote: from a client that is
    not in mynetworks. wait: for a delivery; without it the message ends at its reply."""

    def __init__(self, variant="plain", sender="s@s.test", rcpts=("r@x.test",), content=CONTENT, options="", remote=False):
        self.variant, self.sender, self.options, self.remote = variant, sender, options, remote
        self.rcpts = [rcpts] if isinstance(rcpts, str) else list(rcpts)
        self.content = content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")


class Flows:
    """Start a pair, pass all flows through it, keep what came of them. flows: {name: Flow}. sinks: {name: keywords of Sink}
    whose ports replace @NAME@ in main, master and files."""

    def __init__(self, flows, variants, main=None, files=None, master="", sinks=None, tags=("cleanup",)):
        self.flows, self.tags = flows, tags
        self.results, self.loose, self.sinks = {}, {}, []
        self.address = {}
        for n, (name, flow) in enumerate(flows.items()):
            self.address[name] = self.source(n, flow.remote)
        smtpd, more = variant_services(variants)
        settings = {
            "mynetworks": "127.0.0.1/32, 127.10.0.0/16", "local_header_rewrite_clients": "permit_mynetworks",
            "smtpd_peername_lookup": "no", "smtpd_relay_restrictions": "permit_mynetworks, check_client_access static:OK, reject",
            "smtpd_reject_unlisted_recipient": "no", "local_recipient_maps": "", "notify_classes": "", "smtpd_timeout": "30s",
            "smtpd_client_connection_count_limit": "0", "in_flow_delay": "0", "smtpd_error_sleep_time": "0",
            "smtpd_forbid_bare_newline": "no", "default_process_limit": "20", "max_idle": "5s",
            "default_transport": "smtp:[127.0.0.1]:@sink@", "local_transport": "smtp:[127.0.0.1]:@sink@", "address_verify_map": "",
            "relay_transport": "smtp:[127.0.0.1]:@sink@", "myorigin": "local.test", "mydestination": "local.test, localhost",
            "mydomain": "my.test", "recipient_delimiter": "+", "smtp_destination_concurrency_limit": "20",
            "smtp_log_tls_feature_status": "no", "lmtp_log_tls_feature_status": "no", "smtp_connection_cache_on_demand": "no",
        }
        settings.update(main or {})
        self.files, self.sink_options = files or {}, sinks or {"sink": {"keywords": ("PIPELINING", "8BITMIME", "DSN")}}
        self.pair = Pair(main=settings, smtpd=smtpd, master=more + master, services=STOCK_SERVICES)
        for instance in self.pair.instances:
            self._prepare(instance)

    @staticmethod
    def source(n, remote=False):
        """The client address of the flow at that place."""
        return f"127.{200 if remote else 10}.{n // 250}.{n % 250 + 1}"

    def _prepare(self, instance):
        sinks = {name: Sink(**options) for name, options in self.sink_options.items()}
        self.sinks.append(sinks)

        def ports(text):
            for name, sink in sinks.items():
                text = text.replace(f"@{name}@", str(sink.port))
            return text
        for name in ("main.cf", "master.cf"):
            with open(f"{instance.config}/{name}") as f:
                instance.write(name, ports(f.read()))
        for name, text in self.files.items():
            instance.write(name, ports(text))

    def run(self):
        self.pair.start()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self._run_one, range(len(self.pair.instances))))
        return self

    def __enter__(self):
        try:
            return self.run()
        except BaseException:
            self.destroy()
            raise

    def __exit__(self, *unused):
        self.destroy()

    def destroy(self):
        try:
            self.pair.destroy()
        finally:
            for sinks in self.sinks:
                for sink in sinks.values():
                    sink.close()

    def _submit(self, instance, name):
        flow = self.flows[name]
        out = []
        with Smtp(instance.port(flow.variant), source=self.address[name], timeout=60) as c:
            c.cmd("EHLO client.test")
            out.append(c.cmd(f"MAIL FROM:<{flow.sender}>{flow.options}"))
            out += [c.cmd(f"RCPT TO:<{r}>") for r in flow.rcpts]
            if any(r.startswith("250") for r in out[1:]) and out[0].startswith("250"):
                out.append(c.cmd("DATA"))
                out.append(c.data(flow.content.replace(b"\n", b"\r\n")))
            c.cmd("QUIT")
        return out

    def _run_one(self, n):
        instance = self.pair.instances[n]
        mark = instance.mark()
        with ThreadPoolExecutor(8) as pool:
            replies = dict(zip(self.flows, pool.map(lambda name: self._submit(instance, name), self.flows)))
        ids = {r[-1].split()[-1] for r in replies.values() if "queued as" in r[-1]}

        def settled():
            text = instance.log_text(mark)
            gone = set(re.findall(r": ([0-9A-Za-z]+): (?:removed|discard: )", text))
            left = ids - gone
            return not left or left <= set(instance.queue_files("hold", "deferred"))
        wait_for(settled, 60, "all messages delivered", poll=0.05)
        self._sort(n, instance.log_lines(mark), replies)

    def _sort(self, n, log, replies):
        instance, owner, lines, loose = self.pair.instances[n], {}, {}, []
        by_address = {a: name for name, a in self.address.items()}
        for line in log:
            m = re.search(r"smtpd\[\d+\]: ([0-9A-Za-z]+): client=\S*\[([\d.]+)\]", line)
            if m:
                owner[m.group(1)] = by_address.get(m.group(2))
        for line in log:
            m = re.search(r"postfix/(\S+?)\[\d+\]: (?:(?:warning|fatal|panic|error): )?(?:([0-9A-Za-z]+): )?", line)
            if not m:
                continue
            if m.group(2) in owner:
                lines.setdefault(owner[m.group(2)], []).append(line)
            elif m.group(1) in SERVICES + self.tags and m.group(2) is None:
                loose.append(line)
        held = {qid: i for i in ("hold", "deferred") for qid in instance.queue_files(i)}
        messages = {}
        for sink_name, sink in self.sinks[n].items():
            for message in list(sink.messages):
                m = re.search(rb"\r\n\tid (\w+)|\bid (\w+)\r\n|SMTP id (\w+)", message.content)
                qid = next((g.decode() for g in m.groups() if g), None) if m else None
                name = owner.get(qid)
                messages.setdefault(name, []).append((sink_name, message))
        result = self.results[n] = {}
        for name in self.flows:
            # Ports are numbers that a queue ID may hold, too: only behind a colon.
            normal = instance.normal()
            normal.names = [pair for pair in normal.names if not pair[0].isdigit()]
            normal.names += [(f":{sink.port}", f":PORT_{sink_name}") for sink_name, sink in self.sinks[n].items()]
            own = lines.get(name, [])
            qids = [q for q, who in owner.items() if who == name]
            log = normal.log(own)
            result[name] = {
                "replies": normal.lines(replies[name]),
                "log": {tag: [t for t in log.get("postfix/" + tag, []) if SELF_CHECK or not REMOVED.match(t)] for tag in self.tags},
                "rest": [held[q] for q in qids if q in held],
                "got": sorted([where, m.mail_line, m.rcpt_lines, normal.text(m.content).split("\r\n")]
                              for where, m in messages.get(name, [])),
            }
        normal = instance.normal()
        # Which of the messages was first is a matter of chance.
        self.loose[n] = sorted({(tag, re.sub(r"\bQID\d+", "QID", text)) for tag, text in map(normal.log_line, loose)})

    def compare(self, name, ours_expect=None):
        """ours_expect: {part: value, or a function of the reference's value} where versions differ."""
        if len(self.results) < 2:
            return
        theirs, got = self.results[0][name], self.results[1][name]
        for part in ("replies", "log", "rest", "got"):
            want = theirs[part]
            if ours_expect and part in ours_expect:
                want = ours_expect[part](want) if callable(ours_expect[part]) else ours_expect[part]
            assert got[part] == want, f"{part}:\n" + difference(want, got[part])
