# SPDX-License-Identifier: ISC
"""postconf: every option, combination and kind of edit on small configurations."""

import itertools
import json
import os
import re
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import Batch

from test_commands import box, fresh, hide, result   # noqa: F401 (box is a fixture)
from test_main_cf import ordered

_batches = {}


def compare(pair, kind, make, cases, name, ours_expect=None):
    """One of a table of independent cases; the table's first case starts them all. Errors make the reference
    sleep a second, so many are run at a time."""
    if (kind, id(pair)) not in _batches:
        _batches[kind, id(pair)] = Batch(pair, {n: make(kind, i, cases[n]) for i, n in enumerate(cases)}, workers=32)
    return _batches[kind, id(pair)].compare(name, ours_expect)


def unwarned(err):
    """Without what 3.11 says in addition: deprecated names (facts: commands 3.6)."""
    return re.sub(r"(?m)^postconf: warning: (DIR/\w+\.cf: support for parameter .*|See https://\S+DEPRECATION_README\.html for details)\n", "", err)


def outcome(instance, directory, args, **kw):
    p = instance.run("postconf", "-c", directory, *args, **kw)
    rc, out, err = hide(result(instance, p), directory)
    if not instance.suite.is_ours:
        err = re.sub(r"(?m)specify one of (-.*)$", lambda m: "specify one of " + m.group(1).replace(", ", " ").replace(" ", ", ").replace(", and, ", " and "), err)
    return rc, out, ordered(unwarned(err))


MAIN = """# head
mydomain = example.test
myhostname = host.$mydomain
mydestination = $myhostname,	localhost.$mydomain,    localhost
empty =
relayhost =
user_value = a
own_list = permit_mynetworks, $user_value
smtpd_banner = $myhostname ESMTP ${user_value?yes}
long_list = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination, check_recipient_access hash:/etc/postfix/access, reject
smtpd_recipient_restrictions = $long_list class1
smtpd_restriction_classes = class1, class2
class1 = reject
class2 = permit
mine_destination_rate_delay = 1s
mine_transport_rate_delay = $other
pump_time_limit = 5s
unused_one = x
"""
MASTER = """# head
smtp      inet  n       -       n       -       -       smtpd
  -o smtpd_banner=$myhostname -o { own_thing = a b }
# inside
  -o smtpd_client_restrictions=$mua_client_restrictions
submission inet n       -       y       -       -       smtpd -v -o syslog_name=postfix/submission
pickup    unix  n       -       n       60      1       pickup
mine      unix  -       -       n       -       5       smtp -o helo_name=$own_list
  -o smtp_helo_timeout=5
pump      unix  -       n       n       -       -       pipe
  flags=R user=nobody argv=/bin/cat -o x=y ${recipient}
pump2     unix  -       n       n       -       -       spawn user=nobody argv=/bin/echo {a b} c
127.0.0.1:10025 inet n  -       n       -       -       smtpd -o mynetworks=127.0.0.0/8
"""

# --- options that do and do not go together

LETTERS = "a A b d e f F h H l m M n p P t x X #".split()
TWO = [["-" + a + b] for a, b in itertools.combinations(LETTERS, 2)]
THREE = [["-" + t] for t in "deX dnX fhH fhx MFP MPn MFx Mfx Mhx Fhx FhH Fdx Phx Pnx Pdx Mdn efX ehH efx oex".split() if "o" not in t]
MORE = [["-o", "a=b", "-" + x] for x in "a d e h H l m M n p P F x X".split()] + [["-C", "user", "-" + x] for x in "a d e h H l m M n p P F x X".split()] + \
       [["-T", "foo", "-a"], ["-T", "foo", "-n"], ["-T", "foo", "x"], ["-T", "run-version", "-T", "x"], ["-T"], ["-o"], ["-C"], ["-c"], ["-E"], ["-N"], ["-V"], ["-z"], ["-Pe"], ["-Me"], ["-Fe"],
        ["-MX"], ["-M#"], ["-PX"], ["-FX"], ["-FX", "smtp/inet/chroot"], ["-P#", "smtp/inet/x"], ["-e", "-e", "-n"], ["-b", "x", "y"], ["-t", "x", "y"], ["--", "-n"], ["-", "x"], ["-m", "x"], ["-l", "x"],
        ["-n", "-n", "mydomain"], ["-d", "-x", "-h", "mydomain"], ["-hH"], ["-v", "-v", "-z"]]
OPTIONS = {" ".join(a): a for a in TWO + THREE + MORE}
# The two list the types of the build.
del OPTIONS["-m x"], OPTIONS["-C user -m"]


def option_case(kind, number, args):
    def run(instance):
        extra = f"queue_directory = {instance.queue}\ndata_directory = {instance.data}\ndaemon_directory = {instance.suite.daemon_directory}\n"
        directory = fresh(instance, f"{kind}{number}", main=MAIN + extra, master=MASTER)
        rc, out, err = outcome(instance, directory, args)
        # Which parameters, defaults and types there are differs between the versions.
        return rc, err, (out if out.count("\n") < 30 else re.findall(r"(?m)^(?:mydomain|own_list|class1|example\.test|smtp/inet/\S+).*", out))
    return run


@pytest.mark.parametrize("name", OPTIONS)
def test_options(box, name):   # noqa: F811
    compare(box, "options", option_case, OPTIONS, name, OPTIONS_OURS.get(name))


OPTIONS_OURS = {
    # 3.11 looks at more sets first (facts: commands 3.2).
    "-deX": (1, "postconf: fatal: specify one of -e, -X\n", ""),
}

# --- showing

SHOW = {" ".join(a): a for a in [
    ["-n"], ["-nf"], ["-nh"], ["-nH"], ["-nx"], ["-nfx"], ["-nhf"], ["-nxh"], ["-nxH"], ["-C", "user"], ["-C", "user", "-n"], ["-C", "service", "-n"], ["-C", "builtin", "-n"], ["-C", "user,service", "-n"], ["-C", "user service", "-n"],
    ["-C", "USER"], ["-C", ""], ["-C", "all,bogus"], ["-C", "user", "-C", "service", "-n"], ["-C", "user", "mydomain"], ["-n", "-C", "user", "mydomain", "own_list"],
    ["mydomain"], ["mydomain", "mydomain"], ["nosuch"], ["nosuch", "mydomain"], ["-h", "nosuch"], ["-H", "nosuch", "empty"], ["empty"], ["-n", "nosuch"], ["-n", "relay_domains"], ["-d", "own_list"], ["-d", "class1"], ["-d", "mine_destination_rate_delay"],
    ["mine_destination_rate_delay", "mine_destination_recipient_limit", "mine_initial_destination_concurrency", "mine_nosuch"], ["-x", "mine_destination_rate_delay", "mine_destination_recipient_limit", "mine_delivery_slot_cost"],
    ["-dx", "mine_destination_recipient_limit"], ["pump_time_limit", "pump2_time_limit", "pump_destination_recipient_limit", "pump2_destination_recipient_limit", "smtp_time_limit", "pickup_time_limit"], ["submission_destination_recipient_limit"],
    ["unused_one"], ["own_list"], ["long_list"], ["class1", "class2", "class3"], ["own_thing"], ["helo_name"], ["mua_client_restrictions"], ["user_value"], ["-x", "own_list"], ["-f", "long_list"], ["-fh", "long_list"], ["-fH", "long_list"], ["-fx", "smtpd_recipient_restrictions"],
    ["-o", "mydomain=o.test", "-x", "myhostname"], ["-o", "new=x", "new"], ["-o", "mydomain=o.test", "-n"], ["-o", "unused_one=y", "mydomain"], ["-o", "a", "mydomain"], ["-o", "=b", "mydomain"], ["-o", "a b=c", "mydomain"], ["-o", "mydomain = sp aced ", "mydomain"],
    ["-o", "{ mydomain = x }", "mydomain"], ["-o", "mydomain=", "-x", "myhostname"], ["-o", "mydomain=$nosuch", "-x", "myhostname"], ["-o", "a=1", "-o", "a=2", "-x", "a"], ["$mydomain"], ["mydomain/"], ["*"], [""], ["my domain"], ["MYDOMAIN"],
    ["-M"], ["-Mf"], ["-Mx"], ["-Mfx"], ["-M", "smtp"], ["-M", "smtp/inet"], ["-M", "smtp/inet", "pickup"], ["-M", "pickup", "smtp"], ["-M", "*/unix"], ["-M", "*/*"], ["-M", "*"], ["-M", "smtp/unix"], ["-M", "nosuch", "smtp"], ["-M", "sm*"], ["-M", "/inet"], ["-M", "smtp/"], ["-M", "smtp//inet"], ["-M", "smtp/inet//"], ["-M", "*/"], ["-M", "//smtp"], ["-M", ""],
    ["-M", "smtp/inet/x"], ["-M", "smtp.inet"], ["-M", "127.0.0.1:10025/inet"], ["-Mo", "own_list=q", "-x", "mine"], ["-Mx", "mine", "-o", "own_list=q"],
    ["-F"], ["-Ff"], ["-Fh"], ["-FH"], ["-Fx"], ["-Ffx"], ["-Ffh"], ["-FfH", "smtp"], ["-F", "smtp"], ["-F", "smtp/inet/command"], ["-Ff", "smtp/inet/command"], ["-Ffh", "smtp/inet/command"], ["-F", "*/*/command"], ["-F", "*/inet/chroot"], ["-F", "smtp/inet/*"], ["-F", "smtp/inet/nosuch"],
    ["-F", "*/*/*"], ["-F", "a/b/c/d"], ["-F", "smtp/inet/"], ["-F", "smtp//inet/chroot//"], ["-F", "nosuch/unix/chroot"], ["-F", "smtp/inet/com*"], ["-F", "mine/unix/service", "mine/unix/type", "mine/unix/private", "mine/unix/unprivileged", "mine/unix/wakeup", "mine/unix/process_limit"], ["-Fh", "pump/unix/command"], ["-Fx", "mine/unix/command"],
    ["-P"], ["-Pf"], ["-Ph"], ["-PH"], ["-Px"], ["-Pfx"], ["-Pfh"], ["-P", "smtp"], ["-P", "smtp/inet"], ["-P", "smtp/inet/smtpd_banner"], ["-P", "smtp/inet/own_thing"], ["-P", "smtp/inet/nosuch"], ["-P", "*/*/smtpd_banner"], ["-P", "*/inet"], ["-P", "*/*/*"], ["-P", "pump/unix"], ["-P", "nosuch/unix"],
    ["-P", "smtp/inet/smtpd*"], ["-P", "a/b/c/d"], ["-Px", "smtp/inet/smtpd_banner"], ["-Px", "mine"], ["-Pxo", "own_list=z", "mine"], ["-P", "pickup"], ["-P", "pickup/unix/x"],
    ["-dx", "smtpd_expansion_filter", "forward_path", "postscreen_expansion_filter"], ["-l"], ["-a"], ["-A"], ["-T", "run-version"], ["-T", "public-key-algorithms"], ["-T", ""],
]}


def show_case(kind, number, args):
    def run(instance):
        directory = fresh(instance, f"{kind}{number}", main=MAIN, master=MASTER)
        rc, out, err = outcome(instance, directory, args)
        if not instance.suite.is_ours and args[0].startswith("-F"):
            out = out.replace("pipeflags", "pipe flags")    # an old fault of -h
        return rc, out, err
    return run


@pytest.mark.parametrize("name", SHOW)
def test_show(box, name):   # noqa: F811
    compare(box, "show", show_case, SHOW, name, SHOW_OURS.get(name))


SHOW_OURS = {}

# --- editing

EDIT_MAIN = {
    "plain": "a = 1\nrelayhost = x\n# comment\nmydomain = example.test\n",
    "continued": "# head\nmydestination = x,\n# inside\n\ty,\n\n    z\nrelayhost =\n",
    "end": "relayhost = a,\n b\n# tail\n\n#more\n",
    "twice": "relayhost = a\n b\n# c\nrelayhost = b\na = x\nrelayhost=c\n",
    "odd": "   # indented comment\nrelayhost   =   a   b  \nname=\n\n\n  # x\n\trest = y\n",
    "first-blank": " relayhost = a\n b\nrelayhost = c\n d\n",
    "crlf": "relayhost = a\r\n b\r\na = 1\r\n",
    "bare": "relayhost\nrelayhost x\nrelayhost == y\n= relayhost\njunk\n",
    "prefix": "relayhost2 = a\nrelayhos = b\nRELAYHOST = c\n$relayhost = d\nrelayhost\t= e\n",
    "bytes": b"relayhost = \xff\xfe\n# \x80\na = \xc3\xa9\n".decode("latin-1"),
    "commented": "#relayhost = a\n #relayhost = b\n#\trelayhost = c\n",
    "empty": "",
    "blank": "\n\n   \n",
}
MAIN_EDITS = [
    ["-e", "relayhost=p"], ["relayhost=p", "a=2"], ["-e", "relayhost="], ["-e", "relayhost = q  r "], ["-e", " relayhost\t=\tq"], ["-e", "zz=1", "mm=3", "aa=2", "Zz=4"], ["-e", "relayhost=1", "a=9", "relayhost=2"],
    ["-e", "relayhost=1", "relayhost=1"], ["-e", "mydestination=p,q"], ["-X", "relayhost"], ["-X", "relayhost", "a", "relayhost"], ["-X", " relayhost "], ["-#", "relayhost"], ["-#", "relayhost", "mydestination"],
    ["-e", "relayhost=a=b"], ["-e", "relayhost==b"], ["-e", "relayhost=#x"], ["-e", "relayhost=$x ${y"], ["-e", "relayhost=\\"], ["-e", "relayhost=\u00fc\x01"], ["-e", "a b=c"], ["-e", "rel ayhost=c"], ["-X", "a b"], ["-#", "Relayhost"],
    ["-e", "relayhost= #x"], ["-e", "relayhost=\t x\ty"], ["-e", "x" * 300 + "=" + "y" * 300], ["-e", "relayhost=a\r"], ["-e", "relayhost=a\v"],
]
# Each edit of the first files; a third of them, another third each time, of the rest.
EDIT_CASES = {f"{b} {a!r:.70}": (EDIT_MAIN[b], "", a) for i, b in enumerate(EDIT_MAIN) for k, a in enumerate(MAIN_EDITS) if i < 4 or (i + k) % 3 == 0}
# What is refused: one file will do.
REFUSED = [
    ["-e"], ["-X"], ["-#"], ["-e", "novalue"], ["-e", "=x"], ["-e", ""], ["-e", " "], ["-e", "a=b", "c"], ["a=b", "c"], ["c", "a=b"], ["-e", "a=b\nc=d"], ["-e", "a=b\n"], ["-e", "\na=b"], ["-e", "#a=b"], ["-e", " # a=b"], ["-e", "a=b", "#c=d"], ["-X", ""], ["-X", " "],
    ["-X", "a=b"], ["-X", "a="], ["-X", "=b"], ["-X", "#a"], ["-X", "a\nb"], ["-#", "a=b"], ["-#", ""], ["-#", "#a"], ["-#", "a\nb"], ["-X", "a", "b=c"], ["-e", "a=1", "a=2", "b"], ["-n", "a=b"], ["-d", "a=b"], ["-x", "a=b"], ["-h", "a=b"], ["-j", "a=b"], ["-o", "c=d", "a=b"], ["-C", "user", "a=b"],
    ["-p", "a=b"], ["-v", "a=b"], ["-f", "a=b"], ["--", "a=b"], ["-ep", "a=b"], ["-Xp", "a"],
]
EDIT_CASES.update({f"refused {a!r}": (EDIT_MAIN["plain"], "", a) for a in REFUSED if a[0] != "-j"})

EDIT_MASTER = """# head
smtp inet n - n - - smtpd
# between
    -o smtpd_banner=x

  -o { a = b c }
# after
smtp inet n - n - - smtpd -v
submission inet n - y - - smtpd -v -o a=1 -ob=2 -vo c=3 -o { d = 4 } -o a=5
pickup    unix  n       -       n       60      1       pickup

# tail of pickup
relay unix - - n - - smtp -o syslog_name=${multi_instance_name?{$multi_instance_name}:{postfix}}/$service_name
maildrop  unix  -       n       n       -       -       pipe
  flags=DRXhu user=vmail argv=/usr/local/bin/maildrop -d ${recipient} {a b} -o x=y
#commented unix n - n - - smtp
# -o x=y
long-service-name-here unix - - n - 100 smtp -o smtp_helo_timeout=5 -o smtp_connect_timeout=5 -o smtp_mail_timeout=7 more words
# end
"""
MASTER_EDITS = [
    ["-M", "smtp/inet=smtp inet n - n - 5 smtpd -v"], ["-M", "smtp/inet=other inet n - n - 5 smtpd"], ["-M", "new/unix=new unix - - n - - smtp -o a=b -o { c = d e } f"], ["-M", "new/unix=pickup unix - - n - - smtp"], ["-M", "pickup/unix = pickup unix n - n 60 1 pickup "], ["-M", "*/inet=x inet n - n - - smtpd"],
    ["-M", "a/unix=a unix - - n - - smtp", "b/unix=b unix - - n - - smtp"], ["-M", "a/unix=a unix - - n - - smtp", "a/unix=a unix - - y - - smtp"], ["-M", "a=a unix - - n - - smtp"], ["-M", "a/b/c=a unix - - n - - smtp"], ["-M", "/a=a unix - - n - - smtp"], ["-M", "a/unix="], ["-M", "a/unix=a"], ["-M", "foo/unix=foo unix - -"],
    ["-M", "a/unix=a unix - - n - -"], ["-M", "a/unix=a foo - - n - - smtp"], ["-M", "a/unix=a unix q - n - - smtp"], ["-M", "a/unix=a unix - q n - - smtp"], ["-M", "a/unix=a unix - - q - - smtp"], ["-M", "a/unix=a unix - - n q - smtp"], ["-M", "a/unix=a unix - - n 5? - smtp"], ["-M", "a/unix=a unix - - n - q smtp"], ["-M", "a/unix=a unix - - n - 5? smtp"],
    ["-M", "a/unix=a unix - - n - - smtp -o x"], ["-M", "a/unix=a unix - - n - - smtp -o"], ["-M", "a/unix=a unix - - n - - smtp -o {x"], ["-M", "a/unix=a unix - - n - - smtp -o {x}y"], ["-M", "a/unix=a unix - - n - - smtp {a b} -o x=y"], ["-M", "a/unix=#a unix - - n - - smtp"], ["-M", "a/unix=a unix - - n - - smtp\n -v"], ["-M", "#a/unix=a unix - - n - - smtp"],
    ["-M", "smtp/inet=smtp inet n - n - - smtpd -o =x"], ["-M", "a/unix=a   unix - - n - -   smtp   -v  -o  x=y"], ["-Me", "x"], ["-Me", "smtp/inet"], ["-M", "=x"], ["-M", "a/unix=a unix - - n - - smtp -vvo x=y -z"], ["-M", "a/unix=a unix - - n - - smtp -- -o x=y"], ["-M", "smtp/inet=smtp inet n - n - 5 smtpd", "pickup/unix=pickup unix n - n 70 1 pickup"],
    ["-MX", "pickup/unix"], ["-MX", "smtp/inet"], ["-MX", "*/inet"], ["-MX", "*/*"], ["-MX", "pickup"], ["-MX", "nosuch/unix"], ["-MX", "pickup/unix/x"], ["-MX", "pickup/unix=x"], ["-MX", "pickup/unix", "relay/unix"], ["-MX", "maildrop/unix"], ["-MX", ""], ["-MX", "*/un*"], ["-MX", "#x/unix"], ["-MX", "a/\nb"],
    ["-M#", "smtp/inet"], ["-M#", "relay/unix"], ["-M#", "*/*"], ["-M#", "maildrop/unix"], ["-M#", "nosuch/unix"], ["-M#", "pickup"], ["-M#", "pickup/unix", "pickup/unix"],
    ["-F", "smtp/inet/chroot=y"], ["-F", "*/unix/process_limit=5"], ["-F", "*/*/chroot=n"], ["-F", "smtp/*/wakeup=7?"], ["-F", "smtp/inet/chroot=q"], ["-F", "smtp/inet/private=x"], ["-F", "smtp/inet/unprivileged="], ["-F", "smtp/inet/wakeup=x"], ["-F", "smtp/inet/process_limit=x"], ["-F", "smtp/inet/type=unix"], ["-F", "smtp/inet/type=foo"],
    ["-F", "smtp/inet/service=other"], ["-F", "smtp/inet/service=a b"], ["-F", "pickup/unix/command=pickup -v"], ["-F", "pickup/unix/command="], ["-F", "pickup/unix/command=pickup -o a=b c"], ["-F", "pickup/unix/command=pickup -o { a = b c } {d e} f"], ["-F", "maildrop/unix/command=smtp"], ["-F", "pickup/unix/chroot = y"], ["-F", "pickup/unix/chroot=n y"],
    ["-F", "nosuch/unix/chroot=y"], ["-F", "smtp/inet/*=y"], ["-F", "smtp/inet/nosuch=y"], ["-F", "smtp/inet=1"], ["-F", "smtp/inet/chroot/x=1"], ["-F", "smtp=1"], ["-Fe", "smtp/inet/chroot"], ["-F", "pickup/unix/chroot=y", "pickup/unix/wakeup=5"], ["-F", "pickup/unix/chroot=y", "pickup/unix/chroot=n"], ["-F", "pickup/unix/service=x", "x/unix/chroot=y"], ["-F", "pickup/unix/command=#x"],
    ["-F", "pickup/unix/command=a\nb"], ["-F", "#pickup/unix/command=a"], ["-F", "smtp/inet/chroot=", "nosuch/unix/chroot=x"], ["-F", "long-service-name-here/unix/process_limit=1"],
    ["-P", "smtp/inet/smtpd_banner=foo"], ["-P", "smtp/inet/new=1"], ["-P", "pickup/unix/new=1"], ["-P", "maildrop/unix/new=1"], ["-P", "submission/inet/a=9"], ["-P", "submission/inet/b=9"], ["-P", "submission/inet/c=9"], ["-P", "submission/inet/d=9"], ["-P", "submission/inet/e=9"], ["-P", "*/*/x=1"], ["-P", "*/inet/a=z"], ["-P", "smtp/inet/a="], ["-P", "smtp/inet/a=b c"],
    ["-P", "smtp/inet/a={b}"], ["-P", "smtp/inet/a=b=c"], ["-P", "smtp/inet/a = b"], ["-P", "smtp/inet/*=1"], ["-P", "smtp/inet=1"], ["-P", "smtp/inet/a/b=1"], ["-P", "nosuch/unix/x=1"], ["-Pe", "smtp/inet/a"], ["-P", "smtp/inet/a=1", "smtp/inet/b=2"], ["-P", "pickup/unix/a=1", "pickup/unix/a=2"], ["-P", "smtp/inet/a b=1"], ["-P", "relay/unix/syslog_name=$x"], ["-P", "smtp/inet/a=#b"], ["-P", "#smtp/inet/a=b"],
    ["-P", "long-service-name-here/unix/smtp_mail_timeout=8"], ["-P", "long-service-name-here/unix/new=8"],
    ["-PX", "smtp/inet/smtpd_banner"], ["-PX", "smtp/inet/a"], ["-PX", "smtp/inet/nosuch"], ["-PX", "submission/inet/a"], ["-PX", "submission/inet/b"], ["-PX", "submission/inet/c", "submission/inet/d"], ["-PX", "*/*/a"], ["-PX", "nosuch/unix/a"], ["-PX", "smtp/inet/*"], ["-PX", "smtp/inet"], ["-PX", "smtp/inet/a=b"], ["-PX", "maildrop/unix/x"], ["-PX", "relay/unix/syslog_name"],
    ["-PX", "long-service-name-here/unix/smtp_connect_timeout"], ["-PX", ""], ["-PX", "#smtp/inet/a"],
]
EDIT_CASES.update({f"master {a!r:.90}": ("", EDIT_MASTER, a) for a in MASTER_EDITS})
BAD_MASTER = {"short": "smtp inet n - n - -\n", "type": "smtp foo n - n - - smtpd\n", "private": "smtp inet q - n - - smtpd\n", "one-word": "smtp\n inet n - n - - smtpd\n", "equal": "a=b unix - - n - - smtp\n", "equal-type": "a b=c - - n - - smtp\n", "first-blank": "  smtp inet n - n - - smtpd\nsmtp inet n - n - - smtpd\n",
              "no-newline": "smtp inet n - n - - smtpd", "slash": "a/b unix - - n - - smtp\n", "brace": "smtp inet n - n - - smtpd -o {a=b\n", "empty": "", "tabs": "smtp\tinet\tn\t-\tn\t-\t-\tsmtpd\t-o\ta=b\n", "continued": "smtp inet\n n - n\n - - smtpd\n"}
EDIT_CASES.update({f"bad {b} {a!r}": ("", BAD_MASTER[b], a) for b in BAD_MASTER for a in
                   (["-M", "new/unix=new unix - - n - - smtp"], ["-MX", "smtp/inet"], ["-M#", "smtp/inet"], ["-F", "smtp/inet/chroot=y"], ["-P", "smtp/inet/a=1"], ["-PX", "smtp/inet/a"])})


def append_sorted(before, after, args):
    """3.11 sorts what it appends (facts: commands 3.5), the reference has it in the order of a hash table."""
    lines = after.splitlines(True)
    asked = {a.partition("=")[0].strip() for a in args}
    there = {line.partition("=")[0].strip() for line in before.splitlines() if line[:1] not in " \t#"}
    n = len(lines)
    while n and lines[n - 1].partition(" = ")[0] in asked - there:
        n -= 1
    return "".join(lines[:n] + sorted(lines[n:]))


def edit_case(kind, number, case):
    main, master, args = case

    def run(instance):
        theirs = not instance.suite.is_ours
        # 3.11 completes the last line when it writes the file, the reference does not.
        text = master + "\n" if theirs and master and not master.endswith("\n") else master
        directory = fresh(instance, f"{kind}{number}", main=main.encode("latin-1") if "\xff" in main else main, master=text)
        # The reference dies of a name that is given twice with -X.
        rc, out, err = outcome(instance, directory, list(dict.fromkeys(args)) if theirs and args[0] in ("-X", "-#") else args)
        if "missing '}'" in err or "syntax error after" in err:
            # How often the reference looks at a word depends on the other entries; it keeps the newline that ends it.
            err = "".join(sorted({line.replace("?\"", "\"") for line in err.splitlines(True)} - {"postconf: warning: master.cf: missing '=' after attribute name: \"x\"\n"}))
        err = err.replace("smtpd \"\n", "smtpd\"\n")      # the same newline, as a blank
        files = {}
        for f in ("main.cf", "master.cf"):
            with open(f"{directory}/{f}", "rb") as r:
                files[f] = r.read().decode("utf-8", "surrogateescape")
        if theirs and not master and rc == 0 and args[0] in ("-e", "relayhost=p"):
            files["main.cf"] = append_sorted(main, files["main.cf"], args)
        left = sorted(os.listdir(directory)) if rc == 0 else None
        return rc, out, err, files["main.cf"], files["master.cf"], left
    return run


@pytest.mark.parametrize("name", EDIT_CASES)
def test_edit(box, name):   # noqa: F811
    compare(box, "edit", edit_case, EDIT_CASES, name, EDIT_OURS.get(name))


def unchanged(error):
    return 1, "", error and f"postconf: fatal: {error}\n", "", EDIT_MASTER, None


EDIT_OURS = {
    # Here the reference writes an entry that no master(8) takes, or dies.
    "master ['-F', 'smtp/inet/unprivileged=']": unchanged('invalid unprivileged field "" in ""'),
    "master ['-F', 'smtp/inet/chroot=', 'nosuch/unix/chroot=x']": unchanged('invalid chroot field "" in ""'),
    "master ['-F', 'pickup/unix/command=']": unchanged('bad field count: "pickup/unix/command="'),
}
# Words with blanks keep their braces here, or master(8) would see more words than before.
for _name, _old, _new in (("master ['-M', 'a/unix=a unix - - n - - smtp {a b} -o x=y']", "", "a          unix  -       -       n       -       -       smtp {a b} -o x=y\n"),
                          ("master ['-F', 'pickup/unix/command=pickup -o { a = b c } {d e} f']", "pickup    unix  n       -       n       60      1       pickup\n\n# tail of pickup\n",
                           "\n# tail of pickup\npickup     unix  n       -       n       60      1       pickup\n    -o {a=b c}\n    {d e} f\n")):
    EDIT_OURS[_name] = (0, "", "", "", EDIT_MASTER.replace(_old, _new) if _old else EDIT_MASTER + _new, ["main.cf", "master.cf"])


# --- what an edit may not lose

def test_edits_at_once(box):   # noqa: F811
    """Many at the same time: each one's change is there, in both files, and nothing else."""
    if box.ours is None or not box.ours.suite.is_ours:
        pytest.skip("needs the suite under test")
    directory = fresh(box.ours, "at-once", main="mydomain = example.test\n", master="smtp inet n - n - - smtpd\n")
    n = 40
    with ThreadPoolExecutor(n) as pool:
        done = list(pool.map(lambda i: box.ours.run("postconf", "-c", directory, *(["-e", f"p{i}={i}"] if i % 2 else ["-P", f"smtp/inet/p{i}={i}"])), range(n)))
    assert [p.returncode for p in done] == [0] * n, [p.stderr for p in done]
    main = open(directory + "/main.cf").read()
    assert sorted(main.splitlines()) == sorted(["mydomain = example.test"] + [f"p{i} = {i}" for i in range(1, n, 2)])
    master = open(directory + "/master.cf").read()
    assert sorted(re.findall(r"-o (\S+)", master)) == sorted(f"p{i}={i}" for i in range(0, n, 2))
    assert sorted(os.listdir(directory)) == ["main.cf", "master.cf"]


KILL_AT = [("openat", 0), ("flock", 0), ("ftruncate", 1), ("write", 1), ("fchown", 1), ("fchmod", 1), ("fsync", 1), ("fsync", 2), ("rename", 1), ("exit_group", 1)]


@pytest.mark.parametrize("call,number", KILL_AT)
def test_edit_killed(box, call, number):   # noqa: F811
    """Ended by SIGKILL at a system call: main.cf is the old or the new one, and the next edit leaves nothing behind."""
    if box.ours is None or not box.ours.suite.is_ours:
        pytest.skip("needs the suite under test")
    old = "mydomain = example.test\nrelayhost = a\n"
    new = old.replace("= a", "= b")
    directory = fresh(box.ours, f"kill-{call}-{number}", main=old, master="")
    os.chmod(directory + "/main.cf", 0o640)
    for when in [number] if number else range(1, 60 if call == "openat" else 3):
        argv = ["strace", "-o", "/dev/null", "-e", f"inject={call}:signal=KILL:when={when}", box.ours.suite.prog("postconf"), "-c", directory, "-e", "relayhost=b"]
        p = subprocess.run(argv, env=box.ours.env(), capture_output=True)
        text = open(directory + "/main.cf").read()
        assert text in (old, new)
        if p.returncode == 0:
            break
        assert p.returncode == -9, p
    assert number == 0 or p.returncode == -9, "no such call"
    assert box.ours.run("postconf", "-c", directory, "-e", "relayhost=b").returncode == 0
    assert open(directory + "/main.cf").read() == new
    assert sorted(os.listdir(directory)) == ["main.cf", "master.cf"]
    assert stat.S_IMODE(os.stat(directory + "/main.cf").st_mode) == 0o640


def test_edit_owner(box):   # noqa: F811
    """Mode and owner stay, the reference gives them to root."""
    if box.ours is None or not box.ours.suite.is_ours or os.getuid() != 0:
        pytest.skip("needs the suite under test, as root")
    directory = fresh(box.ours, "owner", main="a = b\n", master="")
    os.chown(directory + "/main.cf", 12345, 54321)
    os.chmod(directory + "/main.cf", 0o604)
    assert box.ours.run("postconf", "-c", directory, "-e", "a=c").returncode == 0
    st = os.stat(directory + "/main.cf")
    assert (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)) == (12345, 54321, 0o604)


PLANTED = {
    "link": lambda d: os.symlink(d + "/victim", d + "/main.cf.tmp"), "hard-link": lambda d: os.link(d + "/victim", d + "/main.cf.tmp"),
    "fifo": lambda d: os.mkfifo(d + "/main.cf.tmp"), "directory": lambda d: os.mkdir(d + "/main.cf.tmp"), "stale": lambda d: open(d + "/main.cf.tmp", "w").write("x" * 100),
}


@pytest.mark.parametrize("what", PLANTED)
def test_edit_planted(box, what):   # noqa: F811
    """Something else stands where the temporary file goes: no other file is touched, nobody waits for ever."""
    if box.ours is None or not box.ours.suite.is_ours:
        pytest.skip("needs the suite under test")
    directory = fresh(box.ours, "planted-" + what, main="a = b\n", master="")
    with open(directory + "/victim", "w") as f:
        f.write("precious")
    PLANTED[what](directory)
    p = box.ours.run("postconf", "-c", directory, "-e", "a=c", timeout=10)
    assert open(directory + "/victim").read() == "precious"
    assert open(directory + "/main.cf").read() == ("a = c\n" if p.returncode == 0 else "a = b\n")
    assert (p.returncode == 0) == (what in ("stale", "hard-link")), p
    assert p.returncode == 0 or p.stderr.count("\n") == 1 and f"open {directory}/main.cf.tmp: " in p.stderr


# --- what the reference does not have: 3.11's JSON and -PP (facts: commands 3.3, 3.4)

NEW = {
    "-j": (["-j", "mydomain", "relayhost", "own_list"], '{"mydomain": "example.test"}\n{"relayhost": ""}\n{"own_list": "permit_mynetworks, $user_value"}\n'),
    "-jx": (["-jx", "own_list"], '{"own_list": "permit_mynetworks, a"}\n'),
    "-jn": (["-jnC", "user"], None),
    "-jM": (["-jM", "mine"], '{"mine/unix": "mine unix - - n - 5 smtp -o helo_name=$own_list -o smtp_helo_timeout=5"}\n'),
    "-jMx": (["-jMx", "mine"], '{"mine/unix": "mine unix - - n - 5 smtp -o {helo_name=permit_mynetworks, a} -o smtp_helo_timeout=5"}\n'),
    "-jF": (["-jF", "mine/unix/command", "smtp/inet/chroot"], '{"smtp/inet/chroot": "n"}\n{"mine/unix/command": "smtp -o helo_name=$own_list -o smtp_helo_timeout=5"}\n'),
    "-jP": (["-jP", "smtp/inet"], '{"smtp/inet/own_thing": "a b"}\n{"smtp/inet/smtpd_banner": "$myhostname"}\n{"smtp/inet/smtpd_client_restrictions": "$mua_client_restrictions"}\n'),
    "-PP": (["-PP", "smtp/inet/smtpd_banner", "pickup/unix/smtpd_banner"], "smtp/inet/smtpd_banner = $myhostname\npickup/unix/smtpd_banner = $myhostname ESMTP ${user_value?yes}\n"),
    "-PPx": (["-PPx", "mine/unix/helo_name", "mine/unix/own_list", "mine/unix/service_name"], "mine/unix/helo_name = permit_mynetworks, a\nmine/unix/own_list = permit_mynetworks, $user_value\n".replace("$user_value", "a")
             + "mine/unix/service_name = amnesiac\n"),
    "-PPh": (["-PPh", "submission/inet/syslog_name", "smtp/inet/syslog_name"], "${multi_instance_name?{$multi_instance_name}:{postfix}}\npostfix/submission\n"),
    "-PPC": (["-PPC", "service", "pump2/unix/pump2_time_limit"], "pump2/unix/pump2_time_limit = $command_time_limit\n"),
    "-dj": (["-dj", "smtpd_timeout", "relay_domains"], '{"smtpd_timeout": "${stress?{10}:{300}}s"}\n{"relay_domains": "${{$compatibility_level} <level {2} ? {$mydestination} : {}}"}\n'),
    "-q": (["-q", "mydomain"], "mydomain = example.test\n"),
}


@pytest.mark.parametrize("name", NEW)
def test_new_options(box, name):   # noqa: F811
    if box.ours is None or not box.ours.suite.is_ours:
        pytest.skip("needs the suite under test")
    args, expected = NEW[name]
    directory = fresh(box.ours, "new" + name, main=MAIN, master=MASTER)
    p = box.ours.run("postconf", "-c", directory, *args)
    assert p.returncode == 0
    if expected is None:
        rows = [json.loads(line) for line in p.stdout.splitlines()]
        assert {k: v for row in rows for k, v in row.items()} == {"class1": "reject", "class2": "permit", "own_list": "permit_mynetworks, $user_value", "user_value": "a",
                                                                  "long_list": [line for line in MAIN.splitlines() if line.startswith("long_list")][0].partition(" = ")[2]}
    else:
        assert p.stdout == expected
    assert ("unused parameter" in p.stderr) == (name not in ("-q", "-dj")), p.stderr


ODD = 'a "b" \\ \t/ \x01\x7f \u00fc'


def test_json_quotes(box):   # noqa: F811
    if box.ours is None or not box.ours.suite.is_ours:
        pytest.skip("needs the suite under test")
    directory = fresh(box.ours, "quotes", main=f"mydomain = {ODD}\n", master="")
    p = box.ours.run("postconf", "-c", directory, "-j", "mydomain")
    assert p.stdout == '{"mydomain": "a \\"b\\" \\\\ \\t/ \\u0001\\u007F \u00fc"}\n'
    assert json.loads(p.stdout) == {"mydomain": ODD}


# --- beyond Postfix: --check, --explain, -e --json

CHECK_MAIN = """compatibility_level = 3.6
daemon_directory = @daemons@
relayhst = x
max_idle = 5x
max_use = abc
helpful_warnings = maybe
mynetworks = 127.0.0.0/8
mynetworks = 10.0.0.0/8
virtual_maps = hash:/x
own = $myhostnam
smtpd_banner = x $own
relay_domains = ${a
foobarbaz = 1
process_id = 5
mine_destination_rate_delay = q
"""
CHECK_MASTER = """smtp inet n - n - - smtpd -o smtpd_banr=x
  -o max_idle=q
mine unix - - n - - smtp
smtp inet n - n - - nosuch
pickup unix q - n 60 1 pickup
short unix
"""
FOUND = """main.cf:3: error: unknown parameter relayhst; did you mean relayhost?
main.cf:4: error: parameter max_idle: bad time value or unit: 5x; the default is "100s", see postconf --explain max_idle
main.cf:5: error: bad numerical configuration: max_use = abc; the default is "100", see postconf --explain max_use
main.cf:6: error: bad boolean configuration: helpful_warnings = maybe; the default is "yes", see postconf --explain helpful_warnings
main.cf:8: warning: this overrides the setting of mynetworks in line 7; remove one of them
main.cf:9: warning: parameter virtual_maps is deprecated; instead, specify "virtual_alias_maps"
main.cf:10: warning: $myhostnam is not defined and stands for nothing; did you mean $myhostname?
main.cf:12: error: relay_domains: truncated macro reference: "${a"; write $$ for a plain dollar sign
main.cf:13: warning: unused parameter foobarbaz; nothing reads it: remove it, or use it as $foobarbaz
main.cf:14: warning: parameter process_id cannot be set; remove it
main.cf:15: error: parameter mine_destination_rate_delay: bad time value or unit: q; the default is "$default_destination_rate_delay", see postconf --explain mine_destination_rate_delay
master.cf:1: error: parameter max_idle: bad time value or unit: q; the default is "100s", see postconf --explain max_idle
master.cf:1: error: unknown parameter smtpd_banr; did you mean smtpd_banner?
master.cf:4: warning: service smtp/inet is there already in line 1; remove one of them
master.cf:4: error: command @daemons@/nosuch: No such file or directory; master(8) cannot start the service
master.cf:5: error: field "private": bad value: "q"; an entry is: service type private unpriv chroot wakeup maxproc command
master.cf:6: error: missing "private" field; an entry is: service type private unpriv chroot wakeup maxproc command
"""


@pytest.fixture(scope="module")
def own(box):   # noqa: F811
    if box.ours is None or not box.ours.suite.is_ours:
        pytest.skip("needs the suite under test")
    return box.ours


def checked(own, *args):
    p = own.run("postconf", *args)
    assert p.stderr == ""
    # Whether a parameter is acted upon changes from release to release.
    return p.returncode, "".join(line for line in p.stdout.splitlines(True) if "is not acted upon yet" not in line)


def test_check(own):
    def text(t):
        return t.replace("@daemons@", own.suite.daemon_directory)
    directory = fresh(own, "check", main=text(CHECK_MAIN), master=CHECK_MASTER)
    found = "".join(f"{directory}/{line}" for line in text(FOUND).splitlines(True))
    assert checked(own, "-c", directory, "--check") == (1, found)
    assert checked(own, "--check", directory) == (1, found)
    master = "".join(line for line in found.splitlines(True) if "/master.cf:" in line)
    assert checked(own, "--check", directory + "/master.cf") == (1, master)
    good = fresh(own, "check-good", main=text("mydomain = example.test\nunused_one = x\ndaemon_directory = @daemons@\n"), master="smtp inet n - n - - smtpd\n")
    assert checked(own, "--check", good) == (0, f"{good}/main.cf:2: warning: unused parameter unused_one; nothing reads it: remove it, or use it as $unused_one\n")
    bad = fresh(own, "check-bad", main="mydomain = x\njunk y\n=z\na\0b = c\n", master="")
    assert checked(own, "--check", bad + "/main.cf", bad + "/nosuch", "/nonexistent/main.cf") == (1, f"""{bad}/main.cf:2: error: missing '=' after attribute name: "junk y"; write: name = value
{bad}/main.cf:3: error: missing attribute name: "=z"; write: name = value
{bad}/main.cf:4: warning: {bad}/main.cf, line 4: text after null byte may be ignored
{bad}/main.cf:4: error: missing '=' after attribute name: "a"; write: name = value
{bad}/nosuch: error: neither main.cf nor master.cf nor a directory with both; name one of these
/nonexistent/main.cf: error: open /nonexistent/main.cf: No such file or directory
""")


def test_explain(own):
    directory = fresh(own, "explain", main="smtpd_timeout = 5\nown = x\nsmtpd_banner = $own\n", master="mine unix - - n - - smtp\nbroken\n")
    p = own.run("postconf", "-c", directory, "--explain", "smtpd_timeout", "mine_recipient_limit", "own", "virtual_maps", "smtpd_timeot", "nosuch_at_all")
    assert p.returncode == 1
    assert re.sub(r" +", " ", p.stdout) == """smtpd_timeout
 meaning SMTP command and reply timeout
 type time: a number and one of s, m, h, d, w
 default ${stress?{10}:{300}}s
 that is 300s
 set to 5
 range at least 1 seconds
 read by smtpd
mine_recipient_limit
 meaning max in-memory recipients for this transport
 type number
 default $default_recipient_limit
 that is 20000
 read by qmgr, or the service itself
own
 meaning defined in main.cf, and used there or in master.cf as $name or as a restriction class
 default (empty)
 set to x
virtual_maps
 deprecated specify "virtual_alias_maps"
"""
    assert [line.partition(": ")[2] for line in p.stderr.splitlines()] == ["error: smtpd_timeot: unknown parameter; did you mean smtpd_timeout?", "error: nosuch_at_all: unknown parameter"]


JSON_IN = {
    "object": ('{"relayhost": "[x]:25", "max_use": 7, "biff": false, "helpful_warnings": true, "mydestination": "a, \\"b\\" \\u00fc"}',
               'mydomain = d\nbiff = no\nhelpful_warnings = yes\nmax_use = 7\nmydestination = a, "b" \u00fc\nrelayhost = [x]:25\n'),
    "lines": ('{"mydomain": "e"}\n{"relayhost": ""}\n', "mydomain = e\nrelayhost = \n"), "empty": ("", "JSON input: no settings"), "open": ('{"a": ', "JSON input: the end is missing"), "array": ("[]", 'JSON input: value 1 is not an object like {"name": "value"}'),
    "null": ('{"a": null}', 'JSON input: the value of "a" is neither text nor a number nor true or false'), "nested": ('{"a": {}}', 'JSON input: the value of "a" is neither text nor a number nor true or false'), "name": ('{"a b": "c"}', 'JSON input: "a b" cannot be the name of a parameter'),
    "lines in value": ('{"a": "x\\ny"}', "-e, -X, or -# accepts no multi-line input"), "nul": ('{"a": "b\\u0000c"}', 'JSON input: the value of "a" has a NUL in it'), "rest": ('{"a": "b"} x', "JSON input: unexpected character"), "quotes": ("{'a': 'b'}", "JSON input: unexpected character"),
    "deep": ("[" * 10000, "JSON input: nesting too deep"),
}


@pytest.mark.parametrize("name", JSON_IN)
def test_json_in(own, name):
    text, expected = JSON_IN[name]
    directory = fresh(own, f"json-{name.replace(' ', '-')}", main="mydomain = d\n", master="")
    p = own.run("postconf", "-c", directory, "-e", "--json", input=text)
    after = open(directory + "/main.cf").read()
    if expected.startswith("mydomain"):
        assert (p.returncode, p.stderr, after) == (0, "", expected)
    else:
        assert p.returncode == 1 and f": fatal: {expected}" in p.stderr and after == "mydomain = d\n", p


def test_json_round_trip(own):
    """What -j writes, -e --json reads."""
    one, two = fresh(own, "trip-1", main=MAIN, master=""), fresh(own, "trip-2", main="", master="")
    out = own.run("postconf", "-qc", one, "-nj").stdout
    assert own.run("postconf", "-c", two, "-e", "--json", input="".join(line for line in out.splitlines(True) if "config_directory" not in line)).returncode == 0
    shown = [[line for line in own.run("postconf", "-qc", d, "-n").stdout.splitlines() if not line.startswith("config_directory")] for d in (one, two)]
    assert shown[0] == shown[1] and len(shown[0]) > 8


def test_edit_keeps_bytes(own):
    """What an edit does not name stays as it was to the byte: NUL, no UTF-8, long lines, carriage returns."""
    old = b"# \0 comment\na = b\0c\nrelayhost = x\r\n\xff\xfe = 1\n" + b"long = " + b"y" * (1 << 20) + b"\n \0 continued\n\n\tlast = z"
    directory = fresh(own, "bytes", main="", master="")
    with open(directory + "/main.cf", "wb") as f:
        f.write(old)
    assert own.run("postconf", "-c", directory, "-e", "relayhost=y", "new=1").returncode == 0
    with open(directory + "/main.cf", "rb") as f:
        assert f.read() == old.replace(b"relayhost = x\r\n", b"relayhost = y\n") + b"\nnew = 1\n"
    value = "v" * (1 << 20)
    assert own.run("postconf", "-c", directory, "-e", "--json", input=json.dumps({"relayhost": value})).returncode == 0
    assert own.run("postconf", "-c", directory, "-h", "relayhost").stdout == value + "\n"
    assert own.run("postconf", "-c", directory, "-X", "relayhost", "new").returncode == 0
    with open(directory + "/main.cf", "rb") as f:
        assert f.read() == old.replace(b"relayhost = x\r\n", b"") + b"\n"
