"""What the operator does to servers, keys and errands: the same for commands, pages and their API.

Each act is one entry in the audit trail, by whom.
"""

from gateway.errors import NotFound
from gateway.model import Authority, KeyStanding, OutboxEntry, Provider, Standing
from gateway.policy.audit import Audit
from gateway.providers.importing import thumbprint
from gateway.providers.registry import Registry
from gateway.providers.ring import OwnKey, Ring
from gateway.sharing.outbox import Outbox


class Operating:
    """The operator's acts. Each raises Unavailable where it cannot be entered in the trail."""

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
        added = await self._registry.add(provider, comment, pins)
        await self._enter("peer.added", provider, by, _said(comment, pins))
        return added

    async def decide(
        self, provider: Authority, standing: Standing, *, by: str, comment: str | None = None
    ) -> Provider:
        """Approve or block a server; approving trusts the keys of it that wait."""
        decided = await self._registry.decide(provider, standing, comment)
        await self._enter(f"peer.{standing.value}", provider, by, comment or "")
        return decided

    async def pin(self, provider: Authority, key: str = "", *, by: str) -> Provider:
        """Take no key of a server but that one (its thumbprint), or the only one it has.

        Raises Malformed, NotFound, Conflict.
        """
        done = await self._registry.pin(provider, thumbprint(key) if key else "")
        keys = await self._registry.keys_of(provider)
        pins = tuple(one.thumbprint for one in keys if one.standing is KeyStanding.PINNED)
        await self._enter("peer.pinned", provider, by, _said("", pins))
        return done

    async def unpin(self, provider: Authority, key: str, *, by: str) -> Provider:
        """That key is one like others again. Raises Malformed, NotFound."""
        done = await self._registry.unpin(provider, thumbprint(key))
        await self._enter("peer.unpinned", provider, by, key)
        return done

    async def reset(self, provider: Authority, *, by: str) -> Provider:
        """Forget what a server has proven, and its failures. Raises NotFound."""
        done = await self._registry.reset(provider)
        await self._enter("peer.reset", provider, by)
        return done

    async def remove(self, provider: Authority, *, by: str) -> None:
        """Forget a server altogether. Raises NotFound."""
        await self._registry.remove(provider)
        await self._enter("peer.removed", provider, by)

    async def stage(self, algorithm: str, *, by: str) -> OwnKey:
        """Make a key of ours and publish it. Raises Malformed."""
        return await self._changed(await self._ring.stage(algorithm), by)

    async def activate(self, kid: str, *, by: str) -> OwnKey:
        """Sign with a key from now on. Raises NotFound, Conflict."""
        return await self._changed(await self._ring.activate(kid), by)

    async def retire(self, kid: str, *, by: str, compromised: bool = False) -> OwnKey:
        """Publish a key no more. Raises NotFound, Conflict."""
        return await self._changed(await self._ring.retire(kid, compromised=compromised), by)

    async def retry(self, entry_id: str, *, by: str) -> OutboxEntry | None:
        """Try an errand now; what is left of it, None when it is done. Raises NotFound."""
        entry = await self._outbox.by_id(entry_id)
        await self._outbox.retry(entry_id)
        try:
            left: OutboxEntry | None = await self._outbox.by_id(entry_id)
        except NotFound:
            left = None
        await self._errand("outbox.retried", entry, by, left.last_error if left else "")
        return left

    async def drop(self, entry_id: str, *, by: str) -> OutboxEntry:
        """Forget an errand for good. Raises NotFound."""
        entry = await self._outbox.drop(entry_id)
        await self._errand("outbox.dropped", entry, by, entry.last_error)
        return entry

    async def _enter(self, what: str, provider: Authority, by: str, reason: str = "") -> None:
        await self._audit.record(what, who=by, provider=provider, reason=reason)

    async def _changed(self, key: OwnKey, by: str) -> OwnKey:
        await self._audit.record(f"key.{key.state.value}", who=by, about=key.key.kid)
        return key

    async def _errand(self, what: str, entry: OutboxEntry, by: str, reason: str) -> None:
        told = f"{entry.errand.value}: {reason}" if reason else entry.errand.value
        await self._audit.record(
            what, who=by, provider=entry.provider, about=entry.share, reason=told
        )


def _said(comment: str, pins: tuple[str, ...]) -> str:
    return ", ".join([*([comment] if comment else []), *(f"pinned {pin}" for pin in pins)])
