"""alice at a gateway, in front of a real storage, meets einstein at a simulated server."""

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from gateway.app import Gateway
from gateway.model import Permission, ReceivedShare, ReceivedState, SentShare, SentState
from gateway.sharing.sending import Offer
from gateway.simulate import acting
from gateway.simulate.server import open_simulation
from gateway.simulate.state import Received, Sent, Simulation
from tests.pair import eventually
from tests.servers import USERS, Storage
from tests.sharing.stage import running

READ_WRITE = frozenset({Permission.READ, Permission.WRITE})
READ = frozenset({Permission.READ})
LENIENT = {
    "signatures": {"required": False},
    "dialects": {"servers": [{"server": "127.0.0.1", "unsigned_exchange": True}]},
}
"""What an operator has to allow for servers that do not sign."""


@dataclass
class Clock:
    """The gateway's clock, which can be put forward."""

    ahead: int = 0

    def __call__(self) -> int:
        return int(time.time()) + self.ahead


@dataclass
class Meeting:
    """Both sides, and a WebDAV client of alice's."""

    gateway: Gateway
    world: Simulation
    storage: Storage
    http: aiohttp.ClientSession
    clock: Clock

    @property
    def folder(self) -> Path:
        """alice's files."""
        return self.storage.root / "alice"

    @property
    def alice(self) -> str:
        return str(self.gateway.ours.address("alice"))

    async def befriend(self) -> None:
        """An invite of alice's, accepted by einstein, where that server wants one first."""
        invite = await self.gateway.inviting.create_invite("alice")
        string = self.gateway.inviting.string_of(invite)
        assert await acting.accept_invite(self.world, string) == (200, self.alice)

    async def share(self, path: str = "/letter.txt", share_with: str = "") -> SentShare:
        """alice shares with einstein, as much as his server can take."""
        permissions = READ_WRITE if self.world.peer.writes else READ
        offer = Offer("alice", path, share_with or self.world.address, permissions)
        return await self.gateway.sending.create_share(offer)

    async def accepted(self, path: str = "/letter.txt") -> tuple[SentShare, Received]:
        """A share of alice's that einstein has accepted."""
        share = await self.share(path)
        assert share.state is SentState.SENT, share.reason
        [received] = self.world.received.values()
        await acting.decide(self.world, received.id, accept=True)
        return share, received

    async def received(self, path: str = "/letter.txt") -> tuple[Sent, ReceivedShare]:
        """A share of einstein's that alice has not decided on."""
        sent = await acting.share(self.world, self.alice, path)
        assert sent.state == "sent", sent.statuses
        [received] = await self.gateway.receiving.inbox("alice")
        return sent, received

    async def taken(self, path: str = "/letter.txt") -> tuple[Sent, ReceivedShare]:
        """A share of einstein's that alice has accepted."""
        sent, received = await self.received(path)
        return sent, await self.gateway.receiving.accept(received.id, recipient="alice")

    async def dav(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """alice in the tree of what she was given."""
        login = base64.b64encode(f"alice:{USERS['alice']}".encode()).decode()
        headers = {"Authorization": f"Basic {login}"}
        if method == "PROPFIND":
            headers["Depth"] = "1"
        url = f"{self.gateway.ours.origin}/remote/dav/received/{path}"
        async with self.http.request(method, url, data=body or None, headers=headers) as answer:
            return answer.status, await answer.read()

    async def state_of(self, share: SentShare) -> SentState:
        return (await self.gateway.sending.by_id(share.provider_id)).state

    async def received_state(self, share: ReceivedShare) -> ReceivedState:
        return (await self.gateway.receiving.by_id(share.id)).state

    async def becomes(self, look: Any, wanted: object) -> None:
        """Wait until `look` gives that; it may be async."""

        async def there() -> bool:
            found = look()
            return (await found if asyncio.iscoroutine(found) else found) == wanted

        await eventually(there)


@contextlib.asynccontextmanager
async def meeting(
    folder: Path, storage: Storage, peer: str, *, befriended: bool = True, **changes: Any
) -> AsyncIterator[Meeting]:
    """A gateway and a simulated server, both listening; befriended where the server wants that."""
    folder.mkdir(parents=True, exist_ok=True)
    async with contextlib.AsyncExitStack() as stack:
        world = await stack.enter_async_context(open_simulation(peer))
        clock = Clock()
        gateway = await stack.enter_async_context(
            running(folder / "gateway", storage.url, clock=clock, **LENIENT | changes)
        )
        http = await stack.enter_async_context(aiohttp.ClientSession())
        met = Meeting(gateway, world, storage, http, clock)
        if befriended and any(rule == "no contact" for rule, _ in world.peer.refuses):
            await met.befriend()
        world.seen.clear()
        yield met
