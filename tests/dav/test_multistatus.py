import contextlib
import itertools
import xml.etree.ElementTree as ET
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dav.documents import Asked, Requested
from gateway.dav.entries import Plan
from gateway.dav.locks import LockSeal
from gateway.dav.multistatus import Multistatus
from gateway.dav.responses import Limits
from gateway.dav.target import Profile, Target
from gateway.errors import BackendFailed

LIMITS = Limits()
SEAL = LockSeal(b"k" * 32)
ALL = Requested(Asked.ALL)
D = "{DAV:}"
OC = "{http://owncloud.org/ns}"


def target(**changes):
    given = {
        "base": "http://s:8080/dav",
        "root": ("shared",),
        "rel": (),
        "mount": ("remote", "id"),
        "origin": "https://gw.example",
        "authorization": "",
        "scope": "one",
        "writable": True,
        "label": "Holiday",
    }
    return Target(**(given | changes))


def ms(*responses, head='<?xml version="1.0"?>'):
    inner = "".join(responses)
    return f'{head}<D:multistatus xmlns:D="DAV:">{inner}</D:multistatus>'.encode()


def file(href, props=""):
    return (
        f"<D:response><D:href>{href}</D:href><D:propstat><D:prop><D:resourcetype/>{props}</D:prop>"
        "<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
    )


def folder(href, props=""):
    return file(href, props).replace(
        "<D:resourcetype/>", "<D:resourcetype><D:collection/></D:resourcetype>"
    )


SELF = folder("/dav/shared/")


def rewrite(body, depth="1", requested=ALL, step=None, limits=LIMITS, **changes):
    rewriter = Multistatus(Plan(target(**changes), SEAL, requested, depth), limits)
    step = step or len(body)
    out = b"".join(rewriter.feed(body[at : at + step]) for at in range(0, len(body), step))
    return out + rewriter.close()


def hrefs(body):
    return [found.text for found in ET.fromstring(body).iter(D + "href")]


def props(body, index=0, status="200"):
    response = ET.fromstring(body).findall(D + "response")[index]
    found = [
        stat for stat in response.findall(D + "propstat") if status in stat.findtext(D + "status")
    ]
    assert len(found) <= 1
    return {prop.tag: prop.text for stat in found for prop in stat.find(D + "prop")}


@pytest.mark.conforms("OCM-RFC4918-20")
@pytest.mark.parametrize(
    ("href", "public"),
    [
        ("/dav/shared/a", "/remote/id/a"),
        ("//dav//shared/a", "/remote/id/a"),
        ("http://other:99/dav/shared/a", "/remote/id/a"),
        ("HTTPS://x/dav/shared/a?q#f", "/remote/id/a"),
        ("shared/a", "/remote/id/a"),
        ("\n /dav/shared/a\t", "/remote/id/a"),
        ("/dav/%73hared/%c3%a4+b", "/remote/id/%C3%A4%2Bb"),
        ("/dav/shared/a&amp;b&#x20;c", "/remote/id/a%26b%20c"),
        ("<![CDATA[/dav/shared/a&b]]>", "/remote/id/a%26b"),
        ("/dav/<!-- x -->shared/a", "/remote/id/a"),
        ("/dav/shared/a/", "/remote/id/a"),
        ("/dav/shared/100%25", "/remote/id/100%25"),
    ],
)
def test_every_spelling_of_an_href_is_mapped(href, public):
    assert hrefs(rewrite(ms(SELF, file(href)))) == ["/remote/id/", public]


@pytest.mark.parametrize(
    "href",
    [
        "/dav/",
        "/dav/other",
        "/dav/shared2/a",
        "/other/shared/a",
        "/",
        "",
        "/dav/shared/../secret",
        "/dav/shared/%2e%2e/secret",
        "/dav/shared/a%2fb",
        "/dav/shared/a%00",
        "/dav/shared/%ff",
        "/dav/shared/%zz",
        "/dav/shared/a/b",
        "urn:x",
        "mailto:a@b",
    ],
)
def test_a_response_about_anything_else_is_dropped(href):
    body = rewrite(ms(SELF, file(href, "<D:displayname>SECRET</D:displayname>")))
    assert hrefs(body) == ["/remote/id/"]
    assert b"SECRET" not in body


def test_raw_hrefs_are_not_decoded():
    raw = Profile(raw_hrefs=True)
    body = rewrite(ms(SELF, file("/dav/shared/a b%41?x#y")), profile=raw)
    assert hrefs(body) == ["/remote/id/", "/remote/id/a%20b%2541%3Fx%23y"]


@pytest.mark.conforms("OCM-RFC4918-21")
def test_another_server_speaks_for_itself_only():
    body = ms(
        SELF, file("http://evil/dav/shared/a"), file("/dav/shared/b%5Cc"), file("/dav/shared/d")
    )
    assert hrefs(rewrite(body, trusted=False)) == ["/remote/id/", "/remote/id/d"]


def test_what_was_asked_for_comes_first_and_everything_once():
    body = ms(file("/dav/shared/a"), SELF, file("/dav/shared/a"), file("/dav/shared/b"), SELF)
    assert hrefs(rewrite(body)) == ["/remote/id/", "/remote/id/a", "/remote/id/b"]


def test_depth_0_is_about_one_resource():
    assert hrefs(rewrite(ms(SELF, file("/dav/shared/a")), depth="0")) == ["/remote/id/"]


def test_collections_have_a_slash_and_files_have_none():
    body = ms(folder("/dav/shared"), folder("/dav/shared/c"), file("/dav/shared/f/"))
    assert hrefs(rewrite(body)) == ["/remote/id/", "/remote/id/c/", "/remote/id/f"]


def test_one_file_is_spelled_as_it_was_asked_for():
    one = target(root=("shared", "f"), rel=("f",), single_file=True)
    changes = {"root": one.root, "rel": one.rel, "single_file": True}
    assert hrefs(rewrite(ms(file("/dav/shared/f")), depth="0", **changes)) == ["/remote/id/f"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not xml",
        ms(SELF)[:-5],
        ms(SELF) + b"Internal Server Error",
        ms(SELF) + b"<x/>",
        ms(),
        ms(file("/dav/other")),
        b"<html/>",
        b'<multistatus xmlns="urn:x"/>',
        ms(SELF, head='<!DOCTYPE x [<!ENTITY a "b">]>'),
        ms(SELF, head='<?xml version="1.0" encoding="iso-8859-1"?>'),
        ms(SELF, head='<?xml version="1.0" encoding="utf-16"?>'),
        ms(SELF).decode().encode("utf-16"),
        ms(SELF).decode().encode("utf-16-le"),
        ms(SELF).decode().encode("utf-16-be"),
        ms(SELF, file("/dav/shared/&undefined;")),
        ms(SELF, file("/dav/shared/a", "<x:y/>")),
        ms(SELF).replace(b"/dav/shared/", b"/dav/shared/\xff"),
        ms(SELF, file("/dav/shared/a", "\x01")),
        ms(SELF, file("/dav/shared/a", "<a>" * 100 + "</a>" * 100)),
        ms(SELF, file("/dav/shared/a", "<a>" + "x" * 2_000_000 + "</a>")),
        ms(SELF, file("/dav/shared/a", "<a b='" + "x" * 900_000 + "'/>")),
        ms(
            SELF, file("/dav/shared/a", "<a " + " ".join(f"b{n}=''" for n in range(100_000)) + "/>")
        ),
    ],
)
def test_what_is_not_exactly_a_multistatus_fails_before_its_end_is_written(body):
    with pytest.raises(BackendFailed):
        rewrite(body, step=4096)


def test_a_utf_8_mark_is_no_other_encoding():
    assert hrefs(rewrite(b"\xef\xbb\xbf" + ms(SELF, file("/dav/shared/a"))))[1] == "/remote/id/a"


def test_the_number_of_entries_is_bounded():
    body = ms(SELF, *(file(f"/dav/shared/{n}") for n in range(20)))
    with pytest.raises(BackendFailed):
        rewrite(body, limits=Limits(entries=10))


BIG = ms(
    SELF,
    folder("/dav/shared/c%20d", "<D:displayname>c &amp; d</D:displayname>"),
    "\n\t<!-- a > b --><?pi ?>",
    file("/dav/shared/\u00e4&amp;<![CDATA[<b>]]>", "<D:getcontentlength>5</D:getcontentlength>"),
    "<D:response xmlns:x='urn:a>b'><D:href>/dav/shared/q</D:href><D:propstat><D:prop>"
    "<x:dead a='1>2' b=\"'\"><x:href>/dav/shared/kept</x:href></x:dead><x:e/></D:prop>"
    "<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>",
    "<D:responsedescription>/srv/secret</D:responsedescription>",
)


@given(st.lists(st.integers(0, len(BIG)), max_size=40))
def test_any_pieces_give_the_same_as_the_whole(cuts):
    rewriter = Multistatus(Plan(target(), SEAL, ALL, "1"))
    places = [0, *sorted(cuts), len(BIG)]
    out = b"".join(rewriter.feed(BIG[a:b]) for a, b in itertools.pairwise(places))
    assert out + rewriter.close() == rewrite(BIG)


def test_byte_by_byte_is_the_same_as_the_whole():
    assert rewrite(BIG, step=1) == rewrite(BIG)


@pytest.mark.conforms("OCM-RFC4918-04")
def test_dead_properties_survive_byte_for_byte():
    body = rewrite(BIG)
    assert b"<x:dead a='1>2' b=\"'\"><x:href>/dav/shared/kept</x:href></x:dead><x:e/>" in body
    assert b"/srv/secret" not in body
    assert hrefs(body)[2] == "/remote/id/%C3%A4%26%3Cb%3E"


@given(st.binary(max_size=60), st.integers(0, len(BIG)))
def test_noise_is_rewritten_or_refused(noise, at):
    with contextlib.suppress(BackendFailed):
        rewrite(BIG[:at] + noise + BIG[at:])


def test_permissions_are_those_of_the_share_and_not_the_owner_s():
    owner = '<o:permissions xmlns:o="http://owncloud.org/ns">RDNVWCK</o:permissions>'
    leak = '<o:owner-id xmlns:o="http://owncloud.org/ns">marie</o:owner-id>'
    body = ms(folder("/dav/shared/", owner + leak), file("/dav/shared/a", owner))
    out = rewrite(body)
    assert props(out)[OC + "permissions"] == "GCK"
    assert props(out)["{http://open-collaboration-services.org/ns}share-permissions"] == "7"
    assert props(out, 1)[OC + "permissions"] == "GDNVW"
    assert props(out, 1)["{http://open-cloud-mesh.org/ns}share-permissions"] == '["read","write"]'
    assert b"marie" not in out
    read_only = rewrite(body, writable=False, reshare=True)
    assert props(read_only, 1)[OC + "permissions"] == "RG"


def test_another_server_s_permissions_are_only_ever_narrowed():
    theirs = '<o:permissions xmlns:o="http://owncloud.org/ns">SGV</o:permissions>'
    body = rewrite(ms(SELF, file("/dav/shared/a", theirs)), trusted=False)
    assert props(body, 1)[OC + "permissions"] == "GV"


@pytest.mark.parametrize(
    "name",
    [
        "owner",
        "group",
        "acl",
        "principal-URL",
        "current-user-principal",
        "resource-id",
    ],
)
def test_properties_about_the_owner_are_dropped(name):
    body = rewrite(ms(folder("/dav/shared/", f"<D:{name}><D:href>/p/marie</D:href></D:{name}>")))
    assert b"marie" not in body


def test_a_display_name_is_made_up_where_there_is_none():
    out = rewrite(
        ms(
            SELF,
            file("/dav/shared/a%26b"),
            file("/dav/shared/c", "<D:displayname>C</D:displayname>"),
        )
    )
    assert [props(out, n)[D + "displayname"] for n in range(3)] == ["Holiday", "a&b", "C"]


def test_an_etag_is_made_up_from_time_and_length_and_stays():
    facts = (
        "<D:getlastmodified>Thu, 01 Jan 1970 00:01:00 GMT</D:getlastmodified>"
        "<D:getcontentlength>255</D:getcontentlength>"
    )
    out = rewrite(ms(SELF, file("/dav/shared/a", facts)))
    assert props(out, 1)[D + "getetag"] == '"3c-ff"'
    assert props(out, 1)[OC + "size"] == "255"
    assert D + "getetag" not in props(out, 0)


def test_the_etag_of_the_root_carries_what_makes_it_new():
    body = ms(folder("/dav/shared/", '<D:getetag>"e"</D:getetag>'))
    plain = props(rewrite(body))[D + "getetag"]
    one = props(rewrite(body, freshness="1"))[D + "getetag"]
    two = props(rewrite(body, freshness="2"))[D + "getetag"]
    assert plain == '"e"'
    assert len({plain, one, two}) == 3


def test_named_requests_get_what_they_asked_for_and_404_for_the_rest():
    names = (
        "DAV: getetag",
        "http://owncloud.org/ns permissions",
        "http://owncloud.org/ns owner-id",
        "urn:x dead",
    )
    missing = (
        "<D:propstat><D:prop><x:dead xmlns:x='urn:x'/><D:getetag/></D:prop>"
        "<D:status>HTTP/1.1 404 Not Found</D:status></D:propstat>"
    )
    body = ms(SELF.replace("<D:propstat>", missing + "<D:propstat>", 1))
    out = rewrite(body, requested=Requested(Asked.NAMED, names))
    assert list(props(out)) == [OC + "permissions"]
    assert list(props(out, status="404")) == [D + "getetag", OC + "owner-id", "{urn:x}dead"]
    assert out.index(b"200 OK") < out.index(b"404 Not")


def test_propname_gets_names_without_values():
    out = rewrite(ms(SELF), requested=Requested(Asked.NAMES))
    assert OC + "permissions" in props(out)
    assert b">GCK<" not in out


def test_two_propstats_of_the_same_status_become_one():
    second = (
        '<D:propstat><D:prop><D:getetag>"e"</D:getetag></D:prop>'
        "<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
    )
    assert props(rewrite(ms(SELF.replace("</D:response>", second))))[D + "getetag"] == '"e"'


LOCK = (
    "<D:lockdiscovery><D:activelock><D:lockscope><D:exclusive/></D:lockscope>"
    "<D:owner><D:href>http://me/</D:href></D:owner><D:timeout>Second-9</D:timeout>"
    "<D:locktoken>\n<D:href>{}</D:href></D:locktoken>"
    "<D:lockroot><D:href>{}</D:href></D:lockroot></D:activelock></D:lockdiscovery>"
)


def test_own_locks_are_shown_in_full_and_of_others_only_that_they_are_there():
    SEAL.seal("one", "urn:mine")
    body = rewrite(
        ms(
            folder("/dav/shared/", LOCK.format("urn:mine", "/dav/shared/x")),
            file("/dav/shared/a", LOCK.format("urn:theirs", "/dav/")),
        )
    )
    first, second = ET.fromstring(body).iter(D + "activelock")
    assert first.findtext(f"{D}locktoken/{D}href") == SEAL.seal("one", "urn:mine")
    assert first.findtext(f"{D}owner/{D}href") == "http://me/"
    assert first.findtext(f"{D}lockroot/{D}href") == "/remote/id/x"
    assert second.find(D + "locktoken") is None
    assert second.find(D + "owner") is None
    assert second.findtext(f"{D}lockroot/{D}href") == "/remote/id/"
    assert second.findtext(D + "timeout") == "Second-9"
    assert b"theirs" not in body


def test_the_answer_to_a_write_keeps_its_members_and_loses_its_texts():
    body = ms(
        "<D:response><D:href>/dav/shared/a/b</D:href><D:href>/dav/shared/c</D:href>"
        "<D:status>HTTP/1.1 423 Locked</D:status>"
        "<D:error><D:lock-token-submitted><D:href>/dav/x</D:href></D:lock-token-submitted></D:error>"
        "<D:responsedescription>/srv/a</D:responsedescription></D:response>",
        "<D:response><D:href>/dav/other</D:href><D:status>HTTP/1.1 403 No</D:status></D:response>",
    )
    out = rewrite(body, requested=None)
    assert hrefs(out) == ["/remote/id/a/b", "/remote/id/c"]
    assert b"lock-token-submitted" in out
    assert b"/srv" not in out
    assert b"/dav/" not in out


def test_an_entry_costs_some_tens_of_microseconds():
    body = ms(
        SELF, *(file(f"/dav/shared/{n}", "<D:getetag>1</D:getetag>" * 4) for n in range(5000))
    )
    started = perf_counter()
    out = rewrite(body)
    assert len(hrefs(out)) == 5001
    assert perf_counter() - started < 2


def test_no_more_than_one_response_is_held():
    rewriter = Multistatus(Plan(target(), SEAL, ALL, "1"))
    rewriter.feed(ms(SELF)[: -len("</D:multistatus>")])
    for number in range(5000):
        rewriter.feed(file(f"/dav/shared/{number}").encode() + b"\n" * 50)
        assert len(rewriter._responses.raw) < 1000


def test_an_endless_space_between_responses_is_not_held():
    rewriter = Multistatus(Plan(target(), SEAL, ALL, "1"))
    rewriter.feed(b'<D:multistatus xmlns:D="DAV:">')
    for _ in range(100):
        rewriter.feed(b" " * 100_000)
        assert len(rewriter._responses.raw) < 20_000


def test_what_comes_before_the_requested_resource_is_held_only_so_long():
    body = ms(*(file(f"/dav/shared/{n}") for n in range(500)), SELF)
    with pytest.raises(BackendFailed):
        rewrite(body, limits=Limits(held=10_000))
    assert len(hrefs(rewrite(body))) == 501


def test_a_folded_spelling_of_the_folder_is_answered_in_the_client_s():
    folded = Profile(fold_case=True)
    body = ms(folder("/DAV/Shared/Sub/"), file("/DAV/Shared/Sub/A"))
    assert hrefs(rewrite(body, profile=folded, rel=("sub",))) == [
        "/remote/id/sub/",
        "/remote/id/sub/A",
    ]


@pytest.mark.parametrize("text", ["x" * 600_000, "<![CDATA[" + "x" * 600_000 + "]]>"])
def test_a_long_value_is_not_taken_for_an_endless_token(text):
    body = rewrite(ms(SELF, file("/dav/shared/a", f"<z>{text}</z>")))
    assert props(body, 1)["z"] == "x" * 600_000


def test_a_response_without_properties_of_ours_keeps_its_status():
    status = "<D:status>HTTP/1.1 410 Gone</D:status>"
    gone = f"<D:response><D:href>/dav/shared/a</D:href>{status}</D:response>"
    body = rewrite(ms(SELF, gone, "<D:response/>", "<D:sync-token>x</D:sync-token>"))
    assert hrefs(body) == ["/remote/id/", "/remote/id/a"]
    assert b"410 Gone" in body
    assert b"sync-token" not in body
