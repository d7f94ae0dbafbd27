# SPDX-License-Identifier: ISC
"""Fixtures of all tests. Environment:
POSTHASTE_PREFIX  the tree under test, made by make install
REFERENCE_ONLY=1  run the reference alone: checks the cases themselves
SELF_CHECK=1      compare the reference with itself: checks that the cases are stable
KEEP_INSTANCES=1  leave the instances' directories behind"""

import os
import signal
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "lib"))

pytest.register_assert_rewrite("harness.pair")
from harness import REFERENCE_ONLY, SELF_CHECK, Pair, ours  # noqa: E402

TIME_LIMIT = int(os.environ.get("TEST_SECONDS", "90"))


def pytest_configure(config):
    config.addinivalue_line("markers", "limit(seconds): time limit of one test")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """A test that hangs fails; it does not stop the run."""
    mark = item.get_closest_marker("limit")
    seconds = mark.args[0] if mark else TIME_LIMIT

    def late(*unused):
        raise TimeoutError(f"test ran longer than {seconds} s")
    old = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)


@pytest.fixture(scope="session")
def pair_factory():
    return Pair


@pytest.fixture(scope="module")
def our_suite():
    if REFERENCE_ONLY or SELF_CHECK:
        pytest.skip("needs the suite under test")
    return ours()
