"""Other terms for a Share that was given: what its recipient may, and until when.

They hold at our door from the moment they are recorded, whatever the other side knows: what runs
against them is cut off, and a token opens what the Share grants now. No draft has a message for it.
Servers of oCIS's kind, and those of the drafts, are told by SHARE_CHANGE_PERMISSION; one that does
not know it loses nothing. Nothing tells a later expiration.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import Connection

from gateway.errors import Conflict, Malformed, ProviderRefused
from gateway.logs import event
from gateway.model import Deed, Errand, OutboxEntry, Permission, SentShare, SentState
from gateway.ocm import dialects, shares
from gateway.ocm.address import parse_address
from gateway.ocm.dialects import Form
from gateway.ocm.notifications import NewNotification, NotificationType
from gateway.policy.doorkeeper import refusal
from gateway.sharing import announcing, notices
from gateway.sharing.announcing import Attempt
from gateway.sharing.others import Others
from gateway.sharing.ours import Ours
from gateway.sharing.outbox import Carrier, Outbox
from gateway.sharing.sending import Sending, limited_to
from gateway.store import outbox
from gateway.store.state import State

CHANGEABLE = (SentState.SENT, SentState.ACCEPTED)
"""While a Share is on its way, it must arrive as it was announced: a second announcement with other
terms would be another Share of the same id."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be otherwise. None keeps it; `endless` takes the expiration away."""

    permissions: frozenset[Permission] | None = None
    expiration_at: int | None = None
    endless: bool = False


@dataclass(frozen=True, slots=True)
class Changed:
    """The Share as it is now, and whether its Receiving Server is told."""

    share: SentShare
    told: bool = False


class Changing:
    """Changes Shares that our users gave."""

    def __init__(
        self,
        ours: Ours,
        state: State,
        others: Others,
        sending: Sending,
        outbox_: Outbox,
        clock: Callable[[], int],
    ) -> None:
        self._ours = ours
        self._state = state
        self._others = others
        self._sending = sending
        self._outbox = outbox_
        self._clock = clock
        carrier = Carrier(self._tell, notices.ignore)
        outbox_.employ({Errand.SHARE_CHANGE_PERMISSION: carrier})

    async def change(
        self, provider_id: str, wanted: Change, *, owner: str | None = None
    ) -> Changed:
        """Give a Share other terms. They hold when this returns.

        More than before is judged as a new Share would be, by policy and by the longest time that a
        Share may last; less is always possible. Raises Malformed, NotFound, Refused, and Conflict
        for a Share that has ended, is on its way, or was changed by another meanwhile.
        """
        share = await self._sending.by_id(provider_id, owner=owner)
        self._expect_changeable(share)
        after = await self._after(share, wanted)
        if _terms(after) == _terms(share):
            return Changed(share)
        entry = notices.entry(
            Errand.SHARE_CHANGE_PERMISSION, provider_id, share.receiving_server, self._clock()
        )
        told = await self._is_told(share)

        def record(connection: Connection) -> bool:
            done = self._state.sent.change(
                connection,
                share,
                permissions=after.permissions,
                expiration_at=after.expiration_at,
                out_of=CHANGEABLE,
            )
            if done and told:
                outbox.add(connection, entry)
            return done

        deed = self._deed(share, after)
        if not await self._others.audit.write(record, lambda done: deed if done else None):
            self._expect_changeable(await self._sending.by_id(provider_id))
            raise Conflict("the share was changed by somebody else just now; look at it again")
        event("share.changed", provider_id=provider_id, server=share.receiving_server)
        if told:
            await self._outbox.attempt(entry.id)
        return Changed(await self._sending.by_id(provider_id), told)

    def _expect_changeable(self, share: SentShare) -> None:
        if share.state in (SentState.HELD, SentState.PENDING):
            raise Conflict("the share is still on its way; change it when it has arrived")
        if share.state not in CHANGEABLE or not share.opens_at(self._clock()):
            raise Conflict("the share has ended")

    async def _after(self, share: SentShare, wanted: Change) -> SentShare:
        """The Share with the terms that are wanted and allowed."""
        permissions = share.permissions if wanted.permissions is None else wanted.permissions
        if Permission.READ not in permissions:
            raise Malformed("a share grants at least read")
        if wanted.endless and wanted.expiration_at is not None:
            raise Malformed("a share ends at some time or at none")
        ends_at = share.expiration_at
        if wanted.endless or wanted.expiration_at is not None:
            ends_at = self._sending.expiration(wanted.expiration_at, since=share.created_at)
        after = replace(share, permissions=permissions, expiration_at=ends_at)
        if permissions <= share.permissions and not _later(share, after):
            return after
        ruling = await self._sending.admit(after)
        if ruling.held:
            raise refusal(ruling)
        return limited_to(ruling.limits, after)

    async def _is_told(self, share: SentShare) -> bool:
        """Whether the Receiving Server is told, by how it took the Share: it is not asked now."""
        lesson = await self._others.dialects.lesson(share.receiving_server)
        row = lesson.dialect if lesson else ""
        return row in dialects.NAMES and dialects.by_name(row).told_changes

    def _deed(self, before: SentShare, after: SentShare) -> Deed:
        return self._others.audit.deed(
            "sent.changed",
            who=str(self._ours.address(before.owner)),
            whom=before.share_with,
            provider=before.receiving_server,
            about=before.provider_id,
            reason=f"from {_told(before)} to {_told(after)}",
        )

    async def _tell(self, entry: OutboxEntry) -> None:
        share = await self._sending.by_id(entry.share)
        if share.state not in CHANGEABLE:
            return  # its end is told by another errand
        notice = NewNotification(
            NotificationType.SHARE_CHANGE_PERMISSION,
            share.provider_id,
            share.resource_type,
            self._access(share),
        )
        tell = partial(
            notices.tell,
            shared_secret="",
            recipient=parse_address(share.share_with).identifier,
        )
        try:
            await tell(self._others, share.receiving_server, notice)
        except ProviderRefused as error:
            event("share.change_unheard", server=share.receiving_server, error=error.explanation)

    def _access(self, share: SentShare) -> dict[str, object]:
        """How the Resource is reached now, as the Share said it when it was announced.

        Not while its secret can be exchanged for tokens: then it is told to nobody.
        """
        if share.must_exchange_token is not False or not share.form:
            return {}
        attempt = Attempt(Form(share.form), must_exchange_token=False, at_root=share.at_root)
        return {"protocol": shares.encode_access(announcing.webdav_of(share, attempt, self._ours))}


def _terms(share: SentShare) -> tuple[object, ...]:
    return share.permissions, share.expiration_at


def _later(before: SentShare, after: SentShare) -> bool:
    """Whether it lasts longer than before."""
    if before.expiration_at is None:
        return False
    return after.expiration_at is None or after.expiration_at > before.expiration_at


def _told(share: SentShare) -> str:
    ends = "for ever" if share.expiration_at is None else f"until {share.expiration_at}"
    return f"{'+'.join(sorted(share.permissions))} {ends}"
