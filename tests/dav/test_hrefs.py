from hypothesis import given
from hypothesis import strategies as st

from gateway.dav.hrefs import Hrefs
from gateway.dav.target import Profile, Target, check_name, encode_path, parse_target
from gateway.errors import Malformed


def make(**changes):
    given = {
        "base": "http://s:8080/dav/space%20x",
        "root": ("shared",),
        "rel": (),
        "mount": ("remote", "id"),
        "origin": "https://gw.example",
        "authorization": "",
        "scope": "",
    }
    return Hrefs(Target(**(given | changes)))


def fine(name):
    try:
        check_name(name)
    except Malformed:
        return False
    return len(name.encode()) <= 255


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).filter(fine)
paths = st.lists(names, max_size=4).map(tuple)


@given(paths)
def test_what_the_storage_lists_can_be_asked_for_again(rel):
    hrefs = make()
    found = hrefs.rel("/dav/space%20x/shared" + encode_path(rel))
    assert found == rel
    public = hrefs.public(rel, slash=False)
    assert parse_target(public).segments == ("remote", "id", *rel)


@given(st.text("/.%25eEfF\\;?#:ash red", max_size=30), st.booleans(), st.booleans())
def test_no_href_leads_outside(text, raw, trusted):
    hrefs = make(profile=Profile(raw_hrefs=raw), trusted=trusted)
    assert hrefs.rel("/dav/space%20x/shared/") in ((), None)
    for prefix in ("", "/", "/dav/space%20x/shared/", "/dav/space x/shared/", "http://s:8080"):
        rel = hrefs.rel(prefix + text)
        if rel is None:
            continue
        for name in rel:
            check_name(name)
        assert hrefs.public(rel, slash=False).startswith("/remote/id")
        assert parse_target(hrefs.public(rel, slash=True)).segments[:2] == ("remote", "id")


def test_a_base_without_a_path_is_a_base():
    hrefs = make(base="http://s", root=())
    assert hrefs.rel("/") == ()
    assert hrefs.rel("/a/b/") == ("a", "b")
    assert hrefs.public((), slash=True) == "/remote/id/"


def test_unicode_forms_are_told_apart_unless_the_storage_does_not():
    spelled = "/dav/space%20x/cafe%CC%81/a"
    assert make(root=("caf\u00e9",)).rel(spelled) is None
    assert make(root=("caf\u00e9",), profile=Profile(fold_unicode=True)).rel(spelled) == ("a",)
