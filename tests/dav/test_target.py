import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dav.target import Target, encode_path, parse_target
from gateway.errors import Malformed


@pytest.mark.parametrize(
    ("raw", "segments", "slash"),
    [
        ("/", (), True),
        ("/a", ("a",), False),
        ("/a/", ("a",), True),
        ("//a///b", ("a", "b"), False),
        ("/%61%20b/c", ("a b", "c"), False),
        ("/100%25", ("100%",), False),
        ("/a%252Fb", ("a%2Fb",), False),
        ("/a;b=1/c+d", ("a;b=1", "c+d"), False),
        ("/%E2%82%AC", ("€",), False),
        ("/...", ("...",), False),
        ("/.hidden/a..b", (".hidden", "a..b"), False),
        ("/a%5Cb", ("a\\b",), False),
    ],
)
def test_paths_are_taken_apart_before_they_are_decoded(raw, segments, slash):
    path = parse_target(raw)
    assert (path.segments, path.slash) == (segments, slash)


@pytest.mark.conforms("OCM-RFC4918-12")
@pytest.mark.parametrize(
    "raw",
    [
        "",
        "*",
        "a/b",
        "/a b",
        "/a#b",
        "/a\x7f",
        "/ä",
        "/\udcff",
        "/%",
        "/%4",
        "/%zz",
        "/a%2Fb",
        "/a%2fb",
        "/%00",
        "/%0a",
        "/%1f",
        "/%7f",
        "/%ff",
        "/%c0%ae%c0%ae/x",
        "/%ed%a0%80",
        "/%ef%bf%bf",
        "/.",
        "/a/../b",
        "/a/%2e%2E/b",
        "/a/.%2e",
        "/..;x/b",
        "/.;",
        "/%252e%252e/x",
        "/%25252e%25252e/x",
        "/..%252f..",
        "/a%252f..%252fb",
        "/..%5cb",
        "/a%5c..%5cb",
        "/a%255c..",
        "/a%2500",
        "http://other.example/a",
        "ftp://gw.example/a",
        "http://user@gw.example/a",
        "gw.example:443",
    ],
)
def test_what_could_climb_or_mislead_is_refused(raw):
    with pytest.raises(Malformed):
        parse_target(raw, {"gw.example"})


def test_a_query_is_split_off_and_not_decoded():
    assert parse_target("/a?x=%2F&y") == parse_target("/a?x=%2F&y")
    assert parse_target("/a?x=%2F&y").query == "x=%2F&y"


@pytest.mark.parametrize("url", ["http://GW.example:80/a", "https://gw.example:443/a"])
def test_the_absolute_form_of_our_own_address_is_taken(url):
    assert parse_target(url, {"gw.example"}).segments == ("a",)


@pytest.mark.parametrize(
    "raw", ["/" + "a" * 9000, "/" + "a" * 256, "/" + "%C3%A4" * 128, "/a" * 256]
)
def test_what_is_too_long_is_414(raw):
    with pytest.raises(Malformed) as caught:
        parse_target(raw)
    assert caught.value.status == 414


@given(st.text(alphabet="./\\%2efF5cC;aA0", max_size=24) | st.text(max_size=20))
def test_no_input_leaves_the_root(raw):
    try:
        path = parse_target("/" + raw)
    except Malformed:
        return
    target = Target(
        base="http://storage/dav",
        root=("shared",),
        rel=path.segments,
        mount=("m",),
        origin="https://gw",
        authorization="",
        scope="",
    )
    assert target.url.startswith("http://storage/dav/shared")
    below = target.url.removeprefix("http://storage/dav/shared")
    assert below == "" or below.startswith("/")
    assert not {".", ".."} & set(below.split("/"))
    assert not set(below) & set(";\\#?+")


names = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=20
)


@given(st.lists(names, max_size=4))
def test_segments_survive_encoding_and_decoding(segments):
    encoded = encode_path(tuple(segments)) or "/"
    try:
        assert parse_target(encoded).segments == tuple(segments)
    except Malformed:
        odd = (".", "..", "/", "\\", "%", "\uffff", "\ufffe")
        assert any(mark in segment for segment in segments for mark in odd)


def test_one_file_has_nothing_below_it():
    target = Target(
        base="http://s",
        root=("a", "b.txt"),
        rel=("b.txt",),
        mount=("m",),
        origin="https://gw",
        authorization="Basic secret",
        scope="",
        single_file=True,
    )
    assert target.url == "http://s/a/b.txt"
    assert target.public_path == "/m/b.txt"
    assert "secret" not in repr(target)
