# SPDX-License-Identifier: ISC
"""What the tests share: instances of the mail system under test and of the
reference, an SMTP client and an SMTP sink, and normalisers for comparison."""

from . import faults
from .client import Smtp, dialogue, logged_dialogue, send_mail
from .dns import Dns
from .flows import CONTENT, Flow, Flows
from .instance import Instance, Suite, free_port, ours, reference, wait_for
from .normal import Normal
from .pair import REFERENCE_ONLY, SELF_CHECK, Batch, Pair, Suites
from .sink import Sink

__all__ = ["Batch", "CONTENT", "Dns", "Flow", "Flows", "Instance", "Normal", "Pair", "REFERENCE_ONLY", "SELF_CHECK", "Sink", "Smtp", "Suite", "Suites", "dialogue",
           "faults", "free_port", "logged_dialogue", "ours", "reference", "send_mail", "wait_for"]
