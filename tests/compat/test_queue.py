# SPDX-License-Identifier: ISC
"""Queue files and the commands that show and change them."""

import os
import re
import time

import pytest
from harness import SELF_CHECK, Instance, Sink, Smtp, ours, reference, wait_for

from test_delivery import HEAD, PLAIN, message


def records(path):
    """[(type, payload)] of a queue file, in file order."""
    with open(path, "rb") as f:
        data = f.read()
    out, i = [], 0
    while i < len(data):
        kind, length, shift = chr(data[i]), 0, 0
        i += 1
        while True:
            b = data[i]
            i += 1
            length |= (b & 0x7F) << shift
            shift += 7
            if not b & 0x80:
                break
        out.append((kind, data[i:i + length]))
        i += length
    return out


# 3.11 writes this attribute, the reference may not.
NEW_ATTRIBUTES = ("log_ident=", "message_id=")


def readable(instance, path):
    n = instance.normal()
    out = []
    recs = records(path)
    for kind, payload in recs:
        text = n.text(payload)
        if kind == "C":
            f = payload.decode().split()
            assert len(payload) == 95
            # Sizes and offsets are checked against the file itself.
            check_size(recs, [int(x) for x in f])
            text = f"sizes count={f[2]} flags={f[3]} opts={f[5]}"
        elif kind == "T":
            assert re.fullmatch(rb"\d{10} \d{1,6}", payload)
            text = "TIME"
        text = re.sub(r"port=\d+", "port=N", text)
        out.append(f"{kind} {text}")
    return out


def check_size(recs, fields):
    offset, start, end = 0, None, None
    for kind, payload in recs:
        head = 1 + (1 if len(payload) < 128 else 2 if len(payload) < 16384 else 3)
        offset += head + len(payload)
        if kind == "M":
            start = offset
        if kind == "X":
            end = offset - head - len(payload)
    assert fields[0] == end - start and fields[1] == start and fields[4] == fields[0], fields


def held(instance, sender="a@example.com", rcpts="hold@localhost", content=PLAIN, options="", rcpt_options=""):
    """One message in the hold queue: its path."""
    instance.flush_queue()
    message(sender, rcpts, content, options, "access", rcpt_options)(instance)
    wait_for(lambda: instance.queue_files("hold"), what="message in hold")
    return list(instance.queue_files("hold").values())[0]


MESSAGES = {
    "plain": {},
    "null-sender": {"sender": ""},
    "two": {"rcpts": ["hold@localhost", "u1@relay.test"]},
    "dsn": {"options": " RET=HDRS ENVID=a+2Bb", "rcpt_options": " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;o+40x"},
    "never": {"rcpt_options": " NOTIFY=NEVER"},
    "8bit": {"options": " BODY=8BITMIME", "content": HEAD + "\r\n\u00fc\r\n"},
    "smtputf8": {"options": " SMTPUTF8", "sender": "\u00fc@example.com"},
    "alias": {"rcpts": ["hold@localhost", "two@valias.test"]},
    "long-line": {"content": HEAD + "\r\n" + "x" * 5000 + "\r\n"},
    "nul": {"content": HEAD.encode() + b"\r\na\0b\r\n"},
    "no-headers": {"content": "text\r\n"},
    "prepend": {"rcpts": ["prep@localhost", "hold@localhost"]},
    "bcc": {"rcpts": ["bcc@localhost", "hold@localhost"]},
    "redirect": {"rcpts": ["redir@localhost", "hold@localhost"]},
    "filter": {"rcpts": ["filt@localhost", "hold@localhost"]},
}


@pytest.mark.parametrize("name", MESSAGES)
def test_records(road, name):
    def run(instance):
        path = held(instance, **MESSAGES[name])
        out = readable(instance, path)
        st = os.stat(path)
        instance.flush_queue()
        return [r for r in out if not r[2:].startswith(NEW_ATTRIBUTES)] + [oct(st.st_mode)]
    road.compare(run)


@pytest.mark.parametrize("name", MESSAGES)
def test_postcat_crosswise(road, name):
    """Each suite's postcat shows each suite's file the same way."""
    if road.ours is None or road.reference is None:
        pytest.skip("needs both")
    for writer in road.instances:
        path = held(writer, **MESSAGES[name])
        for options in ([], ["-e"], ["-h"], ["-b"], ["-o"], ["-d"], ["-v"], ["-bh"], ["-eo"], ["-r"]):
            shown = []
            for reader in road.instances:
                p = reader.run("postcat", *options, path)
                # With -v the reference speaks of its own internals, too.
                shown.append((p.returncode, p.stdout, "" if "-v" in options else p.stderr))
            assert shown[1] == shown[0], (writer.suite.name, options)
        writer.flush_queue()


def deferred(instance, sender="a@example.com", rcpts=("tmp450@relay.test",)):
    mark = instance.mark()
    message(sender, list(rcpts))(instance)
    instance.wait_settled(mark)
    (qid, path), = [(i, p) for i, p in instance.queue_files("deferred").items()]
    return qid, path


def shown(instance, p, *ids):
    n = instance.normal()
    for i in ids:
        n.text(i)
    blanks = re.sub(r"(?m)^(QID\d+[*!#]*) +(\d+) ", r"\1 SIZE ", n.text(p.stdout))
    blanks = re.sub(r'"message_size": \d+', '"message_size": SIZE', blanks)
    blanks = re.sub(r"(?m) +\(", " (", blanks)
    if not instance.suite.is_ours and '"sender"' in blanks:
        # 3.11 also shows the original address: of a deferred recipient none, else that of the queue file.
        blanks = re.sub(r'\{"address": ("[^"]*"), "delay_reason"', r'{"orig_address": "", "address": \1, "delay_reason"', blanks)
        blanks = re.sub(r'\{"address": ("[^"]*")\}', r'{"orig_address": \1, "address": \1}', blanks)
    # Recipients of a message are tried at the same time: their order is not fixed.
    blanks = re.sub(r'"recipients": \[\{(.*)\}\]', lambda m: '"recipients": ' + str(sorted(m.group(1).split("}, {"))), blanks)
    return p.returncode, blanks, n.text(p.stderr)


LISTINGS = [("postqueue", "-p"), ("postqueue", "-j"), ("mailq",), ("sendmail", "-bp")]


@pytest.mark.parametrize("cmd", LISTINGS, ids=" ".join)
@pytest.mark.parametrize("what", ["empty", "deferred", "held", "two-recipients", "null-sender"])
def test_listing(road, cmd, what):
    def run(instance):
        instance.flush_queue()
        ids = ()
        if what == "held":
            ids = (os.path.basename(held(instance)),)
        elif what == "deferred":
            ids = deferred(instance)[:1]
        elif what == "two-recipients":
            ids = deferred(instance, rcpts=["tmp450@relay.test", "tmp451@relay.test"])[:1]
        elif what == "null-sender":
            ids = deferred(instance, sender="")[:1]
        p = instance.run(*cmd)
        instance.flush_queue()
        return shown(instance, p, *ids)
    road.compare(run)


def test_deferred_file(road):
    """After a failed attempt: type bytes, the defer log, the next time to try."""
    def run(instance):
        instance.flush_queue()
        qid, path = deferred(instance, rcpts=["tmp450@relay.test", "u1@relay.test"])
        st = os.stat(path)
        log = f"{instance.queue}/defer/{qid[0]}/{qid}"
        n = instance.normal()
        with open(log, "rb") as f:
            text = re.sub(r"offset=\d+", "offset=N", n.text(f.read()))
        recipients = [(k, p) for k, p in records(path) if k in "RD"]
        ahead = st.st_mtime - os.path.getctime(path)
        instance.flush_queue()
        return recipients, oct(st.st_mode), re.sub(r":\d{4,5}\b", ":PORT", text), 290 < ahead < 310
    road.compare(run)




ACTIONS = [
    ["-h", "@"], ["-H", "@"], ["-h", "@", "-H", "@"], ["-d", "@"], ["-r", "@"], ["-e", "@"], ["-f", "@"],
    ["-h", "ALL"], ["-d", "ALL"], ["-d", "ALL", "deferred"], ["-d", "ALL", "hold"], ["-d", "ALL", "-h", "ALL"],
    ["-d", "NOSUCH1"], ["-d", "bad/id"], ["-h", "ABCDEF123"], ["-s"], ["-p"], [], ["-S"], ["nosuchq"], ["-d", "ALL", "nosuchq"],
    ["-z"], ["-h", "ALL", "-r", "ALL"], ["-d", "@", "-d", "@"],
]


@pytest.mark.parametrize("args", ACTIONS, ids=lambda a: " ".join(a) or "none")
def test_postsuper(road, args):
    def run(instance):
        instance.flush_queue()
        qid, _ = deferred(instance)
        mark = instance.mark()
        p = instance.run("postsuper", *[qid if a == "@" else a for a in args])
        n = instance.normal()
        n.text(qid)
        where = sorted((k == qid, re.sub(r"^.*?/queue/", "", v).split("/")[0]) for k, v in instance.queue_files().items())
        modes = sorted(oct(os.stat(v).st_mode) for v in instance.queue_files("deferred", "hold").values())
        if p.returncode == 0:       # postlogd writes in its own time
            said = len(p.stderr.splitlines())
            for _ in range(50):
                if sum("/postsuper[" in line for line in instance.log_lines(mark)) >= said:
                    break
                time.sleep(0.02)
        log = [t for tag, lines in n.log(instance.log_lines(mark)).items() if tag.endswith("postsuper") for t in lines]
        instance.flush_queue()
        err = n.text(p.stderr)
        if "usage:" in err:
            err = err.split("\n")[0].split("usage:")[0]
        return p.returncode, n.text(p.stdout), err, where, modes, [t for t in log if "usage" not in t]
    road.compare(run)


def test_postsuper_stdin(road):
    def run(instance):
        instance.flush_queue()
        qid, _ = deferred(instance)
        p = instance.run("postsuper", "-d", "-", input=f"{qid}\nNOSUCH1\n")
        n = instance.normal()
        n.text(qid)
        return p.returncode, n.text(p.stderr), len(instance.queue_files())
    road.compare(run)


POSTCAT = [["-q", "NOSUCH12345"], ["-q", "bad/x"], ["/nonexistent"], ["-z"], ["-s", "x", "/dev/null"], ["/etc/passwd"], ["-q", "@"],
           ["-eq", "@"], ["-bq", "@"], ["-hq", "@"], ["-bhq", "@"]]


@pytest.mark.parametrize("args", POSTCAT, ids=" ".join)
def test_postcat(road, args):
    def run(instance):
        instance.flush_queue()
        qid, _ = deferred(instance)
        p = instance.run("postcat", *[qid if a == "@" else a for a in args])
        n = instance.normal()
        n.text(qid)
        out = re.sub(r"(?m)^message_size:.*$", "message_size:", n.text(p.stdout))
        out = re.sub(r"port=\d+", "port=N", out)
        out = "\n".join(line for line in out.split("\n") if not any(f"attribute: {a}" in line for a in NEW_ATTRIBUTES))
        out = re.sub(r"(deferred)/\w/", r"\1/X/", out)
        # postcat shows argv[0], which stands here as either path.
        err = re.sub(r"(?m)^\S*/postcat: ", "postcat: ", n.text(p.stderr))
        if "usage:" in err:
            err = "usage"
        instance.flush_queue()
        return p.returncode, out, err
    road.compare(run)


POSTQUEUE = [["-z"], [], ["-p", "-j"], ["-i", "bad id"], ["-i", "ABCDEF123456"], ["-s", "bad..site"], ["-s", "example.net"], ["-f"], ["-p", "x"]]


@pytest.mark.parametrize("args", POSTQUEUE, ids=lambda a: " ".join(a) or "none")
def test_postqueue(road, args):
    def run(instance):
        instance.flush_queue()
        p = instance.run("postqueue", *args)
        return p.returncode, instance.normal().text(p.stdout), instance.normal().text(p.stderr)
    road.compare(run)


@pytest.mark.limit(120)
@pytest.mark.parametrize("direction", ["theirs-to-ours", "ours-to-theirs"])
def test_handover(direction):
    """A queue filled by one suite is delivered by the other, and shown alike before."""
    if os.getuid() != 0 or os.environ.get("REFERENCE_ONLY"):
        pytest.skip("needs both")
    one, two = reference(), reference() if SELF_CHECK else ours()
    if direction == "ours-to-theirs":
        one, two = two, one
    with Sink() as sink:
        sink.hook = lambda v, line, s: "450 4.2.0 later" if v == "RCPT" else None
        main = {"relay_domains": "relay.test", "transport_maps": f"static:smtp:[127.0.0.1]:{sink.port}",
                "smtp_log_tls_feature_status": "no"}
        a = Instance(one, main=main)
        try:
            a.start()
            with Smtp(a.port()) as c:
                c.cmd("EHLO x")
                for i in range(5):
                    assert c.mail("a@example.com", [f"u{i}@relay.test", f"v{i}@relay.test"], PLAIN, " RET=HDRS ENVID=x").startswith("250")
                c.cmd("QUIT")
            a.wait_log("status=deferred", count=10)
            wait_for(lambda: len(a.queue_files("deferred")) == 5, what="five deferred messages")
            a.stop()
            sink.hook = None
            b = Instance(two, main=main, base=a.base)
            try:
                b.start()
                b.run("postqueue", "-f", check=True)
                sink.wait(5)
                b.wait_queue_empty()
                assert sorted(r for m in sink.messages for r in m.rcpts) == sorted(f"{c}{i}@relay.test" for c in "uv" for i in range(5))
                assert all(m.mail_line.find("ENVID=x") > 0 for m in sink.messages)
            finally:
                b.destroy()
        finally:
            a.destroy()
