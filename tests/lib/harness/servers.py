# SPDX-License-Identifier: ISC
"""Real servers of lookup tables, each below a temporary directory, on a loopback port or a socket, under an ordinary
account, ended by its process id. A class whose program is not installed raises Missing."""

import grp
import os
import shutil
import signal
import socket
import subprocess
import tempfile

from .instance import free_port, test_account, wait_for


class Missing(Exception):
    pass


def program(name, *places):
    found = shutil.which(name, path=":".join(places + ("/usr/sbin", "/usr/bin", "/usr/libexec")))
    if not found:
        raise Missing(name)
    return found


def make_certificate(directory):
    """A certificate of its own for 127.0.0.1 and localhost, and its key; readable by all."""
    cert, key = f"{directory}/cert.pem", f"{directory}/key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    os.chmod(key, 0o644)
    return cert, key


class Server:
    """command() is run until close(); ready() says that it answers."""

    stop = signal.SIGTERM

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="ph-srv-", dir="/tmp")
        self.account = test_account()
        os.chmod(self.dir, 0o755)
        if os.getuid() == 0:
            os.chown(self.dir, self.account.pw_uid, self.account.pw_gid)
        self.process = None
        try:
            self.prepare()
            self.begin()
            self.setup()
        except BaseException:
            self.close()
            raise

    def as_user(self, command):
        if os.getuid() == 0:
            a = self.account
            command = ["setpriv", f"--reuid={a.pw_uid}", f"--regid={a.pw_gid}", "--clear-groups", "--"] + command
        return command

    def call(self, *command):
        subprocess.run(self.as_user(list(command)), check=True, cwd=self.dir, env=self.env(), stdout=subprocess.DEVNULL,
                       stderr=subprocess.PIPE)

    def env(self):
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": self.dir}

    def prepare(self):
        pass

    def setup(self):
        pass

    def begin(self):
        with open(self.dir + "/output", "ab") as out:
            self.process = subprocess.Popen(self.as_user(self.command()), cwd=self.dir, env=self.env(), stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=out, start_new_session=True)
        try:
            wait_for(self.alive_and_ready, 20, f"{type(self).__name__} to answer")
        except AssertionError as e:
            with open(self.dir + "/output", errors="replace") as f:
                raise AssertionError(f"{e}\n{f.read()[-2000:]}") from None

    def alive_and_ready(self):
        if self.process.poll() is not None:
            with open(self.dir + "/output", errors="replace") as f:
                raise RuntimeError(f"{type(self).__name__} ended: {f.read()[-2000:]}")
        return self.ready()

    def ready(self):
        return connects(self.port)

    def end(self, sig=None):
        if self.process is not None:
            self.process.send_signal(sig or self.stop)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def close(self):
        self.end(signal.SIGKILL)
        shutil.rmtree(self.dir, ignore_errors=True)


def connects(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class Postgres(Server):
    stop = signal.SIGINT        # does not wait for clients

    def prepare(self):
        self.port = free_port()
        places = [f"/usr/lib/postgresql/{v}/bin" for v in range(20, 11, -1)]
        self.postgres = program("postgres", *places)
        self.psql = program("psql", *places)
        self.call(program("initdb", *places), "-D", self.dir + "/data", "-A", "trust", "-U", "pg", "--no-sync", "-E", "UTF8")

    def command(self):
        return [self.postgres, "-D", self.dir + "/data", "-k", self.dir, "-p", str(self.port), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]

    def sql(self, text):
        subprocess.run([self.psql, "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", "pg", "postgres", "-v", "ON_ERROR_STOP=1"], input=text,
                       text=True, check=True, env=self.env() | {"PGCLIENTENCODING": "UTF8"})

    def ready(self):
        return subprocess.run([self.psql, "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", "pg", "postgres", "-c", "select 1"],
                              capture_output=True, env=self.env()).returncode == 0

    def close(self):
        # Its children belong to other sessions: it ends them itself.
        self.end(signal.SIGQUIT)
        super().close()


class Mariadb(Server):
    def prepare(self):
        self.port = free_port()
        self.socket = self.dir + "/s"
        self.daemon = program("mariadbd") if shutil.which("mariadbd", path="/usr/sbin:/usr/libexec") else program("mysqld")
        self.client = program("mariadb")
        self.call(program("mariadb-install-db"), "--no-defaults", f"--datadir={self.dir}/data", "--auth-root-authentication-method=normal",
                  "--skip-test-db", "--force")

    def command(self):
        return [self.daemon, "--no-defaults", f"--datadir={self.dir}/data", f"--socket={self.socket}", f"--port={self.port}",
                "--bind-address=127.0.0.1", f"--pid-file={self.dir}/pid", "--innodb-flush-log-at-trx-commit=0"]

    def sql(self, text):
        subprocess.run([self.client, "--no-defaults", "-S", self.socket, "-u", "root", "--default-character-set=utf8mb4"], input=text, text=True,
                       check=True, env=self.env())

    def ready(self):
        return subprocess.run([self.client, "--no-defaults", "-S", self.socket, "-u", "root", "-e", "select 1"], capture_output=True,
                              env=self.env()).returncode == 0


class Memcached(Server):
    def prepare(self):
        self.port = free_port()
        self.program = program("memcached")

    def command(self):
        return [self.program, "-l", "127.0.0.1", "-p", str(self.port), "-U", "0"]


class Redis(Server):
    def prepare(self):
        self.port = free_port()
        self.socket = self.dir + "/s"
        self.program = program("redis-server")
        self.client = program("redis-cli")

    def command(self):
        return [self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", self.socket, "--unixsocketperm", "777",
                "--save", "", "--dir", self.dir]

    def cli(self, *words):
        return subprocess.run([self.client, "-p", str(self.port), *words], capture_output=True, text=True, check=True).stdout


class Slapd(Server):
    """ldif: what the directory holds. The root entry of dc=test is made here; cn=admin,dc=test has the password secret."""

    def __init__(self, ldif):
        self.ldif = ldif
        super().__init__()

    def prepare(self):
        self.port, self.tls_port = free_port(), free_port()
        self.program = program("slapd")
        self.cert, key = make_certificate(self.dir)
        self.socket = (self.dir + "/s").replace("/", "%2F")
        schema = next((d for d in ("/etc/ldap/schema", "/etc/openldap/schema") if os.path.exists(d + "/core.schema")), None)
        if schema is None:
            raise Missing("core.schema")
        module = next((d for d in ("/usr/lib/ldap", "/usr/lib64/openldap") if os.path.isdir(d)), None)
        os.mkdir(self.dir + "/db")
        if os.getuid() == 0:
            os.chown(self.dir + "/db", self.account.pw_uid, self.account.pw_gid)
        tls = f"TLSCertificateFile {self.cert}\nTLSCertificateKeyFile {key}\n"
        with open(self.dir + "/slapd.conf", "w") as f:
            f.write(f"include {schema}/core.schema\ninclude {schema}/cosine.schema\ninclude {schema}/inetorgperson.schema\n" +
                    "attributetype ( 1.3.6.1.4.1.99999.1.1 NAME 'maildrop' EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch "
                    "SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )\n"
                    "attributetype ( 1.3.6.1.4.1.99999.1.2 NAME 'mailacceptinggeneralid' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )\n"
                    "attributetype ( 1.3.6.1.4.1.99999.1.3 NAME 'memberdn' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )\n"
                    "objectclass ( 1.3.6.1.4.1.99999.2.1 NAME 'mailthing' SUP top AUXILIARY MAY ( maildrop $ mailacceptinggeneralid $ memberdn ) )\n" +
                    tls + (f"modulepath {module}\nmoduleload back_mdb\n" if module and os.path.exists(module + "/back_mdb.so") else "") +
                    f"pidfile {self.dir}/pid\ndatabase mdb\nmaxsize 10485760\nsuffix dc=test\nrootdn cn=admin,dc=test\nrootpw secret\n"
                    f"directory {self.dir}/db\ndbnosync\naccess to attrs=userPassword by anonymous auth by * none\n"
                    "access to dn.subtree=\"ou=private,dc=test\" by users read by * none\naccess to * by * read\n")

    def command(self):
        urls = f"ldap://127.0.0.1:{self.port}/ ldaps://127.0.0.1:{self.tls_port}/ ldapi://{self.socket}/"
        return [self.program, "-d", "0", "-h", urls, "-f", self.dir + "/slapd.conf"]

    def setup(self):
        text = "dn: dc=test\nobjectClass: dcObject\nobjectClass: organization\no: test\ndc: test\n\n" + self.ldif
        subprocess.run([program("ldapadd"), "-x", "-H", f"ldap://127.0.0.1:{self.port}", "-D", "cn=admin,dc=test", "-w", "secret"], input=text,
                       text=True, check=True, stdout=subprocess.DEVNULL)


class Dovecot(Server):
    """The login service alone, at self.socket. users: {name: password}. Its processes take accounts of their own, so it is run by root."""

    def __init__(self, users):
        self.users = users
        super().__init__()

    def as_user(self, command):
        return command

    def prepare(self):
        self.program = program("dovecot")
        self.socket = self.dir + "/auth"
        who, group = self.account.pw_name, grp.getgrgid(self.account.pw_gid).gr_name
        with open(self.dir + "/users", "w") as f:
            f.write("".join(f"{name}:{{PLAIN}}{password}\n" for name, password in self.users.items()))
        with open(self.dir + "/conf", "w") as f:
            f.write(f"""\
base_dir = {self.dir}/run
state_dir = {self.dir}/state
log_path = {self.dir}/log
protocols =
ssl = no
auth_mechanisms = plain login cram-md5
disable_plaintext_auth = no
auth_failure_delay = 0
default_internal_user = {who}
default_internal_group = {group}
default_login_user = {who}
passdb {{
  driver = passwd-file
  args = {self.dir}/users
}}
service auth {{
  unix_listener {self.socket} {{
    mode = 0666
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
""")

    def command(self):
        return [self.program, "-F", "-c", self.dir + "/conf"]

    def ready(self):
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(self.socket)
                return True
        except OSError:
            return False

    def close(self):
        self.end()          # its children end with it when it is asked to, not when it is killed
        super().close()
