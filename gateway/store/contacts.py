"""Address books: whom local users know at other servers."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, or_, select, update

from gateway.errors import NotFound
from gateway.model import Authority, Contact, ContactSource
from gateway.store.tables import contacts

_KEPT = contacts.c.removed_at.is_(None)
_SHOWN_AS = func.coalesce(
    func.nullif(contacts.c.label, ""), func.nullif(contacts.c.name, ""), contacts.c.user_id
)

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
            )
        )
        return contact
    connection.execute(
        update(contacts)
        .where(contacts.c.id == known.id)
        .values(
            name=contact.name or known.name,
            email=contact.email or known.email,
            label=contact.label or known.label,
            source=max(contact.source, known.source, key=_RANKS.index),
            trusted=contact.trusted or known.trusted,
        )
    )
    return by_id(connection, known.id)


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
    query = select(contacts).where(_KEPT).order_by(func.lower(_SHOWN_AS), contacts.c.id)
    if user is not None:
        query = query.where(contacts.c.user == user)
    if search:
        columns = (
            contacts.c.name,
            contacts.c.label,
            contacts.c.email,
            contacts.c.user_id + "@" + contacts.c.provider,
        )
        query = query.where(or_(*(column.icontains(search, autoescape=True) for column in columns)))
    return [_contact(row) for row in connection.execute(query)]


def concerned(connection: Connection, user_id: str) -> list[Contact]:
    """The contacts in which somebody of that identifier is one of the two."""
    either = or_(contacts.c.user_id == user_id, contacts.c.user == user_id)
    return [_contact(row) for row in connection.execute(select(contacts).where(either, _KEPT))]


def relabel(connection: Connection, contact_id: str, label: str) -> None:
    """Call a contact so."""
    connection.execute(update(contacts).where(contacts.c.id == contact_id).values(label=label))


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
