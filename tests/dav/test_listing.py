import xml.etree.ElementTree as ET

from gateway.dav.documents import Asked, Requested
from gateway.dav.listing import Entry, multistatus

D = "{DAV:}"
ENTRIES = (
    Entry(("remote", "dav")),
    Entry(
        ("remote", "dav", "a & b"), displayname="A", modified_at=60, etag='"e"', permissions="RG"
    ),
    Entry(("remote", "dav", "f"), collection=False, size=7),
)


def test_a_listing_is_read_like_any_other():
    first, second, third = ET.fromstring(multistatus(ENTRIES))
    assert first.findtext(D + "href") == "/remote/dav/"
    assert second.findtext(D + "href") == "/remote/dav/a%20%26%20b/"
    found = {prop.tag: prop.text for prop in second.iterfind(f"{D}propstat/{D}prop/*")}
    assert found[D + "displayname"] == "A"
    assert found[D + "getlastmodified"] == "Thu, 01 Jan 1970 00:01:00 GMT"
    assert found["{http://open-collaboration-services.org/ns}share-permissions"] == "17"
    assert third.findtext(D + "href") == "/remote/dav/f"
    assert third.findtext(f"{D}propstat/{D}prop/{D}getcontentlength") == "7"


def test_named_properties_are_found_or_missing():
    requested = Requested(Asked.NAMED, ("DAV: displayname", "DAV: getetag", "urn:x y"))
    first, second, _ = ET.fromstring(multistatus(ENTRIES, requested))
    tags = [[prop.tag for prop in stat.find(D + "prop")] for stat in first.findall(D + "propstat")]
    assert tags == [[D + "displayname"], [D + "getetag", "{urn:x}y"]]
    assert len(second.findall(D + "propstat")) == 2


def test_names_come_without_values():
    body = multistatus(ENTRIES, Requested(Asked.NAMES))
    assert b"RG" not in body
    assert b"displayname" in body


def test_the_root_of_everything_is_a_slash():
    assert b"<d:href>/</d:href>" in multistatus([Entry(())])
