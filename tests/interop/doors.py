"""One storage behind two gateways, and a folder of it shared through both: what clients stand at.

alice shares at the first gateway, the way servers before tokens are shared with, so that the secret
alone opens the sender's door; bob has accepted at the second and finds the folder in his tree.
"""

import asyncio
import base64
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from gateway.app import Gateway
from gateway.model import Permission, SentState
from gateway.sharing.sending import Offer
from tests.pair import in_process
from tests.servers import QUIRKS, USERS, Storage

READ_WRITE = frozenset({Permission.READ, Permission.WRITE})
DAY_SECONDS = 86_400
DOORS = ("share", "received")


@dataclass(frozen=True)
class Shared:
    """A shared folder: where it lies on the storage's disk, and the doors that lead there.

    `url` is the sender's door, opened by `Bearer <token>` and by `Basic <secret>:`; `received` is
    bob's, opened by his password. Neither ends in a slash.
    """

    storage: Storage
    folder: Path
    sender: Gateway
    url: str
    secret: str
    token: str
    received: str
    user: str = "bob"
    password: str = USERS["bob"]

    def door(self, name: str) -> tuple[str, dict[str, str]]:
        """The address of one of DOORS, and the header that opens it."""
        if name == "share":
            return self.url, {"Authorization": f"Bearer {self.token}"}
        return self.received, {"Authorization": basic(self.user, self.password)}


def basic(user: str, password: str) -> str:
    """An Authorization header's value."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


@contextlib.asynccontextmanager
async def shared(folder: Path, storage: Storage, name: str = "shared") -> AsyncIterator[Shared]:
    """alice's folder `name`, made here and shared for reading and writing."""
    on_disk = storage.root / "alice" / name
    on_disk.mkdir()
    on_disk.chmod(0o777)
    quirks = {"storage": {"quirks": QUIRKS[storage.name]}}
    legacy = {"sharing": {"legacy_access": True}, "tokens": {"lifetime_seconds": DAY_SECONDS}}
    async with (
        in_process(folder / "sender", storage, **quirks, **legacy) as sender,
        in_process(folder / "receiver", storage, **quirks) as receiver,
    ):
        offer = Offer(
            "alice",
            f"/{name}",
            f"bob@{receiver.ours.authority}",
            READ_WRITE,
            must_exchange_token=False,
        )
        share = await sender.sending.create_share(offer)
        assert share.state is SentState.SENT, share.reason
        [received] = await receiver.receiving.inbox("bob")
        await receiver.receiving.accept(received.id, recipient="bob")
        yield Shared(
            storage,
            on_disk,
            sender,
            f"{sender.ours.origin}/remote/dav/ocm/{share.provider_id}",
            share.shared_secret,
            sender.access.issue(share).access_token,
            f"{receiver.ours.origin}/remote/dav/received/{name}",
        )


@dataclass(frozen=True)
class Finished:
    """A program that ran to its end."""

    code: int
    output: str


async def run(*words: str, cwd: Path, stdin: str = "", **environment: str) -> Finished:
    """Run a program beside the gateways, which share this event loop. It may take two minutes."""
    process = await asyncio.create_subprocess_exec(
        *words,
        cwd=cwd,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"HOME": str(cwd)} | environment,
    )
    try:
        async with asyncio.timeout(110):
            output, _ = await process.communicate(stdin.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Finished(process.returncode or 0, output.decode(errors="replace"))
