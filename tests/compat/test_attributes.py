# SPDX-License-Identifier: ISC
"""queue_file_attribute_count_limit: a message with more attributes than that is refused."""

import re

import pytest
from harness import Pair, Smtp

LIMITS = (1, 16, 17, 18)


@pytest.fixture(scope="module")
def pair():
    p = Pair(main={"default_transport": "discard", "notify_classes": ""}, smtpd={f"at{n}": {"cleanup_service_name": f"at{n}"} for n in LIMITS},
             master="".join(f"at{n} unix n - n - 0 cleanup\n  -o queue_file_attribute_count_limit={n}\n" for n in LIMITS))
    try:
        yield p.start()
    finally:
        p.destroy()


@pytest.mark.parametrize("limit", LIMITS)
def test_limit(pair, limit):
    def run(instance):
        mark = instance.mark()
        with Smtp(instance.port(f"at{limit}")) as c:
            c.cmd("EHLO x")
            reply = c.mail("a@b.test", ["u@far.test", "v@far.test"], "Subject: x\r\nMessage-Id: <m>\r\n\r\nx\r\n")
            c.cmd("QUIT")
        lines = instance.wait_log(r"smtpd\[\d+\]: disconnect from", mark)
        return instance.normal().lines([reply] + [re.sub(r"^.*cleanup\[\d+\]: ", "", x) for x in lines if "cleanup[" in x
                                                    and "message-id" not in x and not x.endswith(": removed (canceled)")])     # (said since 3.9)
    pair.compare(run)
