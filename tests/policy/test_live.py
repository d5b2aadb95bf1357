"""What is written holds within a second, in every process; what runs against it is cut off."""

import asyncio
import base64
import contextlib
import json
import socket
import time
import urllib.request
from functools import partial

import pytest
import yaml

from gateway import config
from gateway.app import open_gateway
from gateway.model import Permission, Standing
from gateway.sharing.sending import Offer
from gateway.store import audit
from gateway.store.audit import Wanted
from tests import servers
from tests.pair import eventually, in_process, running
from tests.peer import open_peer
from tests.web.browser import browser

GIBIBYTE = 1 << 30
PATIENCE_SECONDS = 5


async def until(holds, seconds=2.0):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass"
        await asyncio.sleep(0.05)


def ready(gateway):
    address = gateway.settings.management.listen
    with urllib.request.urlopen(f"http://{address}/readyz", timeout=5) as answer:
        return json.load(answer)


@pytest.fixture
async def gateway(tmp_path):
    (tmp_path / "rules").mkdir()
    write(tmp_path, "one", "deny: [evil.example.org]")
    policy = {"default": "allow", "files": [str(tmp_path / "rules" / "now")]}
    with servers.wsgidav(tmp_path) as storage:
        async with in_process(tmp_path / "gateway", storage, policy=policy) as gateway:
            yield gateway


def write(folder, name, text):
    """As a ConfigMap does it: another folder, and a link that is turned in one step."""
    (folder / "rules" / name).mkdir()
    (folder / "rules" / name / "rules.yaml").write_text(text)
    link = folder / "rules" / "turning"
    link.symlink_to(name)
    link.replace(folder / "rules" / "now")


def denied(gateway, host):
    return not gateway.others.doorkeeper.judge(host).allowed


async def test_a_turned_link_changes_the_policy_within_a_second(gateway, tmp_path):
    assert denied(gateway, "evil.example.org")
    write(tmp_path, "two", "deny: [bad.example.org]")
    await until(lambda: denied(gateway, "bad.example.org"), 1.5)
    assert not denied(gateway, "evil.example.org")


async def test_a_bad_file_keeps_the_old_policy_whole_and_alarms(gateway, tmp_path):
    write(tmp_path, "two", "deny: [bad.example.org]\nrules: [{who: [], then: allow}]")
    await until(lambda: gateway.live.trouble)
    assert denied(gateway, "evil.example.org")
    assert not denied(gateway, "bad.example.org")
    told = await asyncio.to_thread(ready, gateway)
    assert told["status"] == "ok"
    assert "is empty" in told["policy"]["faults"][0]
    write(tmp_path, "three", "deny: [bad.example.org]")
    await until(lambda: denied(gateway, "bad.example.org"))
    assert "policy" not in await asyncio.to_thread(ready, gateway)


@pytest.mark.parametrize("public", [{}, {"fast_lane": False}, {"zero_copy": False}])
async def test_denying_a_server_cuts_its_download_of_a_gibibyte_in_two_seconds(tmp_path, public):
    port = servers.free_port()
    public = {"origin": f"http://127.0.0.1:{port}", "listen": f"127.0.0.1:{port}"} | public
    with (
        servers.nginx(tmp_path) as storage,
        running(tmp_path / "a", storage.url, public={**public, "workers": 2}) as gateway,
    ):
        folder = storage.root / "alice" / "files"
        folder.mkdir()
        folder.chmod(0o777)
        with (folder / "big").open("wb") as file:
            file.truncate(GIBIBYTE)
        async with open_peer() as peer, open_gateway(config.load(gateway.file)) as beside:
            offer = Offer("alice", "/files", f"bob@{peer.authority}", frozenset({Permission.READ}))
            share = await beside.sending.create_share(offer)
            token = beside.access.issue(share).access_token
        path = f"/remote/dav/ocm/{share.provider_id}/big"
        bearer = f"Authorization: Bearer {token}"
        clients = [await asyncio.to_thread(begin, port, path, bearer) for _ in range(6)]
        slow = [asyncio.to_thread(drip, client) for client in clients]
        settings = gateway.settings
        settings["policy"]["deny"] = [peer.authority]
        gateway.file.write_text(yaml.safe_dump(settings))
        began = time.monotonic()
        for ended_at, size in await asyncio.gather(*slow):
            assert ended_at - began < 2
            assert size < GIBIBYTE // 4
        assert gateway.log.read_text().count("transfer.cut") == len(clients)


def begin(port, path, header):
    """A download with a small window, which has begun."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    client.connect(("127.0.0.1", port))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{header}\r\n\r\n".encode())
    assert client.recv(12) == b"HTTP/1.1 200"
    return client


def drip(client):
    """Read slowly to the end: when it came, and after how many bytes."""
    size = 0
    client.settimeout(PATIENCE_SECONDS)
    with client, contextlib.suppress(ConnectionError):
        while piece := client.recv(1 << 18):
            size += len(piece)
            time.sleep(0.02)
    return time.monotonic(), size


async def at_the_door(_, share):
    login = base64.b64encode(f"alice:{servers.USERS['alice']}".encode()).decode()
    path = f"/remote/dav/received/{share.folder.replace(' ', '%20')}/big"
    return path, f"Authorization: Basic {login}"


async def in_the_pages(gateway, share):
    async with browser(gateway) as visitor:
        await visitor.login()
        cookies = "; ".join(f"{name}={one.value}" for name, one in visitor.cookies.items())
    return f"/received/open/content?share={share.id}&path=big", f"Cookie: {cookies}"


async def accepted(gateway, peer, **changes):
    """A share of the peer that alice has accepted."""
    host = gateway.ours.authority
    await peer.post(f"http://{host}/ocm/shares", peer.share(f"alice@{host}", **changes))
    find = partial(gateway.state.received.all, recipient="alice")
    [share] = await gateway.state.database.read(find)
    return await gateway.receiving.accept(share.id)


async def downloading(gateway, way):
    """A slow download that has begun: ends as `drip` does."""
    path, header = way
    port = int(gateway.ours.authority.rpartition(":")[2])
    client = await asyncio.to_thread(begin, port, path, header)
    return asyncio.create_task(asyncio.to_thread(drip, client))


@pytest.mark.parametrize("way", [at_the_door, in_the_pages])
async def test_blocking_a_server_cuts_what_our_user_downloads_from_it(tmp_path, way):
    async with open_peer() as peer:
        peer.files["big"] = bytes(GIBIBYTE // 4)
        with servers.wsgidav(tmp_path) as storage:
            async with in_process(tmp_path / "a", storage) as gateway:
                share = await accepted(gateway, peer)
                slow = await downloading(gateway, await way(gateway, share))
                began = time.monotonic()
                await gateway.others.registry.decide(peer.authority, Standing.BLOCKED, "")
                ended_at, size = await slow
                assert ended_at - began < 2
                assert size < GIBIBYTE // 8


@contextlib.asynccontextmanager
async def uploading(tmp_path, *, seconds=3600):
    """An upload that has begun into a share that lasts so long: the gateway, the share, how it is
    answered, and where it would be."""
    with servers.wsgidav(tmp_path) as storage:
        async with open_peer() as peer, in_process(tmp_path / "a", storage) as gateway:
            granted = frozenset(Permission)
            share = await gateway.sending.create_share(
                Offer(
                    "alice",
                    "/",
                    f"bob@{peer.authority}",
                    granted,
                    expiration_at=int(time.time()) + seconds,
                )
            )
            token = gateway.access.issue(share).access_token
            host, port = gateway.ours.authority.split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(
                f"PUT /remote/dav/ocm/{share.provider_id}/new HTTP/1.1\r\nHost: {host}\r\n"
                f"Authorization: Bearer {token}\r\nContent-Length: 1000\r\n\r\nbegun".encode()
            )
            folder = storage.root / "alice"
            await eventually(lambda: [*folder.glob(".ocm-*")])
            yield gateway, share, reader, folder / "new"
            writer.close()


async def test_withdrawing_a_share_cuts_the_upload_into_it(tmp_path):
    async with uploading(tmp_path) as (gateway, share, reader, new):
        await gateway.sending.revoke(share.provider_id)
        answer = await asyncio.wait_for(reader.read(), 10)
        assert not answer.startswith(b"HTTP/1.1 2")
        assert not new.exists()


async def test_an_upload_ends_with_its_share_and_leaves_nothing(tmp_path):
    async with uploading(tmp_path, seconds=5) as (_, share, reader, new):
        answer = await asyncio.wait_for(reader.read(), 30)
        assert time.time() >= share.expiration_at
        assert not answer.startswith(b"HTTP/1.1 2")
        assert not new.exists()


async def test_a_download_ends_with_the_share_that_was_received(tmp_path):
    async with open_peer() as peer:
        peer.files["big"] = bytes(GIBIBYTE // 4)
        with servers.wsgidav(tmp_path) as storage:
            async with in_process(tmp_path / "a", storage) as gateway:
                soon = int(time.time()) + 5
                share = await accepted(gateway, peer, expiration=soon)
                slow = await downloading(gateway, await at_the_door(gateway, share))
                _, size = await slow
                assert time.time() >= soon
                assert size < GIBIBYTE // 8


async def test_what_has_left_the_users_tree_is_not_downloaded_on(tmp_path):
    async with open_peer() as peer:
        peer.files["big"] = bytes(GIBIBYTE // 4)
        with servers.wsgidav(tmp_path) as storage:
            async with in_process(tmp_path / "a", storage) as gateway:
                share = await accepted(gateway, peer)
                slow = await downloading(gateway, await at_the_door(gateway, share))
                began = time.monotonic()
                body = {"notificationType": "SHARE_UNSHARED", "providerId": share.provider_id}
                url = f"http://{gateway.ours.authority}/ocm/notifications"
                assert (await peer.post(url, body)).status == 201
                ended_at, size = await slow
                assert ended_at - began < PATIENCE_SECONDS
                assert size < GIBIBYTE // 8


async def test_a_rehearsed_policy_decides_nothing_and_is_counted(tmp_path):
    (tmp_path / "shadow.yaml").write_text("default: allow\ndeny: [127.0.0.1]")
    policy = {"default": "allow", "shadow": str(tmp_path / "shadow.yaml")}
    async with open_peer() as peer:
        with servers.wsgidav(tmp_path) as storage:
            async with in_process(tmp_path / "a", storage, policy=policy) as gateway:
                host = gateway.ours.authority
                answer = await peer.post(f"http://{host}/ocm/shares", peer.share(f"alice@{host}"))
                assert answer.status == 201
                found = await gateway.ledger.latest(shadowed=True)
                assert {one.outcome for one in found} == {"allow"}
                assert {one.shadow for one in found} == {"deny by deny@shadow.yaml"}


async def test_which_policy_holds_is_entered_once_and_again_when_it_changes(gateway, tmp_path):
    async def adopted():
        wanted = Wanted(what="policy.adopted")
        found = await gateway.state.database.read(partial(audit.entries, wanted=wanted))
        return [entry.deed.about for entry in found]

    first = gateway.others.doorkeeper.in_force.version
    await eventually(adopted)
    assert await adopted() == [first]
    write(tmp_path, "two", "deny: [worse.example.org]")
    await until(lambda: denied(gateway, "worse.example.org"))
    second = gateway.others.doorkeeper.in_force.version

    async def both():
        return await adopted() == [first, second]

    await eventually(both)
