# SPDX-License-Identifier: ISC
"""One pair of instances, the reference and ours, shared by the whole session."""

import pytest
from harness import Pair, Sink
from harness.instance import make_account

USERS = ("phalice", "phbob")


def make_users():
    for name in USERS:
        make_account(name)


def road_config(sink):
    """Settings of the shared pair. Where the default has changed since the
    reference's version the setting is spelt out; cases of their own check the default."""
    return {
        "relay_domains": "relay.test, relay2.test",
        "mydestination": "$myhostname, localhost.$mydomain, localhost, mbox.test",
        "transport_maps": "inline:{ "
            f"{{relay.test = smtp:[127.0.0.1]:{sink.port}}} {{relay2.test = smtp:[127.0.0.1]:{sink.port}}} "
            f"{{far.test = smtp:[127.0.0.1]:{sink.port}}} {{vend.test = smtp:[127.0.0.1]:{sink.port}}} "
            "{error.test = error:5.1.2 no such domain} {retry.test = retry:4.4.4 not now} "
            "{discard.test = discard:} {refused.test = smtp:[127.0.0.1]:9} {mbox.test = localmbox:} "
            "{hold.test = slow:} }",
        "virtual_alias_domains": "valias.test",
        "virtual_alias_maps": "texthash:@config@/virtual",
        "virtual_mailbox_domains": "vmbox.test",
        "virtual_mailbox_base": "@mail@",
        "virtual_mailbox_maps": "texthash:@config@/vmailbox",
        "virtual_uid_maps": "static:@uid@",
        "virtual_gid_maps": "static:@gid@",
        "virtual_minimum_uid": "1",
        "relocated_maps": "inline:{ {moved@localhost = new@example.com} }",
        "mail_spool_directory": "@base@/spool/",
        "local_recipient_maps": "unix:passwd.byname $alias_maps",
        "recipient_delimiter": "+",
        "hopcount_limit": "20",
        "smtpd_error_sleep_time": "0",
        "smtpd_soft_error_limit": "100",
        "smtpd_hard_error_limit": "200",
        "smtpd_junk_command_limit": "100",
        "smtpd_forbid_bare_newline": "no",
        "smtpd_forbid_unauth_pipelining": "yes",
        "smtpd_forbidden_commands": "CONNECT, GET, POST",
        "smtp_log_tls_feature_status": "no",
        "lmtp_log_tls_feature_status": "no",
        "smtpd_client_connection_count_limit": "0",
        "delay_warning_time": "0",
        "minimal_backoff_time": "300s",
        "address_verify_map": "",
        "in_flow_delay": "0",
        "header_checks": "pcre:@config@/header_checks",
        "body_checks": "pcre:@config@/body_checks",
    }


SMTPD = {
    "smtp": {},
    "strict": {"strict_rfc821_envelopes": "yes", "disable_vrfy_command": "yes", "smtpd_helo_required": "yes"},
    "limits": {"smtpd_soft_error_limit": "2", "smtpd_hard_error_limit": "5", "smtpd_junk_command_limit": "4"},
    "rcptlimit": {"smtpd_recipient_limit": "3", "smtpd_recipient_overshoot_limit": "2", "smtpd_hard_error_limit": "4"},
    "small": {"message_size_limit": "2000"},
    "nosize": {"message_size_limit": "0"},
    "short": {"smtpd_timeout": "1s"},
    "outside": {"mynetworks": "192.0.2.0/24"},
    "nolists": {"smtpd_recipient_restrictions": "", "smtpd_relay_restrictions": "reject_unauth_destination",
                "mynetworks": "192.0.2.0/24"},
    "deferdest": {"smtpd_relay_restrictions": "permit_mynetworks,defer_unauth_destination", "mynetworks": "192.0.2.0/24"},
    "nodelay": {"smtpd_delay_reject": "no", "smtpd_client_restrictions": "reject"},
    "rejclient": {"smtpd_client_restrictions": "reject"},
    "rejhelo": {"smtpd_helo_restrictions": "reject"},
    "rejsender": {"smtpd_sender_restrictions": "reject"},
    "deferall": {"smtpd_recipient_restrictions": "defer"},
    "rejdata": {"smtpd_data_restrictions": "reject"},
    "rejeod": {"smtpd_end_of_data_restrictions": "reject"},
    "access": {"smtpd_recipient_restrictions": "check_recipient_access texthash:@config@/access, permit_mynetworks, reject"},
    "helocheck": {"smtpd_helo_restrictions": "reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname"},
    "fqdn": {"smtpd_sender_restrictions": "reject_non_fqdn_sender", "smtpd_recipient_restrictions": "reject_non_fqdn_recipient, permit_mynetworks"},
    "unlisted": {"smtpd_reject_unlisted_sender": "yes"},
    "noehlo": {"smtpd_discard_ehlo_keywords": "pipelining,size,vrfy,etrn,enhancedstatuscodes,8bitmime,dsn,smtputf8,chunking"},
    "nochunk": {"smtpd_discard_ehlo_keywords": "chunking,dsn,silent-discard"},
    "nopipe": {"smtpd_forbid_unauth_pipelining": "no"},
    "softb": {"soft_bounce": "yes"},
    "footer": {"smtpd_reject_footer": "\\c. Ask $server_name, you are $client_address"},
    "footer2": {"smtpd_reject_footer": "second line\\nthird for $recipient from $sender"},
    "banner": {"smtpd_banner": "$myhostname ESMTP here"},
    "barelf": {"smtpd_forbid_bare_newline": "normalize", "smtpd_forbid_bare_newline_exclusions": ""},
    "noop": {"smtpd_noop_commands": "XNOOP"},
    "verbatim": {"smtputf8_enable": "no"},
    "strict8": {"strict_smtputf8": "yes"},
    "warnif": {"smtpd_recipient_restrictions": "warn_if_reject reject, permit_mynetworks, reject"},
    "filter": {"smtpd_command_filter": "pcre:@config@/command_filter"},
    "class": {"smtpd_restriction_classes": "myclass", "myclass": "reject_unlisted_recipient, reject",
              "smtpd_recipient_restrictions": "check_recipient_access inline:{{{phbob@localhost = OK}} {{phalice@localhost = myclass}}}, permit"
              .replace("{{", "{").replace("}}", "}")},
    "auth": {"smtpd_relay_restrictions": "permit_mynetworks, permit_auth_destination, reject"},
    "submission": {"syslog_name": "postfix/submission"},
}

MASTER = """\
localmbox unix  -       n       n       -       -       local
  -o { mail_spool_directory = @base@/mbox }
slow      unix  -       -       n       -       -       error
"""

FILES = {
    "aliases": "alice phalice\nboth phalice,phbob\nfwd u1@relay.test\nlooper looper2\nlooper2 looper\nfile /dev/null\npostmaster phalice\n"
               # accounts for the results of the access table
               + "".join(f"{n} phalice\n" for n in "ok relay digits dunno info warn dir list wir hold prep redir bcc disc filt filt2 prep2 redir2 dip dip2".split()),
    "virtual": "a1@valias.test u1@relay.test\ntwo@valias.test u1@relay.test, u2@relay.test\nlocal@valias.test phalice@localhost\n"
               "loop@valias.test loop@valias.test\nchain@valias.test a1@valias.test\n@vend.test u9@relay.test\n",
    "vmailbox": "u1@vmbox.test u1/\nu2@vmbox.test u2/\nbox@vmbox.test box\n",
    "header_checks": "/^X-Reject: (.*)/ REJECT header $1\n/^X-Plain:/ REJECT\n/^X-Ignore:/ IGNORE\n/^X-Replace: (.*)/ REPLACE X-Replaced: <$1>\n"
                     "/^X-Prepend:/ PREPEND X-Before: yes\n/^X-Warn:/ WARN watch out\n/^X-Hold:/ HOLD please\n/^X-Discard:/ DISCARD gone\n"
                     "/^X-Redirect:/ REDIRECT other@relay.test\n/^X-Code:/ REJECT 5.7.9 own code\n/^X-Info:/ INFO note this\n",
    "body_checks": "/^viagra/ REJECT no thanks\n/^secret (.*)/ REPLACE public $1\n/^dropme/ IGNORE\n",
    "command_filter": "/^XFOO/ NOOP\n/^EHLO two/ HELO changed\n",
    "access": "ok@localhost OK\nrelay@localhost RELAY\ndigits@localhost 550\ndunno@localhost DUNNO\n"
              "phalice@localhost REJECT\nphbob@localhost REJECT custom text\nrej57@localhost REJECT 5.7.99 t\n"
              "t550@localhost 550 five fifty\nt552@localhost 550 5.2.2 mailbox full\nt450@localhost 450 4.2.1 try later\n"
              "t451@localhost 451 foo\nt599@localhost 599 odd\nt421@localhost 421 4.3.2 closing\nt521@localhost 521 5.3.2 no more\n"
              "bad1@localhost 650 foo\nbad2@localhost garbage\ndefer@localhost DEFER\ndefer2@localhost DEFER custom\n"
              "defer3@localhost DEFER 4.9.9 c\ndip@localhost DEFER_IF_PERMIT later\ndip2@localhost DEFER_IF_PERMIT\n"
              "dir@localhost DEFER_IF_REJECT hmm, why\ninfo@localhost INFO see\nwarn@localhost WARN careful\nlist@localhost permit_mynetworks, reject\n"
              "wir@localhost warn_if_reject, reject\nhold@localhost HOLD wait\nprep@localhost PREPEND X-Foo: bar\n"
              "redir@localhost REDIRECT u7@relay.test\nbcc@localhost BCC u8@relay.test\ndisc@localhost DISCARD nope\n"
              "filt@localhost FILTER discard:\nfilt2@localhost FILTER foo\nprep2@localhost PREPEND\nredir2@localhost REDIRECT bob\n",
}


@pytest.fixture(scope="session")
def sink():
    with Sink() as s:
        yield s


@pytest.fixture(scope="session")
def road(sink):
    make_users()
    pair = Pair(main=road_config(sink), smtpd=SMTPD, master=MASTER)
    import os
    for i in pair.instances:
        for name, text in FILES.items():
            i.write(name, text)
        for d in ("spool", "mbox"):
            os.makedirs(f"{i.base}/{d}", exist_ok=True)
            os.chmod(f"{i.base}/{d}", 0o1777)
    try:
        pair.start()
        yield pair
    finally:
        pair.destroy()


@pytest.fixture(scope="session")
def table_servers():
    """The cases of test_table_servers.py. They wait more than they work, and so run beside other tests of tables."""
    import test_table_servers
    yield from test_table_servers.begin()
