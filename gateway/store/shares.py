"""Shares that we sent, and Shares that we received."""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, and_, case, insert, or_, select, update

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

    def find_by_secret(self, connection: Connection, secret: str) -> SentShare | None:
        """The Share whose secret that is, if there is one."""
        fingerprint = self._vault.fingerprint(secret)
        query = select(sent_shares).where(sent_shares.c.secret_fingerprint == fingerprint)
        row = connection.execute(query).one_or_none()
        return self._share(row) if row else None

    def all(self, connection: Connection, owner: str | None = None) -> list[SentShare]:
        """Every Share, or one owner's, the newest first."""
        query = select(sent_shares).order_by(
            sent_shares.c.created_at.desc(), sent_shares.c.provider_id
        )
        if owner is not None:
            query = query.where(sent_shares.c.owner == owner)
        return [self._share(row) for row in connection.execute(query)]

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
        )


class ReceivedShares:
    """The Shares that other servers sent to local users."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def add(self, connection: Connection, share: ReceivedShare) -> ReceivedShare:
        """Keep a new Share, under a folder name that is free in its recipient's tree."""
        share = replace(share, folder=self._free_folder(connection, share.recipient, share.folder))
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

    def all(self, connection: Connection, recipient: str | None = None) -> list[ReceivedShare]:
        """Every Share, or one recipient's, the newest first."""
        query = select(received_shares).order_by(
            received_shares.c.received_at.desc(), received_shares.c.id
        )
        if recipient is not None:
            query = query.where(received_shares.c.recipient == recipient)
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

    def _free_folder(self, connection: Connection, recipient: str, wanted: str) -> str:
        query = select(received_shares.c.folder).where(received_shares.c.recipient == recipient)
        # Clients on case-insensitive systems must be able to tell the folders apart.
        taken = {folder.casefold() for folder in connection.execute(query).scalars()}
        stem, dot, ending = wanted.rpartition(".")
        stem, ending = (stem, dot + ending) if stem else (wanted, "")
        folder, number = wanted, 1
        while folder.casefold() in taken:
            number += 1
            folder = f"{stem} ({number}){ending}"
        return folder

    def _share(self, row: Row[Any]) -> ReceivedShare:
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
            shared_secret=self._vault.open(row.sealed_secret, row.id),
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


def _spell(permissions: frozenset[Permission]) -> str:
    return " ".join(sorted(permissions))


def _read(spelled: str) -> frozenset[Permission]:
    return frozenset(Permission(word) for word in spelled.split())
