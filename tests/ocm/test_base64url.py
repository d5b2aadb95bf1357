import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Malformed
from gateway.ocm import base64url


@given(st.binary())
def test_what_is_written_is_read_again(data):
    assert base64url.decode(base64url.encode(data)) == data


@pytest.mark.parametrize("text", ["A", "AA==", "AB", "A+A/", "AA A", "AA\n", "\u00e9", "AA.A"])
def test_one_value_has_one_spelling(text):
    with pytest.raises(Malformed):
        base64url.decode(text)
