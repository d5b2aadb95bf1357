import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BackendFailed
from gateway.upstream import chunked
from gateway.upstream.chunked import Decoder


def cut(data: bytes, at: list[int]) -> list[bytes]:
    places = sorted({place % (len(data) + 1) for place in at} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


def decode(pieces: list[bytes]) -> tuple[bytes, Decoder]:
    decoder = Decoder()
    return b"".join(decoder.feed(piece) for piece in pieces), decoder


@given(st.lists(st.binary(max_size=300)), st.lists(st.integers(min_value=0), max_size=40))
def test_what_is_encoded_is_decoded_in_any_pieces(bodies, places):
    data = b"".join(map(chunked.encode, bodies)) + chunked.LAST
    body, decoder = decode(cut(data, places))
    assert body == b"".join(bodies)
    assert decoder.ended
    assert not decoder.surplus


@given(st.lists(st.integers(min_value=0), max_size=20))
def test_extensions_and_trailers_are_skipped(places):
    data = b'5;a=b;c="d"\r\nhello\r\n1 \r\n!\r\n00;last\r\nDigest: x\r\nY:\r\n\r\n'
    body, decoder = decode(cut(data, places))
    assert (body, decoder.ended) == (b"hello!", True)


def test_bytes_behind_the_end_are_noticed():
    for pieces in ([b"0\r\n\r\nX"], [b"0\r\n\r\n", b"X"]):
        assert decode(pieces)[1].surplus


@pytest.mark.parametrize("end", range(len(b"3\r\nabc\r\n0\r\n\r\n")))
def test_a_beginning_is_not_the_whole(end):
    assert not decode([b"3\r\nabc\r\n0\r\n\r\n"[:end]])[1].ended


@given(st.lists(st.integers(min_value=0), max_size=5))
@pytest.mark.parametrize(
    "data",
    [
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"3\nabc\n0\n\n",
        b"3\r\nabc\n0\r\n\r\n",
        b"-3\r\nabc\r\n",
        b"+3\r\nabc\r\n",
        b"0x3\r\nabc\r\n",
        b" 3\r\nabc\r\n",
        b"\r\n",
        b"g\r\n",
        b"3;\0\r\nabc\r\n",
        b"3;a\rb\r\nabc\r\n",
        b"3;a\nb\r\nabc\r\n",
        b"1" * 16 + b"\r\n",
        b"3;" + b"a" * 5000,
        b"3;" + b"a" * 5000 + b"\r\nabc\r\n",
        b"0\r\nnot a trailer\r\n\r\n",
        b"0\r\n folded: x\r\n\r\n",
        b"0\r\n" + b"a: %b\r\n" % (b"b" * 1000) * 20,
    ],
    ids=lambda data: repr(data[:20]),
)
def test_a_malformed_body_is_refused(data, places):
    with pytest.raises(BackendFailed):
        decode([*cut(data, places), b"\r\n" * 2])


def test_an_empty_piece_does_not_end_the_body():
    assert chunked.encode(b"") == b""
