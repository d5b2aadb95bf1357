"""Mixed traffic for long: memory stays flat, no descriptor leaks, nothing fails. `make soak`.

Opt-in: `OCM_SOAK_MINUTES=30`. The first quarter warms up; what follows is compared with the end.
"""

import asyncio
import os
import statistics
import time
from pathlib import Path

import aiohttp
import pytest

from tests.pair import Process, settings, write
from tests.sharing.stage import ALICE, peer, storage

__all__ = ["peer", "storage"]

MINUTES = float(os.environ.get("OCM_SOAK_MINUTES", "0"))
GROWTH = 1.05
PAUSE_SECONDS = 0.02
CALLERS = 4


class Traffic:
    """One caller after the other; `failed` holds what was not answered as it should be."""

    def __init__(self, gateway, peer, session):
        self.origin = gateway.origin
        self.user = f"alice@{gateway.authority}"
        self.peer, self.session = peer, session
        self.done, self.failed = 0, []

    async def go_on(self, until):
        while time.monotonic() < until:
            await self.once()
            await asyncio.sleep(PAUSE_SECONDS)

    async def expect(self, status, method, url, **options):
        async with self.session.request(method, url, **options) as answer:
            await answer.read()
            self.done += 1
            if answer.status != status:
                self.failed.append((method, url, answer.status))
            return answer

    async def once(self):
        alice = {"Authorization": ALICE}
        await self.expect(200, "GET", f"{self.origin}/.well-known/ocm")
        sent = self.peer.signed("POST", f"{self.origin}/ocm/shares", self.peer.share(self.user))
        await self.expect(201, "POST", sent.url, headers=sent.headers, data=sent.body)
        wanted = {"path": "/trip", "shareWith": f"einstein@{self.peer.authority}"}
        shares = f"{self.origin}/api/v1/shares"
        async with self.session.post(shares, json=wanted, headers=alice) as answer:
            share = (await answer.json())["id"]
        told = [
            one.json()
            for one in self.peer.requests("POST /ocm/shares")
            if share in one.body.decode()
        ]
        code = told[-1]["protocol"]["webdav"]["sharedSecret"]
        token = (await self.peer.exchange(f"{self.origin}/ocm/token", code)).json()["access_token"]
        door = f"{self.origin}/remote/dav/ocm/{share}"
        bearer = {"Authorization": f"Bearer {token}"}
        await self.expect(200, "GET", f"{door}/day.txt", headers=bearer)
        await self.expect(207, "PROPFIND", f"{door}/", headers=bearer | {"Depth": "1"})
        await self.expect(403, "PUT", f"{door}/day.txt", headers=bearer, data=b"no")
        await self.expect(401, "GET", f"{door}/day.txt", headers={"Authorization": "Bearer x"})
        await self.expect(200, "DELETE", f"{shares}/{share}", headers=alice)
        await self.expect(404, "GET", f"{door}/day.txt", headers=bearer)
        del self.peer.seen[:-200]


def used(pid):
    """Resident bytes and open descriptors of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE"), len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.mark.skipif(not MINUTES, reason="opt-in: make soak")
@pytest.mark.timeout(MINUTES * 60 + 300)
async def test_memory_and_descriptors_stay_flat_and_nothing_fails(tmp_path, storage, peer):
    gateway = Process(write(tmp_path, settings(tmp_path, storage.url)))
    await asyncio.to_thread(gateway.start)
    samples = []
    began = time.monotonic()
    until = began + MINUTES * 60
    try:
        async with aiohttp.ClientSession() as session:
            traffic = Traffic(gateway, peer, session)
            callers = [asyncio.create_task(traffic.go_on(until)) for _ in range(CALLERS)]
            while time.monotonic() < until:
                await asyncio.sleep(2)
                samples.append(used(gateway.process.pid))
            await asyncio.gather(*callers)
    finally:
        await asyncio.to_thread(gateway.kill)
    quarter = len(samples) // 4
    before, after = samples[quarter : 2 * quarter], samples[-quarter:]
    memory = [statistics.median(one[0] for one in part) / 1e6 for part in (before, after)]
    descriptors = [statistics.median(one[1] for one in part) for part in (before, after)]
    print(
        f"{MINUTES:g} minutes, {traffic.done} requests, {len(traffic.failed)} failed; "
        f"memory {memory[0]:.1f} -> {memory[1]:.1f} MB, descriptors {descriptors}"
    )
    assert traffic.failed == []
    assert descriptors[1] <= descriptors[0] + 5
    assert memory[1] <= memory[0] * GROWTH
