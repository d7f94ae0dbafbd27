# SPDX-License-Identifier: ISC
"""notify_classes and smtp(8): which answers of a server the postmaster is told of, and how."""

import re

import pytest
from harness import Pair, Sink, Smtp

# {case: {verb: answer}}; a case is a domain with a server of its own.
CASES = {
    "good": {},
    "greeting4": {"GREETING": "421 4.3.2 not now"},
    "greeting5": {"GREETING": "554 5.7.1 never"},
    "greeting500": {"GREETING": "500 what"},
    "greeting200": {"GREETING": "200 hm"},
    "ehlo": {"EHLO": "500 5.5.1 what", "HELO": "250 sink"},
    "ehlo502": {"EHLO": "502 5.5.1 what", "HELO": "502 5.5.1 what"},
    "helo550": {"EHLO": "550 5.5.1 go", "HELO": "550 5.5.1 go"},
    "mail501": {"MAIL": "501 5.5.4 syntax"},
    "mail509": {"MAIL": "509 odd"},
    "mail550": {"MAIL": "550 5.7.1 no"},
    "mail555": {"MAIL": "555 5.5.4 parameters"},
    "mail451": {"MAIL": "451 4.3.0 later"},
    "mail421": {"MAIL": "421 4.3.0 closing"},
    "mail354": {"MAIL": "354 odd"},
    "mail600": {"MAIL": "600 odd"},
    "mailjunk": {"MAIL": "hello there"},
    "mailmulti": {"MAIL": "503-5.5.1 first line\n503 5.5.1 second line " + "x y " * 30},
    "rcpt501": {"RCPT": "501 5.1.3 syntax"},
    "rcpt550": {"RCPT": "550 5.1.1 unknown"},
    "rcpt503": {"RCPT": "503 5.5.1 sequence"},
    "data503": {"DATA": "503 5.5.1 sequence"},

    "data550": {"DATA": "550 no"},
    "dot500": {"DOT": "500 5.0.0 bad"},
    "dot550": {"DOT": "550 5.7.1 content"},
    "dot354": {"DOT": "354 again"},
    "quit500": {"QUIT": "500 what"},
    "close mail": {"MAIL": "close"},
    "close dot": {"DOT": "close"},
}
KEYWORDS = {"pipelined": ("PIPELINING",), "plain": ()}


def domain(name):
    return name.replace(" ", "-") + ".test"


class World:
    def __init__(self):
        self.letters = Sink()
        self.servers = {}
        for way, keywords in KEYWORDS.items():
            for case, answers in CASES.items():
                self.servers[f"{case}.{way}"] = Sink(keywords=keywords, hook=lambda verb, line, session, answers=answers: answers.get(verb))
        routes = " ".join(f"{{{domain(n)}=smtp:[127.0.0.1]:{s.port}}}" for n, s in self.servers.items())
        self.pair = Pair(main={"transport_maps": f"inline:{{ {routes} {{back.test=discard:}} {{notice.test=smtp:[127.0.0.1]:{self.letters.port}}} }}",
                               "relay_domains": "static:all", "error_notice_recipient": "error@notice.test", "notify_classes": "protocol, policy, resource, software, data",
                               "in_flow_delay": "0", "smtp_destination_concurrency_limit": "20", "smtp_helo_timeout": "5s", "smtp_mail_timeout": "5s", "smtp_rcpt_timeout": "5s",
                               "smtp_data_init_timeout": "5s", "smtp_data_xfer_timeout": "5s", "smtp_data_done_timeout": "5s", "smtp_quit_timeout": "5s", "smtp_rset_timeout": "5s"},
                         smtpd={"smtp": {"notify_classes": ""}})
        try:
            self.pair.start()
            self.results = [self.play(i) for i in self.pair.instances]
        except BaseException:
            self.close()
            raise

    def play(self, instance):
        self.letters.clear()
        mark = instance.mark()
        with Smtp(instance.port()) as c:
            c.cmd("EHLO x")
            for name in self.servers:
                assert c.mail("s@back.test", f"u@{domain(name)}", "Subject: x\r\nDate: x\r\nFrom: x@y\r\nMessage-Id: <m>\r\n\r\nbody\r\n").startswith("250"), name
            c.cmd("QUIT")
        instance.wait_settled(mark)
        found = {}
        for m in list(self.letters.messages):
            text = m.content.decode("utf-8", "replace")
            to = re.search(r"RCPT TO:<u@(.*?)>", text) or re.search(r"errors from .*:(\d+)", text)
            by_port = {str(s.port): domain(n) for n, s in self.servers.items()}
            normal = instance.normal()
            normal.names += [(f":{s.port}", ":PORT") for s in self.servers.values()]
            text = re.sub(r" SIZE=\d+", "", normal.text(text))
            found.setdefault(by_port.get(to.group(1), to.group(1)), []).append([re.sub(" SIZE=.*", "", m.mail_line), m.rcpt_lines] + text.split("\r\n"))
        return found

    def close(self):
        try:
            self.pair.destroy()
        finally:
            for s in list(self.servers.values()) + [self.letters]:
                s.close()


@pytest.fixture(scope="module")
def world():
    w = World()
    yield w
    w.close()


@pytest.mark.parametrize("way", KEYWORDS)
@pytest.mark.parametrize("case", CASES)
def test_notice(world, case, way):
    results = [r.get(domain(f"{case}.{way}")) for r in world.results]
    if len(results) == 2:
        assert results[1] == results[0]
