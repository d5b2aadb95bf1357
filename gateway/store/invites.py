"""Invites of local users, and the acceptances that local users have begun.

A token is kept encrypted while it is of use, so that its invite can be shown again, and as a keyed
hash for ever, so that a second acceptance is told from a made-up token.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from gateway.errors import NotFound
from gateway.model import Authority, InviteState, SentInvite
from gateway.store.parts import Part, Turn, part_of
from gateway.store.tables import acceptances, invites
from gateway.store.vault import Vault


class Invites:
    """The Invites. Every method is one or two statements in a transaction."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def add(self, connection: Connection, invite: SentInvite) -> None:
        """Keep a new Invite."""
        connection.execute(
            insert(invites).values(
                id=invite.id,
                sender=invite.sender,
                sealed_token=self._vault.seal(invite.token, invite.id),
                token_fingerprint=self._vault.fingerprint(invite.token),
                created_at=invite.created_at,
                expiration_at=invite.expiration_at,
                note=invite.note,
                email=invite.email,
                state=invite.state,
                accepted_at=invite.accepted_at,
                accepted_by=invite.accepted_by,
                mailed_at=invite.mailed_at,
            )
        )

    def by_id(self, connection: Connection, invite_id: str) -> SentInvite:
        """The Invite of that id; NotFound when there is none."""
        row = connection.execute(select(invites).where(invites.c.id == invite_id)).one_or_none()
        if row is None:
            raise NotFound("there is no such invite")
        return self._invite(row)

    def find_by_token(self, connection: Connection, token: str) -> SentInvite | None:
        """The Invite whose token that is, whatever became of it."""
        fingerprint = self._vault.fingerprint(token)
        query = select(invites).where(invites.c.token_fingerprint == fingerprint)
        row = connection.execute(query).one_or_none()
        return self._invite(row) if row else None

    def all(self, connection: Connection, sender: str | None = None) -> list[SentInvite]:
        """Every Invite, or one user's, the newest first."""
        return [self._invite(row) for row in connection.execute(_newest(sender))]

    def part(
        self, connection: Connection, turn: Turn, sender: str, states: Collection[InviteState]
    ) -> Part[SentInvite]:
        """A part of one user's Invites in those states, the newest first."""
        query = _newest(sender).where(invites.c.state.in_(states))
        return part_of(connection, query, turn, self._invite)

    def count_open(self, connection: Connection, sender: str, now: int) -> int:
        """How many Invites of a user somebody may still accept."""
        query = select(func.count()).select_from(invites).where(invites.c.sender == sender)
        return connection.execute(query.where(*_open_at(now))).scalar_one()

    def accept(self, connection: Connection, invite_id: str, accepted_by: str, now: int) -> bool:
        """Take an Invite for one Invite Receiver; False when somebody was faster.

        One conditional statement decides, whatever else happens at the same time.
        """
        done = connection.execute(
            update(invites)
            .where(invites.c.id == invite_id, *_open_at(now))
            .values(
                state=InviteState.ACCEPTED,
                accepted_at=now,
                accepted_by=accepted_by,
                sealed_token="",
            )
        )
        return done.rowcount == 1

    def withdraw(self, connection: Connection, invite_id: str) -> bool:
        """Take an open Invite back; whether it was open."""
        done = connection.execute(
            update(invites)
            .where(invites.c.id == invite_id, invites.c.state == InviteState.OPEN)
            .values(state=InviteState.WITHDRAWN, sealed_token="")
        )
        return done.rowcount == 1

    def renew(self, connection: Connection, invite_id: str, expiration_at: int | None) -> bool:
        """Let an open Invite last until then, even one that has expired; whether it was open."""
        done = connection.execute(
            update(invites)
            .where(invites.c.id == invite_id, invites.c.state == InviteState.OPEN)
            .values(expiration_at=expiration_at)
        )
        return done.rowcount == 1

    def mailed(self, connection: Connection, invite_id: str, email: str, now: int) -> None:
        """An Invite was mailed to somebody."""
        connection.execute(
            update(invites).where(invites.c.id == invite_id).values(email=email, mailed_at=now)
        )

    def _invite(self, row: Row[Any]) -> SentInvite:
        return SentInvite(
            id=row.id,
            sender=row.sender,
            token=self._vault.open(row.sealed_token, row.id) if row.sealed_token else "",
            created_at=row.created_at,
            expiration_at=row.expiration_at,
            note=row.note,
            email=row.email,
            state=InviteState(row.state),
            accepted_at=row.accepted_at,
            accepted_by=row.accepted_by,
            mailed_at=row.mailed_at,
        )

    def begin_acceptance(
        self, connection: Connection, user: str, provider: Authority, token: str, now: int
    ) -> bool:
        """Record that a user accepts an invite of another server.

        True when the user began before and never learnt the outcome: then the other server may
        have taken it already.
        """
        row = self._acceptance(user, provider, token)
        if connection.execute(select(acceptances.c.begun_at).where(*row)).first():
            return True
        connection.execute(
            insert(acceptances).values(
                user=user,
                provider=provider,
                token_fingerprint=self._vault.fingerprint(token),
                begun_at=now,
            )
        )
        return False

    def end_acceptance(
        self, connection: Connection, user: str, provider: Authority, token: str
    ) -> None:
        """The outcome is known."""
        connection.execute(delete(acceptances).where(*self._acceptance(user, provider, token)))

    def _acceptance(
        self, user: str, provider: Authority, token: str
    ) -> tuple[ColumnElement[bool], ...]:
        return (
            acceptances.c.user == user,
            acceptances.c.provider == provider,
            acceptances.c.token_fingerprint == self._vault.fingerprint(token),
        )


def _newest(sender: str | None) -> Select[tuple[Any, ...]]:
    query = select(invites).order_by(invites.c.created_at.desc(), invites.c.id)
    return query if sender is None else query.where(invites.c.sender == sender)


def _open_at(now: int) -> tuple[ColumnElement[bool], ...]:
    return (
        invites.c.state == InviteState.OPEN,
        or_(invites.c.expiration_at.is_(None), invites.c.expiration_at > now),
    )
