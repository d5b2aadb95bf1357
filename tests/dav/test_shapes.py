"""The fast lane of a listing gives what the exact one gives, or nothing."""

import itertools
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dav.documents import Asked, Requested
from gateway.dav.entries import Plan
from gateway.dav.locks import LockSeal
from gateway.dav.multistatus import Multistatus
from gateway.dav.responses import Limits
from gateway.dav.target import Profile, Target
from gateway.errors import BackendFailed

SEAL = LockSeal(b"k" * 32)
ALL = Requested(Asked.ALL)
NAMED = Requested(
    Asked.NAMED,
    (
        "DAV: displayname",
        "DAV: getetag",
        "DAV: getlastmodified",
        "DAV: quota-available-bytes",
        "http://owncloud.org/ns id",
        "http://owncloud.org/ns size",
        "http://owncloud.org/ns permissions",
        "urn:x dead",
    ),
)
DATE = "Sat, 21 Nov 2026 09:52:09 GMT"
LOCKS = (
    "<{0}supportedlock><{0}lockentry><{0}lockscope><{0}exclusive/></{0}lockscope>"
    "<{0}locktype><{0}write /></{0}locktype></{0}lockentry></{0}supportedlock><{0}lockdiscovery/>"
)
OPEN_LOCK = (
    "<{0}lockdiscovery><{0}activelock><{0}locktoken><{0}href>urn:t</{0}href></{0}locktoken>"
    "</{0}activelock></{0}lockdiscovery>"
)
STORAGES = {
    # prefix, what stands before each property, the attributes of a response, missing properties
    "apache": ("D:", "\n", ' xmlns:lp1="DAV:" xmlns:lp2="http://apache.org/dav/props/"', False),
    "nginx": ("D:", "\n", "", False),
    "wsgidav": ("ns0:", "", "", True),
    "rclone": ("D:", "", "", True),
    "sabre": ("d:", "\n  ", "", True),
    "iis": ("", "", ' a="1>2"', False),
}


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


def response(storage, href, kind, texts, status="200 OK", extra=""):
    p, space, attributes, missing = STORAGES[storage]
    props = [f"<{p}resourcetype>{kind.format(p)}</{p}resourcetype>"]
    props += [f"<{p}{name}>{text}</{p}{name}>" for name, text in texts.items()]
    props += [LOCKS.format(p), extra.format(p)]
    absent = (
        f"<{p}propstat><{p}prop><x:dead xmlns:x='urn:x'/><{p}getetag/></{p}prop>"
        f"<{p}status>HTTP/1.1 404 Not Found</{p}status></{p}propstat>"
    )
    return (
        f"<{p}response{attributes}><{p}href>{href}</{p}href>{space}<{p}propstat>{space}<{p}prop>"
        f"{space}{space.join(props)}</{p}prop><{p}status>HTTP/1.1 {status}</{p}status>"
        f"</{p}propstat>{absent if missing else ''}</{p}response>{space}"
    )


def listing(storage, responses):
    p = STORAGES[storage][0]
    space = f":{p[:-1]}" if p else ""
    own = response(storage, "/dav/shared/", "<{0}collection/>", {"getlastmodified": DATE})
    inner = own + "".join(responses)
    return f'<?xml version="1.0"?><{p}multistatus xmlns{space}="DAV:">{inner}</{p}multistatus>'


def rewrite(body, cuts=(), requested=ALL, shapes=64, **changes):
    """What comes out, or None where it is refused."""
    rewriter = Multistatus(Plan(target(**changes), SEAL, requested, "1"), Limits(shapes=shapes))
    places = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    try:
        out = b"".join(rewriter.feed(body[a:b]) for a, b in itertools.pairwise(places))
        return out + rewriter.close(), rewriter.dropped
    except BackendFailed:
        return None


NAMES = st.one_of(
    st.integers(0, 6).map(lambda number: f"f{number}.txt"),
    st.sampled_from(["a%20b", "%c3%a4", "%C3%A4", "a+b", "a&amp;b", "ä", "100%25", "a>b", "f1/"]),
    st.sampled_from(["a%2fb", "..", "%2e%2e/x", "%00", "%ff", "f2/x"]),
    st.sampled_from(["", "<![CDATA[f3]]>", "<!-- c -->f4", "\u00a0f5 "]),
)
TEXTS = st.one_of(
    st.sampled_from(["", " ", "5", "017", DATE, '"e"', "&#65;", "a]]&gt;b", "<b/>", "<!-- -->x"])
    | st.sampled_from(["httpd/unix-directory", "text/plain", "\ufffd", "\u00a0", "\x7f\x85", "🎈"]),
    st.text(st.characters(blacklist_characters="<&", blacklist_categories=["Cs"]), max_size=5),
)
ENTRY = st.builds(
    response,
    st.just("apache"),
    NAMES.map("/dav/shared/{}".format),
    st.sampled_from(["", "<{0}collection/>"]),
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            (
                "displayname",
                "getetag",
                "getcontentlength",
                "getlastmodified",
                "getcontenttype",
                "quota-available-bytes",
            ),
            TEXTS,
        ),
    ),
    st.sampled_from(["200 OK", "200 OK", "200 OK", "403 No", "404 No", ""]),
    st.sampled_from(["", "", "", OPEN_LOCK, "<x:dead xmlns:x='urn:x'>a<x:b/>c</x:dead>"]),
)
PLANS = st.sampled_from(
    [
        {},
        {"requested": NAMED},
        {"requested": Requested(Asked.NAMES)},
        {"trusted": False},
        {"profile": Profile(raw_hrefs=True)},
        {"profile": Profile(fold_case=True), "writable": False},
        {"freshness": "1", "requested": NAMED},
    ]
)
CUTS = st.lists(st.integers(0, 20_000), max_size=20)


def respelled(storage, entry):
    """An entry in the spelling of another storage."""
    p, space, attributes, _ = STORAGES[storage]
    attributed = entry.replace(STORAGES["apache"][2], attributes).replace("\n", space)
    return attributed.replace("<D:", f"<{p}").replace("</D:", f"</{p}")


@settings(max_examples=150)
@given(st.sampled_from(sorted(STORAGES)), st.lists(ENTRY, max_size=12), PLANS, CUTS)
def test_both_lanes_give_the_same_bytes(storage, entries, plan, cuts):
    body = listing(storage, [respelled(storage, entry) for entry in entries * 2]).encode()
    assert rewrite(body, cuts, **plan) == rewrite(body, shapes=0, **plan)


PLAIN = [
    response(
        "apache",
        f"/dav/shared/f{number}",
        "",
        {"getcontentlength": number, "getlastmodified": DATE, "displayname": f"n{number}"},
    )
    for number in range(6)
]
BODY = listing("apache", PLAIN).encode()
NOISE = st.one_of(
    st.binary(max_size=4),
    st.sampled_from([b"]]>", b"&", b"<", b">", b"\x01", b"\xff", b"\xef\xbf\xbf", b"\xed\xa0\x80"])
    | st.sampled_from([b"<!-- -->", b"<![CDATA[", b"</D:response>", b"<D:response>", b"\xc0\xaf"])
    | st.sampled_from([b"<!DOCTYPE a>", b"<a/>", b"'", b'"', b"&amp;", b"<?p?>", b"\xc2\x85"]),
)


@settings(max_examples=300)
@given(st.integers(0, len(BODY)), st.integers(0, 3), NOISE, CUTS, PLANS)
def test_nothing_is_taken_that_the_exact_lane_refuses(at, less, noise, cuts, plan):
    body = BODY[:at] + noise + BODY[at + less :]
    assert rewrite(body, cuts, **plan) == rewrite(body, shapes=0, **plan)


NO_TEXTS = rb"\x01 \x0b \xff \xc0\xaf \xed\xa0\x80 \xef\xbf\xbe \xef\xbf\xbf \xf4\x90\x80\x80 \xc3"


@pytest.mark.parametrize(
    "text",
    [*NO_TEXTS.decode("unicode_escape").encode("latin-1").split(b" "), b"]]>", b"&x;"],
)
@pytest.mark.parametrize("before", [b"n5</D:displayname>", b"5</D:getcontentlength>", b"/f5<"])
def test_what_is_no_text_of_xml_is_refused_in_a_known_shape(text, before):
    at = BODY.rindex(before)
    assert rewrite(BODY) is not None
    assert rewrite(BODY[:at] + text + BODY[at:]) is None


def test_a_shape_seen_before_is_written_without_parsing():
    rewriter = Multistatus(Plan(target(), SEAL, ALL, "1"))
    rewriter.feed(BODY[: BODY.index(b"/f2<")])
    parsed = []
    rewriter._responses._parser.StartElementHandler = lambda *found: parsed.append(found)
    rewriter.feed(BODY[BODY.index(b"/f2<") :])
    assert len(parsed) < 30  # the one that was begun


def test_an_entry_costs_few_microseconds():
    entries = [
        response("nginx", f"/dav/shared/f{number}", "", {"getcontentlength": number})
        for number in range(5000)
    ]
    body = listing("nginx", entries).encode()
    started = process_time()
    assert rewrite(body)
    fast = process_time() - started
    started = process_time()
    assert rewrite(body, shapes=0)
    assert fast < (process_time() - started) / 1.5


def test_shapes_without_end_are_not_kept_without_end():
    entries = [
        response("nginx", f"/dav/shared/f{number}", "", {f"a{number}": ""}) for number in range(300)
    ]
    rewriter = Multistatus(Plan(target(), SEAL, ALL, "1"))
    rewriter.feed(listing("nginx", entries).encode())
    rewriter.close()
    assert len(rewriter._shapes._known) == 64


def test_a_hundred_thousand_entries_stream_through_little_memory():
    closing = b"</D:multistatus>"
    rewriter = Multistatus(Plan(target(), SEAL, ALL, "1"))
    opening = listing("apache", []).encode().removesuffix(closing)
    written = rewriter.feed(opening).count(b"</D:response>")
    before = resident()
    for first in range(0, 100_000, 50):
        some = (PLAIN[0].replace("/f0", f"/f{first + number}") for number in range(50))
        written += rewriter.feed("".join(some).encode()).count(b"</D:response>")
    assert written == 100_001
    assert rewriter.feed(closing) + rewriter.close() == closing
    assert resident() - before < 32 * 1024 * 1024  # a mark of each, so that none comes twice


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
