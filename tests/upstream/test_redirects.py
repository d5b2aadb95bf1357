"""Following a storage to its data servers, and nowhere else."""

from contextlib import asynccontextmanager

import pytest
from multidict import CIMultiDict

from gateway.errors import BackendFailed
from gateway.upstream import sending
from gateway.upstream.redirects import MOST, DataServers, Redirected
from gateway.upstream.sending import Poured
from tests.upstream.scripted import answering, ok, scripted, whole

SECRET = {"Authorization": "Basic inside", "Cookie": "inside", "Range": "bytes=0-3"}
INVITE = b"HTTP/1.1 100 Continue\r\n\r\n"


def on(location, status="307 Temporary Redirect"):
    return f"HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


def saying(heads, *answers):
    """A script that remembers heads and gives the answers in turn, then the last one."""

    async def script(caller):
        for number in range(100):
            heads.append((await caller.request()).decode())
            await caller.say(answers[min(number, len(answers) - 1)])

    return script


def taking(heads, bodies, invitation=INVITE):
    """A script of a data server: it invites a body of known length and takes it."""

    async def script(caller):
        head = (await caller.request()).decode()
        heads.append(head)
        await caller.say(invitation)
        length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
        bodies.append(await caller.reader.readexactly(length))
        await caller.say(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")

    return script


@asynccontextmanager
async def following(door, *hosts, **options):
    pool = Redirected(DataServers(door, hosts, **options), idle_seconds=5)
    try:
        yield pool
    finally:
        await pool.close()


async def pieces(*data):
    for piece in data:
        yield piece


@pytest.mark.parametrize("status", ["301 M", "302 M", "303 M", "307 M", "308 M"])
@pytest.mark.parametrize("credentials", [False, True])
async def test_a_read_is_sent_on_and_the_credentials_stay(status, credentials):
    heads = []
    async with (
        scripted(saying(heads, ok(b"data"))) as disk,
        scripted(answering(on(f"{disk.url}/a?key=1", status))) as door,
        following(door.url, "127.0.0.1", credentials=credentials) as pool,
        pool.request("GET", f"{door.url}/a", headers=SECRET) as reply,
    ):
        assert (reply.status, await whole(reply)) == (200, b"data")
    [head] = heads
    assert head.startswith("GET /a?key=1 HTTP/1.1\r\n")
    assert f"Host: {disk.url.removeprefix('http://')}\r\n" in head
    assert "Range: bytes=0-3" in head
    assert head.count("inside") == (2 if credentials else 0)


@pytest.mark.parametrize(
    "hosts",
    [["disk.example"], ["127.0.0.1:1"], ["https://127.0.0.1"], ["*.0.0.1:1"], ["*.127.0.0.1"]],
)
async def test_elsewhere_is_not_gone(hosts):
    heads = []
    async with (
        scripted(saying(heads, ok(b"data"))) as disk,
        scripted(answering(on(f"{disk.url}/a"))) as door,
        following(door.url, *hosts) as pool,
        pool.request("GET", f"{door.url}/a") as reply,
    ):
        assert reply.status == 307
    assert heads == []


@pytest.mark.parametrize(
    "location", ["http://[", "ftp://127.0.0.1/", "/a/", "//127.0.0.1/a", "http://u:p@127.0.0.1/"]
)
async def test_what_is_no_place_to_go_is_an_answer(location):
    async with (
        scripted(answering(on(location))) as door,
        following(door.url, "127.0.0.1") as pool,
        pool.request("GET", f"{door.url}/a") as reply,
    ):
        assert reply.status == 307


@pytest.mark.parametrize(
    ("storage", "hosts", "location", "goes"),
    [
        ("https://door", ["disk"], "https://disk:99/", True),
        ("https://door", ["disk"], "http://disk/", False),
        ("https://door", ["http://disk"], "http://disk/", True),
        ("http://door", ["disk"], "https://disk/", True),
        ("http://door", ["disk:99"], "http://DISK:99/", True),
        ("http://door", ["disk:99"], "http://disk/", False),
        ("http://door", ["*.pool.example"], "http://a.b.pool.example:1/", True),
        ("http://door", ["*.pool.example"], "http://pool.example/", False),
        ("http://door", ["*.pool.example"], "http://evilpool.example/", False),
        ("http://door", ["pool.example"], "http://pool.example.evil/", False),
        ("http://door", ["[::1]"], "http://[::1]:9/", True),
    ],
)
def test_hosts_are_as_written(storage, hosts, location, goes):
    class Said:
        status, headers = 307, CIMultiDict(Location=location)

    there = DataServers(storage, hosts).next("GET", f"{storage}/x", Said)
    assert there == (location if goes else None)


async def test_redirects_come_to_an_end():
    heads = []

    async def script(caller):
        while True:
            heads.append(await caller.request())
            there = door.url.replace("127.0.0.1", "localhost" if len(heads) % 2 else "127.0.0.1")
            await caller.say(on(f"{there}/{len(heads)}"))

    async with (
        scripted(script) as door,
        following(door.url, "127.0.0.1", "localhost") as pool,
        pool.request("GET", f"{door.url}/0") as reply,
    ):
        assert reply.status == 307
    assert len(heads) == MOST + 1


def bodies_of(data):
    async def pour(where):
        where.setblocking(True)
        where.sendall(data[2:])

    return {"iterated": pieces(data[:2], data[2:]), "poured": Poured(data[:2], len(data), pour)}


@pytest.mark.parametrize("kind", ["iterated", "poured"])
async def test_a_body_goes_to_the_data_server_alone(kind):
    asked, heads, bodies = [], [], []
    async with (
        scripted(taking(heads, bodies)) as disk,
        scripted(saying(asked, on(f"{disk.url}/a?key"))) as door,
        following(door.url, "127.0.0.1") as pool,
    ):
        body = bodies_of(b"12345")[kind]
        sent = CIMultiDict({"Content-Length": "5"})
        async with pool.request("PUT", f"{door.url}/a", headers=sent, body=body) as reply:
            assert reply.status == 201
    assert bodies == [b"12345"]
    assert all("Expect: 100-continue\r\n" in head for head in asked + heads)


async def test_who_never_invites_gets_the_body_after_a_while(monkeypatch):
    monkeypatch.setattr(sending, "INVITATION_SECONDS", 0.05)
    heads, bodies = [], []
    async with (
        scripted(taking(heads, bodies, b"")) as door,
        following(door.url, "127.0.0.1") as pool,
    ):
        sent = CIMultiDict({"Content-Length": "3"})
        asking = pool.request("PUT", f"{door.url}/a", headers=sent, body=pieces(b"abc"))
        async with asking as reply:
            assert reply.status == 201
    assert bodies == [b"abc"]


async def test_a_body_that_has_begun_is_not_sent_twice():
    async def script(caller):
        await caller.request()
        await caller.say(INVITE)
        await caller.reader.readexactly(3)
        await caller.say(on("http://localhost:1/"))

    async with scripted(script) as door, following(door.url, "localhost") as pool:
        sent = CIMultiDict({"Content-Length": "3"})
        with pytest.raises(BackendFailed):
            async with pool.request("PUT", door.url, headers=sent, body=pieces(b"abc")):
                pass


async def test_a_refusal_comes_before_the_body():
    touched = []

    async def body():
        touched.append(1)
        yield b"abc"

    full = b"HTTP/1.1 507 Full\r\nContent-Length: 0\r\n\r\n"
    async with scripted(answering(full)) as door, following(door.url, "127.0.0.1") as pool:
        sent = CIMultiDict({"Content-Length": "3"})
        async with pool.request("PUT", door.url, headers=sent, body=body()) as reply:
            assert reply.status == 507
    assert touched == []


async def test_a_success_before_the_body_is_not_believed():
    created = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
    async with scripted(answering(created)) as door, following(door.url, "127.0.0.1") as pool:
        sent = CIMultiDict({"Content-Length": "3"})
        with pytest.raises(BackendFailed):
            async with pool.request("PUT", door.url, headers=sent, body=pieces(b"abc")):
                pass


@pytest.mark.parametrize("status", ["302 Found", "303 See Other"])
async def test_a_write_is_not_sent_on_by_a_redirect_for_reading(status):
    async with (
        scripted(answering(on("http://localhost:1/", status))) as door,
        following(door.url, "localhost") as pool,
        pool.request("MKCOL", door.url) as reply,
    ):
        assert reply.status == int(status[:3])


async def test_a_move_names_the_data_server_as_its_destination():
    heads = []
    async with (
        scripted(saying(heads, ok(b""))) as disk,
        scripted(answering(on(f"{disk.url}/a"))) as door,
        following(door.url, "127.0.0.1") as pool,
    ):
        sent = {"Destination": f"{door.url}/b%20c", "Overwrite": "F"}
        async with pool.request("MOVE", f"{door.url}/a", headers=sent) as reply:
            assert reply.status == 200
    assert f"Destination: {disk.url}/b%20c\r\n" in heads[0]
