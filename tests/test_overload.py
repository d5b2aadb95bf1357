"""Too many at once: who comes on top is sent away at once, who is inside is answered."""

import asyncio
import errno
import json
import socket
from urllib.parse import urlsplit

import aiohttp
import pytest
import uvloop
from aiohttp import web

from gateway import config
from gateway.model import Permission
from gateway.web import accepting
from gateway.web.accepting import OpenSite
from gateway.web.turnstile import Turnstile
from tests.pair import eventually
from tests.peer import Answer
from tests.relay import relay_to
from tests.sharing.stage import (
    address,
    create_share,
    opened,
    other,
    peer,
    shares_of,
    storage,
    token_of,
    visit,
)
from tests.test_config import LEAST, with_

__all__ = ["opened", "other", "peer", "storage"]

BIG = 24 << 20


@pytest.fixture
async def relay(storage):
    async with relay_to(urlsplit(storage.url).port) as relay:
        yield relay


@pytest.fixture
def opened_behind(opened, storage, relay):
    async def opened_behind(**limits):
        return await opened(storage_url=relay.instead_of(storage.url), limits=limits)

    return opened_behind


async def managed(gateway, path):
    url = f"http://{gateway.settings.management.listen}{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


async def test_on_top_of_the_bound_is_503_with_retry_after_and_inside_is_answered(
    opened_behind, relay, peer
):
    gateway = await opened_behind(webdav_at_once=2)
    share = await create_share(gateway, peer)
    token = await token_of(gateway, peer, share)
    relay.hold()
    inside = [asyncio.create_task(visit(gateway, peer, share.provider_id, token)) for _ in range(2)]
    await eventually(lambda: relay.waiting == 2)
    for method in ("PROPFIND", "GET", "HEAD", "PUT"):
        body = b"x" * 100_000 if method == "PUT" else b""
        shed = await visit(gateway, peer, share.provider_id, token, "/new.txt", method, body)
        assert shed.status == 503
        assert 1 <= int(shed.headers["Retry-After"]) <= 5
        assert shed.headers["X-Request-Id"]
        assert (b"DAV:" in shed.body) == (method != "HEAD")
    relay.free()
    assert [answer.status for answer in await asyncio.gather(*inside)] == [207, 207]
    assert (await visit(gateway, peer, share.provider_id, token)).status == 207
    assert (await visit(gateway, peer, share.provider_id, token, "/new.txt")).status == 404


async def test_kinds_do_not_take_each_others_places(opened_behind, relay, peer):
    gateway = await opened_behind(webdav_at_once=1, ocm_at_once=1, pages_at_once=1)
    share = await create_share(gateway, peer)
    token = await token_of(gateway, peer, share)
    relay.hold()
    inside = asyncio.create_task(visit(gateway, peer, share.provider_id, token))
    await eventually(lambda: relay.waiting == 1)
    assert (await visit(gateway, peer, share.provider_id, token)).status == 503
    origin = gateway.ours.origin
    async with peer.session.get(f"{origin}/.well-known/ocm") as answer:
        assert answer.status == 200
    async with peer.session.get(f"{origin}/login") as answer:
        assert answer.status == 200
    relay.free()
    assert (await inside).status == 207


async def test_a_message_on_top_is_told_in_json_and_taken_when_it_comes_again(opened, peer, other):
    gateway = await opened(limits={"ocm_at_once": 1})
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow_keys(_):
        asked.set()
        await go_on.wait()
        return Answer(body={"keys": [key.jwk() for key in other.keys]})

    other.on("GET /.well-known/jwks.json", slow_keys)
    inside = asyncio.create_task(other.post(shares_of(gateway), other.share(address(gateway))))
    await asked.wait()
    body = peer.share(address(gateway))
    shed = await peer.post(shares_of(gateway), body)
    assert (shed.status, json.loads(shed.body)["code"]) == (503, "OVERLOADED")
    assert shed.headers["Retry-After"]
    assert peer.seen == []
    go_on.set()
    assert (await inside).status == 201
    assert (await peer.post(shares_of(gateway), body)).status == 201
    assert len(await gateway.receiving.inbox()) == 2


async def test_a_running_transfer_leaves_its_place_and_is_never_ended(opened, storage, peer):
    (storage.root / "alice" / "trip" / "big.bin").write_bytes(b"x" * BIG)
    gateway = await opened(limits={"webdav_at_once": 1, "transfers_at_once": 1})
    share = await create_share(gateway, peer)
    token = await token_of(gateway, peer, share)
    url = f"{gateway.ours.origin}/remote/dav/ocm/{share.provider_id}"
    headers = {"Authorization": f"Bearer {token}"}
    async with peer.session.get(f"{url}/big.bin", headers=headers) as transfer:
        assert transfer.status == 200
        # One transfer is all there may be: nobody who might begin another is let in.
        assert (await visit(gateway, peer, share.provider_id, token)).status == 503
        assert len(await transfer.read()) == BIG

    async def again():
        return (await visit(gateway, peer, share.provider_id, token)).status == 207

    await eventually(again)


async def test_a_long_upload_leaves_its_place(opened, peer, storage):
    gateway = await opened(limits={"webdav_at_once": 1})
    share = await create_share(
        gateway, peer, permissions=frozenset({Permission.READ, Permission.WRITE})
    )
    token = await token_of(gateway, peer, share)
    more = asyncio.Event()

    async def body():
        yield b"first"
        await more.wait()
        yield b"last"

    folder = storage.root / "alice" / "trip"
    before = len(list(folder.iterdir()))
    url = f"{gateway.ours.origin}/remote/dav/ocm/{share.provider_id}/slow.txt"
    headers = {"Authorization": f"Bearer {token}"}
    upload = asyncio.create_task(peer.session.put(url, headers=headers, data=body()).__aenter__())

    async def others_are_let_in():
        return (await visit(gateway, peer, share.provider_id, token)).status == 207

    await eventually(lambda: len(list(folder.iterdir())) > before)
    await eventually(others_are_let_in)
    more.set()
    assert (await upload).status in {201, 204}
    assert (folder / "slow.txt").read_bytes() == b"firstlast"


async def test_health_and_metrics_have_no_bound(opened_behind, relay, peer):
    gateway = await opened_behind(webdav_at_once=1)
    share = await create_share(gateway, peer)
    token = await token_of(gateway, peer, share)
    relay.hold()
    inside = asyncio.create_task(visit(gateway, peer, share.provider_id, token))
    await eventually(lambda: relay.waiting == 1)
    for _ in range(3):
        assert (await visit(gateway, peer, share.provider_id, token)).status == 503
        assert (await managed(gateway, "/livez"))[0] == 200

    async def told():
        _, text = await managed(gateway, "/metrics")
        inside = 'ocm_requests_in_progress{kind="webdav"} 1.0' in text
        shed = [line for line in text.splitlines() if 'shed_total{kind="webdav"}' in line]
        return inside and shed and float(shed[0].split()[-1]) >= 3

    await eventually(told)
    relay.free()
    await inside


@pytest.mark.parametrize(
    ("path", "through", "kind"),
    [
        ("/remote/dav/ocm/x/y", False, "webdav"),
        ("/remote/dav/received/x", False, "webdav"),
        ("/ocm/shares", False, "ocm"),
        ("/.well-known/ocm", False, "ocm"),
        ("/login", False, "pages"),
        ("/anything", True, "webdav"),
        ("/gateway/login", True, "pages"),
    ],
)
def test_a_request_is_counted_by_its_address(path, through, kind):
    settings = config.parse(with_(storage=LEAST["storage"] | {"pass_through": through}))
    assert Turnstile(settings).kind_of(path).name == kind


def test_a_busy_process_takes_in_everybody_who_waits():
    async def taken_in():
        async def answer(request):
            return web.Response()

        server = web.Server(answer)
        runner = web.ServerRunner(server)
        await runner.setup()
        await OpenSite(runner, "127.0.0.1", 0, backlog=200).start()
        # The loop stands still while they come.
        waiting = [socket.create_connection(runner.addresses[0]) for _ in range(100)]
        for _ in range(20):
            await asyncio.sleep(0)
        found = len(server.connections)
        for connection in waiting:
            connection.close()
        await runner.cleanup()
        return found

    assert uvloop.run(taken_in()) == 100


async def test_without_descriptors_the_listener_pauses_and_goes_on(opened, peer, monkeypatch):
    monkeypatch.setattr(accepting, "_PAUSE_SECONDS", 0.05)
    gateway = await opened()
    taken = []

    def accept(listening):
        taken.append(1)
        if len(taken) < 3:
            raise OSError(errno.EMFILE, "Too many open files")
        return accept_(listening)

    accept_ = socket.socket.accept
    monkeypatch.setattr(socket.socket, "accept", accept)
    async with peer.session.get(f"{gateway.ours.origin}/.well-known/ocm") as answer:
        assert answer.status == 200
