import contextlib
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dav import documents
from gateway.dav.documents import Asked, Requested
from gateway.errors import Malformed, TooLarge


@pytest.mark.parametrize(
    ("body", "requested"),
    [
        (b"", Requested(Asked.ALL)),
        (b" \n", Requested(Asked.ALL)),
        (b'<propfind xmlns="DAV:"><allprop/></propfind>', Requested(Asked.ALL)),
        (b'<a:propfind xmlns:a="DAV:"><a:propname/></a:propfind>', Requested(Asked.NAMES)),
        (
            b'<propfind xmlns="DAV:"><prop><getetag/><x:y xmlns:x="u"/><z xmlns=""/>'
            b"</prop></propfind>",
            Requested(Asked.NAMED, ("DAV: getetag", "u y", "z")),
        ),
        (
            b'<propfind xmlns="DAV:"><allprop/><include><acl/></include></propfind>',
            Requested(Asked.ALL, ("DAV: acl",)),
        ),
    ],
)
def test_a_propfind_says_what_it_wants(body, requested):
    assert documents.parse_propfind(body) == requested


@pytest.mark.parametrize(
    "body",
    [
        b"<",
        b"<propfind/>",
        b'<propfind xmlns="DAV:"/>',
        b'<propfind xmlns="DAV:"><prop/><allprop/></propfind>',
        b'<propfind xmlns="DAV:"><prop><bar:foo xmlns:bar=""/></prop></propfind>',
        b'<propfind xmlns="DAV:"><prop><x:foo/></prop></propfind>',
        b'<!DOCTYPE p [<!ENTITY a "b">]><propfind xmlns="DAV:"><allprop/></propfind>',
        b'<!DOCTYPE p SYSTEM "http://evil/"><propfind xmlns="DAV:"><allprop/></propfind>',
        b'<propfind xmlns="DAV:"><prop>' + b"<a>" * 70 + b"</a>" * 70 + b"</prop></propfind>",
        b'<propfind xmlns="DAV:"><prop>' + b"<a/>" * 2100 + b"</prop></propfind>",
        b'<propfind xmlns="DAV:"><allprop/></propfind>junk',
    ],
)
def test_what_is_no_propfind_is_refused(body):
    with pytest.raises(Malformed) as caught:
        documents.parse_propfind(body)
    assert caught.value.status == 400


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_other_encodings_are_415(encoding):
    with pytest.raises(Malformed) as caught:
        documents.parse_propfind('<propfind xmlns="DAV:"><allprop/></propfind>'.encode(encoding))
    assert caught.value.status == 415


def test_bodies_are_bounded():
    with pytest.raises(TooLarge):
        documents.parse_propfind(b"<a>" + b" " * 70_000)
    with pytest.raises(TooLarge):
        documents.lockinfo(b" " * 9000)


@pytest.mark.parametrize(
    "inside",
    [
        "",
        "<lockscope><exclusive/></lockscope>",
        "<locktype><write/></locktype>",
        "<lockscope/><locktype><write/></locktype>",
        "<lockscope><exclusive/><shared/></lockscope><locktype><write/></locktype>",
        "<lockscope><exclusive/></lockscope><locktype><read/></locktype>",
    ],
)
def test_a_lock_of_no_known_kind_is_refused(inside):
    """Apache grants one of no kind, which keeps everybody out."""
    with pytest.raises(Malformed):
        documents.lockinfo(f'<lockinfo xmlns="DAV:">{inside}</lockinfo>'.encode())


def test_a_propertyupdate_names_what_it_changes():
    body = (
        b'<propertyupdate xmlns="DAV:"><set><prop><a xmlns="u"><b/></a></prop></set>'
        b"<remove><prop><getetag/></prop></remove></propertyupdate>"
    )
    assert documents.parse_propertyupdate(body) == ("u a", "DAV: getetag")
    for bad in (b"", b'<propertyupdate xmlns="DAV:"/>', b'<lockinfo xmlns="DAV:"/>'):
        with pytest.raises(Malformed):
            documents.parse_propertyupdate(bad)


names = st.sampled_from(["DAV: getetag", "urn:a&b y", "z", "http://x/ y-1"])


@given(st.lists(names, unique=True, min_size=1).map(tuple))
def test_names_survive_writing_and_reading(wanted):
    assert documents.parse_propfind(documents.encode_propfind(wanted)).names == wanted


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=20))
def test_text_is_escaped(text):
    assert (ET.fromstring(documents.element("DAV: a", text)).text or "") == text.replace("\r", "\n")


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(body):
    with contextlib.suppress(Malformed):
        documents.parse_propfind(body)
