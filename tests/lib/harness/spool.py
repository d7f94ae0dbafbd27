# SPDX-License-Identifier: ISC
"""Queue files and queue directories made by hand, damaged ones included."""

import os
import pwd
import shutil
import tempfile
import time

QUEUES = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "maildrop", "saved", "trace")


def record(kind, payload=b"", length=None):
    """One record; length: what the record claims to have."""
    if isinstance(payload, str):
        payload = payload.encode()
    n, head = len(payload) if length is None else length, b""
    while True:
        head += bytes([n & 0x7F | (0x80 if n > 0x7F else 0)])
        n >>= 7
        if n == 0:
            return kind.encode("latin-1") + head + payload


def queue_file(sender="s@example.test", rcpts=(("R", "r@relay.test"),), text=("Subject: x", "", "body"), envelope=b"", extracted=b"", size=None,
               now=None, end=record("E")):
    """A whole file as cleanup(8) writes it. size: payload of the C record instead of the right one."""
    now = int(now or time.time())
    head = record("T", f"{now} 123456") + record("A", f"create_time={now}") + record("A", "rewrite_context=local") + record("S", sender) + \
        envelope + b"".join(record("O", a) + record(k, a) for k, a in rcpts) + record("M")
    body = b"".join(record("N", t) for t in text)
    start = 97 + len(head)
    if size is None:
        size = "%15d %15d %15d %15d %15d %15d" % (len(body), start, sum(k == "R" for k, _ in rcpts), 0, len(body), 0)
    return record("C", size) + head + body + record("X") + extracted + end


class Spool:
    """A queue directory of its own with a main.cf; nobody runs there."""

    def __init__(self, **main):
        self.base = tempfile.mkdtemp(prefix="ph-spool-", dir="/tmp")
        os.chmod(self.base, 0o755)
        self.queue = self.base + "/queue"
        self.owner = pwd.getpwnam("postfix")
        self.labels = {}            # name in the queue: what the test calls it
        for q in QUEUES:
            os.makedirs(f"{self.queue}/{q}")
            os.chown(f"{self.queue}/{q}", self.owner.pw_uid, -1)
            os.chmod(f"{self.queue}/{q}", 0o700)
        settings = {"compatibility_level": "3.6", "queue_directory": self.queue, "mail_owner": "postfix", "syslog_name": "spool", **main}
        with open(self.base + "/main.cf", "w") as f:
            f.write("".join(f"{k} = {v}\n" for k, v in settings.items()))
        with open(self.base + "/master.cf", "w") as f:
            f.write("")

    def close(self):
        shutil.rmtree(self.base, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def put(self, where, label, data=None, name=None, mode=0o700, age=0):
        """A file in directory where ("deferred/A"). name None: the short ID that its inode asks for, in the right
        directory. Its name is returned."""
        data = queue_file() if data is None else data
        directory = f"{self.queue}/{where}"
        os.makedirs(directory, exist_ok=True)
        os.chown(directory, self.owner.pw_uid, -1)
        tmp = f"{directory}/tmp"
        with open(tmp, "wb") as f:
            f.write(data + label.encode())
        if name is None:
            name = f"ABCDE{os.stat(tmp).st_ino:X}"
        self.labels[name] = label
        os.rename(tmp, f"{directory}/{name}")
        path = f"{directory}/{name}"
        os.chown(path, self.owner.pw_uid, -1)
        os.chmod(path, mode)
        then = time.time() - age
        os.utime(path, (then, then))
        return name

    def named(self, text):
        for name in sorted(self.labels, key=len, reverse=True):
            text = text.replace(name, f"<{self.labels[name]}>")
        return text.replace(self.queue, "QUEUE")

    def tree(self):
        """{label: (directory, what its name is, mode)} of every file, and the directories."""
        out = {}
        for root, dirs, files in os.walk(self.queue):
            where = os.path.relpath(root, self.queue)
            for d in dirs:
                out["dir " + os.path.normpath(f"{where}/{d}")] = ""
            for f in files:
                path = f"{root}/{f}"
                st = os.lstat(path)
                if not os.path.isfile(path) or os.path.islink(path):
                    out[f"other {where}/{f}"] = oct(st.st_mode)
                    continue
                with open(path, "rb") as r:
                    label = r.read().rsplit(b"E\0", 1)[-1].decode("latin-1")
                kind = "short" if f.endswith(f"{st.st_ino:X}") else "same" if self.labels.get(f) else "other"
                out[label] = (where if len(f) < 6 or "/" not in where else where.replace(f"/{f[0]}", "/X"), kind, oct(st.st_mode & 0o7777))
        return out
