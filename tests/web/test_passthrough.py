"""In front of the whole storage: what is not ours arrives there as it was sent."""

import asyncio
import contextlib
import io

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from tests import servers
from tests.pair import in_process


@contextlib.asynccontextmanager
async def storage_that_tells():
    """A storage that answers with what it saw, and speaks WebSocket."""
    seen = []

    async def answer(request):
        if request.headers.get("Upgrade"):
            socket = web.WebSocketResponse(protocols=("chat",))
            await socket.prepare(request)
            async for message in socket:
                await socket.send_str(message.data[::-1])
            return socket
        body = await request.read()
        if (request.method, request.raw_path) != ("PROPFIND", "/dav/"):  # the gateway's own look
            seen.append((request.method, request.raw_path, request.headers.copy(), body))
        return web.Response(
            text=request.method,
            headers={
                "X-Own": "yes",
                "Set-Cookie": "a=b",
                "Connection": "X-Secret",
                "X-Secret": "1",
            },
        )

    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, auto_decompress=False)
    await runner.setup()
    port = servers.free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}/dav", seen
    finally:
        await runner.cleanup()


class Behind:
    def __init__(self, url):
        self.url = url


@pytest.fixture
async def world(tmp_path):
    async with (
        storage_that_tells() as (url, seen),
        in_process(tmp_path / "a", Behind(url), storage={"pass_through": True}) as gateway,
        aiohttp.ClientSession(auto_decompress=False) as http,
    ):
        yield gateway.ours.origin, seen, http


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "REPORT", "PROPFIND", "LOCK", "MKCOL"])
async def test_any_method_arrives_with_the_callers_own_credentials(world, method):
    origin, seen, http = world
    headers = {
        "Authorization": "Basic b3duOm93bg==",
        "Cookie": "c=1",
        "X-Odd": "x",
        "TE": "trailers",
    }
    url = URL(f"{origin}/dav/a%20b%3B/x?q=%2F", encoded=True)
    async with http.request(method, url, data=b"body", headers=headers) as answer:
        assert answer.status == 200
        assert answer.headers["X-Own"] == "yes"
        assert "X-Secret" not in answer.headers
    [(arrived, path, got, body)] = seen
    assert (arrived, path, body) == (method, "/dav/a%20b%3B/x?q=%2F", b"body")
    assert got["Authorization"] == headers["Authorization"]
    assert got["Cookie"] == "c=1"
    assert got["X-Forwarded-For"] == "127.0.0.1"
    assert "TE" not in got


@pytest.mark.conforms("OCM-RFC8615-02")
async def test_our_own_paths_win_in_every_spelling(world):
    origin, seen, http = world
    for path in ("/.well-known/ocm", "/.well-known/%6fcm", "/ocm-provider/", "/ocm/token"):
        async with http.get(URL(origin + path, encoded=True)) as answer:
            assert answer.headers["Server"] == "ocm-gateway"
    async with http.get(URL(f"{origin}/remote/%64av/ocm/x", encoded=True)) as answer:
        assert answer.status == 401
    assert seen == []


async def test_a_path_that_climbs_goes_nowhere(world):
    origin, seen, http = world
    async with http.get(URL(f"{origin}/dav/..%2f..%2fx", encoded=True)) as answer:
        assert answer.status == 400
    assert seen == []


async def test_a_name_from_the_street_is_not_believed(world):
    origin, seen, http = world
    async with http.get(f"{origin}/dav/", headers={"X-Remote-User": "root"}):
        pass
    assert "X-Remote-User" not in seen[0][2]


async def test_a_websocket_passes(world):
    origin, _, http = world
    async with http.ws_connect(f"{origin}/dav/socket", protocols=("chat",)) as socket:
        assert socket.protocol == "chat"
        for word in ("first", "second" * 50_000):
            await socket.send_str(word)
            assert (await socket.receive_str()) == word[::-1]


async def test_a_socket_that_the_client_drops_is_dropped_at_the_storage(world):
    origin, _, http = world
    socket = await http.ws_connect(f"{origin}/dav/socket")
    await socket.send_str("x")
    await socket.receive_str()
    socket._response.connection.transport.abort()
    await asyncio.sleep(0.2)
    async with http.get(f"{origin}/dav/still-there") as answer:
        assert answer.status == 200


async def test_a_large_upload_and_download_stream(world):
    origin, seen, http = world
    body = b"x" * (8 << 20)
    async with http.put(f"{origin}/dav/large", data=io.BytesIO(body)) as answer:
        assert answer.status == 200
    assert seen[0][3] == body
    assert seen[0][2]["Content-Length"] == str(len(body))
