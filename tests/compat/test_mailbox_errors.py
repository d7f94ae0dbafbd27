# SPDX-License-Identifier: ISC
"""A mailbox that cannot be opened, written, synced or named: what the log says of the delivery, with each error of the system."""

import errno
import os
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import Pair, faults, send_mail, wait_for

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs the reference, as root")

MAILBOXES = {"maildir@vmbox.test": "virtual", "mbox@vmbox.test": "virtual", "file@mail.example.test": "local", "dir@mail.example.test": "local"}
CASES = [(e, o) for e in ("EIO", "ENOSPC", "EFBIG") for o in ("write", "sync", "open", "link")]
PLACES = ["no/such", "locked/x", "ro", "loop", "dangling", "directory", "locked/y/", "ro/z/"]


def prepare(i, control):
    control.prepare(i)
    i.environment["FAULT_CONTROL"] = control.path
    os.chmod(i.mail, 0o777)
    os.mkdir(f"{i.mail}/locked", 0o555)
    os.mkdir(f"{i.mail}/directory")
    with open(f"{i.mail}/ro", "w") as f:
        os.chmod(f.fileno(), 0o600)
    os.symlink("loop", f"{i.mail}/loop")
    os.symlink("nothing", f"{i.mail}/dangling")
    i.write("aliases", f"file {i.mail}/mbox\ndir {i.mail}/ldir/\n" + "".join(f"p{n} {i.mail}/{p}\n" for n, p in enumerate(PLACES)))


@pytest.fixture(scope="module")
def roads():
    """What each instance's log says of each case, and of each place."""
    places = " ".join(f"p{n}@vmbox.test={p}" for n, p in enumerate(PLACES))
    with faults.shim() as first, faults.shim() as second:
        controls = [first, second]
        pair = Pair(environment=first.environment, main={
            "virtual_mailbox_domains": "vmbox.test", "virtual_mailbox_base": "@mail@", "virtual_minimum_uid": "1", "virtual_uid_maps": "static:@uid@",
            "virtual_gid_maps": "static:@gid@", "virtual_mailbox_maps": f"inline:{{ maildir@vmbox.test=user/ mbox@vmbox.test=mb {places} }}",
            "notify_classes": "", "default_privs": "nobody", "bounce_queue_lifetime": "0"})
        try:
            for i, control in zip(pair.instances, controls):
                prepare(i, control)
            pair.start()
            with ThreadPoolExecutor(2) as pool:
                yield pair, dict(zip(pair.instances, pool.map(run, pair.instances, controls)))
        finally:
            pair.destroy()


def run(i, control):
    out = {}
    for code, operation in CASES:
        for address, program in MAILBOXES.items():
            control.fail(program, operation, getattr(errno, code))
            out[code, operation, address] = deliver(i, address)
            control.stop()
    for n, place in enumerate(PLACES):
        for domain in ("vmbox.test", "mail.example.test"):
            out[place, domain] = deliver(i, f"p{n}@{domain}")
    return out


def deliver(i, address):
    """What the log says of a delivery, which is over then."""
    mark = i.mark()
    assert send_mail(i.port(), "", [address], "Subject: x\r\n\r\nx\r\n").startswith("250")
    line = next(x for x in i.wait_log(f"to=<{address}>", mark) if f"to=<{address}>" in x)
    wait_for(lambda: not i.queue_files("incoming", "active"), what="an idle queue")
    return re.sub(r"\d+\.(?:P\d+|V\w+)(?:_\d+)?\.\S+", "NAME", re.search(r"dsn=.*", line.replace(i.base, "BASE")).group())


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_mailbox_error(roads, case):
    pair, results = roads
    pair.compare(lambda i: {a: results[i][(*case, a)] for a in MAILBOXES})


@pytest.mark.parametrize("domain", ["vmbox.test", "mail.example.test"])
@pytest.mark.parametrize("place", PLACES)
def test_place(roads, place, domain):
    pair, results = roads
    expect = None
    if (place, domain) == ("dangling", "vmbox.test"):       # where the reference looks what a link leads to, ours follows none at all
        expect = "dsn=4.2.0, status=deferred (delivery failed to mailbox BASE/mail/dangling: cannot open file: Too many levels of symbolic links)"
    pair.compare(lambda i: results[i][place, domain], ours_expect=expect)
