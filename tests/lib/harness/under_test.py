# SPDX-License-Identifier: ISC
"""Which suite the system and fault tests run on: ours, or with SYSTEM_SUITE=reference
Debian's, which tells whether a test itself is right."""

import os

from .instance import Instance, ours, reference

IS_REFERENCE = os.environ.get("SYSTEM_SUITE") == "reference"


def make(sink=None, rootless=False, **kw):
    main = dict(kw.pop("main", {}))
    if sink is not None:
        main.setdefault("relay_domains", "relay.test")
        main.setdefault("transport_maps", f"inline:{{ relay.test=smtp:[127.0.0.1]:{sink.port} }}")
    main.setdefault("virtual_mailbox_domains", "vmbox.test")
    main.setdefault("virtual_mailbox_base", "@mail@")
    main.setdefault("virtual_mailbox_maps", "static:user/")
    main.setdefault("virtual_minimum_uid", "1")
    main.setdefault("virtual_uid_maps", "static:@uid@")
    main.setdefault("virtual_gid_maps", "static:@gid@")
    return Instance(reference() if IS_REFERENCE else ours(), main=main, rootless=rootless, **kw)
