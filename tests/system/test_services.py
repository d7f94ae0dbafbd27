# SPDX-License-Identifier: ISC
"""What master and the service skeleton promise beyond the way of a message: descriptors passed to a service,
overload, the table of services."""

import array
import os
import re
import signal
import socket
import time

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Smtp, send_mail, wait_for
from harness.under_test import IS_REFERENCE, make

pytestmark = pytest.mark.skipif((REFERENCE_ONLY or SELF_CHECK) and not IS_REFERENCE, reason="needs the suite under test")


def pass_client(path, attributes):
    """What postscreen does: a client's socket and what is known of it, through a local connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname(), 5)
        theirs, _ = listener.accept()
    via = socket.socket(socket.AF_UNIX)
    via.connect(path)
    via.sendmsg([b"F"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs.fileno()]))])
    theirs.close()
    via.sendall(b"".join(k.encode() + b"\0" + v.encode() + b"\0" for k, v in attributes.items()) + b"\0")
    return ours, via


@pytest.mark.skipif(IS_REFERENCE, reason="another version of the same protocol")
def test_pass():
    with make(main={"smtpd_peername_lookup": "no"}, master="smtpd pass - - n - - smtpd\n") as i:
        client, via = pass_client(i.queue + "/private/smtpd", {
            "client_address": "192.0.2.7", "client_port": "1234", "server_address": "192.0.2.1", "server_port": "25"})
        with client, via:
            client.settimeout(10)
            assert client.recv(100).startswith(b"220 ")
            client.sendall(b"QUIT\r\n")
            assert client.recv(100).startswith(b"221 ")
        i.wait_log(r"disconnect from unknown\[192\.0\.2\.7\]")
        # Nothing passed: one warning, and the service goes on.
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(i.queue + "/private/smtpd")
        i.wait_log("no descriptor was passed")
        client, via = pass_client(i.queue + "/private/smtpd", {"client_address": "nonsense", "client_port": "99999"})
        with client, via:
            client.settimeout(10)
            assert client.recv(100).startswith(b"220 ")


def greeted(port):
    c = Smtp(port, timeout=20)
    assert c.banner.startswith("220"), c.banner
    return c


def test_stress():
    """At the process limit new processes use the stress-dependent defaults: one error and the client is out."""
    with make(smtpd={"smtp": {"listen": "0.0.0.0", "maxproc": "2", "max_use": "1"}}) as i:
        with greeted(i.port()) as a, greeted(i.port()) as b:
            assert a.cmd("BOGUS").startswith("50")
            assert b.cmd("BOGUS").startswith("50")
            i.wait_log("has reached its process limit")
            a.close()
            with greeted(i.port()) as c:
                assert c.cmd("BOGUS").startswith("50")
                assert c.cmd("NOOP").startswith("421"), "smtpd_hard_error_limit is 1 under stress"


def test_duplicate_entry_uses_the_last():
    with make(master="extra unix - - n - - nosuch\nextra unix - - n - - discard\n") as i:
        i.wait_log('duplicate master.cf entry for service "extra"')


def test_service_that_cannot_start_is_throttled():
    with make(main={"service_throttle_time": "1s"}, master="broken unix - - n - - nosuch\n") as i:
        path = i.queue + "/private/broken"
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(path)
            i.wait_log("bad command startup -- throttling", count=2)     # tried again when the time is over
        assert i.master_pid()


@pytest.mark.skipif(IS_REFERENCE, reason="there the mail system stops; here the old configuration stays in force")
def test_reload_with_a_broken_master_cf_keeps_the_old():
    with make() as i:
        path = i.config + "/master.cf"
        with open(path, encoding="utf-8") as f:
            text = f.read()
        i.write("master.cf", text + "bad nosuchtype - - n - - discard\n")
        os.kill(i.master_pid(), 1)
        i.wait_log("bad transport type: nosuchtype")
        with greeted(i.port()):
            pass
        i.write("master.cf", text)
        os.kill(i.master_pid(), 1)
        wait_for(lambda: i.log_text().count("reload -- version") >= 2, 20, "the second reload")
        with greeted(i.port()):
            pass


def test_in_flow_delay():
    """Mail comes in no faster than qmgr takes it: with the tokens gone, each message waits."""
    i = make(smtpd={"smtp": {}}, main={"in_flow_delay": "2s", "default_process_limit": "20"})
    try:
        i.start()
        # A qmgr that is stopped takes nothing; the tokens of the process limit are there at first.
        qmgr, = i.pids("qmgr")[-1:]
        os.kill(qmgr, signal.SIGSTOP)
        try:
            taken, waits = 0, []
            with Smtp(i.port()) as c:
                c.cmd("EHLO x")
                while taken < 40 and not any(w > 1.5 for w in waits):
                    t = time.monotonic()
                    assert c.mail("a@example.com", "user@vmbox.test", "Subject: x\r\n\r\nx\r\n").startswith("250")
                    waits.append(time.monotonic() - t)
                    taken += 1
                c.cmd("QUIT")
            assert any(w > 1.5 for w in waits), waits
            assert sum(w < 1.5 for w in waits) >= 20
        finally:
            os.kill(qmgr, signal.SIGCONT)
        i.wait_queue_empty(60)
    finally:
        i.destroy()


def test_watchdog():
    """A worker that hangs is killed and its service goes on; one that waits for its client, or for work, is left alone."""
    if IS_REFERENCE:
        pytest.skip("there each process watches itself")
    i = make(main={"daemon_timeout": "2s", "qmgr_daemon_timeout": "2s", "smtpd_junk_command_limit": "1000"})
    try:
        i.start()
        qmgr = i.pids("qmgr")
        with Smtp(i.port()) as hung, Smtp(i.port()) as slow:
            hung.cmd("EHLO x")
            victim, = [p for p in i.pids("smtpd") if has_peer(p, hung)]
            mark = i.mark()
            os.kill(victim, signal.SIGSTOP)

            def noticed():
                assert slow.cmd("NOOP").startswith("250")       # a client that talks is no reason
                return re.search(rf"smtpd\[\d+\]: warning: watchdog timeout: process {victim} ", i.log_text(mark))
            wait_for(noticed, what="the watchdog", poll=0.2)
            assert hung.cmd("NOOP") == "EOF" and slow.cmd("EHLO x").startswith("250")
        assert send_mail(i.port(), "a@example.com", "user@vmbox.test", "Subject: x\r\n\r\nx\r\n").startswith("250")
        i.wait_maildir("user")
        assert i.pids("qmgr") == qmgr and "qmgr[" not in "".join(t for t in i.log_lines(mark) if "watchdog" in t)
    finally:
        i.destroy()


def has_peer(pid, client):
    """Has this process the other end of that client's connection?"""
    port = f":{client.sock.getsockname()[1]:04X}"
    with open("/proc/net/tcp", encoding="ascii") as f:
        inodes = {line.split()[9] for line in f.readlines()[1:] if line.split()[2].endswith(port)}
    links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    return any(f"socket:[{n}]" in links for n in inodes)


@pytest.mark.skipif(IS_REFERENCE, reason="a limit of ours")
def test_large_process_limit():
    """Numbers of processes that a large machine is given; a hundred of them at work do not stand in the way of the next."""
    with make(main={"default_process_limit": "20000", "smtpd_client_connection_count_limit": "0", "smtpd_peername_lookup": "no"}) as i:
        crowd = [Smtp(i.port()) for _ in range(100)]
        assert all(c.banner.startswith("220 ") for c in crowd)
        for c in crowd:
            assert c.cmd("EHLO x").startswith("250")
            assert c.cmd("QUIT").startswith("221")
            c.close()
        before = len(i.pids("smtpd"))
        for _ in range(20):             # served by those that have become idle again
            assert send_mail(i.port(), "a@example.com", "user@vmbox.test", "Subject: x\r\n\r\nx\r\n").startswith("250")
        assert len(i.pids("smtpd")) <= before


@pytest.mark.skipif(IS_REFERENCE, reason="a limit of ours")
def test_many_peers_of_one_process():
    """anvil(8) has a connection to each smtpd: it takes as many as the system lets it, not what a shell's limit happens to be."""
    with make(main={"default_process_limit": "200", "smtpd_client_connection_count_limit": "120", "smtpd_client_event_limit_exceptions": "", "smtpd_peername_lookup": "no"},
              wrapper=["sh", "-c", 'ulimit -Sn 100 && exec "$@"', "sh"]) as i:
        start = i.mark()
        crowd = [Smtp(i.port()) for _ in range(125)]
        assert [c.banner[:4] for c in crowd] == 120 * ["220 "] + 5 * ["421 "]
        for c in crowd:
            c.close()
        assert "Too many open files" not in i.log_text(start)


@pytest.mark.skipif(IS_REFERENCE, reason="ours only")
def test_workers_give_way():
    """A worker that wakes up does not interrupt others; master and the hosts, which make new workers, do."""
    with make() as i, Smtp(i.port()):
        master = i.master_pid()
        policy = {p: os.sched_getscheduler(p) & ~os.SCHED_RESET_ON_FORK for p in i.pids()}
        parent = {p: int(open(f"/proc/{p}/stat").read().rpartition(")")[2].split()[1]) for p in policy}
        hosts = {p for p in policy if parent[p] == master}
        assert hosts and set(policy) > hosts | {master}
        for p, got in policy.items():
            assert got == (os.SCHED_OTHER if p in hosts | {master} else os.SCHED_BATCH), (p, p in hosts)
