# SPDX-License-Identifier: ISC
"""postfix tls: what it says, what it writes to main.cf, which files it makes and what is in them."""

import os
import re
import subprocess

import pytest
from harness import Batch, Pair

from test_admin import QUEUES, changed_settings, log, run, show, world


@pytest.fixture(scope="module")
def box():
    if os.getuid() != 0:
        pytest.skip("needs root")
    pair = Pair(smtpd={})
    yield pair
    pair.destroy()


# Commands of one instance, one after the other. @cert, @key, @eccert, @eckey: the first such file.
CASES = {
    "defaults": ["all-default-client", "all-default-server", "all-default-client x", "all-default-server x", "foo", ""],
    "client": ["enable-client", "enable-client", "all-default-client", "all-default-server"],
    "client random": ["enable-client -r dev:/dev/zero"],
    "client usage": ["enable-client -z", "enable-client x", "enable-client -r"],
    "server": ["enable-server", "enable-server", "all-default-server", "all-default-client"],
    "server ecdsa": ["enable-server -a ecdsa -b secp384r1 -r dev:/dev/zero h1.example h2.example", "output-server-tlsa", "output-server-tlsa rsa"],
    "server usage": ["enable-server -z", "enable-server -a foo", "new-server-key -z", "new-server-key -a foo", "new-server-cert -z", "new-server-cert -a foo"],
    "output usage": ["output-server-csr -z", "output-server-tlsa -z", "output-server-csr", "output-server-csr -k ecdsa", "output-server-csr -k foo",
                     "output-server-tlsa", "output-server-tlsa foo"],
    "new rsa": ["new-server-key -b 1024 h1.example h2.example", "output-server-tlsa -h mx.example @key", "output-server-csr -k @key"],
    "new ecdsa": ["new-server-key -a ecdsa", "output-server-csr -k @eckey a.example b.example", "deploy-server-cert @eccert @eckey",
                  "output-server-csr -k ecdsa", "output-server-tlsa"],
    "cert without key": ["new-server-cert -a ecdsa h3.example"],
    "deploy": ["new-server-key -b 1024", "new-server-key -a ecdsa", "deploy-server-cert", "deploy-server-cert a", "deploy-server-cert nosuch nosuch",
               "deploy-server-cert @cert @eckey", "deploy-server-cert @cert master.cf", "deploy-server-cert master.cf @key", "deploy-server-cert @cert @key"],
}
STAMP = re.compile(r"\d{8}-\d{6}(?=\.pem)")


def hide(text):
    """Times in file names, keys and what follows from them."""
    text = STAMP.sub("STAMP", text)
    text = re.sub(r"(?s)(-----BEGIN [A-Z ]+-----\n).*?(-----END)", r"\1BASE64\n\2", text)
    return re.sub(r"(TLSA 3 1 1 )[0-9a-f]{64}$", r"\1DIGEST", text, flags=re.M)


def openssl(*args, input=None):
    out = subprocess.run(["openssl", *args], input=input, capture_output=True, text=True, check=True).stdout
    out = re.sub(r"(?m)^( *)(?:[0-9a-fA-F]{2}:){4,}[0-9a-fA-F:]*$", r"\1HEX", out)
    out = re.sub(r"(?:\s*\bHEX\b)+", " HEX", re.sub(r"(?m)^ *(?:[0-9A-F]{2}:){10,}[0-9A-F]{2}$", "HEX", out))
    return re.sub(r"(?m)(Not (?:Before|After) *: ).*", r"\1DATE", re.sub(r"(?m)^ +(?:[0-9a-f]{2}:?)+$", "HEX", out))


def validity(path):
    return openssl("x509", "-in", path, "-noout", "-checkend", str(36524 * 86400))


def look_at_files(base):
    out = []
    for name in sorted(os.listdir(base + "/etc")):
        path = f"{base}/etc/{name}"
        if not name.endswith(".pem"):
            continue
        out.append(STAMP.sub("STAMP", name) + oct(os.stat(path).st_mode))
        with open(path) as f:
            out.append(f.readline().strip())
        if "cert" in name:
            out += [openssl("x509", "-in", path, "-noout", "-text", "-certopt", "no_sigdump"), validity(path)]
        else:
            out.append(openssl("pkey", "-in", path, "-noout", "-text_pub"))
    return out


def tls_case(name):
    def case(instance):
        base = world(instance, "t-" + name.replace(" ", "-"), queues=QUEUES)
        with open(base + "/etc/main.cf") as f:
            before = f.read()
        out = []
        for line in CASES[name]:
            def named(m):
                return next((n for n in sorted(os.listdir(base + "/etc")) if re.match(m.group(1) + r"-\d", n)), "missing")
            p = run(instance, base, "tls", *re.sub(r"@(\w+)", named, line).split())
            request = openssl("req", "-noout", "-text", "-reqopt", "no_sigdump", input=p[1]) if p[1].startswith("-----") else ""
            out.append(f"{line}: {p[0]} {hide(p[1])} {hide(p[2])} {request}")
        # 3.11 prefers lmdb for the cache (facts: commands 11.3).
        settings = [re.sub(r"= (?:btree|lmdb):", "= CACHE:", s) for s in changed_settings(instance, base, before)]
        said = [re.sub(r"= (?:btree|lmdb):", "= CACHE:", hide(s)) for s in log(instance, base)]
        return show(out, [hide(s) for s in settings], look_at_files(base), said)
    return case


_batches = {}


@pytest.mark.parametrize("name", CASES)
def test_tls(box, name):
    if id(box) not in _batches:
        _batches[id(box)] = Batch(box, {n: tls_case(n) for n in CASES}, workers=12)
    _batches[id(box)].compare(name)


def test_new_server_cert_keeps_the_key(box):
    """The key in use goes on in the new file, so that TLSA records stay right."""
    def case(instance):
        base = world(instance, "keep", queues=QUEUES)
        assert run(instance, base, "tls", "new-server-key", "-b", "1024")[0] == 0
        for n in os.listdir(base + "/etc"):
            if n.endswith(".pem"):          # an older one
                os.rename(f"{base}/etc/{n}", f"{base}/etc/{n.split('-')[0]}-20200101-000000.pem")
        assert run(instance, base, "tls", "deploy-server-cert", "cert-20200101-000000.pem", "key-20200101-000000.pem")[0] == 0
        result = run(instance, base, "tls", "new-server-cert", "other.example")
        keys = [n for n in os.listdir(base + "/etc") if n.startswith("key-")]
        assert len(keys) == 2
        digests = {openssl_raw("pkey", "-in", f"{base}/etc/{k}", "-pubout") for k in keys}
        return result, len(digests), [hide(s) for s in log(instance, base)]
    box.compare(case)


def openssl_raw(*args):
    return subprocess.run(["openssl", *args], capture_output=True, text=True, check=True).stdout
