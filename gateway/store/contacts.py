"""Address books: whom local users know at other servers."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, insert, or_, select, update

from gateway.errors import NotFound
from gateway.model import Authority, Contact, ContactSource
from gateway.store.parts import Part, Turn, folded, holds, part_of
from gateway.store.tables import contacts

_KEPT = contacts.c.removed_at.is_(None)
_RANKS = (ContactSource.SHARE, ContactSource.DIRECT_ENTRY, ContactSource.INVITE)


def put(connection: Connection, contact: Contact) -> Contact:
    """Keep a contact; one that is known already gets what is new, and keeps its id and label.

    An invite outranks a direct entry, and that a share. One that was removed is new.
    """
    mine = _of(contact.user, contact.provider, contact.user_id)
    connection.execute(delete(contacts).where(*mine, contacts.c.removed_at.is_not(None)))
    known = find(connection, contact.user, contact.provider, contact.user_id)
    if known is None:
        connection.execute(
            insert(contacts).values(
                id=contact.id,
                user=contact.user,
                user_id=contact.user_id,
                provider=contact.provider,
                name=contact.name,
                email=contact.email,
                label=contact.label,
                source=contact.source,
                added_at=contact.added_at,
                trusted=contact.trusted,
                found_by=_found_by(contact),
            )
        )
        return contact
    merged = replace(
        known,
        name=contact.name or known.name,
        email=contact.email or known.email,
        label=contact.label or known.label,
        source=max(contact.source, known.source, key=_RANKS.index),
        trusted=contact.trusted or known.trusted,
    )
    connection.execute(
        update(contacts)
        .where(contacts.c.id == known.id)
        .values(
            name=merged.name,
            email=merged.email,
            label=merged.label,
            source=merged.source,
            trusted=merged.trusted,
            found_by=_found_by(merged),
        )
    )
    return merged


def find(connection: Connection, user: str, provider: Authority, user_id: str) -> Contact | None:
    """The contact of a local user with that OCM Address."""
    query = select(contacts).where(*_of(user, provider, user_id), _KEPT)
    row = connection.execute(query).one_or_none()
    return _contact(row) if row else None


def by_id(connection: Connection, contact_id: str) -> Contact:
    """The contact of that id; NotFound when there is none."""
    query = select(contacts).where(contacts.c.id == contact_id, _KEPT)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound("there is no such contact")
    return _contact(row)


def all_of(connection: Connection, user: str | None, search: str = "") -> list[Contact]:
    """The contacts of one user, or of all, by name; `search` finds in names and addresses."""
    return [_contact(row) for row in connection.execute(_by_name(user, search))]


def part(connection: Connection, turn: Turn, user: str, search: str = "") -> Part[Contact]:
    """A part of what `all_of` finds."""
    return part_of(connection, _by_name(user, search), turn, _contact)


def known_as(connection: Connection, user: str, addresses: Collection[str]) -> dict[str, Contact]:
    """Those of these OCM Addresses whom a user knows."""
    names = {address.rpartition("@")[0] for address in addresses}
    query = select(contacts).where(_KEPT, contacts.c.user == user, contacts.c.user_id.in_(names))
    found = [_contact(row) for row in connection.execute(query)]
    return {one.address: one for one in found if one.address in addresses}


def concerned(connection: Connection, user_id: str) -> list[Contact]:
    """The contacts in which somebody of that identifier is one of the two."""
    either = or_(contacts.c.user_id == user_id, contacts.c.user == user_id)
    return [_contact(row) for row in connection.execute(select(contacts).where(either, _KEPT))]


def relabel(connection: Connection, contact_id: str, label: str) -> None:
    """Call a contact so. Raises NotFound."""
    called = replace(by_id(connection, contact_id), label=label)
    connection.execute(
        update(contacts)
        .where(contacts.c.id == contact_id)
        .values(label=label, found_by=_found_by(called))
    )


def trust(connection: Connection, contact_id: str, trusted: bool) -> None:
    """Accept what comes from a contact without asking, or no longer."""
    connection.execute(update(contacts).where(contacts.c.id == contact_id).values(trusted=trusted))


def remove(connection: Connection, contact_id: str) -> None:
    """Forget a contact."""
    connection.execute(delete(contacts).where(contacts.c.id == contact_id))


def bury(connection: Connection, contact_id: str, now: int) -> bool:
    """Remove a contact, and remember that until the other side is told; whether there was one."""
    done = connection.execute(
        update(contacts).where(contacts.c.id == contact_id, _KEPT).values(removed_at=now)
    )
    return done.rowcount == 1


def find_buried(connection: Connection, contact_id: str) -> Contact | None:
    """The removed contact of that id of whom the other side has yet to be told."""
    query = select(contacts).where(contacts.c.id == contact_id, contacts.c.removed_at.is_not(None))
    row = connection.execute(query).one_or_none()
    return _contact(row) if row else None


def _of(user: str, provider: Authority, user_id: str) -> tuple[ColumnElement[bool], ...]:
    return (
        contacts.c.user == user,
        contacts.c.provider == provider,
        contacts.c.user_id == user_id,
    )


def _by_name(user: str | None, search: str) -> Select[tuple[Any, ...]]:
    query = select(contacts).where(_KEPT).order_by(contacts.c.found_by, contacts.c.id)
    if user is not None:
        query = query.where(contacts.c.user == user)
    return query.where(holds(contacts.c.found_by, search)) if search else query


def _found_by(one: Contact) -> str:
    """What they are shown as stands first, so that this is also their order."""
    return folded(one.shown_as, one.name, one.email, one.address)


def _contact(row: Row[Any]) -> Contact:
    return Contact(
        id=row.id,
        user=row.user,
        user_id=row.user_id,
        provider=Authority(row.provider),
        name=row.name,
        email=row.email,
        source=ContactSource(row.source),
        added_at=row.added_at,
        label=row.label,
        trusted=row.trusted,
        removed_at=row.removed_at,
    )
