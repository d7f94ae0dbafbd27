# SPDX-License-Identifier: ISC
"""AUTH with the real Dovecot as login service: mechanisms, wrong passwords, and a service that is restarted."""

import os

import pytest
from harness import Pair, dialogue
from harness.auth_server import b64, plain
from harness.servers import Dovecot, Missing

from test_auth_cyrus import MAIL, H, cram, play

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="Dovecot is run by root")
CASES = {
    "plain": H + ["AUTH PLAIN " + plain("bob", "wrong"), "AUTH PLAIN " + plain("nobody"), "AUTH PLAIN " + plain("bob"), "AUTH PLAIN " + plain("bob")] + MAIL + ["QUIT"],
    "plain in two": H + ["AUTH PLAIN", "*", "AUTH PLAIN", plain("bob"), "QUIT"],
    "login": H + ["AUTH LOGIN", b64("bob"), b64("wrong"), "AUTH LOGIN", b64("bob"), b64("secret")] + MAIL + ["QUIT"],
    "cram": H + [cram("bob", "wrong"), cram("bob", "secret")] + MAIL + ["QUIT"],
    "garbage": H + ["AUTH PLAIN " + b64("bob"), "AUTH PLAIN ab==", "AUTH LOGIN", "!!!", "AUTH PLAIN " + b64("\0bob\0secret\0x"), "AUTH PLAIN " + plain(""), "QUIT"],
    "authorization": H + ["AUTH PLAIN " + plain("bob", authorize="joe"), "QUIT"],
}


@pytest.fixture(scope="module")
def dovecot():
    try:
        server = Dovecot({"bob": "secret", "joe": "secret"})
    except Missing as e:
        pytest.skip(f"{e} is not installed")
    yield server
    server.close()


@pytest.fixture(scope="module")
def pair(dovecot):
    p = Pair(main={"smtpd_sasl_auth_enable": "yes", "smtpd_sasl_type": "dovecot", "smtpd_sasl_path": dovecot.socket, "transport_maps": "static:discard:",
                   "smtpd_error_sleep_time": "0", "smtpd_relay_restrictions": "permit_sasl_authenticated, reject"})
    try:
        yield p.start()
    finally:
        p.destroy()


@pytest.mark.parametrize("case", CASES)
def test_dialogue(pair, case):
    pair.compare(play("smtp", CASES[case]))


def test_restart(pair, dovecot):
    """The next login finds the new service; the reference's first one after a restart fails with 454."""
    if pair.ours is None:
        pytest.skip("needs the suite under test")
    first = dialogue(pair.ours.port(), CASES["login"])
    dovecot.end()
    dovecot.begin()
    assert dialogue(pair.ours.port(), CASES["login"]) == first and any(r.startswith("235") for r in first)
