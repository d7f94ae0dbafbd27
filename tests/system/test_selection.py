# SPDX-License-Identifier: ISC
"""Which messages postqueue shows and postsuper changes when they are selected by what they are."""

import json
import os
import pty
import re
import socket
import subprocess
import time

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Sink, Smtp, ours, wait_for
from harness.spool import Spool, queue_file, record
from harness.under_test import IS_REFERENCE, make

pytestmark = pytest.mark.skipif(IS_REFERENCE or REFERENCE_ONLY or SELF_CHECK, reason="needs the suite under test")

MAIL = [    # name, sender, recipients, bytes of text
    ("a", "ann@example.com", ["u1@relay.test"], 10),
    ("b", "bob@example.net", ["u1@relay.test", "u2@other.relay.test"], 10),
    ("c", "", ["u3@RELAY.test"], 10),
    ("d", "ann@example.com", ["full@relay.test"], 20000),
]


@pytest.fixture(scope="module")
def queue():
    """Four deferred messages; a is on hold, b is two days old."""
    with Sink(hook=lambda v, line, s: ("452 4.2.2 Mailbox full" if "full@" in line else "450 4.2.0 later") if v == "RCPT" else None) as sink:
        i = make(sink, rootless=os.getuid() != 0, main={"minimal_backoff_time": "1000s", "relay_domains": "relay.test",
                 "transport_maps": f"inline:{{ {{relay.test = smtp:[127.0.0.1]:{sink.port}}} {{.relay.test = relay:[127.0.0.1]:{sink.port}}} }}"})
        try:
            i.start()
            i.names = {}
            for name, sender, rcpts, size in MAIL:
                mark = i.mark()
                with Smtp(i.port()) as c:
                    c.cmd("EHLO x")
                    for line in [f"MAIL FROM:<{sender}>"] + [f"RCPT TO:<{r}>" for r in rcpts] + ["DATA"]:
                        c.cmd(line)
                    text = "x" * 60 + "\r\n"
                    assert c.data("Subject: x\r\n\r\n" + text * (size // 60 + 1)).startswith("250")
                    c.cmd("QUIT")
                lines = i.wait_log("status=deferred", mark, count=len(rcpts))
                i.names[re.search(r" (\w+): to=", "\n".join(lines)).group(1)] = name
            wait_for(lambda: len(i.queue_files("deferred")) == 4, what="the deferred queue")
            i.run("postsuper", "-h", id_of(i, "a"), check=True)
            age(i.queue_files("deferred")[id_of(i, "b")], 2 * 86400)
            yield i
        finally:
            i.destroy()


def id_of(instance, name):
    return next(k for k, v in instance.names.items() if v == name)


def age(path, seconds):
    """Arrival that much earlier: the T record, which has the same length then."""
    with open(path, "r+b") as f:
        data = f.read()
        stamp = re.search(rb"T.(\d{10}) \d+", data, re.S)
        f.seek(stamp.start(1))
        f.write(b"%d" % (int(stamp.group(1)) - seconds))


CASES = [
    ([], "abcd"), (["--sender", "ann@example.com"], "ad"), (["--sender", "*@EXAMPLE.*"], "abd"), (["--sender", ""], "c"), (["--sender", "<>"], "c"),
    (["--recipient", "u1@relay.test"], "ab"), (["--recipient", "u?@relay.test"], "abc"), (["--domain", "relay.test"], "abcd"),
    (["--domain", "other.relay.test"], "b"), (["--domain", "*.relay.test"], "b"), (["--reason", "*mailbox full*"], "d"), (["--reason", "*later*"], "abc"),
    (["--older-than", "1d"], "b"), (["--newer-than", "1d"], "acd"), (["--larger-than", "10k"], "d"), (["--smaller-than", "10k"], "abc"),
    (["--queue", "hold"], "a"), (["--queue", "deferred", "--sender", "ann@*"], "d"),
    (["--recipient", "u1@relay.test", "--domain", "other.relay.test"], ""),     # one and the same recipient
    (["--sender", "nobody"], ""), (["--transport", "smtp"], "abcd"), (["--transport", "relay"], "b"), (["--transport", "l*"], ""),
    (["--transport", "relay", "--recipient", "u1@*"], ""), (["--transport", "smtp", "--reason", "*mailbox full*"], "d"),
]


@pytest.mark.parametrize("args,want", CASES, ids=lambda x: " ".join(x) if isinstance(x, list) else x)
def test_list(queue, args, want):
    p = queue.run("postqueue", "-j", *args, check=True)
    got = "".join(sorted(queue.names[json.loads(line)["queue_id"]] for line in p.stdout.splitlines()))
    assert got == want
    text = queue.run("postqueue", "-p", *args, check=True).stdout
    assert (f"in {len(want)} Request" in text) if want else text == "Mail queue is empty\n"


@pytest.mark.parametrize("args,want", CASES, ids=lambda x: " ".join(x) if isinstance(x, list) else x)
def test_dry_run(queue, args, want):
    before = queue.queue_files()
    p = queue.run("postsuper", "-d", "ALL", "--dry-run", *args, check=True)
    lines = p.stdout.splitlines()
    assert "".join(sorted(queue.names[re.match(r"\w+ (\w+): would be removed$", line).group(1)] for line in lines[:-1])) == want
    assert lines[-1] == f"Deleted: would be {len(want)} message{'' if len(want) == 1 else 's'}" and p.stderr == ""
    assert queue.queue_files() == before


@pytest.mark.parametrize("args", [["postqueue", "-f", "--sender", "x"], ["postqueue", "-p", "--older-than", "2x"], ["postqueue", "-p", "--larger-than", "k"],
                                  ["postqueue", "-p", "--larger-than", "99999999999999999999"], ["postsuper", "--sender", "x"],
                                  ["postsuper", "-s", "--dry-run"], ["postqueue", "-p", "--nosuch", "x"], ["postqueue", "-p", "--next-attempt"],
                                  ["postqueue", "-f", "--next-attempt"]], ids=" ".join)
def test_mistakes(queue, args):
    p = queue.run(*args)
    assert p.returncode in (1, 69) and "fatal: " in p.stderr and p.stdout == ""


def test_hold_and_release_a_domain(queue):
    """What is done is done to the selected ones alone, by name and on all of them."""
    p = queue.run("postsuper", "-h", "ALL", "--domain", "other.relay.test", check=True)
    assert "Placed on hold: 1 message" in p.stderr
    assert id_of(queue, "b") in queue.queue_files("hold")
    p = queue.run("postsuper", "-H", id_of(queue, "b"), "--sender", "nobody@*", check=True)
    assert "Released from hold: 0 messages" in p.stderr
    p = queue.run("postsuper", "-H", "-", "--domain", "other.relay.test", input=f"{id_of(queue, 'a')}\n{id_of(queue, 'b')}\n", check=True)
    assert "Released from hold: 1 message" in p.stderr
    assert sorted(queue.names[k] for k in queue.queue_files("hold")) == ["a"]


def test_time_is_now(queue):
    """The fixture's arithmetic: b is what --older-than sees as two days old."""
    assert time.time() - json.loads(queue.run("postqueue", "-j", "--older-than", "47h", check=True).stdout)["arrival_time"] > 47 * 3600


def test_transport_of_filtered_and_redirected_mail(queue):
    """What stands in the file decides as it does for the queue manager: content filter, FILTER behind the recipients, redirection."""
    shapes = {"filter": {"envelope": record("L", "relay:[127.0.0.1]:1")}, "late-filter": {"extracted": record("L", "relay:")},
              "probe": {"envelope": record("L", "relay:[127.0.0.1]:1") + record("A", "trace_flags=512")},
              "redirect": {"extracted": record(">", "x@other.relay.test")}, "plain": {}, "null": {"rcpts": [("R", "")]}}
    names = {}
    for shape, parts in shapes.items():
        names[place(queue, "hold", queue_file(**parts))] = shape
    try:
        for transport, want in (("relay", ["filter", "late-filter", "redirect"]), ("smtp", ["plain", "probe"]), ("error", ["null"])):
            p = queue.run("postqueue", "-j", "--queue", "hold", "--transport", transport, check=True)
            got = [names.get(json.loads(line)["queue_id"]) for line in p.stdout.splitlines()]
            assert sorted(x for x in got if x) == want, transport
            p = queue.run("postsuper", "-d", "ALL", "--transport", transport, "--dry-run", "hold", check=True)
            assert sorted(names[i] for i in re.findall(r"hold (\w+):", p.stdout) if i in names) == want, transport
    finally:
        queue.run("postsuper", "-d", "-", input="\n".join(names), check=True)


def place(i, where, data):
    tmp = f"{i.queue}/{where}/tmp"
    with open(tmp, "wb") as f:
        f.write(data)
    name = f"ABCDE{os.stat(tmp).st_ino:X}"
    os.chown(tmp, i.account.pw_uid, i.account.pw_gid)
    os.chmod(tmp, 0o700)
    os.rename(tmp, f"{i.queue}/{where}/{name}")
    return name


def test_next_attempt(queue):
    """One field more, behind all others, of deferred messages, and only when it is asked for."""
    plain, more = (queue.run("postqueue", "-j", *args, check=True).stdout.splitlines() for args in ([], ["--next-attempt"]))
    assert len(plain) == len(more) == 4
    for old, new in zip(plain, more):
        m = json.loads(new)
        if m["queue_name"] == "deferred":
            when = int(os.stat(queue.queue_files("deferred")[m["queue_id"]]).st_mtime)
            assert m["next_attempt"] == when and new == f'{old[:-1]}, "next_attempt": {when}}}'
        else:
            assert new == old
    queue.run("postqueue", "-p", "--queue", "hold", check=True)
    # Whoever took the name of the next postqueue's socket is in nobody's way.
    taken = []
    for pid in range(os.getpid(), os.getpid() + 300):
        taken.append(socket.socket(socket.AF_UNIX))
        taken[-1].bind(f"\0posthaste-showq:1:{pid}:0")
    assert queue.run("postqueue", "-j", "--next-attempt", check=True).stdout.splitlines() == more
    for s in taken:
        s.close()


@pytest.fixture(scope="module")
def spool():
    """Two messages in each queue, one of them for far.test; nobody runs there."""
    with Spool() as s:
        for q in ("maildrop", "incoming", "active", "deferred", "hold"):
            for domain in ("near.test", "far.test"):
                s.put(q, f"{q} {domain}", queue_file(rcpts=[("R", f"u@{domain}")]))
        yield s


def in_spool(spool, *args):
    return subprocess.run([ours().prog(args[0]), *args[1:]], capture_output=True, text=True, timeout=60,
                          env={"PATH": "/usr/bin:/bin", "MAIL_CONFIG": spool.base, "LC_ALL": "C", "ASAN_OPTIONS": "detect_leaks=0"})


def whereabouts(spool):
    return {label: where[0] for label, where in spool.tree().items() if label.endswith(".test")}


@pytest.mark.skipif(os.getuid() != 0, reason="its files belong to the mail owner")
def test_a_domain_in_every_queue(spool):
    before = whereabouts(spool)
    assert len(before) == 10
    for letter, found in (("-d", 5), ("-h", 3), ("-r", 4), ("-H", 1), ("-e", 4)):
        p = in_spool(spool, "postsuper", letter, "ALL", "--domain", "FAR.test", "--dry-run")
        assert len(p.stdout.splitlines()) == found + 1 and p.returncode == 0, (letter, p)
    assert whereabouts(spool) == before
    steps = (("-h", "Placed on hold: 3 messages", dict.fromkeys(("incoming", "active", "deferred"), "hold")),
             ("-H", "Released from hold: 4 messages", dict.fromkeys(("incoming", "active", "deferred", "hold"), "deferred")),
             ("-r", "Requeued: 4 messages", dict.fromkeys(("incoming", "active", "deferred", "hold"), "maildrop")),
             ("-d", "Deleted: 5 messages", dict.fromkeys(("maildrop", "incoming", "active", "deferred", "hold"))))
    for letter, said, moved in steps:
        p = in_spool(spool, "postsuper", letter, "ALL", "--domain", "far.test")
        assert said in p.stderr and p.returncode == 0, p
        want = {k: moved.get(k.split()[0], k.split()[0]) if "far" in k else v for k, v in before.items()}
        assert {k: os.path.dirname(v + "/").split("/")[0] for k, v in whereabouts(spool).items()} == {k: v for k, v in want.items() if v}, letter


@pytest.mark.skipif(os.getuid() != 0, reason="its files belong to the mail owner")
def test_transports_need_a_running_system(spool):
    for args in (["postsuper", "-d", "ALL", "--transport", "smtp"], ["postqueue", "-p", "--transport", "smtp"]):
        p = in_spool(spool, *args)
        assert p.returncode in (1, 69) and "mail system must be running" in p.stderr and p.stdout == ""


@pytest.mark.skipif(os.getuid() != 0, reason="its files belong to the mail owner")
def test_progress():
    """A line on standard error, and only when that is a terminal; at the end it is gone."""
    with Spool() as s:
        data = queue_file(rcpts=[("R", "u@far.test")])
        for n in range(1100):
            s.put("hold", "", data, name=f"{n:05X}FFFF")
        for args, said in ((["postqueue", "-p", "--domain", "nobody.test"], "1000 messages read, 0 listed"), (["postqueue", "-j"], "1000 messages read, 1000 listed"),
                           (["postsuper", "-d", "ALL", "--dry-run", "--domain", "x.test"], "hold: 1000 looked at, 0 would be removed"),
                           (["postsuper", "-s"], "hold: 1000 files checked, "), (["postsuper", "-h", "ALL", "hold"], ""),
                           (["postsuper", "-d", "ALL"], "hold: 1000 looked at, 1000 removed")):
            if args[1] == "-d" and "--dry-run" not in args:
                again = [["-e", "ALL"], args[1:]]
            else:
                again = [args[1:]]
            quiet = in_spool(s, args[0], *again[0])
            assert not re.search(r"messages read|looked at|checked", quiet.stderr) and quiet.returncode == 0, quiet
            text = on_terminal(s, args[0], *again[-1])
            assert said in text, (args, text[-500:])
            assert not said or re.search(r"\r +\r", text)


def on_terminal(spool, *args):
    """Standard error of a command that has a terminal there."""
    outer, inner = pty.openpty()
    with subprocess.Popen([ours().prog(args[0]), *args[1:]], stdout=subprocess.DEVNULL, stderr=inner, stdin=subprocess.DEVNULL,
                          env={"PATH": "/usr/bin:/bin", "MAIL_CONFIG": spool.base, "LC_ALL": "C", "ASAN_OPTIONS": "detect_leaks=0"}) as p:
        os.close(inner)
        out = b""
        try:
            while got := os.read(outer, 65536):
                out += got
        except OSError:         # the other side is closed
            pass
        assert p.wait(60) == 0, out
    os.close(outer)
    return out.decode()
