# SPDX-License-Identifier: ISC
"""What a login is good for: permit_sasl_authenticated, check_sasl_access, the restrictions about owners of sender addresses, policy requests, the
Received header, the queue file, header rewriting, filters, and the log."""

import re

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Pair, Sink, dialogue, logged_dialogue
from harness.auth_server import AuthServer, b64, greeting, plain
from harness.policy_server import PolicyServer

OWNERS = """\
bob@own.test bob
Shared@own.test ann, BOB joe
ext@own.test bob
@domain.test dora
localuser bob
"a b"@own.test bob
<> bob
"""
MISMATCH = {
    "sender": "reject_sender_login_mismatch", "authenticated": "reject_authenticated_sender_login_mismatch",
    "known": "reject_known_sender_login_mismatch", "unauthenticated": "reject_unauthenticated_sender_login_mismatch",
}
ACCESS = "texthash:@config@/access"
ACCESS_TEXT = "bob REJECT not bob\nann OK\njoe 550 5.7.9 own text\neve HOLD\n\"a b\" REJECT\ndora DUNNO\nx@y.test REJECT\nx REJECT\ngrün DEFER\n"
SERVICES = {
    **{name: {"smtpd_sender_restrictions": r} for name, r in MISMATCH.items()},
    "early": {"smtpd_sender_restrictions": MISMATCH["sender"], "smtpd_delay_reject": "no"},
    "notable": {"smtpd_sender_restrictions": MISMATCH["sender"], "smtpd_sender_login_maps": ""},
    "badtable": {"smtpd_sender_restrictions": MISMATCH["sender"], "smtpd_sender_login_maps": "fail:owners"},
    "warn": {"smtpd_sender_restrictions": "warn_if_reject reject_sender_login_mismatch"},
    "access": {"smtpd_recipient_restrictions": f"check_sasl_access {ACCESS}, permit_sasl_authenticated, reject"},
    "badaccess": {"smtpd_recipient_restrictions": "check_sasl_access fail:x, permit_sasl_authenticated, reject"},
    "client": {"smtpd_client_restrictions": "permit_sasl_authenticated, reject"},
    "permits": {"smtpd_log_access_permit_actions": "static:all", "smtpd_sender_restrictions": "permit_sasl_authenticated"},
    "off": {"smtpd_sasl_auth_enable": "no", "smtpd_authorized_xclient_hosts": "127.0.0.1",
            "smtpd_sender_restrictions": ", ".join(MISMATCH.values()) + f", check_sasl_access {ACCESS}, permit_sasl_authenticated"},
    "relay": {"smtpd_relay_restrictions": "permit_sasl_authenticated, reject_unauth_destination", "smtpd_recipient_restrictions": ""},
    "xclient": {"smtpd_authorized_xclient_hosts": "127.0.0.1", "smtpd_sender_restrictions": MISMATCH["sender"]},
    "anyone": {"smtpd_sasl_security_options": "", "smtpd_sasl_path": "@base@/anonymous", "smtpd_sender_restrictions": MISMATCH["sender"],
               "smtpd_recipient_restrictions": f"check_sasl_access {ACCESS}, permit"},
    "policy": {"smtpd_recipient_restrictions": "check_policy_service unix:@base@/policy, reject", "smtpd_authorized_xclient_hosts": "127.0.0.1"},
    "hold": {"smtpd_recipient_restrictions": "check_recipient_access static:HOLD", "smtpd_sasl_authenticated_header": "yes"},
    "holdplain": {"smtpd_recipient_restrictions": "check_recipient_access static:HOLD"},
    "hidden": {"smtpd_recipient_restrictions": "check_recipient_access static:HOLD", "smtpd_sasl_authenticated_header": "yes", "smtpd_hide_client_session": "yes"},
    "rewrite": {"smtpd_recipient_restrictions": "check_recipient_access static:HOLD", "local_header_rewrite_clients": "permit_sasl_authenticated"},
    "filter": {"smtpd_proxy_filter": "127.0.0.1:@filter@", "smtpd_sasl_authenticated_header": "yes"},
}
H = ["EHLO x"]


def login(user):
    return [] if user is None else ["AUTH PLAIN " + plain(user)]


def mail(sender):
    return [f"MAIL FROM:{sender}", "RCPT TO:<u@far.test>", "RSET"]


SENDERS = ("<bob@own.test>", "<shared@OWN.test>", "<ext+a@own.test>", "<x@domain.test>", "<localuser@mail.example.test>", "<localuser>", "<nobody@own.test>", "<>",
           '<"a b"@own.test>', "<bob@sub.domain.test>")
ALL_SENDERS = [step for sender in SENDERS for step in mail(sender)]
MESSAGE = ["MAIL FROM:<a@sender.test> AUTH=orig+40b@sender.test", "RCPT TO:<u@far.test>", "DATA",
           b"Subject: x\r\nDate: x\r\nMessage-Id: <x@y>\r\nFrom: a\r\n\r\nx\r\n.\r\n"]
CASES = {
    **{f"{name} {user}": (name, H + login(user) + ALL_SENDERS + ["QUIT"]) for name in MISMATCH for user in (None, "bob", "joe", "dora", "x@y.test")},
    "early": ("early", H + mail("<bob@own.test>") + login("joe") + mail("<bob@own.test>") + mail("<shared@own.test>") + ["QUIT"]),
    "no table": ("notable", H + mail("<bob@own.test>") + login("bob") + mail("<bob@own.test>") + mail("<>") + ["QUIT"]),
    "table in trouble": ("badtable", H + mail("<bob@own.test>") + login("bob") + mail("<bob@own.test>") + ["QUIT"]),
    "warning only": ("warn", H + login("bob") + mail("<x@domain.test>") + ["QUIT"]),
    **{f"access {user}": ("access", H + login(user) + mail("<a@sender.test>") + ["QUIT"]) for user in (None, "bob", "BOB", "ann", "joe", "eve", "a b", "dora", "grün",
                                                                                                        "x@y.test", "bob@y.test")},
    "access in trouble": ("badaccess", H + mail("<a@sender.test>") + login("bob") + mail("<a@sender.test>") + ["QUIT"]),
    "client": ("client", H + mail("<a@sender.test>") + login("bob") + mail("<a@sender.test>") + ["QUIT"]),
    "permits": ("permits", H + mail("<a@sender.test>") + login("bob") + mail("<a@sender.test>") + ["QUIT"]),
    "off": ("off", H + mail("<bob@own.test>") + ["QUIT"]),
    "off xclient": ("off", H + ["XCLIENT LOGIN=bob", "EHLO x"] + mail("<bob@own.test>") + ["QUIT"]),
    "relay": ("relay", H + mail("<a@sender.test>") + login("bob") + mail("<a@sender.test>") + ["QUIT"]),
    "xclient": ("xclient", H + ["XCLIENT LOGIN=joe", "EHLO x"] + mail("<bob@own.test>") + mail("<shared@own.test>") + ["XCLIENT LOGIN=[UNAVAILABLE]", "EHLO x"]
                + mail("<bob@own.test>") + login("bob") + mail("<bob@own.test>") + ["XCLIENT NAME=x.test", "EHLO x"] + mail("<bob@own.test>") + ["QUIT"]),
    "anonymous": ("anyone", H + ["AUTH ANONYMOUS " + b64("bob")] + mail("<bob@own.test>") + mail("<a@sender.test>") + ["QUIT"]),
    "parameter": ("sender", H + ["MAIL FROM:<a@sender.test> AUTH=<a+40b>", "RCPT TO:<u@far.test>", "RSET"] + login("bob")
                  + ["MAIL FROM:<bob@own.test> AUTH=bob+40own.test", "RCPT TO:<u@far.test>", "RSET", "MAIL FROM:<bob@own.test> AUTH=<>", "RCPT TO:<u@far.test>", "QUIT"]),
}


@pytest.fixture(scope="module")
def pair():
    with Sink() as sink:
        services = {n: {k: v.replace("@filter@", str(sink.port)) for k, v in o.items()} for n, o in SERVICES.items()}
        p = Pair(main={"smtpd_sasl_auth_enable": "yes", "smtpd_sasl_type": "dovecot", "smtpd_sasl_path": "@base@/auth", "transport_maps": "static:discard:",
                       "smtpd_error_sleep_time": "0", "smtpd_soft_error_limit": "100", "smtpd_hard_error_limit": "200", "in_flow_delay": "0",
                       "smtpd_sender_login_maps": "texthash:@config@/owners", "recipient_delimiter": "+", "local_recipient_maps": "",
                       "smtpd_relay_restrictions": "permit_mynetworks, reject", "myorigin": "mail.example.test", "remote_header_rewrite_domain": "remote.test"},
                 smtpd=services)
        servers = []
        try:
            for i in p.instances:
                i.write("owners", OWNERS)
                i.write("access", ACCESS_TEXT)
                i.sink = sink
                i.policy = PolicyServer({}, path=f"{i.base}/policy")
                i.servers = [AuthServer(path=f"{i.base}/auth"), AuthServer(path=f"{i.base}/anonymous", hello=greeting({"ANONYMOUS": "anonymous", "PLAIN": "plaintext"}))]
                servers += [i.policy, *i.servers]
            yield p.start()
        finally:
            p.destroy()
            for s in servers:
                s.close()


def play(service, steps):
    def run(instance):
        replies, log = logged_dialogue(instance, service, steps)
        # The login at the end of lines about recipients is new in 3.10: test_login_in_the_log.
        log = [re.sub(r"(proto=\S+ helo=<\S+>)(?: sasl_\w+=.*)?$", r"\1", line) for line in log]
        return instance.normal().lines(replies + log)
    return run


@pytest.mark.parametrize("case", CASES)
def test_dialogue(pair, case):
    pair.compare(play(*CASES[case]))


def held(instance):
    """What is in the hold queue, and it is emptied."""
    out = []
    for name, path in sorted(instance.queue_files("hold").items()):
        p = instance.run("postcat", path)
        # The size counts the queue ID, whose length follows the inode number; the second is newer than the reference.
        out += [re.sub(r"(client_port=)\d{5}$|(server_port=)\d{5}$", r"\1\2PORT", line) for line in p.stdout.replace(path, "FILE").splitlines()
                if not re.match("message_size:|named_attribute: message_id=", line)]
        instance.run("postsuper", "-d", name)
    return out


@pytest.mark.parametrize("who", ["bob", "a)b(c\\", "grün", None, "xclient"])
@pytest.mark.parametrize("service", ["hold", "holdplain", "rewrite"])
def test_message(pair, service, who):
    """The queue file, Received: and the header's context."""
    greet = [["EHLO x"], ["HELO x"]][who == "a)b(c\\"]

    def run(instance):
        start = instance.mark()
        replies = dialogue(instance.port(service), greet + login(who if who != "xclient" else "joe") + MESSAGE + ["QUIT"])
        instance.wait_log(r"smtpd\[\d+\]: disconnect from", start)
        log = [re.sub(r"^.*smtpd\[\d+\]: ", "", line) for line in instance.log_lines(start) if "smtpd[" in line]
        return instance.normal().lines(replies + [re.sub(r"(proto=\S+ helo=<\S+>)(?: sasl_\w+=.*)?$", r"\1", line) for line in log] + held(instance))
    pair.compare(run)


def test_policy_request(pair):
    def run(instance):
        instance.policy.clear()
        for steps in (login(None), login("bob"), ["XCLIENT LOGIN=joe", "EHLO y"]):
            dialogue(instance.port("policy"), H + steps + MESSAGE[:2] + ["QUIT"])
        return [[line for line in block if line.startswith("sasl_")] for block in instance.policy.blocks]
    got = pair.compare(run)
    assert got == [[f"sasl_method={method}", f"sasl_username={user}", "sasl_sender=orig+40b@sender.test"]
                   for method, user in (("", ""), ("PLAIN", "bob"), ("XCLIENT", "joe"))]


def test_filter(pair):
    def run(instance):
        start, before = instance.mark(), len(instance.sink.messages)
        replies = dialogue(instance.port("filter"), H + login("bob") + MESSAGE + ["QUIT"])
        instance.wait_log(r"smtpd\[\d+\]: disconnect from", start)
        log = [re.sub(r"^.*smtpd\[\d+\]: ", "", line) for line in instance.log_lines(start) if "smtpd[" in line]
        sent = instance.sink.messages[before]
        return instance.normal().lines(replies + log + [sent.mail_line, sent.content.decode()])
    pair.compare(run)


@pytest.mark.skipif(REFERENCE_ONLY or SELF_CHECK, reason="needs the suite under test")
def test_login_in_the_log(pair):
    """Lines about what a recipient met end with the login since 3.10."""
    start = pair.ours.mark()
    for steps in (login(None) + ["MAIL FROM:<a@sender.test> AUTH=x@y.test"], login("bob") + ["MAIL FROM:<a@sender.test>"],
                  login("bob") + ["MAIL FROM:<a@sender.test> AUTH=<>"], login("joe") + ["MAIL FROM:<a@sender.test> AUTH=a+3Db"]):
        dialogue(pair.ours.port("sender"), H + steps + ["RCPT TO:<u@far.test>", "QUIT"])
        dialogue(pair.ours.port("access"), H + steps + ["RCPT TO:<u@far.test>", "QUIT"])
    pair.ours.wait_log(r"smtpd\[\d+\]: disconnect from", start, count=8)
    ends = [line.split(" helo=<x>")[1] for line in pair.ours.log_lines(start) if " reject: RCPT " in line]
    assert ends == [" sasl_sender=x@y.test"] + [" sasl_method=PLAIN sasl_username=bob"] * 4 \
        + [" sasl_method=PLAIN sasl_username=joe sasl_sender=a+3Db"] * 2


@pytest.mark.skipif(REFERENCE_ONLY or SELF_CHECK, reason="needs the suite under test")
def test_hidden_client(pair):
    """smtpd_hide_client_session, newer than the reference, hides the login, too."""
    dialogue(pair.ours.port("hidden"), H + login("bob") + MESSAGE + ["QUIT"])
    got = held(pair.ours)
    assert [line for line in got if re.match(r"Received:", line)] and not [line for line in got if "Authenticated sender" in line]
