"""What the operator does to servers, keys and errands: the same for commands, pages and their API.

Each act is one entry in the audit trail, by whom, in the transaction of what is done.
"""

from collections.abc import Callable, Sequence
from typing import Any

from gateway.errors import NotFound
from gateway.httpsig.signing import SigningKey
from gateway.model import Authority, Deed, KeyState, OutboxEntry, Provider, Standing
from gateway.policy.audit import Audit
from gateway.providers.importing import Change, Entry, thumbprint
from gateway.providers.registry import Registry
from gateway.providers.ring import OwnKey, Ring
from gateway.sharing.outbox import Outbox
from gateway.store.database import Result, Work, Write


class Operating:
    """The operator's acts. Each raises Unavailable where it cannot be entered in the trail, and
    nothing is done then."""

    def __init__(self, registry: Registry, ring: Ring, outbox: Outbox, audit: Audit) -> None:
        self._registry = registry
        self._ring = ring
        self._outbox = outbox
        self._audit = audit

    async def add(
        self, provider: Authority, *, by: str, comment: str = "", pins: tuple[str, ...] = ()
    ) -> Provider:
        """Add a server as approved, with `pins` (thumbprints) its only keys. Raises Malformed."""
        pins = tuple(map(thumbprint, pins))
        write = self._writing("peer.added", provider, by, _said(comment, pins))
        return await self._registry.add(provider, comment, pins, write=write)

    async def decide(
        self, provider: Authority, standing: Standing, *, by: str, comment: str | None = None
    ) -> Provider:
        """Approve or block a server; approving trusts the keys of it that wait."""
        write = self._writing(f"peer.{standing.value}", provider, by, comment or "")
        return await self._registry.decide(provider, standing, comment, write=write)

    async def take_in(self, entries: list[Entry], *, by: str) -> list[Change]:
        """Do what a list says of many servers, all of it or nothing; returns what that was."""

        def told(done: list[Change]) -> list[Deed]:
            changed = (one for one in done if one.changes)
            return [
                self._server("peer.imported", one.entry.authority, by, one.standing.value)
                for one in changed
            ]

        return await self._registry.take_in(entries, write=self._entering(told))

    async def pin(self, provider: Authority, key: str = "", *, by: str) -> Provider:
        """Take no key of a server but that one (its thumbprint), or the only one it has.

        Raises Malformed, NotFound, Conflict.
        """
        write = self._entering(
            lambda pins: self._server("peer.pinned", provider, by, _said("", pins))
        )
        return await self._registry.pin(provider, thumbprint(key) if key else "", write=write)

    async def unpin(self, provider: Authority, key: str, *, by: str) -> Provider:
        """That key is one like others again. Raises Malformed, NotFound."""
        write = self._writing("peer.unpinned", provider, by, key)
        return await self._registry.unpin(provider, thumbprint(key), write=write)

    async def reset(self, provider: Authority, *, by: str) -> Provider:
        """Forget what a server has proven, and its failures. Raises NotFound."""
        write = self._writing("peer.reset", provider, by)
        return await self._registry.reset(provider, write=write)

    async def remove(self, provider: Authority, *, by: str) -> None:
        """Forget a server altogether. Raises NotFound."""
        await self._registry.remove(provider, write=self._writing("peer.removed", provider, by))

    async def stage(self, algorithm: str, *, by: str) -> OwnKey:
        """Make a key of ours and publish it. Raises Malformed."""
        write = self._entering(lambda kid: self._moved(KeyState.STAGED, kid, by))
        return await self._ring.stage(algorithm, write=write)

    async def activate(self, kid: str, *, by: str) -> OwnKey:
        """Sign with a key from now on. Raises NotFound, Conflict."""
        write = self._entering(lambda _: self._moved(KeyState.ACTIVE, kid, by))
        return await self._ring.activate(kid, write=write)

    async def retire(self, kid: str, *, by: str, compromised: bool = False) -> OwnKey:
        """Publish a key no more. Raises NotFound, Conflict."""
        state = KeyState.COMPROMISED if compromised else KeyState.RETIRED
        write = self._entering(lambda _: self._moved(state, kid, by))
        return await self._ring.retire(kid, compromised=compromised, write=write)

    async def adopt(self, given: Sequence[SigningKey], *, by: str) -> list[str]:
        """Sign with the first of these keys and publish the others; the kids of those that moved.
        Raises Conflict."""

        def told(moved: list[str]) -> list[Deed]:
            return [self._audit.deed("key.adopted", who=by, about=kid) for kid in moved]

        return await self._ring.adopt(given, write=self._entering(told))

    async def retry(self, entry_id: str, *, by: str) -> OutboxEntry | None:
        """Try an errand now; what is left of it, None when it is done. Raises NotFound.

        The entry tells how it failed before.
        """
        write = self._entering(lambda entry: self._errand("outbox.retried", entry, by))
        await self._outbox.retry(entry_id, write=write)
        try:
            return await self._outbox.by_id(entry_id)
        except NotFound:
            return None

    async def drop(self, entry_id: str, *, by: str) -> OutboxEntry:
        """Forget an errand for good. Raises NotFound."""
        write = self._entering(lambda entry: self._errand("outbox.dropped", entry, by))
        return await self._outbox.drop(entry_id, write=write)

    def _entering(self, told: Callable[[Any], Deed | Sequence[Deed]]) -> Write:
        """Transactions that enter, too, what `told` says of their result."""

        async def write(work: Work[Result]) -> Result:
            return await self._audit.write(work, told)

        return write

    def _writing(self, what: str, provider: Authority, by: str, reason: str = "") -> Write:
        return self._entering(lambda _: self._server(what, provider, by, reason))

    def _server(self, what: str, provider: Authority, by: str, reason: str) -> Deed:
        return self._audit.deed(what, who=by, provider=provider, reason=reason)

    def _moved(self, state: KeyState, kid: str, by: str) -> Deed:
        return self._audit.deed(f"key.{state.value}", who=by, about=kid)

    def _errand(self, what: str, entry: OutboxEntry, by: str) -> Deed:
        kind, error = entry.errand.value, entry.last_error
        told = f"{kind}: {error}" if error else kind
        return self._audit.deed(
            what, who=by, provider=entry.provider, about=entry.share, reason=told
        )


def _said(comment: str, pins: tuple[str, ...]) -> str:
    return ", ".join([*([comment] if comment else []), *(f"pinned {pin}" for pin in pins)])
