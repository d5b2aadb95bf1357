"""The Invite Message (draft 03, 2): an Invite as people pass it on, as an image and by mail."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import segno

from gateway.errors import Conflict, Malformed, TooMany
from gateway.logs import event
from gateway.mail import Letter, Mail, address
from gateway.model import SentInvite, User
from gateway.sharing.inviting import Inviting
from gateway.sharing.news import Newsroom
from gateway.sharing.ours import Ours
from gateway.sharing.parties import Parties
from gateway.store.state import State

_LONGEST_MESSAGE = 2000
_PAUSE_SECONDS = 60


def qr(text: str) -> str:
    """A QR code of a link or invite string, as an SVG document."""
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(out, kind="svg", border=4, scale=6, dark="#000")
    return out.getvalue().decode()


def qr_address(text: str) -> str:
    """The same as a data: URL, for the `src` of an image; dark on light in every colour scheme."""
    return segno.make(text, error="m", micro=False).svg_data_uri(
        border=4, scale=6, dark="#000", light="#fff"
    )


@dataclass(frozen=True, slots=True)
class InviteMessage:
    """What a mail with an Invite says: `who` sends it, with their own words in `text`, and how it
    is accepted. `text`, `link` and `reply_to` may be ""."""

    to: str
    who: str
    address: str
    text: str
    string: str = field(repr=False)
    link: str = field(repr=False)
    expiration_at: int | None
    reply_to: str


class Wording(Protocol):
    """Who writes an Invite Message in words; `web/letters.py` does."""

    def invitation(self, one: InviteMessage, language: str) -> Letter: ...  # noqa: D102


class Messages:
    """Sends Invite Messages by mail, in the language of who invites."""

    def __init__(
        self,
        ours: Ours,
        state: State,
        parties: Parties,
        inviting: Inviting,
        newsroom: Newsroom,
        mail: Mail,
        clock: Callable[[], int],
        wording: Wording,
    ) -> None:
        self._ours = ours
        self._state = state
        self._parties = parties
        self._inviting = inviting
        self._newsroom = newsroom
        self._mail = mail
        self._clock = clock
        self._wording = wording

    @property
    def by_mail(self) -> bool:
        """Whether mail is configured."""
        return self._mail.on

    async def mail(
        self, invite_id: str, to: str, *, text: str = "", sender: str | None = None
    ) -> SentInvite:
        """Mail an open Invite, with a few words of its sender; to where it went before for "".

        Raises Conflict for one that is not open, Malformed, TooMany for the same one within a
        minute, and what `Mail.send` raises; the Invite is as good as before then.
        """
        invite = await self._inviting.by_id(invite_id, sender=sender)
        to = address(to or invite.email)
        if len(text) > _LONGEST_MESSAGE:
            raise Malformed(f"a message may have {_LONGEST_MESSAGE} characters")
        now = self._clock()
        if not invite.open_at(now):
            raise Conflict("the invite cannot be accepted any more")
        if invite.mailed_at is not None and now - invite.mailed_at < _PAUSE_SECONDS:
            raise TooMany("this invite was mailed a moment ago", retry_after=_PAUSE_SECONDS)
        user = await self._parties.find(invite.sender) or User(invite.sender)
        await self._mail.send(await self._letter(invite, user, to, text))
        await self._state.database.write(
            partial(self._state.invites.mailed, invite_id=invite.id, email=to, now=now)
        )
        event("invite.mailed", id=invite.id, user=invite.sender)
        return await self._inviting.by_id(invite_id)

    async def _letter(self, invite: SentInvite, user: User, to: str, text: str) -> Letter:
        message = InviteMessage(
            to=to,
            who=user.shown_as,
            address=str(self._ours.address(user.name)),
            text=text,
            string=self._inviting.string_of(invite),
            link=self._inviting.link_of(invite),
            expiration_at=invite.expiration_at,
            reply_to=user.email,
        )
        wishes = await self._newsroom.wishes(user.name)
        return self._wording.invitation(message, wishes.language)
