"""kill -9 again and again, at random moments, under load from both sides.

`OCM_KILLS=200 pytest tests/test_kills.py` (`make kills`) does it two hundred times.
"""

import asyncio
import os
import random
import sqlite3
from collections import Counter

import aiohttp
import pytest

from tests.pair import Process, eventually, settings, write
from tests.peer import Answer
from tests.sharing.stage import ALICE, peer, storage

__all__ = ["peer", "storage"]

KILLS = int(os.environ.get("OCM_KILLS", "3"))
PATIENCE_SECONDS = 30
AT_ONCE = 4


class Load:
    """Asks for all it can, and remembers what it was promised."""

    def __init__(self, gateway, peer):
        self.gateway, self.peer = gateway, peer
        self.taken = []  # shares of the peer that got 201
        self.created = []  # shares of alice that the API answered 201 for
        self.hung = 0
        self.statuses = Counter()

    async def run(self):
        timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            works = [self._tell(session), self._create(session)] * AT_ONCE
            await asyncio.gather(*(self._again(work) for work in works))

    async def _again(self, work):
        while True:
            try:
                self.statuses[await work()] += 1
            except TimeoutError:
                self.hung += 1
            except (aiohttp.ClientError, OSError):
                await asyncio.sleep(0.05)

    def _tell(self, session):
        async def tell():
            body = self.peer.share(f"alice@{self.gateway.authority}")
            sent = self.peer.signed("POST", f"{self.gateway.origin}/ocm/shares", body)
            async with session.post(sent.url, headers=sent.headers, data=sent.body) as answer:
                await answer.read()
                if answer.status == 201:
                    self.taken.append(body["providerId"])
                return answer.status

        return tell

    def _create(self, session):
        async def create():
            wanted = {"path": "/letter.txt", "shareWith": f"einstein@{self.peer.authority}"}
            url, headers = f"{self.gateway.origin}/api/v1/shares", {"Authorization": ALICE}
            async with session.post(url, json=wanted, headers=headers) as answer:
                found = await answer.json(content_type=None)
                if answer.status == 201:
                    self.created.append(found["id"])
                return answer.status

        return create


@pytest.mark.timeout(120 + 10 * KILLS)
async def test_killed_at_random_moments_nothing_promised_is_lost_and_nothing_happens_twice(
    tmp_path, storage, peer
):
    peer.on("POST /ocm/shares", Answer(201, {"recipientDisplayName": "E"}))
    users = {"source": "list", "list": [{"name": "alice", "password": "alice-password"}]}
    gateway = Process(write(tmp_path, settings(tmp_path, storage.url, users=users)))
    load = Load(gateway, peer)
    chance = random.Random(20261125)
    await asyncio.to_thread(gateway.start)
    asking = asyncio.create_task(load.run())
    try:
        for _ in range(KILLS):
            await asyncio.sleep(chance.uniform(0.1, 0.9))
            await asyncio.to_thread(gateway.kill)
            await asyncio.to_thread(gateway.start)
        before = len(load.taken), len(load.created)

        def goes_on():
            assert not asking.done(), asking.exception()
            return len(load.taken) > before[0] and len(load.created) > before[1]

        await eventually(goes_on, 30)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

        async def delivered():
            return await asyncio.to_thread(gateway.run, "outbox", "list") == []

        await eventually(delivered, 60)
        received = await asyncio.to_thread(gateway.run, "received", "list")
        sent = await asyncio.to_thread(gateway.run, "share", "list")
    finally:
        asking.cancel()
        await asyncio.to_thread(gateway.stop)

    assert load.hung == 0
    inbox = Counter(share["providerId"] for share in received)
    assert set(load.taken) <= set(inbox), "what got 201 was lost"
    assert max(inbox.values()) == 1
    states = {share["id"]: share["state"] for share in sent}
    told = Counter(one.json()["providerId"] for one in peer.requests("POST /ocm/shares"))
    assert set(load.created) <= set(states), "what was created was lost"
    assert {states[share] for share in load.created} == {"sent"}
    # Whatever was told of is a share, and a message that was cut off is repeated under its own
    # providerId, by which its recipient knows it: at most one for each that a kill cut off.
    assert set(told) <= set(states)
    assert sum(told.values()) - len(told) <= KILLS * (AT_ONCE + 8)
    check = sqlite3.connect(tmp_path / "state/gateway.sqlite")
    assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    check.close()
    print(
        f"{KILLS} kills: {len(load.taken)} shares taken, {len(load.created)} created, "
        f"{sum(told.values()) - len(told)} repeated, none lost, none hung; {dict(load.statuses)}"
    )
