# SPDX-License-Identifier: ISC
"""What the reference's version cannot do yet: names in From: as encoded words, 8-bit text converted on its way in."""

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Sink, Smtp
from harness.under_test import IS_REFERENCE, make

pytestmark = pytest.mark.skipif(REFERENCE_ONLY or SELF_CHECK or IS_REFERENCE, reason="newer than the reference")

EIGHT = ("Subject: s\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\npreamble\n--b\n"
         "Content-Type: text/plain\nContent-Transfer-Encoding: 8bit\n\nh\u00e9llo = equal\ntrailing \n" + "x" * 5000 + "\n--b--\nlast\n")


@pytest.fixture(scope="module")
def net():
    with Sink() as sink:
        i = make(main={"default_transport": f"smtp:[127.0.0.1]:{sink.port}", "transport_maps": "", "body_checks": "regexp:{{/^h=C3=A9llo =3D equal/ WARN seen}}"},
                 smtpd={"smtp": {}, "seven": {"cleanup_service_name": "seven"}}, master="seven unix n - n - 0 cleanup\n  -o force_mime_input_conversion=yes\n"
                 "iso unix n - n - 0 cleanup\n  -o full_name_encoding_charset=iso-8859-1\n"
                 "long unix n - n - 0 cleanup\n  -o full_name_encoding_charset=" + "x" * 200 + "\n"
                 "old unix n - n - 0 cleanup\n  -o header_from_format=obsolete\n")
        i.sink = sink
        try:
            yield i.start()
        finally:
            i.destroy()


def body_of(net, port, content):
    net.sink.clear()
    with Smtp(net.port(port)) as c:
        c.cmd("EHLO x")
        assert c.mail("a@sender.test", "u@far.test", content.replace("\n", "\r\n")).startswith("250")
        c.cmd("QUIT")
    return net.sink.wait(1)[0].content.decode("latin-1").replace("\r\n", "\n")


def test_conversion(net):
    mark = net.mark()
    got = body_of(net, "seven", EIGHT)
    head, _, body = got.partition("\n\n")
    assert "Content-Transfer-Encoding: 8bit" not in got, got.replace("x" * 70, "X")
    assert "\nContent-Transfer-Encoding: 7bit\n" in head
    assert body.startswith("preamble\n--b\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\nh=C3=A9llo =3D equal\ntrailing=20\n" + "x" * 73 + "=\n")
    assert body.endswith("x\n--b--\nlast\n") and got.count("x") >= 5000
    net.wait_log("cleanup.*warning: body h=C3=A9llo =3D equal", mark)      # checks see what will be delivered


def test_no_conversion(net):
    assert "h\u00e9llo = equal" in body_of(net, "smtp", EIGHT).encode("latin-1").decode("utf-8")


# cleanup service, full name: the From: header
NAMES = {
    "plain": ("cleanup", "Jane Doe", "From: Jane Doe <a@sender.test>"),
    "encoded": ("cleanup", "J\u00fcrgen (x)", "From: =?utf-8?Q?J=C3=BCrgen_=28x=29?= <a@sender.test>"),
    "long": ("cleanup", "\u00e4\u00f6\u00fc" * 4, "From: =?utf-8?Q?=C3=A4=C3=B6=C3=BC=C3=A4=C3=B6=C3=BC=C3=A4=C3=B6=C3=BC=C3=A4?=\n =?utf-8?Q?=C3=B6=C3=BC?= <a@sender.test>"),
    "other charset": ("iso", "\u00fc", "From: =?iso-8859-1?Q?=C3=BC?= <a@sender.test>"),
    "no such charset": ("long", "\u00fc x", 'From: "\u00fc x" <a@sender.test>'),
    "obsolete": ("old", "\u00fc", "From: a@sender.test (=?utf-8?Q?=C3=BC?=)"),
}


@pytest.mark.parametrize("case", NAMES)
def test_full_name(net, case):
    service, name, want = NAMES[case]
    if service != "cleanup":
        net.set(cleanup_service_name=service)
        net.reload()
    net.sink.clear()
    net.run("sendmail", "-f", "a@sender.test", "-F", name, "u@far.test", input="Subject: x\n\nx\n", check=True)
    got = net.sink.wait(1)[0].content.decode("utf-8").replace("\r\n", "\n")
    assert "\n" + want + "\n" in got
    if service != "cleanup":
        net.set(cleanup_service_name=None)
        net.reload()
