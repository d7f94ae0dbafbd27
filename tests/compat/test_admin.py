# SPDX-License-Identifier: ISC
"""postfix(1) as an administrator uses it: set-permissions, upgrade-configuration, post-install, check, logrotate.
Every case has directories of its own; postfix-files of the cases names nothing outside of them."""

import grp
import os
import pwd
import re
import shutil

import pytest
from harness import Batch, Pair

from test_commands import clean

QUEUES = "active bounce corrupt defer deferred flush hold incoming saved trace private maildrop public pid".split()
POSTFIX_FILES = """# comment
$config_directory:d:root:-:755:u
$data_directory:d:$mail_owner:-:700:uc
$queue_directory:d:root:-:755:uc
$queue_directory/active:d:$mail_owner:-:700:ucr
$queue_directory/maildrop:d:$mail_owner:$setgid_group:730:uc
$queue_directory/public:d:$mail_owner:$setgid_group:710:uc
$queue_directory/pid:d:root:-:755:uc
$sample_directory/a:f:root:-:644
$sample_directory/b:f:root:$setgid_group:2755:u
$sample_directory/old:f:root:-:644:o
$sample_directory/c:h:$sample_directory/a
$sample_directory/d:l:$sample_directory/a
$sample_directory/opt:f:root:-:644:1
$sample_directory/noopt:f:root:-:644:1
$html_directory/x:f:root:-:644
no/such:f:root:-:644
$config_directory/main.cf:f:root:-:644:p
"""


@pytest.fixture(scope="module")
def box():
    if os.getuid() != 0:
        pytest.skip("needs root")
    pair = Pair(smtpd={})
    yield pair
    pair.destroy()


def world(instance, name, master=None, main="", files=POSTFIX_FILES, queues=()):
    """A configuration, queue and data directory, and a place for installed files."""
    base = f"{instance.base}/case-{name}"
    for d in "etc queue data sample meta meta/postfix-files.d".split():
        os.makedirs(f"{base}/{d}")
    for q in queues:
        os.makedirs(f"{base}/queue/{q}")
        mode, owner, group = {"maildrop": (0o730, "postfix", "postdrop"), "public": (0o710, "postfix", "postdrop"),
                              "pid": (0o755, "root", "root")}.get(q, (0o700, "postfix", "root"))
        os.chown(f"{base}/queue/{q}", pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid)
        os.chmod(f"{base}/queue/{q}", mode)
    s = instance.suite
    text = f"""compatibility_level = {"3.11" if s.is_ours else "3.6"}
queue_directory = {base}/queue
data_directory = {base}/data
daemon_directory = {s.daemon_directory}
command_directory = {s.command_directory}
sendmail_path = {s.sendmail}
newaliases_path = {s.prog("newaliases")}
mailq_path = {s.prog("mailq")}
meta_directory = {base}/meta
sample_directory = {base}/sample
manpage_directory = {base}/man
html_directory = no
readme_directory = no
shlib_directory = no
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.example.test
inet_interfaces = loopback-only
maillog_file = {base}/log
maillog_file_prefixes = /tmp
import_environment = {instance.main["import_environment"]}
"""
    if "inet_protocols" not in main:
        text += "inet_protocols = ipv4\n"
    for name in re.findall(r"(?m)^(\w+) =", main):
        text = re.sub(rf"(?m)^{name} = .*\n", "", text)
    instance.write(f"{base}/etc/main.cf", text + main)
    instance.write(f"{base}/etc/master.cf", OLD if master is None else master, mode=0o640)
    instance.write(f"{base}/meta/postfix-files", files)
    for f in ("a", "b", "old", "opt"):
        instance.write(f"{base}/sample/{f}", f, mode=0o600)
    os.chown(f"{base}/sample/a", 65534, 65534)
    return base


def tree(base):
    out = []
    for root, dirs, files in os.walk(base):
        for n in dirs + files:
            st = os.lstat(f"{root}/{n}")
            out.append(f"{st.st_mode:o} {st.st_uid}:{st.st_gid} {root}/{n}".replace(base, "CASE"))
    return sorted(o for o in out if not o.endswith("CASE/log"))


def read(path):
    with open(path, errors="surrogateescape") as f:
        return f.read()


def tidy(instance, base, text):
    s = instance.suite
    text = text.replace(base, "CASE")
    for name in ("sendmail", "newaliases", "mailq"):
        text = re.sub(rf"(?m)^({name}_path = ){s.prog(name)}$", r"\1INSTALLED", text)
    # Of the reference's shell, not of Postfix.
    text = re.sub(r"(?m)^\S+: \d+: cd: can't cd to .*\n", "", clean(instance, text))
    # Postfix asks postconf many times (facts: commands 11.1), ours once.
    return re.sub(r"(?m)^(postconf: warning: .*\n)(?:\1)+", r"\1", text)


def log(instance, base):
    try:
        lines = [re.sub(r"^\S+ +\d+ \S+ \S+ ", "", line) for line in read(base + "/log").splitlines()]
    except OSError:
        return []
    return [tidy(instance, base, line) for line in lines]


def changed_settings(instance, base, before):
    """Lines of main.cf that are new. What is appended stands in no order in the reference (3.11 sorts)."""
    return sorted(set(tidy(instance, base, read(base + "/etc/main.cf")).splitlines()) - set(tidy(instance, base, before).splitlines()))


def show(*parts):
    """One text, for a readable difference."""
    return "\n--\n".join("\n".join(str(x) for x in p) if isinstance(p, (list, tuple)) else str(p) for p in parts)


def run(instance, base, *args):
    p = instance.run("postfix", "-c", base + "/etc", *args)
    # 3.11 speaks on standard error too, the reference on a terminal only; in the log it is the same text.
    err = re.sub(r"(?m)^postfix(?:/postlog)?: .*\n", "", tidy(instance, base, p.stderr))
    return p.returncode, tidy(instance, base, p.stdout), err


# --- set-permissions and its arguments

PERMISSIONS = {
    "set-permissions": ["set-permissions"],
    "again": ["set-permissions", "upgrade-permissions"],
    "unknown command": ["set-permissions", "foo"],
    "no command": ["post-install"],
    "owner": ["set-permissions", "mail_owner=nobody"],
    "no owner": ["set-permissions", "mail_owner=nosuchuser"],
    "no group": ["set-permissions", "setgid_group=nosuchgroup"],
    "group no": ["set-permissions", "setgid_group=no"],
    "other name": ["set-permissions", "a=b"],
    "blanks": ["set-permissions", "html_directory=/x y"],
    "no manual": ["set-permissions", "manpage_directory=no"],
    "relative documents": ["set-permissions", "readme_directory=x"],
    "relative": ["set-permissions", "queue_directory=relative"],
    "empty value": ["set-permissions", "mail_owner="],
    "missing file": ["set-permissions", "html_directory=/nonexistent/html"],
    "same value": ["set-permissions", "upgrade-configuration", "daemon_directory=@daemon@"],
    "short word": ["post-install", "set-perm"],
    "longer word": ["post-install", "set-permissionsx"],
    "create-missing": ["post-install", "create-missing"],
    "upgrade-permissions": ["post-install", "upgrade-permissions"],
    "upgrade-source": ["post-install", "upgrade-source"],
    "upgrade-package": ["post-install", "upgrade-package"],
}


def permission_case(name):
    def case(instance):
        base = world(instance, "p-" + name.replace(" ", "-"), queues=["active"])
        os.chmod(base + "/queue/active", 0o777)
        instance.write(base + "/queue/active/file", "x")
        args = [a.replace("@daemon@", instance.suite.daemon_directory) for a in PERMISSIONS[name]]
        before = read(base + "/etc/main.cf")
        result = run(instance, base, *args)
        return show(result, tree(base), changed_settings(instance, base, before), log(instance, base))
    return case


_batches = {}


def batched(box, kind, make, names, name, **kw):
    if (kind, id(box)) not in _batches:
        _batches[kind, id(box)] = Batch(box, {n: make(n) for n in names}, workers=8)
    return _batches[kind, id(box)].compare(name, **kw)


@pytest.mark.parametrize("name", PERMISSIONS)
def test_permissions(box, name):
    batched(box, "permissions", permission_case, PERMISSIONS, name)


# --- upgrade-configuration

OLD = """# the master.cf of a 2.6 installation
smtp      inet  n       -       n       -       -       smtpd
pickup    fifo  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      fifo  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
flush     unix  n       -       n       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
proxywrite unix -       -       n       -       1       proxymap
smtp      unix  -       -       n       -       -       smtp
relay     unix  -       -       n       -       -       smtp
	-o smtp_fallback_relay=
#       -o smtp_helo_timeout=5 -o smtp_connect_timeout=5
showq     unix  n       -       n       -       -       showq
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
local     unix  -       n       n       -       -       local
virtual   unix  -       n       n       -       -       virtual
lmtp      unix  -       -       n       -       -       lmtp
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
"""
ANCIENT = """smtp      inet  n       -       n       -       -       smtpd
pickup    fifo  n       n       n       60      1       pickup
    -o content_filter=
cleanup   unix  -       -       n       -       0       cleanup
qmgr      fifo  n       -       n       300     1       nqmgr
tlsmgr    fifo  -       -       n       300     1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
flush     unix  -       -       n       1000?   0       flush
verify    unix  -       -       n       -       0       verify -o biff=0
proxywrite unix -       -       n       5       -       proxymap -v
smtp      unix  -       -       n       -       -       smtp
showq     unix  n       -       n       -       -       showq
"""
COMMENTED = OLD + "#smtp postscreen\n#smtpd smtpd\n dnsblog unix - - n - 0 dnsblog\n#tlsproxy tlsproxy\n#postlog unix-dgram n - n - 1 postlogd\n"
COMPATIBILITY = r" *COMPATIBILITY: (?:.*\n)*?.*by\s+default\.\n"
UPGRADES = {
    "2.6": (OLD, ""),
    "2.6 no protocols": (OLD, "# inet_protocols is not set\n"),
    "ancient": (ANCIENT, ""),
    "empty": ("# nothing\n", ""),
    "commented": (COMMENTED, ""),
    "verify twice": (OLD + "verify unix - - n - 0 verify\n", ""),
    "cleanup private": (OLD.replace("cleanup   unix  n ", "cleanup   unix  y "), ""),
    "hash incoming": (OLD, "hash_queue_names = incoming\n"),
    "hash deferred": (OLD, "hash_queue_names = deferred, incoming\n"),
    "hash defer": (OLD, "hash_queue_names = incoming defer\n"),
    "bad master.cf": ("smtp inet n - n -\n", ""),
}


def upgrade_case(name):
    master, main = UPGRADES[name]

    def case(instance):
        base = world(instance, "u-" + name.replace(" ", "-"), master, main, queues=QUEUES)
        os.chown(base + "/etc/master.cf", 65534, -1)
        before, text = os.stat(base + "/etc/master.cf"), read(base + "/etc/main.cf")
        code, out, err = run(instance, base, "upgrade-configuration")
        if not instance.suite.is_ours and name.startswith("hash"):
            # A reading of main.cf within the second of its change, which finds nothing; the edit that follows changes nothing.
            out = re.sub(COMPATIBILITY, "", out)
        # The reference lays the paragraph out by fmt(1), after the length of the path.
        out = re.sub(COMPATIBILITY, lambda m: " ".join(m.group(0).split()) + "\n", out)
        after = os.stat(base + "/etc/master.cf")
        assert code or before.st_ino != after.st_ino or not instance.suite.is_ours
        return show((code, out, err), read(base + "/etc/master.cf"), changed_settings(instance, base, text),
                    (oct(after.st_mode), after.st_uid, after.st_gid), log(instance, base), sorted(os.listdir(base + "/etc")))
    return case


@pytest.mark.parametrize("name", UPGRADES)
def test_upgrade(box, name):
    batched(box, "upgrade", upgrade_case, UPGRADES, name)


def test_upgrade_is_idempotent(our_suite):
    """A second run changes nothing and is silent; a tlsmgr wake-up that has its '?' gets no other."""
    from harness import Instance
    i = Instance(our_suite, smtpd={})
    try:
        base = world(i, "twice", ANCIENT.replace("300     1       tlsmgr", "300?    1       tlsmgr"), queues=QUEUES)
        os.unlink(base + "/sample/old")
        assert run(i, base, "upgrade-configuration")[0] == 0
        text, ino = read(base + "/etc/master.cf"), os.stat(base + "/etc/master.cf").st_ino
        assert "tlsmgr    unix  -       -       n       300?    1       tlsmgr\n" in text
        assert run(i, base, "upgrade-configuration") == (0, "", "")
        assert (read(base + "/etc/master.cf"), os.stat(base + "/etc/master.cf").st_ino) == (text, ino)
        shutil.rmtree(base)
    finally:
        i.destroy()


# --- check, with the mail system down


def mess_trees(instance, base):
    os.makedirs(base + "/etc/sub/deep")
    for f, mode, uid in (("etc/sub/deep/x", 0o644, 65534), ("etc/.hid", 0o644, 65534), ("etc/y", 0o666, 0), ("meta/m", 0o644, 65534),
                         ("data/d", 0o600, 65534), ("data/w", 0o660, pwd.getpwnam("postfix").pw_uid)):
        instance.write(f"{base}/{f}", "x", mode)
        os.chown(f"{base}/{f}", uid, -1)
    os.chmod(base + "/etc/sub", 0o777)
    os.mkdir(base + "/data/dd")
    os.chmod(base + "/meta", 0o777)
    os.chmod(base + "/queue", 0o777)
    os.chmod(base + "/queue/pid", 0o777)


def mess_queue(instance, base):
    for f in ("saved/x", "corrupt/ABC", "public/file", "pid/p"):
        instance.write(f"{base}/queue/{f}", "x")
    os.mkfifo(base + "/queue/public/fifo")
    os.chown(base + "/queue/saved", 65534, -1)
    os.chown(base + "/queue/public", -1, 0)
    os.chown(base + "/queue/pid", 65534, -1)


def mess_jail(instance, base):
    for d in ("etc", "lib", "usr/lib", "dev"):
        os.makedirs(f"{base}/queue/{d}")
    shutil.copy("/etc/services", base + "/queue/etc/services")
    instance.write(base + "/queue/etc/hosts", "other\n")
    instance.write(base + "/queue/etc/no-original", "x")
    instance.write(base + "/queue/usr/lib/os-release", "other\n")
    os.chown(base + "/queue/etc/services", 65534, -1)


CHECKS = {
    "clean": (lambda i, b: None, "", OLD + "postlog unix-dgram n - n - 1 postlogd\n"),
    "empty queue": (lambda i, b: [os.rmdir(f"{b}/queue/{q}") for q in ("active", "maildrop", "public", "pid")], "", OLD + "postlog unix-dgram n - n - 1 postlogd\n"),
    "trees": (mess_trees, "", OLD + "postlog unix-dgram n - n - 1 postlogd\n"),
    "queue": (mess_queue, "", OLD + "postlog unix-dgram n - n - 1 postlogd\n"),
    "jail": (mess_jail, "", OLD + "postlog unix-dgram n - n - 1 postlogd\n"),
    "no postlog": (lambda i, b: None, "", OLD),
    "no master.cf": (lambda i, b: os.unlink(b + "/etc/master.cf"), "", OLD),
    "no postfix-files": (lambda i, b: os.unlink(b + "/meta/postfix-files"), "", OLD + "postlog unix-dgram n - n - 1 postlogd\n"),
    "unused": (lambda i, b: None, "foo_unused = 1\n", OLD + "postlog unix-dgram n - n - 1 postlogd\n"),
    "no daemons": (lambda i, b: None, "daemon_directory = /nonexistent\n", OLD),
    "no queue": (lambda i, b: shutil.rmtree(b + "/queue"), "", OLD),
    "no meta": (lambda i, b: shutil.rmtree(b + "/meta"), "", OLD),
    "no shlib": (lambda i, b: None, "shlib_directory = /nonexistent/shlib\n", OLD),
}


def check_case(name):
    mess, main, master = CHECKS[name]

    def case(instance):
        base = f"{instance.base}/case-c-{name.replace(' ', '-')}"
        world(instance, "c-" + name.replace(" ", "-"), master, main.replace("@base@", base), queues=QUEUES)
        os.chown(base + "/data", pwd.getpwnam("postfix").pw_uid, -1)
        os.chmod(base + "/data", 0o700)
        # postsuper writes it as the mail owner
        instance.write(base + "/log", "")
        os.chown(base + "/log", pwd.getpwnam("postfix").pw_uid, -1)
        mess(instance, base)
        result = run(instance, base, "check")
        return show(result, [t for t in tree(base) if "/queue/" in t], sorted(log(instance, base)))
    return case


@pytest.mark.parametrize("name", CHECKS)
def test_check(box, name):
    batched(box, "check", check_case, CHECKS, name)


# --- logrotate, and the commands that ask for a running system

def logrotate_cases():
    plain = ""
    return {
        "plain": (["logrotate"], plain, True),
        "no file": (["logrotate"], plain, False),
        "argument": (["logrotate", "x"], plain, True),
        "suffix": (["logrotate"], "maillog_file_rotate_suffix = old-%Y\n", True),
        "compressor": (["logrotate"], "maillog_file_compressor = /bin/false\n", True),
        "compressor says": (["logrotate"], "maillog_file_compressor = /bin/rmdir\n", True),
        "not a file": (["logrotate"], "maillog_file = /dev/stdout\n", True),
        "syslog": (["logrotate"], "maillog_file =\n", True),
        "status": (["status"], plain, True),
        "status word": (["status", "x"], plain, True),
        "stop": (["stop"], plain, True),
        "abort": (["abort"], plain, True),
        "drain": (["drain"], plain, True),
        "reload": (["reload"], plain, True),
        "quick-stop": (["quick-stop"], plain, True),
        "start_msg": (["start_msg"], plain, True),
        "stop_msg": (["stop_msg", "x"], plain, True),
        "absolute": (["/bin/echo", "a", "b"], plain, True),
        "environment": (["/bin/sh", "-c", "echo $MAIL_CONFIG $queue_directory $mail_owner $PATH $readme_directory; pwd"], plain, True),
    }


CONTROL = logrotate_cases()


def control_case(name):
    args, main, with_log = CONTROL[name]

    def case(instance):
        base = world(instance, "l-" + name.replace(" ", "-"), OLD + "postlog unix-dgram n - n - 1 postlogd\n", main, queues=QUEUES)
        if with_log:
            instance.write(base + "/log", "Nov 25 00:00:00 host old line\n", mode=0o600)
        result = run(instance, base, *args)
        if name == "not a file":
            result = result[0], result[2]       # ours logs to that "file" itself, Postfix 3.11 by postlogd(8) only
        files = sorted(re.sub(r"\d{8}-\d{6}|old-\d{4}", "STAMP", f) for f in os.listdir(base) if f.startswith("log"))
        modes = [oct(os.stat(f"{base}/{f}").st_mode) for f in os.listdir(base) if f.endswith(".gz")]
        left = [re.sub(r"\d{8}-\d{6}|old-\d{4}", "STAMP", line) for line in log(instance, base)]
        return show(result, files, modes, sorted(os.listdir(base + "/queue")), left)
    return case


@pytest.mark.parametrize("name", CONTROL)
def test_control(box, name):
    batched(box, "control", control_case, CONTROL, name)


# --- a running system

@pytest.fixture(scope="module")
def running():
    if os.getuid() != 0:
        pytest.skip("needs root")
    pair = Pair()
    try:
        for i in pair.instances:
            i.set(compatibility_level="3.11" if i.suite.is_ours else "3.6")
        pair.start()
        yield pair
    finally:
        pair.destroy()


@pytest.mark.parametrize("command", ["start", "status", "reload", "flush", "check"])
def test_running(running, command):
    """Exit status, what postfix(1) says about the running system, and what master makes of it."""
    def case(instance):
        mark = instance.mark()
        p = instance.postfix(command, check=False)
        if command in ("start", "status", "reload"):
            instance.wait_log(r"postfix-script\[\d+\]: ", mark)
        if command == "reload":
            instance.wait_log(r"master\[\d+\]: reload -- version", mark)
        said = [re.sub(r"^\S+ +\d+ \S+ \S+ ", "", line) for line in instance.log_lines(mark)]
        said = [re.sub(r"\[\d+\]|PID: \d+", "", line) for line in said if re.match(r"postfix(?:/postfix-script|/master|/postsuper)?\[", line)]
        return p.returncode, p.stdout, [instance.normal().text(line) for line in said]
    running.compare(case)
