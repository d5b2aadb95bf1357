"""What everyone who asks the storage needs of a Pool, or of what stands before one."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from multidict import CIMultiDict

from gateway.upstream.reply import Reply
from gateway.upstream.sending import Body


class Way(Protocol):
    """The way to the storage."""

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | CIMultiDict[str] | None = None,
        body: Body = None,
        total_seconds: float | None = None,
        idle_seconds: float | None = None,
    ) -> AbstractAsyncContextManager[Reply]:
        """As `Pool.request`."""

    async def close(self) -> None:
        """As `Pool.close`."""
