"""Shares that we sent, and Shares that we received."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, case, exists, insert, or_, select, update

from gateway.errors import NotFound
from gateway.model import (
    DEAD_AFTER_LOOKS,
    Authority,
    Permission,
    ReceivedShare,
    ReceivedState,
    ResourceType,
    SentShare,
    SentState,
    ShareType,
)
from gateway.store import revisions
from gateway.store.parts import Part, Turn, folded, holds, part_of
from gateway.store.tables import received_shares, sent_shares
from gateway.store.vault import Vault

_ENDED = (ReceivedState.DECLINED, ReceivedState.UNSHARED, ReceivedState.EXPIRED)


class SentShares:
    """The Shares of local Resources. Every method is one or two statements in a transaction."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def add(self, connection: Connection, share: SentShare) -> None:
        """Keep a new Share."""
        connection.execute(
            insert(sent_shares).values(
                provider_id=share.provider_id,
                resource=json.dumps(share.resource),
                resource_type=share.resource_type,
                owner=share.owner,
                share_with=share.share_with,
                receiving_server=share.receiving_server,
                permissions=_spell(share.permissions),
                must_exchange_token=share.must_exchange_token,
                sealed_secret=self._vault.seal(share.shared_secret, share.provider_id),
                secret_fingerprint=self._vault.fingerprint(share.shared_secret),
                created_at=share.created_at,
                expiration_at=share.expiration_at,
                size=share.size,
                description=share.description,
                state=share.state,
                reason=share.reason,
                form=share.form,
                at_root=share.at_root,
                must_use_mfa=share.must_use_mfa,
                share_type=share.share_type,
                found_by=folded(share.name, share.share_with),
                resource_key=resource_key(share.resource),
                granted_by=share.granted_by,
            )
        )

    def find(self, connection: Connection, provider_id: str) -> SentShare | None:
        """The Share of that id, if there is one."""
        query = select(sent_shares).where(sent_shares.c.provider_id == provider_id)
        row = connection.execute(query).one_or_none()
        return self._share(row) if row else None

    def by_id(self, connection: Connection, provider_id: str) -> SentShare:
        """The Share of that id; NotFound when there is none."""
        share = self.find(connection, provider_id)
        if share is None:
            raise NotFound("there is no such share")
        return share

    def opening(self, connection: Connection, provider_id: str) -> SentShare | None:
        """The Share of that id as it opens now: within those that it was passed on from."""
        share = self.find(connection, provider_id)
        return self._granted(connection, share) if share else None

    def opening_by_secret(self, connection: Connection, secret: str) -> SentShare | None:
        """The same for the Share whose secret that is."""
        fingerprint = self._vault.fingerprint(secret)
        query = select(sent_shares).where(sent_shares.c.secret_fingerprint == fingerprint)
        row = connection.execute(query).one_or_none()
        return self._granted(connection, self._share(row)) if row else None

    def _granted(self, connection: Connection, share: SentShare) -> SentShare:
        above = share.granted_by
        while above:  # each was made after the one that grants it
            granting = self.find(connection, above)
            share = share.within(granting)
            above = granting.granted_by if granting else ""
        return share

    def ungranted(
        self, connection: Connection, now: int, *, most: int, but_not: frozenset[str] = frozenset()
    ) -> list[SentShare]:
        """The Shares that were passed on from one that has ended at that second, and still stand
        as if they were not over; at most so many, without those in `but_not`."""
        lasting = [state for state in SentState if state.lasts]
        table, granting = sent_shares.c, sent_shares.alias("granting").c
        granted = exists().where(
            granting.provider_id == table.granted_by,
            granting.state.in_(lasting),
            or_(granting.expiration_at.is_(None), granting.expiration_at > now),
        )
        query = (
            select(sent_shares)
            .where(table.granted_by > "", table.state.in_(lasting), ~granted)
            .where(table.provider_id.not_in(but_not))
            .limit(most)
        )
        return [self._share(row) for row in connection.execute(query)]

    def all(
        self,
        connection: Connection,
        owner: str | None = None,
        *,
        states: Collection[SentState] | None = None,
        search: str = "",
        share_with: str | None = None,
        resource: tuple[str, ...] | None = None,
    ) -> list[SentShare]:
        """Every Share, or one owner's, the newest first; in those states, with `search` in its
        name or recipient, with that Party, of that Resource."""
        query = _sent(owner, states, search)
        if share_with is not None:
            query = query.where(sent_shares.c.share_with == share_with)
        if resource is not None:
            query = query.where(
                # "" is of a replica that did not know of keys yet
                sent_shares.c.resource_key.in_((resource_key(resource), "")),
                sent_shares.c.resource == json.dumps(resource),
            )
        return [self._share(row) for row in connection.execute(query)]

    def part(
        self,
        connection: Connection,
        turn: Turn,
        owner: str | None = None,
        *,
        states: Collection[SentState] | None = None,
        search: str = "",
    ) -> Part[SentShare]:
        """A part of what `all` finds."""
        return part_of(connection, _sent(owner, states, search), turn, self._share)

    def some(self, connection: Connection, shares: Iterable[str]) -> dict[str, SentShare]:
        """Those of these Shares that are here, by id."""
        query = select(sent_shares).where(sent_shares.c.provider_id.in_(list(shares)))
        return {row.provider_id: self._share(row) for row in connection.execute(query)}

    def move(
        self,
        connection: Connection,
        provider_id: str,
        state: SentState,
        *,
        out_of: tuple[SentState, ...],
        reason: str = "",
    ) -> bool:
        """Put a Share into `state` if it is in one of `out_of`; whether it was."""
        done = connection.execute(
            update(sent_shares)
            .where(sent_shares.c.provider_id == provider_id, sent_shares.c.state.in_(out_of))
            .values(state=state, reason=reason)
        )
        moved = done.rowcount == 1
        if moved and not state.opens:
            revisions.bump(connection, revisions.ENDED_SHARES)
        return moved

    def servers_of(self, connection: Connection, shares: Iterable[str]) -> dict[str, Authority]:
        """The Receiving Servers of those of these Shares that are here."""
        table = sent_shares.c
        query = select(table.provider_id, table.receiving_server).where(
            table.provider_id.in_(list(shares))
        )
        return {row[0]: Authority(row[1]) for row in connection.execute(query)}

    def change(
        self,
        connection: Connection,
        before: SentShare,
        *,
        permissions: frozenset[Permission],
        expiration_at: int | None,
        out_of: tuple[SentState, ...],
    ) -> bool:
        """Give a Share other terms, if it is in one of `out_of` and has the terms of `before`;
        whether it was so."""
        table = sent_shares.c
        done = connection.execute(
            update(sent_shares)
            .where(
                table.provider_id == before.provider_id,
                table.state.in_(out_of),
                table.permissions == _spell(before.permissions),
                table.expiration_at.is_not_distinct_from(before.expiration_at),
            )
            .values(permissions=_spell(permissions), expiration_at=expiration_at)
        )
        if done.rowcount == 1:
            revisions.bump(connection, revisions.ENDED_SHARES)
        return done.rowcount == 1

    def expired(
        self, connection: Connection, now: int, *, most: int, but_not: frozenset[str] = frozenset()
    ) -> list[SentShare]:
        """The Shares that are over at that second and still stand as if they were not.

        The longest over first, at most so many, without those in `but_not`.
        """
        lasting = [state for state in SentState if state.lasts]
        table = sent_shares.c
        query = (
            select(sent_shares)
            .where(table.expiration_at <= now, table.state.in_(lasting))
            .where(table.provider_id.not_in(but_not))
            .order_by(table.expiration_at)
            .limit(most)
        )
        return [self._share(row) for row in connection.execute(query)]

    def settle(
        self, connection: Connection, provider_id: str, *, must: bool, form: str, at_root: bool
    ) -> None:
        """Keep how a Share is about to be announced, and with that how it may be opened."""
        connection.execute(
            update(sent_shares)
            .where(sent_shares.c.provider_id == provider_id)
            .values(must_exchange_token=must, form=form, at_root=at_root)
        )

    def _share(self, row: Row[Any]) -> SentShare:
        return SentShare(
            provider_id=row.provider_id,
            resource=tuple(json.loads(row.resource)),
            resource_type=ResourceType(row.resource_type),
            owner=row.owner,
            share_with=row.share_with,
            receiving_server=Authority(row.receiving_server),
            permissions=_read(row.permissions),
            must_exchange_token=row.must_exchange_token,
            shared_secret=self._vault.open(row.sealed_secret, row.provider_id),
            created_at=row.created_at,
            expiration_at=row.expiration_at,
            size=row.size,
            description=row.description,
            state=SentState(row.state),
            reason=row.reason,
            form=row.form,
            at_root=row.at_root,
            must_use_mfa=row.must_use_mfa,
            share_type=ShareType(row.share_type),
            ended_at=row.ended_at,
            granted_by=row.granted_by,
        )


def resource_key(resource: Sequence[str]) -> str:
    """What stands for a Resource in an index, whose entries may not be as long as a path."""
    return sha256(json.dumps(resource).encode()).hexdigest()


class ReceivedShares:
    """The Shares that other servers sent to local users."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def add(self, connection: Connection, share: ReceivedShare) -> ReceivedShare:
        """Keep a new Share, under a folder name that is free in its recipient's tree."""
        share = replace(share, folder=_free_folder(connection, share.recipient, share.folder))
        connection.execute(
            insert(received_shares).values(
                id=share.id,
                sending_server=share.sending_server,
                provider_id=share.provider_id,
                recipient=share.recipient,
                owner=share.owner,
                sender=share.sender,
                name=share.name,
                folder=share.folder,
                resource_type=share.resource_type,
                uri=share.uri,
                permissions=_spell(share.permissions),
                must_exchange_token=share.must_exchange_token,
                sealed_secret=self._vault.seal(share.shared_secret, share.id),
                received_at=share.received_at,
                expiration_at=share.expiration_at,
                size=share.size,
                description=share.description,
                sender_display_name=share.sender_display_name,
                owner_display_name=share.owner_display_name,
                state=share.state,
                checked_at=share.checked_at,
                must_use_mfa=share.must_use_mfa,
                hidden=share.hidden,
                group=share.group,
                found_by=folded(share.folder, share.sender_display_name, share.sender),
                folder_key=folded(share.folder),
            )
        )
        return share

    def find(self, connection: Connection, share_id: str) -> ReceivedShare | None:
        """The Share of our id, if there is one."""
        query = select(received_shares).where(received_shares.c.id == share_id)
        row = connection.execute(query).one_or_none()
        return self._share(row) if row else None

    def by_id(self, connection: Connection, share_id: str) -> ReceivedShare:
        """The Share of our id; NotFound when there is none."""
        share = self.find(connection, share_id)
        if share is None:
            raise NotFound("there is no such received share")
        return share

    def all_of(
        self, connection: Connection, sending_server: Authority, provider_id: str
    ) -> list[ReceivedShare]:
        """The Share that a server calls so, once for each who has it, the first to get it first.

        Another server's of the same id is another Share.
        """
        query = (
            select(received_shares)
            .where(
                received_shares.c.sending_server == sending_server,
                received_shares.c.provider_id == provider_id,
            )
            .order_by(received_shares.c.received_at, received_shares.c.id)
        )
        return [self._share(row) for row in connection.execute(query)]

    def with_groups(self, connection: Connection) -> list[ReceivedShare]:
        """The Shares with groups that somebody may still open or answer."""
        table = received_shares.c
        live = (ReceivedState.PENDING, ReceivedState.ACCEPTED, ReceivedState.UNAVAILABLE)
        query = (
            select(received_shares)
            .where(table.group != "", table.state.in_(live))
            .order_by(table.received_at, table.id)
        )
        return [self._share(row) for row in connection.execute(query)]

    def all_by_provider_id(self, connection: Connection, provider_id: str) -> list[ReceivedShare]:
        """The Shares that any server calls so: each server has ids of its own."""
        query = select(received_shares).where(received_shares.c.provider_id == provider_id)
        return [self._share(row) for row in connection.execute(query)]

    def find_by_folder(
        self, connection: Connection, recipient: str, folder: str
    ) -> ReceivedShare | None:
        """The Share that lies under that name in a user's tree."""
        query = select(received_shares).where(
            received_shares.c.recipient == recipient, received_shares.c.folder == folder
        )
        row = connection.execute(query).one_or_none()
        return self._share(row) if row else None

    def all(
        self,
        connection: Connection,
        recipient: str | None = None,
        *,
        states: Collection[ReceivedState] | None = None,
        search: str = "",
        sender: str | None = None,
    ) -> list[ReceivedShare]:
        """Every Share, or one recipient's, the newest first; in those states, with `search` in its
        folder or sender, from that sender."""
        query = _received(recipient, states, search)
        if sender is not None:
            query = query.where(received_shares.c.sender == sender)
        return [self._share(row) for row in connection.execute(query)]

    def part(
        self,
        connection: Connection,
        turn: Turn,
        recipient: str | None = None,
        *,
        states: Collection[ReceivedState],
        groups: Collection[str] | None = None,
        now: int,
        hidden: bool | None = None,
        search: str = "",
    ) -> Part[ReceivedShare]:
        """A part of every Share, or one recipient's, the newest first, without those that have
        expired and, with `groups`, those of a group that is not among these."""
        table = received_shares.c
        query = _received(recipient, states, search).where(
            or_(table.expiration_at.is_(None), table.expiration_at > now)
        )
        if groups is not None:
            query = query.where(or_(table.group == "", table.group.in_(groups)))
        if hidden is not None:
            query = query.where(table.hidden.is_(hidden))
        return part_of(connection, query, turn, self._share)

    def listed(
        self, connection: Connection, recipient: str, states: Collection[ReceivedState]
    ) -> list[ReceivedShare]:
        """One recipient's Shares in those states, without their secrets: nothing is unsealed."""
        query = _received(recipient, states, "")
        return [_received_share(row, "") for row in connection.execute(query)]

    def since(
        self,
        connection: Connection,
        recipient: str,
        *,
        states: Collection[ReceivedState],
        parties: Collection[str],
        at: int,
        most: int,
    ) -> list[ReceivedShare]:
        """What some Parties have shared with somebody since then, the newest first."""
        table = received_shares.c
        query = (
            _received(recipient, states, "")
            .where(table.received_at >= at)
            .where(or_(table.owner.in_(parties), table.sender.in_(parties)))
            .limit(most)
        )
        return [self._share(row) for row in connection.execute(query)]

    def move(
        self,
        connection: Connection,
        share_id: str,
        state: ReceivedState,
        *,
        out_of: tuple[ReceivedState, ...],
    ) -> bool:
        """Put a Share into `state` if it is in one of `out_of`; whether it was."""
        done = connection.execute(
            update(received_shares)
            .where(received_shares.c.id == share_id, received_shares.c.state.in_(out_of))
            .values(state=state)
        )
        moved = done.rowcount == 1
        if moved and state in _ENDED:
            revisions.bump(connection, revisions.ENDED_SHARES)
        return moved

    def hide(self, connection: Connection, share_id: str, *, hidden: bool) -> None:
        """Keep whether its recipient wants to see a Share."""
        connection.execute(
            update(received_shares).where(received_shares.c.id == share_id).values(hidden=hidden)
        )

    def expired(
        self, connection: Connection, now: int, *, most: int, but_not: frozenset[str] = frozenset()
    ) -> list[ReceivedShare]:
        """As for Shares that we sent."""
        table = received_shares.c
        query = (
            select(received_shares)
            .where(table.expiration_at <= now, table.state.not_in(_ENDED))
            .where(table.id.not_in(but_not))
            .order_by(table.expiration_at)
            .limit(most)
        )
        return [self._share(row) for row in connection.execute(query)]

    def check(
        self,
        connection: Connection,
        share_id: str,
        *,
        resource_type: ResourceType,
        permissions: frozenset[Permission],
        checked_at: int,
    ) -> None:
        """Keep what its server said of a Share, and when; a doubt that came meanwhile stays."""
        doubted = received_shares.c.checked_at == 0
        connection.execute(
            update(received_shares)
            .where(received_shares.c.id == share_id)
            .values(
                resource_type=resource_type,
                permissions=_spell(permissions),
                checked_at=case((doubted, 0), else_=checked_at),
                misses=0,
            )
        )

    def dead(self, connection: Connection, *, most: int) -> list[ReceivedShare]:
        """The Shares that seem to be gone for good at their servers, at most so many."""
        table = received_shares.c
        query = (
            select(received_shares)
            .where(table.state == ReceivedState.UNAVAILABLE, table.misses >= DEAD_AFTER_LOOKS)
            .order_by(table.received_at)
            .limit(most)
        )
        return [self._share(row) for row in connection.execute(query)]

    def miss(self, connection: Connection, share_id: str) -> None:
        """Count a look that did not find a Share that we have accepted."""
        connection.execute(
            update(received_shares)
            .where(
                received_shares.c.id == share_id,
                received_shares.c.state == ReceivedState.UNAVAILABLE,
            )
            .values(misses=received_shares.c.misses + 1)
        )

    def doubt(self, connection: Connection, share_id: str) -> None:
        """Have a Share looked at soon."""
        table = received_shares.c
        connection.execute(
            update(received_shares)
            # One of unknown kind is looked at anyway.
            .where(table.id == share_id, or_(table.checked_at.is_not(None), table.uri != ""))
            .values(checked_at=0)
        )

    def claim_check(
        self, connection: Connection, share_id: str, *, seen: int | None, checked_at: int
    ) -> bool:
        """Take it upon oneself to look at a Share last checked when `seen` says; whether it was."""
        done = connection.execute(
            update(received_shares)
            .where(
                received_shares.c.id == share_id,
                received_shares.c.checked_at.is_not_distinct_from(seen),
            )
            .values(checked_at=checked_at)
        )
        return done.rowcount == 1

    def due(self, connection: Connection, *, checked_before: int, most: int) -> list[ReceivedShare]:
        """Shares to look at: of unknown kind, doubted, or not looked at since a time."""
        table = received_shares.c
        unknown = and_(table.checked_at.is_(None), table.uri == "", table.resource_type == "file")
        never = and_(table.checked_at.is_(None), table.received_at < checked_before)
        old = or_(table.checked_at < checked_before, never)
        query = (
            select(received_shares)
            .where(table.state.in_((ReceivedState.ACCEPTED, ReceivedState.UNAVAILABLE)))
            .where(or_(unknown, table.checked_at == 0, old))
            .order_by(table.checked_at)
            .limit(most)
        )
        return [self._share(row) for row in connection.execute(query)]

    def _share(self, row: Row[Any]) -> ReceivedShare:
        return _received_share(row, self._vault.open(row.sealed_secret, row.id))


def _received_share(row: Row[Any], secret: str) -> ReceivedShare:
    return ReceivedShare(
        id=row.id,
        sending_server=Authority(row.sending_server),
        provider_id=row.provider_id,
        recipient=row.recipient,
        owner=row.owner,
        sender=row.sender,
        name=row.name,
        folder=row.folder,
        resource_type=ResourceType(row.resource_type),
        uri=row.uri,
        permissions=_read(row.permissions),
        must_exchange_token=row.must_exchange_token,
        shared_secret=secret,
        received_at=row.received_at,
        expiration_at=row.expiration_at,
        size=row.size,
        description=row.description,
        sender_display_name=row.sender_display_name,
        owner_display_name=row.owner_display_name,
        state=ReceivedState(row.state),
        checked_at=row.checked_at,
        must_use_mfa=row.must_use_mfa,
        hidden=row.hidden,
        group=row.group,
        misses=row.misses,
        ended_at=row.ended_at,
    )


def _sent(
    owner: str | None, states: Collection[SentState] | None, search: str
) -> Select[tuple[Any, ...]]:
    table = sent_shares.c
    query = select(sent_shares).order_by(table.created_at.desc(), table.provider_id)
    if owner is not None:
        query = query.where(table.owner == owner)
    if states is not None:
        query = query.where(table.state.in_(states))
    return query.where(holds(table.found_by, search)) if search else query


def _received(
    recipient: str | None, states: Collection[ReceivedState] | None, search: str
) -> Select[tuple[Any, ...]]:
    table = received_shares.c
    query = select(received_shares).order_by(table.received_at.desc(), table.id)
    if recipient is not None:
        query = query.where(table.recipient == recipient)
    if states is not None:
        query = query.where(table.state.in_(states))
    return query.where(holds(table.found_by, search)) if search else query


def _free_folder(connection: Connection, recipient: str, wanted: str) -> str:
    """A name that no client takes for another one of the recipient's, on whatever system.

    Numbers are tried in doubling steps and then halved between, so that the ten thousandth of a
    name asks the index two dozen times.
    """
    stem, dot, ending = wanted.rpartition(".")
    stem, ending = (stem, dot + ending) if stem else (wanted, "")

    def called(number: int) -> str:
        return wanted if number == 1 else f"{stem} ({number}){ending}"

    def taken(number: int) -> bool:
        table = received_shares.c
        same = (table.recipient == recipient, table.folder_key == folded(called(number)))
        return connection.execute(select(table.id).where(*same).limit(1)).first() is not None

    free = 1
    while taken(free):
        free *= 2
    before = free // 2  # is taken, or 0
    while free - before > 1:
        between = (before + free) // 2
        before, free = (between, free) if taken(between) else (before, between)
    return called(free)


def _spell(permissions: frozenset[Permission]) -> str:
    return " ".join(sorted(permissions))


def _read(spelled: str) -> frozenset[Permission]:
    return frozenset(Permission(word) for word in spelled.split())
