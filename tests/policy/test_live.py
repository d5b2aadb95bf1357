"""What is written holds within a second, in every process; what runs against it is cut off."""

import asyncio
import contextlib
import json
import socket
import time
import urllib.request

import pytest
import yaml

from gateway import config
from gateway.app import open_gateway
from gateway.model import Permission
from gateway.sharing.sending import Offer
from tests import servers
from tests.pair import in_process, running
from tests.peer import open_peer

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


async def test_a_changed_configuration_changes_the_policy(gateway):
    settings = yaml.safe_load(gateway.settings.file.read_text())
    settings["policy"]["deny"] = ["bad.example.org"]
    gateway.settings.file.write_text(yaml.safe_dump(settings))
    await until(lambda: denied(gateway, "bad.example.org"))


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
        clients = [await asyncio.to_thread(begin, port, path, token) for _ in range(6)]
        slow = [asyncio.to_thread(drip, client) for client in clients]
        settings = gateway.settings
        settings["policy"]["deny"] = [peer.authority]
        gateway.file.write_text(yaml.safe_dump(settings))
        began = time.monotonic()
        for ended_at, size in await asyncio.gather(*slow):
            assert ended_at - began < 2
            assert size < GIBIBYTE // 4
        assert gateway.log.read_text().count("transfer.cut") == len(clients)


def begin(port, path, token):
    """A download with a small window, which has begun."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    client.connect(("127.0.0.1", port))
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n\r\n"
    client.sendall(head.encode())
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
