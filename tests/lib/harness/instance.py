# SPDX-License-Identifier: ISC
"""A private instance of a mail system below a temporary directory, either the
one under test or the reference (Debian's package), as root or rootless."""

import fcntl
import glob
import grp
import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from .normal import Normal

TEST_USER = "phtest"


def wait_for(condition, timeout=20, what="condition", poll=0.01):
    """Poll until condition() is true; its value is returned."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"timed out after {timeout} s: {what}")
        time.sleep(poll)


_given_ports = {}
FIRST_PORT = 10000


def _last_port():
    """The kernel gives the ports above this one to whoever connects or binds port 0: such a port could be taken
    between its choice and the start of the server that is to have it."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        low = int(f.read().split()[0])
    return low - 1 if low > FIRST_PORT + 2000 else 65535


def free_port():
    """A port that nobody listens on and that no earlier call has returned, in this process or in one that tests beside
    it: an abstract socket of that name is held for as long as this process lives."""
    last = _last_port()
    while True:
        port = random.randint(FIRST_PORT, last)
        if port in _given_ports:
            continue
        held = socket.socket(socket.AF_UNIX)
        try:
            held.bind(f"\0posthaste-test-port-{port}")
            with socket.socket() as s:
                s.bind(("0.0.0.0", port))
        except OSError:
            held.close()
            continue
        _given_ports[port] = held
        return port


class Suite:
    """Where the programs of one mail system are."""

    def __init__(self, name, command_directory, daemon_directory, bin_directory, sendmail):
        self.name = name
        self.command_directory = command_directory
        self.daemon_directory = daemon_directory
        self.bin_directory = bin_directory
        self.sendmail = sendmail
        self.is_ours = name == "ours"

    def prog(self, name):
        if name == "sendmail":
            return self.sendmail
        if name in ("mailq", "newaliases"):
            return os.path.join(self.bin_directory, name)
        if name in ("smtp-source", "smtp-sink"):
            return "/usr/sbin/" + name
        return os.path.join(self.command_directory, name)


def reference():
    return Suite("reference", "/usr/sbin", "/usr/lib/postfix/sbin", "/usr/bin", "/usr/sbin/sendmail")


def ours(prefix=None):
    prefix = prefix or os.environ.get("POSTHASTE_PREFIX")
    if not prefix:
        raise RuntimeError("POSTHASTE_PREFIX must name a tree made by make install with that --prefix")
    prefix = os.path.abspath(prefix)
    return Suite("ours", prefix + "/sbin", prefix + "/libexec/postfix", prefix + "/bin", prefix + "/sbin/sendmail")


STOCK_SERVICES = """\
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
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
showq     unix  n       -       n       -       -       showq
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
local     unix  -       n       n       -       -       local
virtual   unix  -       n       n       -       -       virtual
lmtp      unix  -       -       n       -       -       lmtp
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
"""


def test_account():
    """An ordinary account for rootless instances; made when missing."""
    if os.getuid() != 0:
        return pwd.getpwuid(os.getuid())
    make_account(TEST_USER, "/bin/sh")
    return pwd.getpwnam(TEST_USER)


def make_account(name, shell="/usr/sbin/nologin"):
    """An account without a home; processes that test side by side make it once."""
    with open("/tmp/posthaste-test-accounts.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            pwd.getpwnam(name)
        except KeyError:
            subprocess.run(["useradd", "-r", "-M", "-d", "/nonexistent", "-s", shell, "-U", name], check=True)


class Instance:
    """smtpd: {service name: {parameter: value}}: one listening smtpd each, on its
    own port, see port(). main: further main.cf settings. master: further lines of
    master.cf. rootless: run under an ordinary account (the system under test only).
    With users = [...] a passwd-independent set of Maildirs is made through virtual(8)."""

    def __init__(self, suite, main=None, smtpd=None, master="", rootless=False,
                 services=STOCK_SERVICES, base=None, domain="example.test", wrapper=(), environment=None):
        self.suite = suite
        self.rootless = rootless or os.getuid() != 0
        self.wrapper = list(wrapper)
        self.environment = dict(environment or {})      # for every program of the suite
        self.base = base or tempfile.mkdtemp(prefix=f"ph-{suite.name[:3]}-", dir="/tmp")
        os.chmod(self.base, 0o755)
        self.config = self.base + "/etc"
        self.queue = self.base + "/queue"
        self.data = self.base + "/data"
        self.mail = self.base + "/mail"
        self.log = self.base + "/maillog"
        self.log_marks = 0
        self.aliases = self.config + "/aliases"
        self.account = test_account() if self.rootless else pwd.getpwnam("postfix")
        self.ports = {}
        self.main = {}
        self._offset = 0
        self.running = False
        self._files()
        self._write_main(domain, main or {})
        self._write_master(smtpd if smtpd is not None else {"smtp": {}}, services, master)

    # --- files

    def _files(self):
        for d, mode in ((self.config, 0o755), (self.queue, 0o755), (self.data, 0o700), (self.mail, 0o755)):
            os.makedirs(d, exist_ok=True)
            os.chmod(d, mode)
        uid, gid = self.account.pw_uid, self.account.pw_gid
        if os.getuid() == 0:
            os.chown(self.data, uid, gid)
            os.chown(self.mail, uid, gid)
            if self.rootless:
                for d in (self.base, self.config, self.queue):
                    os.chown(d, uid, gid)
        asan = self.base + "/sanitizer"
        os.makedirs(asan, exist_ok=True)
        os.chmod(asan, 0o1777)
        for name in ("aliases", "main.cf", "master.cf"):
            path = f"{self.config}/{name}"
            if not os.path.exists(path):
                self.write(path, "")

    def write(self, path, text, mode=0o644):
        if not path.startswith("/"):
            path = f"{self.config}/{path}"
        # Through a new file and into the past: readers of main.cf wait for a file
        # that was changed within the last seconds.
        tmp = f"{path}.{threading.get_ident()}.tmp"
        with open(tmp, "w" if isinstance(text, str) else "wb") as f:
            f.write(text)
        os.chmod(tmp, mode)
        old = time.time() - 10
        os.utime(tmp, (old, old))
        os.rename(tmp, path)
        if os.getuid() == 0 and self.rootless:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)
        return path

    def _write_main(self, domain, extra):
        s = self.suite
        group = grp.getgrgid(self.account.pw_gid).gr_name if self.rootless else "postdrop"
        self.main = {
            "compatibility_level": "3.6",
            "command_directory": s.command_directory,
            "daemon_directory": s.daemon_directory,
            "sendmail_path": s.sendmail,
            "newaliases_path": s.prog("newaliases"),
            "mailq_path": s.prog("mailq"),
            "queue_directory": self.queue,
            "data_directory": self.data,
            "mail_owner": self.account.pw_name,
            "setgid_group": group,
            "myhostname": f"mail.{domain}",
            "mydomain": domain,
            "myorigin": "$myhostname",
            "mydestination": "$myhostname, localhost.$mydomain, localhost",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "mynetworks": "127.0.0.1/32",
            "alias_maps": f"texthash:{self.aliases}",
            "alias_database": f"hash:{self.aliases}",
            "maillog_file": self.log,
            "maillog_file_prefixes": "/var, /tmp, /dev/stdout, /dev/shm",
            "smtp_tls_security_level": "",
            "import_environment": "MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ XAUTHORITY DISPLAY LANG=C "
                                  "POSTLOG_SERVICE POSTLOG_HOSTNAME ASAN_OPTIONS UBSAN_OPTIONS " + " ".join(self.environment),
            "biff": "no",
        }
        for k, v in extra.items():
            if v is None:
                self.main.pop(k, None)
            else:
                self.main[k] = str(v).replace("@base@", self.base).replace("@config@", self.config) \
                                     .replace("@mail@", self.mail).replace("@uid@", str(self.account.pw_uid)) \
                                     .replace("@gid@", str(self.account.pw_gid))
        self.save_main()

    def save_main(self):
        self.write("main.cf", "".join(f"{k} = {v}\n" for k, v in self.main.items()))

    def set(self, **settings):
        """Change main.cf (None removes); reload() makes it known."""
        for k, v in settings.items():
            if v is None:
                self.main.pop(k, None)
            else:
                self.main[k] = str(v)
        self.save_main()

    def _write_master(self, smtpd, services, extra):
        out = []
        for name, options in smtpd.items():
            options = dict(options)
            port = self.ports.setdefault(name, free_port())
            listen = options.pop("listen", "127.0.0.1")
            maxproc = options.pop("maxproc", "-")
            out.append(f"{listen}:{port} inet n - n - {maxproc} smtpd")
            for k, v in options.items():
                out.append(f"  -o {{ {k} = {v} }}".replace("@config@", self.config).replace("@base@", self.base))
        extra = extra.replace("@base@", self.base).replace("@config@", self.config)
        text = "\n".join(out) + "\n" + services + extra
        self.write("master.cf", text)

    # --- commands

    def env(self, **more):
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C", "LC_ALL": "C", "TZ": "UTC",
               "HOME": "/tmp", "MAIL_CONFIG": self.config,
               "ASAN_OPTIONS": f"log_path={self.base}/sanitizer/asan:detect_leaks=0:abort_on_error=0",
               "UBSAN_OPTIONS": f"log_path={self.base}/sanitizer/ubsan:print_stacktrace=1"}
        env.update(self.environment)
        env.update(more)
        return env

    def argv(self, name, *args, as_user=False):
        cmd = [self.suite.prog(name)] + [str(a) for a in args]
        if os.getuid() == 0 and (self.rootless or as_user):
            who = self.account if self.rootless else test_account()
            flags = ["setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups"]
            # Rootless programs have no set-gid bits; those of the tree under test do not count then.
            if self.rootless:
                flags.append("--no-new-privs")
            cmd = flags + ["--"] + cmd
        return self.wrapper + cmd

    def run(self, name, *args, input=None, check=False, timeout=60, as_user=False, env=None, cwd=None):
        """Run a command of this suite on this instance. stdout and stderr are text."""
        if isinstance(input, str):
            input = input.encode("utf-8", "surrogateescape")
        p = subprocess.run(self.argv(name, *args, as_user=as_user), input=input if input is not None else b"",
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
                           env=env or self.env(), cwd=cwd or "/")
        p.stdout = p.stdout.decode("utf-8", "surrogateescape")
        p.stderr = p.stderr.decode("utf-8", "surrogateescape")
        if check and p.returncode != 0:
            raise AssertionError(f"{name} {args}: exit {p.returncode}\n{p.stdout}{p.stderr}{self.log_text()[-3000:]}")
        return p

    def postfix(self, *args, check=True):
        return self.run("postfix", "-c", self.config, *args, check=check)

    def start(self):
        mark = self.mark()
        self.postfix("start")
        self.running = True
        for port in self.ports.values():
            wait_for(lambda p=port: _connects(p), 20, f"port {port} of {self.suite.name}")
        # The probes above leave lines in the log; they belong to no test.
        if self.ports:
            self.wait_log(r"smtpd\[\d+\]: disconnect from", mark, count=len(self.ports))
        if "qmgr" in open(self.config + "/master.cf").read():
            wait_for(lambda: self.pids("qmgr"), 20, f"qmgr of {self.suite.name}")
        return self

    def stop(self):
        if self.running:
            self.running = False
            pid = self.master_pid()
            self.run("postfix", "-c", self.config, "stop")
            if pid:
                try:
                    wait_for(lambda: not alive(pid), 10, "master to end")
                except AssertionError:
                    os.kill(pid, signal.SIGKILL)
            self.kill_left()

    def reload(self):
        mark = self.mark()
        self.postfix("reload")
        self.wait_log(r"master\[\d+\]: reload -- version", mark)

    def destroy(self):
        try:
            self.stop()
        finally:
            found = self.sanitizer_reports()
            if not os.environ.get("KEEP_INSTANCES"):
                shutil.rmtree(self.base, ignore_errors=True)
            if found:
                raise AssertionError("sanitizer report:\n" + found)

    def __enter__(self):
        return self.start()

    def __exit__(self, *unused):
        self.destroy()

    def sanitizer_reports(self):
        out = ""
        for f in sorted(glob.glob(self.base + "/sanitizer/*")):
            with open(f, errors="replace") as r:
                out += r.read()[:6000] + "\n"
        return out

    # --- processes

    def master_pid(self):
        try:
            with open(self.queue + "/pid/master.pid") as f:
                return int(f.read().strip())
        except (OSError, ValueError):
            return None

    def pids(self, program=None):
        """Processes of this instance: those that have master as an ancestor."""
        parent = {}
        names = {}
        for p in glob.glob("/proc/[0-9]*/stat"):
            try:
                with open(p) as f:
                    text = f.read()
            except OSError:
                continue
            pid = int(text.split(" ", 1)[0])
            rest = text[text.rindex(")") + 2:].split()
            parent[pid] = int(rest[1])
            names[pid] = text[text.index("(") + 1:text.rindex(")")]
        top = self.master_pid()
        out = []
        for pid in parent:
            up = pid
            while up in parent and up != top and up > 1:
                up = parent[up]
            if up == top and (program is None or names[pid] == program[:15]):
                out.append(pid)
        return sorted(out)

    def left(self):
        """Processes that work in this instance's queue directory. One that has been killed is no longer among them when it
        has let its files and locks go."""
        out = []
        for d in glob.glob("/proc/[0-9]*"):
            try:
                if os.readlink(d + "/cwd") == self.queue:
                    out.append(int(d[6:]))
            except OSError:
                pass
        return out

    def kill_left(self):
        """End what still works in this instance's queue directory, by process id."""
        for pid in self.left():
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass

    # --- log

    def read_log(self, start=0):
        """What is in the file; our own marks are left out."""
        try:
            with open(self.log, "rb") as f:
                f.seek(start)
                text = f.read().decode("utf-8", "surrogateescape")
        except OSError:
            return ""
        return re.sub(r"(?m)^.* harness\[1\]: settled \d+\n", "", text) if " harness[1]: " in text else text

    def settle_log(self):
        """What has been said by now is in the file when this returns: lines are written in the order they were sent."""
        self.log_marks += 1
        line = f"Jan  1 00:00:00 mail harness[1]: settled {self.log_marks}\n".encode()
        start = self.log_size()
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
                s.settimeout(5)
                s.sendto(line[:-1], self.queue + "/public/postlog")
        except OSError:
            return                              # not running, or it logs elsewhere

        def there():
            with open(self.log, "rb") as f:
                f.seek(start)
                return line in f.read()
        end = time.monotonic() + 5              # postlogd may be what a test has stopped
        while os.path.exists(self.log) and not there() and time.monotonic() < end:
            time.sleep(0.001)

    def log_size(self):
        try:
            return os.path.getsize(self.log)
        except OSError:
            return 0

    def log_text(self, start=0):
        self.settle_log()
        return self.read_log(start)

    def mark(self):
        self.settle_log()
        return self.log_size()

    def log_lines(self, start=0):
        return self.log_text(start).splitlines()

    def wait_log(self, pattern, start=0, timeout=20, count=1):
        """Wait until so many log lines match; all lines since start are returned."""
        rx = re.compile(pattern)
        state = {}

        def enough():
            state["lines"] = self.read_log(start).splitlines()
            return sum(1 for line in state["lines"] if rx.search(line)) >= count
        try:
            wait_for(enough, timeout, f"log line {pattern!r}")
        except AssertionError as e:
            raise AssertionError(f"{e}\nlog of {self.suite.name}:\n" + "\n".join(state["lines"][-40:])) from None
        return state["lines"]

    # --- queue and mail

    def port(self, name="smtp"):
        return self.ports[name]

    def queue_files(self, *queues):
        out = {}
        for q in queues or ("maildrop", "incoming", "active", "deferred", "hold", "corrupt"):
            for root, _, files in os.walk(f"{self.queue}/{q}"):
                for f in files:
                    out[f] = os.path.join(root, f)
        return out

    def settled(self, start=0):
        """Is every message that the log shows since start delivered, deferred or held,
        and every SMTP session over?"""
        text = self.log_text(start)
        connects = len(re.findall(r"smtpd\[\d+\]: connect from", text))
        if connects != len(re.findall(r"smtpd\[\d+\]: disconnect from", text)):
            return False
        if self.queue_files("maildrop", "incoming", "active"):
            return False
        ids = set(re.findall(r"(?:smtpd|pickup|cleanup|qmgr)\[\d+\]: ([0-9A-Za-z]+): "
                             r"(?:client=|uid=|message-id=|from=)", text))
        gone = set(re.findall(r"qmgr\[\d+\]: ([0-9A-Za-z]+): removed", text))
        left = ids - gone - set(self.queue_files("deferred", "hold"))
        # Ids whose message cleanup refused or the client gave up never reach the queue.
        reached = set(re.findall(r"qmgr\[\d+\]: ([0-9A-Za-z]+): from=", text))
        return not (left & reached) and all(i in gone or i not in reached for i in left)

    def wait_settled(self, start=0, timeout=30):
        wait_for(lambda: self.settled(start), timeout, f"{self.suite.name} to settle\n" + "\n".join(self.log_lines(start)[-30:]))

    def mailboxes(self):
        """All delivered mail: {path, with Maildir file names hidden: sorted contents}."""
        out = {}
        for top in ("mail", "spool", "mbox"):
            for root, _, files in os.walk(f"{self.base}/{top}"):
                for f in files:
                    path = os.path.join(root, f)
                    where = os.path.relpath(root, self.base)
                    key = where + "/*" if where.endswith(("/new", "/cur")) else where + "/" + f
                    with open(path, "rb") as r:
                        out.setdefault(key, []).append(r.read())
        return {k: sorted(v) for k, v in out.items()}

    def clear_mailboxes(self):
        for top in ("mail", "spool", "mbox"):
            for path in glob.glob(f"{self.base}/{top}/*"):
                if os.path.isdir(path):
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    os.unlink(path)

    def wait_queue_empty(self, timeout=30):
        wait_for(lambda: not self.queue_files("maildrop", "incoming", "active", "deferred"), timeout,
                 f"queue of {self.suite.name} to be empty; has {self.queue_files()}")

    def flush_queue(self):
        """Take every message out of the queue."""
        self.run("postsuper", "-c", self.config, "-d", "ALL")

    def maildir(self, name):
        """Messages in Maildir name below the instance's mail directory, oldest first."""
        out = []
        for sub in ("new", "cur"):
            for f in glob.glob(f"{self.mail}/{name}/{sub}/*"):
                out.append((os.path.getmtime(f), f))
        texts = []
        for _, f in sorted(out):
            with open(f, "rb") as r:
                texts.append(r.read())
        return texts

    def wait_maildir(self, name, count=1, timeout=30):
        wait_for(lambda: len(self.maildir(name)) >= count, timeout,
                 f"{count} messages in Maildir {name} of {self.suite.name}\n" + "\n".join(self.log_lines()[-15:]))
        return self.maildir(name)

    def normal(self):
        """A normaliser that knows this instance's directories and ports."""
        s = self.suite
        names = [(self.config, "CONFIG"), (self.queue, "QUEUE"), (self.data, "DATA"), (self.mail, "MAIL"),
                 (self.base, "BASE"), (s.daemon_directory, "DAEMONDIR")]
        if s.command_directory != "/usr/sbin":
            names.append((s.command_directory, "/usr/sbin"))
        names += [(str(p), f"PORT_{n}") for n, p in self.ports.items()]
        return Normal(names)


def alive(pid):
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False
    except PermissionError:
        return True


def _connects(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False
