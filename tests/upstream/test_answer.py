import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BackendFailed, BackendUnavailable, GatewayError
from gateway.upstream.answer import Answer
from tests.upstream.test_chunked import cut

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
CLOSING = b"HTTP/1.1 200 OK\n\nhello"
INTERIM = b"HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 102 Wait\r\nX: y\r\n\r\nHTTP/1.1 103 Hint\r\n\r\n"


def fed(pieces: list[bytes], method: str = "GET") -> Answer:
    answer = Answer(method)
    for piece in pieces:
        answer.feed(piece)
    return answer


@pytest.mark.parametrize("data", [LENGTH, CHUNKED, CLOSING])
@given(places=st.lists(st.integers(min_value=0), max_size=30), interim=st.booleans())
def test_an_answer_is_the_same_in_any_pieces(data, places, interim):
    answer = fed(cut(INTERIM * interim + data, places))
    answer.close("")
    assert (answer.head.status, answer.pop_all(), answer.ended) == (200, b"hello", True)
    assert not answer.surplus


@pytest.mark.parametrize("data", [LENGTH, CHUNKED])
@given(places=st.lists(st.integers(min_value=0), max_size=10), end=st.integers(1, 50))
def test_a_truncated_answer_is_never_whole(data, places, end):
    answer = fed(cut(data[: -min(end, len(data) - 1)], places))
    assert not answer.ended
    with pytest.raises(BackendFailed):
        answer.close("")


def test_no_answer_at_all_means_that_the_storage_is_not_there():
    with pytest.raises(BackendUnavailable):
        Answer("GET").close("")


def test_a_reset_does_not_end_a_body():
    with pytest.raises(BackendFailed):
        fed([CLOSING]).close("connection reset")


@given(st.lists(st.integers(min_value=0), max_size=10))
def test_bytes_beyond_the_framing_are_noticed_and_dropped(places):
    for data in (LENGTH, CHUNKED):
        answer = fed(cut(data + b"HTTP/1.1 200 OK\r\n\r\n", places))
        assert (answer.pop_all(), answer.surplus) == (b"hello", True)


def test_a_head_has_no_body_whatever_it_says():
    answer = fed([LENGTH.removesuffix(b"hello")], "HEAD")
    assert answer.ended
    assert not answer.surplus


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 101 Switch\r\n\r\n",
        b"HTTP/1.1 100 Go\r\n\r\n" * 20,
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000,
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
    ],
    ids=["101", "endless 1xx", "long head", "long whole head", "ssh"],
)
def test_what_is_no_answer_is_refused(data):
    for pieces in ([data], cut(data, list(range(0, len(data), 1000)))):
        with pytest.raises(BackendFailed):
            fed(pieces)


@given(st.binary(max_size=400), st.lists(st.integers(min_value=0), max_size=10))
def test_arbitrary_bytes_raise_our_own_errors_only(data, places):
    for start in (b"", b"HTTP/1.1 200 OK\r\n", CHUNKED[:47]):
        with contextlib.suppress(GatewayError):
            fed(cut(start + data, places)).close("")


def test_the_length_counts_down():
    answer = fed([LENGTH[:-2]])
    assert answer.length == 5
    assert answer.pop() == b"hel"
    assert answer.length == 2
    assert fed([CHUNKED[:-3]]).length is None
    assert fed([CHUNKED]).length == 5
