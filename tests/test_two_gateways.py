"""The main job through two gateways, each in front of a real storage that knows nothing of OCM."""

import base64
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from gateway.app import Gateway
from gateway.model import Permission, ReceivedState, SentState
from gateway.sharing.sending import Offer
from tests import servers
from tests.pair import eventually, in_process
from tests.servers import STORAGES, Storage

READ_WRITE = frozenset({Permission.READ, Permission.WRITE})
QUIRKS = {
    "apache": {"atomic_put": True, "conditional_put": True, "exact_destination": True},
    "nginx": {"atomic_put": True, "exact_destination": True},
    "wsgidav": {"conditional_put": True},
}


@dataclass
class Side:
    """One gateway and the storage behind it."""

    gateway: Gateway
    storage: Storage

    def file(self, path: str) -> Path:
        return self.storage.root / path


@dataclass
class Pair:
    a: Side
    b: Side
    http: aiohttp.ClientSession

    async def dav(
        self, method: str, path: str, *, data: object = None, **headers: str
    ) -> tuple[int, bytes]:
        """A request of bob's WebDAV client to the tree of what he was given."""
        url = f"{self.b.gateway.ours.origin}/remote/dav/received/{path}"
        login = base64.b64encode(f"bob:{servers.USERS['bob']}".encode()).decode()
        headers = {"Authorization": f"Basic {login}", **headers}
        async with self.http.request(
            method, URL(url, encoded=True), data=data, headers=headers, allow_redirects=False
        ) as answer:
            return answer.status, await answer.read()

    async def share(self, path: str, permissions: frozenset[Permission] = READ_WRITE) -> str:
        """alice shares, bob accepts; the id of the share."""
        offer = Offer("alice", path, f"bob@{self.b.gateway.ours.authority}", permissions)
        share = await self.a.gateway.sending.create_share(offer)
        assert share.state is SentState.SENT, share.reason
        inbox = await self.b.gateway.receiving.inbox("bob")
        received = next(one for one in inbox if one.provider_id == share.provider_id)
        accepted = await self.b.gateway.receiving.accept(received.id, recipient="bob")
        assert accepted.state is ReceivedState.ACCEPTED
        return share.provider_id


@pytest.fixture(params=[("apache", "nginx"), ("nginx", "apache"), ("wsgidav", "wsgidav")])
async def pair(request, tmp_path) -> AsyncIterator[Pair]:
    one, other = request.param
    for name in ("sa", "sb"):
        (tmp_path / name).mkdir()
    async with contextlib.AsyncExitStack() as stack:
        sa = stack.enter_context(STORAGES[one](tmp_path / "sa"))
        sb = stack.enter_context(STORAGES[other](tmp_path / "sb"))
        a = await stack.enter_async_context(in_process(tmp_path / "a", sa, **_quirks(one, sa)))
        b = await stack.enter_async_context(in_process(tmp_path / "b", sb, **_quirks(other, sb)))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        yield Pair(Side(a, sa), Side(b, sb), http)


def _quirks(name: str, storage: Storage) -> dict[str, object]:
    return {"storage": {"quirks": QUIRKS[name]}}


async def test_the_main_job(pair):
    folder = pair.a.file("alice/project")
    folder.mkdir()
    (folder / "plan.txt").write_text("the plan")
    folder.chmod(0o777)

    share = await pair.share("/project")
    assert (await pair.a.gateway.sending.by_id(share)).state is SentState.ACCEPTED

    status, body = await pair.dav("PROPFIND", "project/", Depth="1")
    assert status == 207
    hrefs = re.findall(rb"<[^>]*href>([^<]+)<", body)
    assert hrefs == [b"/remote/dav/received/project/", b"/remote/dav/received/project/plan.txt"]

    assert await pair.dav("GET", "project/plan.txt") == (200, b"the plan")
    assert (await pair.dav("GET", "project/plan.txt", Range="bytes=4-7"))[1] == b"plan"

    assert (await pair.dav("PUT", "project/new.txt", data=b"new"))[0] == 201
    assert (folder / "new.txt").read_bytes() == b"new"
    assert (await pair.dav("MKCOL", "project/sub/"))[0] == 201
    destination = f"{pair.b.gateway.ours.origin}/remote/dav/received/project/sub/moved.txt"
    status, _ = await pair.dav("MOVE", "project/new.txt", Destination=destination)
    assert status in (201, 204)
    assert (folder / "sub" / "moved.txt").read_bytes() == b"new"
    assert (await pair.dav("DELETE", "project/sub/moved.txt"))[0] == 204
    assert not (folder / "sub" / "moved.txt").exists()

    await pair.a.gateway.sending.revoke(share, owner="alice")
    assert (await pair.dav("GET", "project/plan.txt"))[0] == 404
    assert await pair.b.gateway.receiving.inbox("bob") == []


async def test_a_read_share_is_read_only(pair):
    (pair.a.file("alice/leaflet.txt")).write_text("read me")
    await pair.share("/leaflet.txt", frozenset({Permission.READ}))
    assert await pair.dav("GET", "leaflet.txt") == (200, b"read me")
    assert (await pair.dav("PUT", "leaflet.txt", data=b"mine"))[0] == 403
    assert pair.a.file("alice/leaflet.txt").read_text() == "read me"


async def test_odd_names_survive_both_gateways(pair):
    folder = pair.a.file("alice/odd")
    folder.mkdir()
    folder.chmod(0o777)
    await pair.share("/odd")
    names = ["a b", "100%", "a&b", "#1", "x+y", "ä", "a%2Fb", "q?", "semi;colon", "'quote'", "🙂"]
    for name in names:
        path = f"odd/{URL.build(path='/' + name).raw_path[1:]}"
        quoted = "odd/" + "".join(f"%{byte:02X}" for byte in name.encode())
        assert (await pair.dav("PUT", quoted, data=name.encode()))[0] == 201, path
        assert (folder / name).read_bytes() == name.encode()
    status, body = await pair.dav("PROPFIND", "odd/", Depth="1")
    hrefs = [href.decode() for href in re.findall(rb"<[^>]*href>([^<]+)<", body)]
    assert len(hrefs) == len(names) + 1
    for href in hrefs[1:]:
        tail = href.removeprefix("/remote/dav/received/")
        status, body = await pair.dav("GET", tail)
        assert status == 200
        assert body.decode() in names


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "%2e%2e/secret.txt",
        "..%2fsecret.txt",
        "%2E%2E%2Fsecret.txt",
        "..%252fsecret.txt",
        "%252e%252e%252fsecret.txt",
        "..%5csecret.txt",
        "..%5c..%5csecret.txt",
        "in/..%2f../secret.txt",
        "..;/secret.txt",
        "%c0%ae%c0%ae/secret.txt",
        "in%00.txt",
        "%zz",
    ],
)
@pytest.mark.parametrize("door", ["shares", "received"])
async def test_no_path_leaves_the_share(tmp_path, path, door, walled):
    pair, token, share = walled
    if door == "received":
        status, body = await pair.dav("GET", f"in/{path}")
    else:
        url = f"{pair.a.gateway.ours.origin}/remote/dav/ocm/{share}/{path}"
        async with pair.http.get(
            URL(url, encoded=True), headers={"Authorization": f"Bearer {token}"}
        ) as answer:
            status, body = answer.status, await answer.read()
    assert status in (400, 403, 404)
    assert b"the secret" not in body


@pytest.fixture
async def walled(tmp_path) -> AsyncIterator[tuple[Pair, str, str]]:
    async with contextlib.AsyncExitStack() as stack:
        for name in ("sa", "sb"):
            (tmp_path / name).mkdir()
        sa = stack.enter_context(servers.nginx(tmp_path / "sa"))
        sb = stack.enter_context(servers.wsgidav(tmp_path / "sb"))
        a = await stack.enter_async_context(in_process(tmp_path / "a", sa))
        b = await stack.enter_async_context(in_process(tmp_path / "b", sb))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        pair = Pair(Side(a, sa), Side(b, sb), http)
        pair.a.file("alice/secret.txt").write_text("the secret")
        pair.a.file("secret.txt").write_text("the secret")
        pair.a.file("alice/in").mkdir()
        share = await pair.share("/in")
        token = a.access.issue(await a.sending.by_id(share)).access_token
        yield pair, token, share


async def test_the_storages_never_see_a_token_and_clients_never_a_storage(pair):
    (pair.a.file("alice/notes.txt")).write_text("notes")
    await pair.share("/notes.txt")
    url = f"{pair.b.gateway.ours.origin}/remote/dav/received/notes.txt"
    login = base64.b64encode(f"bob:{servers.USERS['bob']}".encode()).decode()
    async with pair.http.request(
        "PROPFIND", url, headers={"Authorization": f"Basic {login}", "Depth": "0"}
    ) as answer:
        text = str(answer.headers) + await answer.text()
    for storage in (pair.a.storage, pair.b.storage):
        assert str(storage.port) not in text
        assert servers.PASSWORD not in text


async def test_a_storage_that_is_down_is_no_verdict_on_the_share(pair):
    (pair.a.file("alice/f.txt")).write_text("f")
    share = await pair.share("/f.txt")
    token = pair.a.gateway.access.issue(await pair.a.gateway.sending.by_id(share)).access_token
    pair.a.storage.stop()
    url = f"{pair.a.gateway.ours.origin}/remote/dav/ocm/{share}"
    headers = {"Authorization": f"Bearer {token}", "Depth": "0"}
    async with pair.http.request("PROPFIND", url, headers=headers) as answer:
        assert answer.status == 503
        assert answer.headers["Retry-After"]
    pair.a.storage.start()
    async with pair.http.request("PROPFIND", url, headers=headers) as answer:
        assert answer.status == 207


async def test_a_share_with_a_server_that_is_down_is_delivered_when_it_is_back(tmp_path):
    for name in ("sa", "sb"):
        (tmp_path / name).mkdir()
    with servers.wsgidav(tmp_path / "sa") as sa, servers.wsgidav(tmp_path / "sb") as sb:
        (sa.root / "alice" / "x.txt").write_text("x")
        async with in_process(tmp_path / "b", sb) as b:
            changes = {"public": _same_address(b), "management": {"listen": "127.0.0.1:0"}}
        async with in_process(tmp_path / "a", sa) as a:
            offer = Offer("alice", "/x.txt", f"bob@{b.ours.authority}")
            share = await a.sending.create_share(offer)
            assert share.state is SentState.PENDING
            async with in_process(tmp_path / "b", sb, **changes) as back:
                await eventually(lambda: _is_sent(a, share.provider_id))
                assert len(await back.receiving.inbox("bob")) == 1


def _same_address(gateway: Gateway) -> dict[str, str]:
    return {"origin": gateway.ours.origin, "listen": gateway.ours.authority}


async def _is_sent(gateway: Gateway, share: str) -> bool:
    return (await gateway.sending.by_id(share)).state is SentState.SENT
