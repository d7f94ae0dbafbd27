# SPDX-License-Identifier: ISC
"""Several instances: postmulti(1), and postfix(1) over all of them. The default configuration directory of either
suite is covered by a private one in a mount name space; each test's commands see it, nothing else does."""

import os
import pty
import pwd
import re
import shutil
import subprocess

import pytest
from harness import Batch, Pair

from test_commands import clean

OF_ETC = "passwd group nsswitch.conf hosts resolv.conf services ld.so.cache localtime host.conf protocols".split()
MASTER = """smtp inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
postlog unix-dgram n - n - 1 postlogd
"""
PROTO = """# stock
queue_directory = /nonexistent/spool
command_directory = /stock/commands
daemon_directory = /stock/daemons
data_directory = /nonexistent/lib
#mail_owner = postfix
unknown_local_recipient_reject_code = 550
sendmail_path =
setgid_group =
html_directory =
manpage_directory =
inet_protocols = ipv4
"""
FILES = """$config_directory:d:root:-:755:u
$data_directory:d:$mail_owner:-:700:uc
$queue_directory:d:root:-:755:uc
""" + "".join(f"$queue_directory/{d}:d:$mail_owner:-:700:ucr\n" for d in
              "active bounce corrupt defer deferred flush hold incoming private saved trace".split()) + """\
$queue_directory/maildrop:d:$mail_owner:$setgid_group:730:uc
$queue_directory/public:d:$mail_owner:$setgid_group:710:uc
$queue_directory/pid:d:root:-:755:uc
$daemon_directory/nosuchfile:f:root:-:755
"""


class Host:
    """A host of its own for one suite: base/etc stands where the suite's configuration directory is."""

    def __init__(self, instance, name):
        self.i = instance
        s = instance.suite
        self.base = f"{instance.base}/{name}"
        self.covered = "/etc" if not s.is_ours else os.path.dirname(os.path.dirname(s.daemon_directory)) + "/etc"
        for d in ("etc/postfix/postfix-files.d", "spool", "lib"):
            os.makedirs(f"{self.base}/{d}")
        if not s.is_ours:
            for f in OF_ETC:
                if os.path.exists("/etc/" + f):
                    shutil.copy("/etc/" + f, self.base + "/etc/" + f)
        self.write("postfix/main.cf.proto", f"compatibility_level = {self.level}\n" + PROTO)
        self.write("postfix/master.cf.proto", MASTER)
        self.write("postfix/master.cf", MASTER.replace("smtp inet", "#smtp inet"))
        self.write("postfix/postfix-files", "".join(line for line in FILES.splitlines(True) if "nosuch" not in line))
        self.write("postfix/main.cf", f"""compatibility_level = {self.level}
queue_directory = {self.base}/spool/postfix
data_directory = {self.base}/lib/postfix
meta_directory = {self.covered}/postfix
command_directory = {s.command_directory}
daemon_directory = {s.daemon_directory}
inet_interfaces = loopback-only
inet_protocols = ipv4
import_environment = {instance.main["import_environment"]} PATH=/usr/sbin:/usr/bin:/sbin:/bin
""")
        for d, mode in (("spool/postfix", 0o755), ("lib/postfix", 0o700)):
            os.makedirs(f"{self.base}/{d}", mode)
        os.chown(self.base + "/lib/postfix", pwd.getpwnam("postfix").pw_uid, -1)
        self.run("postfix", "post-install", "create-missing")

    @property
    def level(self):
        return "3.11" if self.i.suite.is_ours else "3.6"

    def write(self, name, text):
        self.i.write(f"{self.base}/etc/{name}", text)

    def read(self, name):
        with open(f"{self.base}/etc/{name}") as f:
            return f.read()

    def argv(self, name, *args):
        cover = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
        return ["unshare", "-m", "sh", "-c", cover, "sh", self.base + "/etc", self.covered, self.i.suite.prog(name), *args]

    def run(self, name, *args, env=None, user=None):
        """On a terminal: elsewhere the reference says nothing."""
        for root, _, files in os.walk(self.base + "/etc"):
            for f in files:
                if f == "main.cf":
                    os.utime(f"{root}/{f}", (1e9, 1e9))     # readers wait for a file that is new
        e = self.i.env()
        del e["MAIL_CONFIG"]
        e.update(env or {})
        ours, theirs = pty.openpty()
        argv = self.argv(name, *args)
        if user:
            at = argv.index(self.i.suite.prog(name))
            argv[at:at] = ["setpriv", "--reuid=" + user, "--regid=nogroup", "--clear-groups", "--"]
        p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=e, cwd="/")
        os.close(theirs)
        out = b""
        while True:
            try:
                got = os.read(ours, 65536)
            except OSError:
                got = b""
            if not got:
                break
            out += got
        os.close(ours)
        return p.wait(60), self.tidy(out.decode())

    def tidy(self, text):
        text = text.replace("\r\n", "\n").replace(self.base + "/etc", "/etc").replace(self.covered + "/", "/etc/")
        text = clean(self.i, text.replace(self.base, "HOST"))
        text = re.sub(r"PID: \d+", "PID: N", text)
        if not self.i.suite.is_ours:
            # Since 3.8 scripts are seen by the name of postlog (facts: commands 1.1), 3.11 has one option more.
            text = re.sub(r"(?m)^(\S+)/post(?:fix|multi)-script: ", r"\1/postlog: ", text)
        text = re.sub(r"(?m)^(postconf: warning: .*\n)(?:\1)+", r"\1", text)
        return re.sub(r"usage: .*|Usage:.*", "usage", text)

    def settings(self, name):
        """Lines in order, of what postconf appended at least: 3.11 sorts them, the reference has no order."""
        lines = [line for line in self.tidy(self.read(name)).splitlines() if not line.startswith("compatibility_level")]
        return [line for line in lines if line.startswith("#")] + sorted(line for line in lines if not line.startswith("#"))


@pytest.fixture(scope="module")
def pair():
    if os.getuid() != 0:
        pytest.skip("needs root")
    pair = Pair(smtpd={})
    yield pair
    pair.destroy()


@pytest.fixture(scope="module")
def hosts(pair):
    """An init'ed primary instance with a (group mta) and b; postfix-e has main.cf and master.cf, but is not listed."""
    out = {}
    for i in pair.instances:
        h = out[i] = Host(i, "errors")
        for args in (["init"], ["create", "-I", "postfix-a", "-G", "mta"], ["create", "-I", "postfix-b"]):
            assert h.run("postmulti", "-e", *args) == (0, "")
        assert h.run("postmulti", "-e", "enable", "-i", "postfix-b") == (0, "")
        os.makedirs(h.base + "/etc/other")
        for f in ("main.cf", "master.cf"):
            shutil.copy(f"{h.base}/etc/postfix/{f}", f"{h.base}/etc/other/{f}")
    return out


# None of these changes anything.
CASES = [
    [], ["-z"], ["-l"], ["-l", "-a", "-v"], ["-l", "-p"], ["-l", "-a", "-i", "x"], ["-l", "-i", "nosuch"], ["-l", "-g", "nosuch"], ["-l", "foo"],
    ["-lR"], ["-l", "-g", "mta"], ["-l", "-i", "postfix-b"], ["-l", "-i", "/nonexistent"], ["-l", "-i", "-"], ["-p"], ["-x"], ["-e", "foo"],
    ["-e", "create"], ["-e", "create", "-I", "foo"], ["-e", "create", "-I", "postfix-a/b"], ["-e", "init", "x=y"], ["-e", "init"], ["-e", "init", "-I", "postfix-x"],
    ["-e", "create", "-I", "postfix-a"], ["-e", "create", "-I", "postfix-c", "data_directory=@base@/spool/postfix-a"],
    ["-e", "create", "-I", "postfix-c", "foo=bar"], ["-e", "create", "-I", "postfix-c", "queue_directory=rel"], ["-e", "create", "-I", "postfix-c", "queue_directory"],
    ["-e", "create", "-i", "nosuch", "-I", "postfix-q"], ["-e", "create", "-g", "nosuch", "-I", "postfix-q"], ["-e", "create", "-I", "postfix-a", "config_directory=@base@/cc"],
    ["-e", "create", "-I", "postfix-c", "config_directory=@etc@/postfix"], ["-e", "create", "-a", "-i", "x", "-I", "postfix-c"],
    ["-e", "create", "-I", "postfix-b", "config_directory=@base@/cc", "queue_directory=@base@/cq", "data_directory=@base@/cd"],
    ["-e", "import"], ["-e", "import", "config_directory=/nonexistent"], ["-e", "import", "-I", "postfix-e", "config_directory=@etc@/other"],
    ["-e", "import", "-I", "postfix-e", "config_directory=@etc@/postfix-a"], ["-e", "import", "config_directory=@etc@/other", "queue_directory=/x"],
    ["-e", "enable"], ["-e", "enable", "-I", "postfix-x", "-i", "-"], ["-e", "enable", "-i", "-", "x=y"], ["-e", "enable", "-i", "nosuch"], ["-e", "disable"],
    ["-e", "destroy"], ["-e", "destroy", "-i", "-"], ["-e", "destroy", "-i", "nosuch"], ["-e", "destroy", "-i", "postfix-b"], ["-e", "destroy", "-a"],
    ["-e", "deport", "-i", "-"], ["-e", "deport", "-i", "postfix-b"], ["-e", "deport"], ["-e", "assign", "-i", "-"], ["-e", "assign", "-I", "postfix-q"],
    ["-e", "assign", "-i", "nosuch", "-I", "postfix-q"], ["-e", "assign", "-g", "x"], ["-e", "assign", "-i", "-", "-I", "bad"],
    ["-I", "postfix-x", "-l"], ["-G", "g", "-l"], ["-R", "-p", "status"], ["-R", "-e", "init"], ["-x", "false"], ["-x", "nosuchcommand"],
    ["-i", "-", "-x", "sh", "-c", "exit 3"], ["-x", "sh", "-c", "kill -9 $$"], ["-x", "-R", "sh", "-c", "echo $MAIL_CONFIG"], ["-i", "postfix-a", "-p", "reload"],
    ["-x", "sh", "-c", "env | grep -E '^(MAIL_CONFIG|MAIL_LOGTAG|multi_|[a-z]*_directory=)' | sort"], ["-v", "-g", "mta", "-x", "sh", "-c", "echo ${MAIL_VERBOSE+set}"],
    ["-g", "mta", "-x", "sh", "-c", "echo $PATH | cut -d: -f1"], ["-p", "status"], ["-p", "reload"], ["-p", "flush"], ["-p", "stop"], ["-g", "mta", "-p", "start"],
    ["-i", "postfix-a", "-p", "stop"], ["-p", "check"], ["-g", "nosuch", "-p", "status"], ["-p", "--", "status"], ["-p", "foo"], ["-i", "postfix-a", "-p", "status", "x"],
]
CASE_NAMES = {" ".join(a) or "none": a for a in CASES}


def case(hosts, name):
    def run(instance):
        h = hosts[instance]
        args = [a.replace("@base@", h.base).replace("@etc@", h.covered) for a in CASE_NAMES[name]]
        return h.run("postmulti", *args)
    return run


_batches = {}


@pytest.mark.parametrize("name", CASE_NAMES)
def test_postmulti(pair, hosts, stories, name):
    if id(pair) not in _batches:
        _batches[id(pair)] = Batch(pair, {n: case(hosts, n) for n in CASE_NAMES}, workers=12)
    _batches[id(pair)].compare(name)


def test_json(pair, hosts):
    """A list that 3.11 has (facts: commands 12), its defect in the group's name left out."""
    if pair.ours is None:
        pytest.skip("needs the suite under test")
    assert hosts[pair.ours].run("postmulti", "-lj") == (0, '{"name": "-","group": "-","enabled": "y","config_directory": "/etc/postfix"}\n'
                                                        '{"name": "postfix-a","group": "mta","enabled": "n","config_directory": "/etc/postfix-a"}\n'
                                                        '{"name": "postfix-b","group": "-","enabled": "y","config_directory": "/etc/postfix-b"}\n')


@pytest.mark.parametrize("env", ["", "@etc@/postfix", "@etc@/other"])
def test_environment(pair, hosts, env):
    def run(instance):
        h = hosts[instance]
        return h.run("postmulti", "-l", env={"MAIL_CONFIG": env.replace("@etc@", h.covered)} if env else {})
    pair.compare(run)


def tree(h):
    out = []
    for top in ("etc", "spool", "lib"):
        for root, dirs, files in os.walk(f"{h.base}/{top}"):
            for n in dirs + files:
                st = os.lstat(f"{root}/{n}")
                if "/etc/postfix" in f"{root}/{n}" or top != "etc":
                    out.append(h.tidy(f"{st.st_mode:o} {st.st_uid}:{st.st_gid} {root}/{n}"))
    return sorted(out)


LIFE = [
    "postmulti -e create -I postfix-a",
    "postmulti -e init",
    "postmulti -e create -I postfix-a -G mta",
    "postmulti -e create -I postfix-b -g mta queue_directory=@base@/spool/qb",
    "postmulti -e create -a -I postfix-c config_directory=@etc@/cc",
    "postmulti -e create -i postfix-a -I - config_directory=@etc@/postfix-d queue_directory=@base@/spool/qd data_directory=@base@/lib/dd",
    "postmulti -l",
    "postmulti -e enable -i postfix-a",
    "postmulti -e assign -i postfix-b -I postfix-bb -G grp",
    "postmulti -e assign -i postfix-bb -G -",
    "postfix status",
    "postmulti -e disable -i postfix-a",
    "postmulti -e deport -i postfix-a",
    "postmulti -e deport -i @etc@/postfix-d",
    "postmulti -l",
    "postmulti -e import -I postfix-z -G zz config_directory=@etc@/postfix-a",
    "postmulti -e create -g zz config_directory=@etc@/postfix-d",
    "postmulti -l",
    "postmulti -e destroy -i postfix-c",
    "postmulti -e destroy -i postfix-bb",
    "postfix -c @etc@/postfix-a set-permissions",
    "postfix check",
]


def life_cycle(instance):
    """From the first instance to the last; what main.cf of each says and what is on disk after every step."""
    h = Host(instance, "life")
    out = []
    for line in LIFE:
        if line.startswith("postmulti -e destroy -i postfix-bb"):
            instance.write(h.base + "/spool/qb/hold/AAAA", "x")
            instance.write(h.base + "/etc/postfix-b/access", "x")
        if line.startswith("postfix -c"):       # what is shared is not for a secondary instance
            h.write("postfix/postfix-files", FILES)
        if line == "postfix check":
            h.write("postfix/postfix-files", FILES.replace("$daemon_directory/nosuchfile:f:root:-:755\n", ""))
        args = line.replace("@base@", h.base).replace("@etc@", h.covered).split()
        out.append((line, h.run(*args), [(n, h.settings(n)) for n in ("postfix/main.cf", "postfix-a/main.cf", "cc/main.cf", "postfix-d/main.cf")
                                         if os.path.exists(f"{h.base}/etc/{n}")]))
    return "\n".join(str(x) for step in out for x in (step[0], *step[1], *step[2])) + "\n" + "\n".join(tree(h))


def errors_of_lists(instance):
    """multi_instance_directories names what is not there; a wrapper that is empty."""
    h = Host(instance, "lists")
    text = h.read("postfix/main.cf")
    out = []
    for more in ("multi_instance_directories = /nonexistent/config\n", "multi_instance_directories = /x\nmulti_instance_wrapper = $command_directory/postmulti -p --\n"):
        h.write("postfix/main.cf", text + more)
        out += [h.run("postmulti", "-l"), h.run("postfix", "status")]
    return out


def start_and_stop(instance):
    """postfix start and stop over all instances; the one that is not enabled is checked only."""
    h = Host(instance, "start")
    out = [h.run("postmulti", "-e", *a) for a in (["init"], ["create", "-I", "postfix-a"], ["create", "-I", "postfix-b"], ["enable", "-i", "postfix-a"])]
    try:
        out += [h.run("postfix", c) for c in ("start", "status")]
        out += [h.run("postmulti", "-i", "postfix-a", "-p", "reload"), h.run("postmulti", "-e", "destroy", "-i", "postfix-b")]
    finally:
        out.append(stopped(*h.run("postfix", "stop")))
    return out + [h.run("postfix", "status")]


# Said once a second for as long as master(8) takes to end, which depends on the machine and not on the suite: on either side
# the line may stand or not, as often as it likes. Nothing else is left out.
WAITING = re.compile(r"(?m)^postfix[\w-]*/postlog: waiting for the Postfix mail system to terminate\r?\n")


def stopped(code, text):
    return code, WAITING.sub("", text)


STORIES = {"life cycle": life_cycle, "errors of lists": errors_of_lists, "start and stop": start_and_stop}


@pytest.fixture(scope="module")
def stories(pair):
    """All at a time: much of it is waiting for main.cf to grow old."""
    return Batch(pair, STORIES)


@pytest.mark.limit(120)
@pytest.mark.parametrize("name", STORIES)
def test_story(stories, name):
    stories.compare(name)


def test_set_gid_commands(pair, hosts):
    """postqueue and postlog of an ordinary user: a configuration directory must be blessed by the default one."""
    def run(instance):
        h = hosts[instance]
        out = []
        for directory in ("other", "postfix-a", "allowed", "postfix"):
            os.makedirs(f"{h.base}/etc/{directory}", exist_ok=True)
            if directory == "allowed":
                shutil.copy(f"{h.base}/etc/postfix-a/main.cf", f"{h.base}/etc/allowed/main.cf")
                h.write("postfix/main.cf", h.read("postfix/main.cf") + f"alternate_config_directories = {h.covered}/allowed\n")
            code, text = h.run("postqueue", "-c", f"{h.covered}/{directory}", "-f", user="nobody")
            # A sanitizer cannot look for leaks in a set-gid program, says so, and ends it with a status of its own.
            out.append((code != 0, re.sub(r"(?m)^==\d+==.*\n", "", text)))
        return out
    pair.compare(run)
