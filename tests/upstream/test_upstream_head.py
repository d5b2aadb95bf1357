import pytest

from gateway.errors import BackendFailed, Malformed
from gateway.upstream import head


def answer(*lines: str, method: str = "GET", end: str = "\r\n") -> head.Head:
    return head.parse((end.join(lines) + end + end).encode(), method)


def test_a_common_answer_is_read():
    found = answer("HTTP/1.1 200 OK", "Content-Length: 5", 'ETag:"a"', "X:\t a b \t")
    assert (found.status, found.length, found.chunked, found.persistent) == (200, 5, False, True)
    assert found.headers["etag"] == '"a"'
    assert found.headers["x"] == "a b"


def test_repeated_fields_all_stay():
    found = answer("HTTP/1.1 200 OK", "DAV: 1", "dav: 2", "Content-Length: 0")
    assert found.headers.getall("DAV") == ["1", "2"]


def test_lines_may_end_in_lf_alone():
    found = answer("HTTP/1.1 200 OK", "Content-Length: 5", end="\n")
    assert found.length == 5


@pytest.mark.parametrize("line", ["HTTP/1.1 200", "HTTP/1.1 200 ", "HTTP/1.1 200 So gut"])
def test_the_reason_says_nothing(line):
    assert answer(line).status == 200


@pytest.mark.parametrize(
    ("method", "lines", "expected"),
    [
        ("HEAD", ("HTTP/1.1 200 OK", "Content-Length: 9"), (0, False, True)),
        ("HEAD", ("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"), (0, False, True)),
        ("HEAD", ("HTTP/1.1 416 No", "Content-Length: 9"), (0, False, False)),
        ("GET", ("HTTP/1.1 204 No",), (0, False, True)),
        ("GET", ("HTTP/1.1 304 No", "Content-Length: 9"), (0, False, True)),
        ("GET", ("HTTP/1.1 100 Go",), (0, False, True)),
        ("GET", ("HTTP/1.1 200 OK", "Transfer-Encoding: Chunked"), (None, True, True)),
        ("GET", ("HTTP/1.1 200 OK",), (None, False, False)),
        ("GET", ("HTTP/1.1 200 OK", "Content-Length: 0"), (0, False, True)),
        ("GET", ("HTTP/1.0 200 OK", "Content-Length: 4"), (4, False, False)),
        (
            "GET",
            ("HTTP/1.0 200 OK", "Content-Length: 4", "Connection: Keep-Alive"),
            (4, False, True),
        ),
        (
            "GET",
            ("HTTP/1.1 200 OK", "Content-Length: 4", "Connection: x, Close"),
            (4, False, False),
        ),
    ],
)
def test_the_body_is_framed_as_the_rfc_says(method, lines, expected):
    found = answer(*lines, method=method)
    assert (found.length, found.chunked, found.persistent) == expected


@pytest.mark.parametrize(
    "lines",
    [
        ("HTTP/2.0 200 OK",),
        ("HTTP/1.1 20 OK",),
        ("HTTP/1.1 2000",),
        ("HTTP/1.1 ²00 OK",),
        ("HTTP/1.1 099 OK",),
        ("HTTP/1.1 600 OK",),
        ("http/1.1 200 OK",),
        ("ICY 200 OK",),
        ("",),
        ("HTTP/1.1 200 OK", "no colon"),
        ("HTTP/1.1 200 OK", ": nameless"),
        ("HTTP/1.1 200 OK", "Content-Length : 5"),
        ("HTTP/1.1 200 OK", "A: b", " folded"),
        ("HTTP/1.1 200 OK", "A: b", "\tfolded: x"),
        ("HTTP/1.1 200 OK", "A\u00a0B: c"),
        ("HTTP/1.1 200 OK", "A: b\rC: d"),
        ("HTTP/1.1 200 OK", "A: b\0"),
        ("HTTP/1.1 200 OK", "A: \x1b[31m"),
        ("HTTP/1.1 200 OK", "A" * 300 + ": b"),
        ("HTTP/1.1 200 OK", "Content-Length: 5", "Content-Length: 5"),
        ("HTTP/1.1 200 OK", "Content-Length: 5, 5"),
        ("HTTP/1.1 200 OK", "Content-Length: +5"),
        ("HTTP/1.1 200 OK", "Content-Length: -5"),
        ("HTTP/1.1 200 OK", "Content-Length: ٥"),
        ("HTTP/1.1 200 OK", "Content-Length: 0x5"),
        ("HTTP/1.1 200 OK", "Content-Length:"),
        ("HTTP/1.1 200 OK", "Content-Length: 9999999999999999999"),
        ("HTTP/1.1 200 OK", "Content-Length: 5", "Transfer-Encoding: chunked"),
        ("HTTP/1.1 200 OK", "Transfer-Encoding: gzip, chunked"),
        ("HTTP/1.1 200 OK", "Transfer-Encoding: identity"),
        ("HTTP/1.1 200 OK", "Transfer-Encoding: xchunked"),
        ("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        ("HTTP/1.1 200 OK", "Transfer-Encoding:"),
        ("HTTP/1.0 200 OK", "Transfer-Encoding: chunked"),
        ("HTTP/1.1 200 OK", *(f"X-{n}: y" for n in range(129))),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_doubtful_head_is_no_answer(lines, method):
    with pytest.raises(BackendFailed):
        answer(*lines, method=method)


def test_as_many_fields_as_allowed_are_read():
    assert len(answer("HTTP/1.1 200 OK", *(f"X-{n}: y" for n in range(128))).headers) == 128


def test_bytes_that_are_not_utf8_survive():
    found = head.parse(b"HTTP/1.1 200 OK\r\nX: \xc3\xa4\xff\r\n\r\n", "GET")
    assert found.headers["X"].encode("utf-8", "surrogateescape") == b"\xc3\xa4\xff"
    assert b"X: \xc3\xa4\xff\r\n" in head.encode("GET", "/", found.headers.items())


@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\n\n", b"\n\r\n", b"\r\n\n"])
def test_the_first_empty_line_ends_the_head(end):
    data = b"HTTP/1.1 200 OK\r\nA: b" + end
    assert head.end_of(data + b"body\r\n\r\n\n\n") == len(data)
    assert head.end_of(data[:-1]) == -1


def test_a_request_is_written_as_it_was_given():
    data = head.encode("PROPFIND", "/d%2Fv/%C3%A4;x?a=b", [("Host", "h:1"), ("Depth", "0")])
    assert data == b"PROPFIND /d%2Fv/%C3%A4;x?a=b HTTP/1.1\r\nHost: h:1\r\nDepth: 0\r\n\r\n"


@pytest.mark.parametrize("bad", ["\r", "\n", "\r\n", "\0", "\r\nX: y"])
def test_no_line_break_gets_into_a_request(bad):
    for method, target, name, value in [
        (f"GET{bad}", "/", "A", "b"),
        ("GET", f"/{bad}", "A", "b"),
        ("GET", "/", f"A{bad}", "b"),
        ("GET", "/", "A", f"b{bad}"),
        ("GET", "/", "A", f"{bad}b"),
    ]:
        with pytest.raises(Malformed):
            head.encode(method, target, [(name, value)])


@pytest.mark.parametrize(
    ("method", "target", "name", "value"),
    [
        ("GE T", "/", "A", "b"),
        ("", "/", "A", "b"),
        ("GET", "/a b", "A", "b"),
        ("GET", "", "A", "b"),
        ("GET", "/ä", "A", "b"),
        ("GET", "/", "A:", "b"),
        ("GET", "/", "", "b"),
        ("GET", "/", "A", "\ud800"),
    ],
)
def test_what_cannot_be_written_is_malformed(method, target, name, value):
    with pytest.raises(Malformed):
        head.encode(method, target, [(name, value)])
