import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Malformed
from gateway.ocm.json import DEEPEST, dump, load_object


@pytest.mark.parametrize(
    "data",
    [
        b"", b"null", b"[]", b'"x"', b"{", b"{}{}", b"{'a':1}", b'{"a":1,}', b'\xef\xbb\xbf{}',
        b'{"a":1,"a":2}', b'{"a":{"b":1,"b":1}}', b'{"a":NaN}', b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":1e999}', b'{"a":9223372036854775808}', b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":"\\ud800"}', b'{"\\udfff":1}', b'{"a":["\\ud800"]}', b'{"a":"\xff"}',
        b'{"a":"\n"}', '{"a":1}'.encode("utf-16"), '{"a":1}'.encode("utf-32"),
        b'{"a":' * (DEEPEST + 1) + b"1" + b"}" * (DEEPEST + 1),
        b'{"a":' + b"[" * 200_000, b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":"' + b"x" * (1 << 20) + b'"}',
    ],
    ids=lambda data: repr(data[:30]),
)  # fmt: skip
def test_what_two_readers_may_read_differently_is_refused(data):
    with pytest.raises(Malformed):
        load_object(data)


def test_ordinary_objects_are_read():
    assert load_object(b' {"a":[1,-2.5,true,null,"\\u00e9\\ud83d\\ude00"]}\n') == {
        "a": [1, -2.5, True, None, "\u00e9\U0001f600"]
    }


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@given(st.dictionaries(st.text(), VALUES))
def test_what_is_written_is_read_again(members):
    assert load_object(dump(members)) == members


@given(st.binary() | st.text().map(str.encode) | VALUES.map(lambda v: json.dumps(v).encode()))
def test_nothing_but_malformed_comes_out(data):
    with contextlib.suppress(Malformed):
        assert isinstance(load_object(data), dict)
