"""Two replicas on one PostgreSQL behind nginx: either may die, and what one knows both know."""

import asyncio
import contextlib
import subprocess
import time
from pathlib import Path

import aiohttp
import pytest

from tests.pair import Process, eventually, settings, write
from tests.servers import free_port, require
from tests.sharing.stage import peer, storage

__all__ = ["peer", "storage"]

EXAMPLE = Path(__file__).parents[1] / "deploy/proxies/nginx-replicas.conf"


@contextlib.contextmanager
def balancer(folder, port, first, second):
    """nginx as deploy/proxies has it, with other ports."""
    site = EXAMPLE.read_text().replace("8080", str(first)).replace("8090", str(second))
    folder.mkdir()
    paths = "".join(f"{name}_temp_path {folder};" for name in ("proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; worker_processes 1; events {{}}\n"
        f"http {{ access_log off; client_body_temp_path {folder}; {paths}\n"
        f"{site.replace('8000', str(port))} }}\n"
    )
    command = [require("nginx"), "-e", f"{folder}/log", "-c", f"{folder}/nginx.conf"]
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def fleet(tmp_path, storage, postgres):
    """(balancer's origin, one replica, the other)."""
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    replicas, ports = [], [free_port(), free_port()]
    for name, own in zip(("one", "two"), ports, strict=True):
        changes = {
            "public": {"origin": origin, "listen": f"127.0.0.1:{own}"},
            "state": {"key_file": str(tmp_path / "key")},
        }
        data = settings(tmp_path / name, storage.url, postgres=postgres, **changes)
        replicas.append(Process(write(tmp_path / name, data)))
    with balancer(tmp_path / "nginx", port, *ports):
        for replica in replicas:
            replica.start()
        try:
            yield origin, *replicas
        finally:
            for replica in replicas:
                replica.kill()


@pytest.mark.slow
async def test_behind_a_balancer_either_may_die_and_both_know_what_one_knows(fleet, peer):
    origin, one, two = fleet
    create = ["share", "create", "-u", "alice", "/trip", f"einstein@{peer.authority}"]
    share = (await asyncio.to_thread(one.run, *create))["id"]
    told = peer.requests("POST /ocm/shares")[-1].json()
    reply = await peer.exchange(f"{origin}/ocm/token", told["protocol"]["webdav"]["sharedSecret"])
    assert reply.status == 200
    headers = {"Authorization": f"Bearer {reply.json()['access_token']}"}
    direct = [f"http://{replica.settings['public']['listen']}" for replica in (one, two)]

    async def get(where):
        url = f"{where}/remote/dav/ocm/{share}/day.txt"
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
            return answer.status

    # The token of whichever issued it opens the door at both.
    assert [await get(where) for where in direct] == [200, 200]
    for replica in (one, two):
        await asyncio.to_thread(replica.kill)
        assert {await get(origin) for _ in range(6)} == {200}
        body = peer.share(f"alice@{origin.removeprefix('http://')}")
        assert (await peer.post(f"{origin}/ocm/shares", body)).status == 201
        await asyncio.to_thread(replica.start)

    assert [await get(where) for where in direct] == [200, 200]
    await asyncio.to_thread(two.run, "share", "revoke", share)
    revoked_at = time.monotonic()
    for where in direct:

        async def closed(where=where):
            return await get(where) == 404

        await eventually(closed, 5)
    assert time.monotonic() - revoked_at < 5
    received = await asyncio.to_thread(one.run, "received", "list")
    assert len(received) == 2
