import xml.etree.ElementTree as ET

import pytest

from gateway.dav.hrefs import Hrefs
from gateway.dav.lockdiscovery import lock_answer
from gateway.dav.locks import LockSeal
from gateway.dav.target import Target
from gateway.errors import BackendFailed

D = "{DAV:}"
TARGET = Target(
    base="http://s/dav",
    root=("shared",),
    rel=("a",),
    mount=("remote", "id"),
    origin="https://gw.example",
    authorization="",
    scope="one",
)
BODY = b"""<?xml version="1.0"?>
<D:prop xmlns:D="DAV:" xmlns:x="urn:x"><x:beside>/srv/inside</x:beside><D:lockdiscovery>
<D:activelock><D:locktype><D:write/></D:locktype>
<D:owner x:a="1>2"><x:me/>me &amp; <![CDATA[<you>]]></D:owner>
<D:locktoken><D:href>urn:t&amp;1</D:href></D:locktoken>
<D:lockroot><D:href>/dav/shared/a%20b</D:href></D:lockroot><x:inside>y</x:inside></D:activelock>
</D:lockdiscovery><D:getetag/></D:prop>"""


def answer(body, *tokens):
    seal = LockSeal(b"k" * 32)
    sealed = [seal.seal("one", token) for token in tokens]
    return lock_answer(body, Hrefs(TARGET), seal, "one"), sealed


def test_an_own_lock_keeps_its_owner_byte_for_byte():
    body, [sealed] = answer(BODY, "urn:t&1")
    assert b'<D:owner x:a="1>2"><x:me/>me &amp; <![CDATA[<you>]]></D:owner>' in body
    [lock] = ET.fromstring(body).iter(D + "activelock")
    assert lock.findtext(f"{D}locktoken/{D}href") == sealed
    assert lock.findtext(f"{D}lockroot/{D}href") == "/remote/id/a%20b"
    assert b"/srv/inside" not in body
    assert b"getetag" not in body


def test_someone_else_s_lock_has_neither_token_nor_owner():
    body, _ = answer(BODY)
    assert b"locktoken" not in body
    assert b"owner" not in body
    assert b"inside" not in body
    assert b"write" in body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        BODY[:-3],
        BODY + b"x",
        b"<prop/>",
        b"<!DOCTYPE a>" + BODY.partition(b"\n")[2],
        BODY.decode().encode("utf-16"),
    ],
)
def test_anything_else_is_broken(body):
    with pytest.raises(BackendFailed):
        answer(body)


def test_no_lock_at_all_is_an_empty_answer():
    body, _ = answer(b'<prop xmlns="DAV:"><lockdiscovery/></prop>')
    assert ET.fromstring(body).find(D + "lockdiscovery") is not None
