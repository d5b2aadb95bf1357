import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.dav import headers
from gateway.dav.hrefs import Hrefs
from gateway.dav.locks import NEVER, LockSeal
from gateway.dav.target import Profile, Target
from gateway.errors import GatewayError, Malformed, Refused, Unsupported

SEAL = LockSeal(b"k" * 32)


def target(**changes):
    given = {
        "base": "http://s:8080/dav",
        "root": ("shared",),
        "rel": ("a",),
        "mount": ("remote", "id"),
        "origin": "https://gw.example",
        "authorization": "Basic inside",
        "scope": "one",
        "writable": True,
    }
    return Target(**(given | changes))


def fields(*pairs):
    return CIMultiDictProxy(CIMultiDict(pairs))


def test_only_what_is_listed_reaches_the_storage():
    given = fields(
        ("Authorization", "Bearer outside"),
        ("Cookie", "a=b"),
        ("Content_Length", "7"),
        ("Connection", "X-Secret"),
        ("X-Forwarded-For", "1.2.3.4"),
        ("Source", "https://evil/"),
        ("Translate", "f"),
        ("Accept", "*/*"),
        ("If-Match", '"e"'),
    )
    sent = headers.for_storage("PUT", given, target())
    assert dict(sent) == {
        "Accept": "*/*",
        "If-Match": '"e"',
        "Accept-Encoding": "identity",
        "Authorization": "Basic inside",
    }


def test_only_what_is_listed_reaches_the_client():
    given = fields(
        ("Set-Cookie", "a=b"),
        ("Server", "Apache"),
        ("WWW-Authenticate", "Basic"),
        ("ETag", '"e"'),
        ("Vary", "a"),
        ("Content-Disposition", "caf\udcc3"),
    )
    assert headers.for_client(given) == (("ETag", '"e"'), ("Vary", "a"))


@pytest.mark.parametrize(
    ("value", "kept"),
    [("bytes=0-3", True), ("bytes=-3", True), ("bytes=0-1,4-5", False), ("lines=1-2", False)],
)
def test_one_range_goes_on_and_several_become_the_whole(value, kept):
    sent = headers.for_storage("GET", fields(("Range", value)), target())
    assert ("Range" in sent) is kept


def test_if_range_is_not_trusted_to_storages_that_ignore_conditions():
    given = fields(("Range", "bytes=0-3"), ("If-Range", '"e"'))
    assert "Range" not in headers.for_storage("GET", given, target())
    honest = target(profile=Profile(conditional_put=True))
    assert "Range" in headers.for_storage("GET", given, honest)


def test_encoded_xml_is_415():
    headers.admit("PUT", fields(("Content-Encoding", "gzip")))
    with pytest.raises(Malformed) as caught:
        headers.admit("PROPFIND", fields(("Content-Encoding", "gzip")))
    assert caught.value.status == 415


def test_partial_and_chunked_puts_are_refused():
    with pytest.raises(Malformed):
        headers.admit("PUT", fields(("Content-Range", "bytes 0-1/2")))
    with pytest.raises(Unsupported):
        headers.admit("PUT", fields(("OC-Chunked", "1")))


@pytest.mark.parametrize(
    ("value", "rel"),
    [
        ("https://gw.example/remote/id/b", ("b",)),
        ("HTTPS://GW.example:443/remote/id/b%20c/", ("b c",)),
        ("http://gw.example/remote/id/b", ("b",)),
        ("http://gw.example:80/remote//id/b", ("b",)),
        ("/remote/id/b", ("b",)),
        ("/remote/id", ()),
    ],
)
def test_a_destination_in_the_share_is_found(value, rel):
    assert headers.destination(value, target())[0] == rel


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (None, 400),
        ("", 400),
        ("b", 400),
        ("../b", 400),
        ("//gw.example/remote/id/b", 400),
        ("https://u@gw.example/remote/id/b", 400),
        ("http://[::1", 400),
        ("http://[::1/remote/id/b", 400),
        ("http://other.example:port/remote/id/b", 400),
        ("/remote/id/b?x", 400),
        ("/remote/id/b#x", 400),
        ("/remote/id/../other/b", 400),
        ("/remote/id/%2e%2e/b", 400),
        ("/remote/id/ä", 400),
        ("/remote/other/b", 403),
        ("/remote/id2/b", 403),
        ("https://gw.example/", 403),
        ("https://other.example/remote/id/b", 502),
        ("https://[::1]:8443/remote/id/b", 502),
        ("https://gw.example:8443/remote/id/b", 502),
        ("http://gw.example:443/remote/id/b", 502),
    ],
)
def test_any_other_destination_is_refused(value, status):
    with pytest.raises((Malformed, Refused)) as caught:
        headers.destination(value, target())
    assert caught.value.status == status


def condition(text, **changes):
    return headers.if_value(headers.condition_lists(fields(("If", text)), target(**changes), SEAL))


def test_a_tag_and_a_sealed_token_are_translated():
    sealed = SEAL.seal("one", "opaquelocktoken:1")
    text = f'<https://gw.example/remote/id/b%2b> (<{sealed}> ["e"])'
    assert condition(text) == '<http://s:8080/dav/shared/b%2B> (<opaquelocktoken:1> ["e"])'


def test_a_token_of_another_scope_matches_nothing():
    sealed = SEAL.seal("two", "opaquelocktoken:1")
    for token in (sealed, "opaquelocktoken:1", "urn:ocmgw:x:y"):
        assert condition(f"(<{token}>)") == f"(<{NEVER}>)"


def test_no_lock_is_left_as_it_is():
    assert condition("(Not <DAV:no-lock>)") == "(Not <DAV:no-lock>)"


@pytest.mark.parametrize("tag", ["https://other.example/x", "/remote/id2/b"])
def test_a_tag_outside_the_share_leads_nowhere(tag):
    assert (
        condition(f'<{tag}> (["e"])') == '<http://s:8080/dav/shared/.ocm-gateway-nowhere> (["e"])'
    )


def test_several_if_lines_are_one():
    given = fields(("If", '(["a"])'), ("If", '(["b"])'))
    assert len(headers.condition_lists(given, target(), SEAL)) == 2


def test_a_location_is_mapped_or_dropped():
    here = Hrefs(target())
    origin = "https://gw.example"
    assert headers.location("http://x/dav/shared/b/", here, origin) == f"{origin}/remote/id/b/"
    assert headers.location("/dav/other/b", here, origin) is None
    assert headers.location("/shared/b", here, origin) is None


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (None, "Second-1800"),
        ("Infinite", "Second-1800"),
        ("Second-60", "Second-60"),
        ("Infinite, Second-4100000000", "Second-1800"),
        ("second-0", "Second-1"),
        ("Second-99999999999", "Second-1800"),
        ("junk", "Second-1800"),
    ],
)
def test_timeouts_are_clamped(value, sent):
    assert headers.timeout(value) == sent


def test_tokens_are_sealed_for_one_scope_and_survive_a_restart():
    sealed = SEAL.seal("one", "1795231103")
    assert "1795231103" in sealed
    again = LockSeal(b"k" * 32)
    assert again.open("one", sealed) == "1795231103"
    assert again.open("two", sealed) is None
    assert LockSeal(b"x" * 32).open("one", sealed) is None
    assert again.knows("one", "1795231103")
    assert not again.knows("two", "1795231103")


def test_a_lock_token_header_needs_its_brackets():
    sealed = SEAL.seal("one", "t")
    assert headers.lock_token(f"<{sealed}>", target(), SEAL) == "t"
    assert headers.lock_token("<t>", target(), SEAL) is None
    for value in (None, sealed, "<>", "<a> <b>"):
        with pytest.raises(Malformed):
            headers.lock_token(value, target(), SEAL)


@pytest.mark.parametrize(
    ("given", "exists", "etag", "holds"),
    [
        ((), False, "", True),
        ((("If-Match", '"a"'),), True, '"a"', True),
        ((("If-Match", '"a", "b"'),), True, '"b"', True),
        ((("If-Match", '"a"'),), True, '"b"', False),
        ((("If-Match", "*"),), False, "", False),
        ((("If-None-Match", "*"),), False, "", True),
        ((("If-None-Match", "*"),), True, "", False),
        ((("If-None-Match", '"a"'),), True, '"a"', False),
        ((("If-None-Match", '"a"'),), True, '"b"', True),
    ],
)
def test_preconditions(given, exists, etag, holds):
    assert headers.precondition_holds(fields(*given), exists=exists, etag=etag) is holds


def test_a_header_that_may_come_once_may_come_once():
    with pytest.raises(GatewayError):
        headers.single(fields(("Depth", "0"), ("Depth", "1")), "Depth")


@pytest.mark.parametrize(
    ("value", "length", "possible"),
    [
        ("bytes 0-3/11", 4, True),
        ("bytes 0-3/*", None, True),
        ("bytes 100-200/11", 101, False),
        ("bytes 0-3/11", 5, False),
        ("junk", 4, False),
    ],
)
def test_an_impossible_range_is_seen(value, length, possible):
    assert headers.range_total(value, length)[0] is possible
