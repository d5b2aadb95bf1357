import asyncio
import base64
import contextlib
import datetime
import ipaddress
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from multidict import CIMultiDict

from gateway.errors import BackendFailed, BackendTimeout, BackendUnavailable, Malformed
from gateway.upstream import pool as pool_
from gateway.upstream.pool import Pool
from gateway.upstream.sending import Poured
from tests import servers
from tests.upstream.scripted import answering, descriptors, ok, once, scripted, settled, whole


async def get(pool, url, method="GET", **options):
    async with pool.request(method, url, **options) as reply:
        return reply.status, await whole(reply)


async def test_the_request_goes_out_as_it_is(pool):
    heads = []

    async def script(caller):
        heads.append(await caller.request())
        await caller.say(ok(b""))

    async with scripted(script) as storage:
        url = f"{storage.url}/d%2fv/%7e%41;a//b/..?q=%zz"
        await get(pool, url, headers=CIMultiDict([("X", "1"), ("X", "2")]))
    host = storage.url.removeprefix("http://")
    assert heads == [
        b"GET /d%%2fv/%%7e%%41;a//b/..?q=%%zz HTTP/1.1\r\nHost: %b\r\nX: 1\r\nX: 2\r\n"
        b"User-Agent: %b\r\nAccept-Encoding: identity\r\n\r\n"
        % (host.encode(), pool_.USER_AGENT.encode())
    ]


async def test_given_fields_win_over_ours(pool):
    heads = []

    async def script(caller):
        heads.append(await caller.request())
        await caller.say(ok(b""))

    async with scripted(script) as storage:
        given = {"host": "other", "user-agent": "x", "accept-encoding": "gzip"}
        await get(pool, storage.url, headers=given)
    assert heads == [
        b"GET / HTTP/1.1\r\nhost: other\r\nuser-agent: x\r\naccept-encoding: gzip\r\n\r\n"
    ]


@pytest.mark.parametrize(
    ("method", "body", "field"),
    [
        ("PUT", b"", b"Content-Length: 0"),
        ("MOVE", None, b"Content-Length: 0"),
        ("PROPFIND", b"abc", b"Content-Length: 3"),
        ("GET", None, None),
    ],
)
async def test_the_storage_is_told_where_the_body_ends(pool, method, body, field):
    heads = []

    async def script(caller):
        heads.append(await caller.request())
        heads.append(await caller.reader.readexactly(len(body or b"")))
        await caller.say(ok(b"done"))

    async with scripted(script) as storage:
        assert await get(pool, storage.url, method, body=body) == (200, b"done")
    assert heads[1] == (body or b"")
    assert (field in heads[0]) if field else (b"Content-Length" not in heads[0])


@pytest.mark.parametrize(
    "headers",
    [
        {"Transfer-Encoding": "chunked"},
        {"Connection": "close"},
        {"Expect": "100-continue"},
        {"Upgrade": "h2c"},
        {"Content-Length": "7"},
        {"A": "b\r\nC: d"},
        {"A\n": "b"},
    ],
)
async def test_fields_that_would_break_the_framing_never_go_out(pool, headers):
    async with scripted(answering(ok(b""))) as storage:
        with pytest.raises(Malformed):
            await get(pool, storage.url, "PUT", headers=headers, body=b"abc")
    assert storage.connections == 0


FRAMINGS = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n0\r\n\r\n",
    "closing": b"HTTP/1.1 200 OK\r\n\r\nabcdef",
    "old": b"HTTP/1.0 200 OK\r\n\r\nabcdef",
    "interim": b"HTTP/1.1 102 P\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef",
}


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_every_framing_is_read(pool, framing, size):
    async def script(caller):
        await caller.request()
        data = FRAMINGS[framing]
        for at in range(0, len(data), size):
            await caller.say(data[at : at + size])
            await asyncio.sleep(0)

    async with scripted(script) as storage:
        assert await get(pool, storage.url) == (200, b"abcdef")


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"),
        ("PROPFIND", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Same\r\nContent-Length: 99\r\n\r\n"),
    ],
)
async def test_answers_without_a_body_leave_the_connection_usable(pool, method, answer):
    async with scripted(answering(answer)) as storage:
        for _ in range(3):
            assert (await get(pool, storage.url, method))[1] == b""
    assert storage.connections == 1


async def test_the_late_page_of_an_error_is_no_part_of_the_next_answer(pool):
    """WsgiDAV answers HEAD of an impossible range with a page, which comes after its head."""

    async def script(caller):
        if (await caller.request()).startswith(b"HEAD"):
            await caller.say(b"HTTP/1.1 416 No\r\nContent-Length: 4\r\n\r\n")
            await caller.request()
            await caller.say(b"page")
        await caller.say(ok(b"file"))

    async with scripted(script) as storage:
        assert (await get(pool, storage.url, "HEAD")) == (416, b"")
        assert (await get(pool, storage.url)) == (200, b"file")


async def test_one_connection_serves_many_requests(pool):
    async with scripted(answering(ok(b"a"), FRAMINGS["chunked"], ok(b""))) as storage:
        assert [(await get(pool, storage.url))[1] for _ in range(4)] == [b"a", b"abcdef", b"", b""]
    assert storage.connections == 1


async def test_an_unread_body_that_is_here_does_not_cost_the_connection(pool):
    async with scripted(answering(ok(b"abc"))) as storage:
        for _ in range(3):
            async with pool.request("GET", storage.url) as reply:
                assert reply.status == 200
    assert storage.connections == 1


async def test_leaving_early_closes_the_connection(pool):
    gone = asyncio.Event()

    async def script(caller):
        await caller.request()
        await caller.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nabc")
        with contextlib.suppress(ConnectionError):
            assert await caller.reader.read(1) == b""
        gone.set()

    before = descriptors()
    async with scripted(script) as storage:
        async with pool.request("GET", storage.url) as reply:
            async for chunk in reply.chunks:
                assert chunk == b"abc"
                break
        await asyncio.wait_for(gone.wait(), 2)
    assert await settled(before)


@pytest.mark.parametrize(
    "answer",
    [
        ok(b"abc") + b"x",
        ok(b"abc") + ok(b"evil"),
        FRAMINGS["chunked"] + b"HTTP/1.1 200 OK\r\n\r\n",
        ok(b"abc", "Connection: close"),
        b"HTTP/1.1 204 No\r\n\r\nbody",
    ],
)
async def test_a_connection_with_bytes_beyond_the_answer_is_not_used_again(pool, answer):
    async with scripted(answering(answer)) as storage:
        for _ in range(2):
            assert b"evil" not in (await get(pool, storage.url))[1]
    assert storage.connections == 2


async def test_an_answer_to_nothing_is_not_taken_for_the_next_one(pool):
    async def script(caller):
        await caller.request()
        await caller.say(ok(b"first"))
        await asyncio.sleep(0.02)
        await caller.say(ok(b"unasked"))
        await caller.request()
        await caller.say(ok(b"second"))

    async with scripted(script) as storage:
        assert (await get(pool, storage.url))[1] == b"first"
        await asyncio.sleep(0.05)
        assert (await get(pool, storage.url))[1] == b"first"
    assert storage.connections == 2


TRUNCATED = {
    "length": FRAMINGS["length"][:-1],
    "chunk": FRAMINGS["chunked"][:-8],
    "no last chunk": FRAMINGS["chunked"][:-5],
    "half last chunk": FRAMINGS["chunked"][:-2],
}


@pytest.mark.parametrize("kind", TRUNCATED)
async def test_a_truncated_body_is_a_failure(pool, kind):
    async with scripted(once(TRUNCATED[kind])) as storage:
        with pytest.raises(BackendFailed):
            await get(pool, storage.url)


async def test_a_reset_does_not_complete_a_body_that_ends_by_closing(pool):
    async def script(caller):
        await caller.request()
        await caller.say(FRAMINGS["closing"])
        await asyncio.sleep(0.05)
        caller.writer.get_extra_info("socket").setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER
        caller.cut()

    async with scripted(script) as storage, pool.request("GET", storage.url) as reply:
        with pytest.raises(BackendFailed):
            await whole(reply)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n",
        b"\x16\x03\x01",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,
    ],
)
async def test_what_is_no_answer_is_a_failure(pool, answer):
    async with scripted(once(answer)) as storage:
        with pytest.raises(BackendFailed):
            await get(pool, storage.url)


async def test_an_absent_storage_is_unavailable(pool):
    with pytest.raises(BackendUnavailable):
        await get(pool, f"http://127.0.0.1:{servers.free_port()}/")
    with pytest.raises(BackendUnavailable):
        await get(pool, "http://nobody.invalid/")
    with pytest.raises(BackendUnavailable):
        await get(pool, f"http://{'a' * 70}.invalid/")


async def test_silence_is_a_timeout(pool):
    async def script(caller):
        await caller.request()
        await caller.say(ok(b"abc")[:-1])
        await caller.request()

    async with scripted(script) as storage:
        with pytest.raises(BackendTimeout):
            await get(pool, storage.url, idle_seconds=0.1)


async def test_the_idle_limit_of_one_request_is_not_the_next_ones(pool):
    async def script(caller):
        for _ in range(2):
            await caller.request()
            await asyncio.sleep(0.1)
            await caller.say(ok(b"abc"))
        await caller.request()
        await asyncio.sleep(5)

    async with scripted(script) as storage:
        for idle in (30, 5):
            assert await get(pool, storage.url, idle_seconds=idle) == (200, b"abc")
        with pytest.raises(BackendTimeout):
            await get(pool, storage.url, idle_seconds=0.1)
    assert storage.connections == 1


async def test_a_slow_but_living_storage_is_waited_for(pool):
    async def script(caller):
        await caller.request()
        for byte in ok(b"abc"):
            await asyncio.sleep(0.01)
            await caller.say(bytes([byte]))

    async with scripted(script) as storage:
        assert await get(pool, storage.url, idle_seconds=0.2) == (200, b"abc")
        with pytest.raises(BackendTimeout):
            await get(pool, storage.url, idle_seconds=0.2, total_seconds=0.15)


def stale(answers):
    """Serves one request a connection and closes it without a word, as an idle server does."""

    async def script(caller):
        await caller.request()
        answers.append(caller.number)
        await caller.say(ok(b""))
        if caller.number == 1:
            await caller.request()
            answers.append("lost")

    return script


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PROPFIND"])
async def test_a_dead_connection_costs_a_reading_request_nothing(pool, method):
    seen = []
    async with scripted(stale(seen)) as storage:
        for _ in range(2):
            assert (await get(pool, storage.url, method))[0] == 200
    assert seen == [1, "lost", 2]


WRITING = ["PUT", "DELETE", "MOVE", "COPY", "LOCK", "UNLOCK", "PROPPATCH", "MKCOL", "POST"]


@pytest.mark.parametrize("method", WRITING)
async def test_what_may_have_had_an_effect_has_a_connection_of_its_own(pool, method):
    heads = []

    async def script(caller):
        while True:
            heads.append((caller.number, await caller.request()))
            await caller.say(ok(b""))

    async with scripted(script) as storage:
        for asked in ("GET", method, "GET", method):
            assert (await get(pool, storage.url, asked))[0] == 200
    assert [number for number, _ in heads] == [1, 2, 1, 3]
    assert [b"Connection: close\r\n" in head for _, head in heads] == [False, True] * 2


@pytest.mark.parametrize("method", WRITING)
async def test_what_may_have_had_an_effect_is_never_repeated(pool, method):
    seen = []

    async def script(caller):
        seen.append((await caller.request()).split()[0])

    async with scripted(script) as storage:
        with pytest.raises(BackendUnavailable):
            await get(pool, storage.url, method)
    assert seen == [method.encode()]


async def test_a_request_is_repeated_once_and_only_without_a_byte_of_an_answer(pool):
    seen = []

    async def script(caller):
        await caller.request()
        seen.append(caller.number)
        await caller.say(ok(b"abc"))
        await caller.request()
        seen.append(caller.number)
        await caller.say(b"H")

    async with scripted(script) as storage:
        await get(pool, storage.url)
        with pytest.raises(BackendFailed):
            await get(pool, storage.url)
    assert seen == [1, 1]


async def test_a_fresh_connection_is_not_tried_again(pool):
    async def script(caller):
        await caller.request()

    async with scripted(script) as storage:
        with pytest.raises(BackendUnavailable):
            await get(pool, storage.url)
    assert storage.connections == 1


async def test_idle_connections_are_few_and_closed_after_a_while(monkeypatch):
    monkeypatch.setattr(pool_, "KEPT_SECONDS", 0.05)
    monkeypatch.setattr(Pool._sweep, "__defaults__", (0.05,))
    pool = Pool(idle_seconds=5, kept=2)
    before = descriptors()

    async def script(caller):
        await caller.request()
        await asyncio.sleep(0.02)
        await caller.say(ok(b""))
        await caller.request()

    async with scripted(script) as storage:
        await asyncio.gather(*(get(pool, storage.url) for _ in range(5)))
        assert sum(map(len, pool._idle.values())) == 2
        await asyncio.sleep(0.2)
        assert not pool._idle
        assert pool._sweeper is None
    await pool.close()
    assert await settled(before)


async def test_requests_above_the_bound_wait_for_their_turn(monkeypatch):
    pool = Pool(idle_seconds=5, most=2)
    together = most = 0

    async def script(caller):
        nonlocal together, most
        while True:
            await caller.request()
            together += 1
            most = max(most, together)
            await asyncio.sleep(0.01)
            together -= 1
            await caller.say(ok(b""))

    async with scripted(script) as storage:
        await asyncio.gather(*(get(pool, storage.url) for _ in range(8)))
        assert most == 2
        monkeypatch.setattr(pool_, "CONNECT_SECONDS", 0.05)
        async with pool.request("GET", storage.url), pool.request("GET", storage.url):
            with pytest.raises(BackendUnavailable):
                await get(pool, storage.url)
        assert await get(pool, storage.url) == (200, b"")
    await pool.close()


async def test_a_cancelled_request_leaves_nothing_behind(pool):
    async def script(caller):
        await caller.request()
        await caller.request()

    before = descriptors()
    async with scripted(script) as storage:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await get(pool, storage.url)
        assert pool._slots._value == 1024
    assert await settled(before)


async def test_a_slow_reader_holds_the_storage_back(pool):
    sent = 0

    async def script(caller):
        nonlocal sent
        await caller.request()
        caller.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n")
        for _ in range(500):
            await caller.say(b"x" * 100_000)
            sent += 100_000

    async with scripted(script) as storage, pool.request("GET", storage.url) as reply:
        await asyncio.sleep(0.2)
        here = reply._connection.answer._buffered
        assert here < 1024 * 1024
        assert sent < 20_000_000
        total = 0
        async for chunk in reply.chunks:
            total += len(chunk)
        assert total == 50_000_000


async def test_a_big_body_of_odd_chunks_arrives_whole(pool):
    pieces = [bytes([n % 256]) * (n * 37 % 9000 + 1) for n in range(1000)]

    async def script(caller):
        await caller.request()
        caller.writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in pieces:
            await caller.say(b"%X;x=y\r\n%b\r\n" % (len(piece), piece))
        await caller.say(b"0\r\nT: x\r\n\r\n")

    async with scripted(script) as storage:
        assert await get(pool, storage.url) == (200, b"".join(pieces))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for localhost and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "localhost.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(built.public_bytes(serialization.Encoding.PEM) + private)
    return file


def listening(certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def test_https_works_with_a_trusted_certificate(certificate):
    pool = Pool(idle_seconds=5, tls=ssl.create_default_context(cafile=str(certificate)))
    body = bytes(range(256)) * 10_000
    async with scripted(answering(ok(body)), ssl=listening(certificate)) as storage:
        for _ in range(2):
            async with pool.request("GET", storage.url) as reply:
                data, sock = reply.take()
                assert sock is None
                assert data + await whole(reply) == body
        assert (await get(pool, storage.url, "DELETE"))[1] == body
        with pytest.raises(ValueError, match="TLS"):
            await get(pool, storage.url, "PUT", body=Poured(b"", 9, asyncio.sleep))
        await pool.close()
    assert storage.connections <= 3


async def test_https_without_one_is_a_failure(pool, certificate):
    async with scripted(answering(ok(b"")), ssl=listening(certificate)) as storage:
        with pytest.raises(BackendFailed):
            await get(pool, storage.url)

    async def speaks_plainly(caller):
        await caller.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with scripted(speaks_plainly) as storage:
        with pytest.raises((BackendFailed, BackendUnavailable)):
            await get(pool, storage.url.replace("http://", "https://"))


@pytest.mark.parametrize("name", ["nginx", "wsgidav", "apache"])
async def test_real_storages(pool, name, tmp_path):
    before = descriptors()
    with servers.STORAGES[name](tmp_path) as storage:
        base = f"{storage.url}/alice"
        headers = {"Authorization": basic(storage)}

        async def ask(method, path, body=None, **more):
            given = headers | {key.replace("_", "-"): value for key, value in more.items()}
            return await get(pool, base + path, method, headers=given, body=body)

        data = bytes(range(256)) * 20_000
        assert (await ask("PUT", "/a", data))[0] == 201
        assert await ask("GET", "/a") == (200, data)
        assert await ask("GET", "/a", Range="bytes=5-9") == (206, data[5:10])
        assert await ask("HEAD", "/a") == (200, b"")

        async def pieces():
            for at in range(0, len(data), 100_001):
                yield data[at : at + 100_001]

        assert (await ask("PUT", "/b", pieces(), Content_Length=str(len(data))))[0] == 201
        assert (await ask("PUT", "/c", pieces()))[0] == 201
        assert (await ask("MOVE", "/c", Destination=f"{base}/d"))[0] in (201, 204)
        status, listing = await ask("PROPFIND", "/", Depth="1")
        assert status == 207
        assert all(f"/alice/{name}".encode() in listing for name in "abd")
        assert (storage.root / "alice/b").read_bytes() == data
        assert (storage.root / "alice/d").read_bytes() == data
        assert (await ask("DELETE", "/d"))[0] == 204
        assert (await ask("GET", "/d"))[0] == 404
        await pool.close()
    assert await settled(before)


BUSY = """
KeepAliveTimeout 1
MaxKeepAliveRequests 7
ServerLimit 1
ThreadsPerChild 4
MaxRequestWorkers 4
"""


@pytest.mark.parametrize("tls", [False, True])
async def test_no_write_fails_at_an_apache_that_hangs_up(tmp_path, certificate, tls):
    """Four workers for sixteen writers: it closes kept connections right behind its answers."""
    pool = Pool(idle_seconds=60, tls=ssl.create_default_context(cafile=str(certificate)))
    statuses = set()
    with servers.apache(
        tmp_path, certificate=certificate if tls else None, directives=BUSY
    ) as storage:
        headers = {"Authorization": basic(storage), "Depth": "0"}

        async def writer(number):
            for turn in range(3):
                url = f"{storage.url}/alice/{number}-{turn}"
                for method, path, body in (
                    ("MKCOL", "/", None),
                    ("PUT", "/a", b"a"),
                    ("PROPFIND", "/a", None),
                    ("MOVE", "/a", None),
                    ("DELETE", "/", None),
                ):
                    given = headers | ({"Destination": f"{url}/b"} if method == "MOVE" else {})
                    if method == "DELETE":
                        del given["Depth"]
                    status, _ = await get(pool, url + path, method, headers=given, body=body)
                    statuses.add((method, status))

        await asyncio.gather(*(writer(number) for number in range(16)))
        await pool.close()
    assert statuses == {
        ("MKCOL", 201), ("PUT", 201), ("PROPFIND", 207), ("MOVE", 201), ("DELETE", 204)
    }  # fmt: skip


def basic(storage) -> str:
    pair = f"{storage.username}:{storage.password}"
    return "Basic " + base64.b64encode(pair.encode()).decode()
