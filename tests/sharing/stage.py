"""What most tests of the federation stand on: a storage, a gateway, a foreign server, a clock."""

import base64
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict
from sqlalchemy import func, select

from gateway import config
from gateway.app import Gateway, listening, open_gateway
from gateway.model import ReceivedShare, SentShare
from gateway.sharing.sending import Offer
from gateway.store.tables import outbox, received_shares, sent_shares
from tests import servers
from tests.pair import settings, write
from tests.peer import Outgoing, Peer, Reply, open_peer, webdav

__all__ = ["gateway", "opened", "other", "peer", "storage"]

ALICE = "Basic " + base64.b64encode(b"alice:alice-password").decode()


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    now: int = field(default_factory=lambda: int(time.time()))

    def __call__(self) -> int:
        return self.now


@pytest.fixture(scope="session")
def storage(tmp_path_factory):
    with servers.wsgidav(tmp_path_factory.mktemp("storage")) as storage:
        alice = storage.root / "alice"
        (alice / "trip").mkdir()
        (alice / "trip" / "day.txt").write_bytes(b"sunny")
        (alice / "letter.txt").write_bytes(b"Dear Bob")
        yield storage


@pytest.fixture
async def peer():
    async with open_peer() as peer:
        yield peer


@pytest.fixture
async def other():
    """A second foreign server."""
    async with open_peer() as peer:
        yield peer


@pytest.fixture
async def opened(tmp_path, storage, keeps):
    """Opens a gateway with changed settings; all are closed at the end of the test."""
    async with AsyncExitStack() as stack:

        async def opened(clock: Any = None, folder: str = "gateway", **changes: Any) -> Gateway:
            url = changes.pop("storage_url", storage.url)
            return await stack.enter_async_context(
                running(tmp_path / folder, url, clock=clock, **keeps(folder) | changes)
            )

        yield opened


@pytest.fixture
async def gateway(opened):
    """A gateway as it comes."""
    return await opened()


@asynccontextmanager
async def running(
    folder: Path, storage_url: str, *, clock: Any = None, listens: bool = True, **changes: Any
) -> AsyncIterator[Gateway]:
    """A gateway in this event loop, its clock in our hand."""
    loaded = config.load(write(folder, settings(folder, storage_url, **changes)))
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(open_gateway(loaded, *([clock] if clock else [])))
        if listens:
            await stack.enter_async_context(listening(gateway))
        yield gateway


async def counts(gateway: Gateway) -> tuple[int, ...]:
    """How many rows there are in the tables of shares and errands."""

    def count(connection: Any) -> tuple[int, ...]:
        tables = (sent_shares, received_shares, outbox)
        return tuple(
            connection.execute(select(func.count()).select_from(table)).scalar() for table in tables
        )

    return await gateway.state.database.read(count)


async def leaves_no_trace(gateway: Gateway, *peers: Peer) -> None:
    """Nothing was kept, and none of these servers was asked anything."""
    assert await counts(gateway) == (0, 0, 0)
    assert await gateway.receiving.inbox() == []
    for peer in peers:
        assert [f"{one.method} {one.path}" for one in peer.seen] == []


def shares_of(gateway: Gateway) -> str:
    return f"{gateway.ours.end_point}/shares"


def notifications_of(gateway: Gateway) -> str:
    return f"{gateway.ours.end_point}/notifications"


def address(gateway: Gateway, user: str = "alice") -> str:
    return str(gateway.ours.address(user))


async def send_share(peer: Peer, gateway: Gateway, **changes: Any) -> dict[str, Any]:
    """A share from the peer for alice, taken; `webdav` changes its access."""
    access = webdav(**changes.pop("webdav", {}))
    changes = {"protocol": {"name": "multi", "webdav": access}} | changes
    body = peer.share(address(gateway), **changes)
    reply = await peer.post(shares_of(gateway), body)
    assert reply.status == 201, reply.body
    return body


async def receive_share(peer: Peer, gateway: Gateway, **changes: Any) -> ReceivedShare:
    """A share from the peer, accepted by alice."""
    body = await send_share(peer, gateway, **changes)
    wanted = (peer.authority, body["providerId"])
    inbox = await gateway.receiving.inbox()
    share = next(one for one in inbox if (one.sending_server, one.provider_id) == wanted)
    return await gateway.receiving.accept(share.id)


async def create_share(
    gateway: Gateway, peer: Peer, path: str = "/trip", **offer: Any
) -> SentShare:
    """A share of alice's with somebody at the peer."""
    return await gateway.sending.create_share(
        Offer("alice", path, f"einstein@{peer.authority}", **offer)
    )


async def token_of(gateway: Gateway, peer: Peer, share: SentShare) -> str:
    """An access token, exchanged by the peer."""
    reply = await peer.exchange(gateway.ours.token_end_point, share.shared_secret)
    assert reply.status == 200, reply.body
    return str(reply.json()["access_token"])


async def visit(
    gateway: Gateway,
    peer: Peer,
    share_id: str,
    credential: str | None,
    path: str = "",
    method: str = "PROPFIND",
    body: bytes = b"",
    **headers: str,
) -> Reply:
    """The peer at our WebDAV door."""
    url = f"{gateway.ours.origin}/remote/dav/ocm/{share_id}{path}"
    sent = {"Depth": "0"} if method == "PROPFIND" else {}
    if credential is not None:
        sent["Authorization"] = credential if " " in credential else f"Bearer {credential}"
    return await peer.send(request(method, url, body, sent | headers))


async def browse(
    gateway: Gateway, peer: Peer, path: str, method: str = "PROPFIND", body: bytes = b""
) -> Reply:
    """Alice at the door of what she was given; the peer only lends its client."""
    url = f"{gateway.ours.origin}/remote/dav/received/{path}"
    depth = {"Depth": "0"} if method == "PROPFIND" else {}
    return await peer.send(request(method, url, body, {"Authorization": ALICE} | depth))


def request(method: str, url: str, body: bytes, headers: dict[str, str]) -> Outgoing:
    return Outgoing(method, url, CIMultiDict(headers), body)
