# SPDX-License-Identifier: ISC
"""debug_peer_list: the dialogue with a peer that is listed is in the log, line by line, and with no other;
process_id_directory: where master(8) looks for its lock; socketmap_max_reply_size, which the reference does not have yet."""

import fcntl
import os
import re
import socket
import subprocess
import threading

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Instance, Sink, ours, reference, send_mail

pytestmark = pytest.mark.skipif(REFERENCE_ONLY or SELF_CHECK, reason="needs both suites")
SUITES = pytest.mark.parametrize("suite", (reference, ours))


@SUITES
@pytest.mark.parametrize("listed", (True, False))
def test_dialogue(suite, listed):
    with Sink() as sink:
        i = Instance(suite(), main={"debug_peer_list": "127.0.0.0/8" if listed else "192.0.2.1", "debug_peer_level": "1", "relay_domains": "relay.test",
                                    "local_recipient_maps": "", "relay_recipient_maps": "", "transport_maps": f"static:smtp:[127.0.0.1]:{sink.port}"})
        try:
            i.start()
            assert send_mail(i.port(), "a@example.com", "u@relay.test", "Subject: x\r\n\r\nhello\r\n").startswith("250 ")
            i.wait_log(r"smtp\[\d+\]: .*status=sent")
            i.stop()
            text = i.log_text()
            for pattern in (r"smtpd\[\d+\]: < \S*\[127\.0\.0\.1\].*: MAIL FROM:", r"smtpd\[\d+\]: > \S*\[127\.0\.0\.1\].*: 220 ",
                            r"smtp\[\d+\]: > \S*\[127\.0\.0\.1\].*: RCPT TO:<u@relay.test>", r"smtp\[\d+\]: < \S*\[127\.0\.0\.1\].*: 220 "):
                assert bool(re.search(pattern, text)) == listed, (pattern, text[-3000:])
        finally:
            i.destroy()


def test_lock_elsewhere():
    i = Instance(ours(), main={"process_id_directory": "locks"})
    try:
        os.mkdir(i.queue + "/locks")

        def running():
            return subprocess.run([f"{i.suite.daemon_directory}/master", "-t"], env=i.env(), cwd="/", timeout=20, stderr=subprocess.DEVNULL, check=False).returncode
        assert running() == 0
        with open(i.queue + "/locks/master.pid", "w") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            assert running() == 1
    finally:
        i.destroy()


def test_socketmap_reply_size():
    i = Instance(ours(), main={"socketmap_max_reply_size": "20"})
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            def serve():
                for reply in (b"20:OK 12345678901234567,", b"21:OK 123456789012345678,"):
                    c, _ = server.accept()
                    with c:
                        c.recv(1000)
                        c.sendall(reply)
            t = threading.Thread(target=serve)
            t.start()
            table = f"socketmap:inet:127.0.0.1:{server.getsockname()[1]}:m"
            assert i.run("postmap", "-q", "x", table).stdout == "12345678901234567\n"
            p = i.run("postmap", "-q", "x", table)
            assert p.returncode == 1 and "input exceeds size limit" in p.stderr, p
            t.join(20)
    finally:
        i.destroy()
