"""What the policy has in the database: the list that commands change, with its history, and the
last good bundle."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from gateway.store import facts, revisions
from gateway.store.tables import policy_bundles, policy_lists

MOST_LISTS = 1000
_VERSION = "policy version"


@dataclass(frozen=True, slots=True)
class Version:
    """A change of the list: its number, from 1, when, by whom and why."""

    number: int
    made_at: int
    made_by: str
    note: str


@dataclass(frozen=True, slots=True)
class Listing:
    """The list as it stood after that change; `document` is a policy text in JSON."""

    number: int
    made_at: int
    made_by: str
    note: str
    document: str


@dataclass(frozen=True, slots=True)
class KeptBundle:
    """The last good bundle of an address ("" for none), and how the last look went."""

    url: str
    version: int
    etag: str
    document: str
    fetched_at: int
    checked_at: int
    last_error: str


def latest(connection: Connection) -> Listing | None:
    """The list that holds."""
    query = select(policy_lists).order_by(policy_lists.c.number.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return Listing(*row) if row else None


def find(connection: Connection, number: int) -> Listing | None:
    """The list of that number."""
    row = connection.execute(
        select(policy_lists).where(policy_lists.c.number == number)
    ).one_or_none()
    return Listing(*row) if row else None


def history(connection: Connection, most: int = MOST_LISTS) -> list[Version]:
    """Every list there was, the newest first."""
    columns = (policy_lists.c[name] for name in ("number", "made_at", "made_by", "note"))
    query = select(*columns).order_by(policy_lists.c.number.desc()).limit(most)
    return [Version(*row) for row in connection.execute(query)]


def add(connection: Connection, document: str, *, made_at: int, made_by: str, note: str) -> Listing:
    """Another list, which holds from now on; nothing that was is overwritten."""
    number = (connection.execute(select(func.max(policy_lists.c.number))).scalar() or 0) + 1
    listing = Listing(number, made_at, made_by, note, document)
    connection.execute(
        insert(policy_lists).values(
            number=number, made_at=made_at, made_by=made_by, note=note, document=document
        )
    )
    revisions.bump(connection, revisions.POLICY)
    return listing


def put_version(connection: Connection, version: str) -> bool:
    """Note which policy holds; whether that is another than before."""
    if facts.find(connection, _VERSION) == version:
        return False
    facts.put(connection, _VERSION, version)
    return True


def find_bundle(connection: Connection, url: str) -> KeptBundle | None:
    """What is kept of a bundle."""
    row = connection.execute(
        select(policy_bundles).where(policy_bundles.c.url == url)
    ).one_or_none()
    return KeptBundle(*row) if row else None


def claim_bundle(connection: Connection, url: str, now: int, pause_seconds: int) -> bool:
    """Whether it is time to look for a newer bundle; the caller has the errand then."""
    known = find_bundle(connection, url)
    if known is None:
        connection.execute(
            insert(policy_bundles).values(
                url=url,
                version=0,
                etag="",
                document="",
                fetched_at=0,
                checked_at=now,
                last_error="",
            )
        )
        return True
    if known.checked_at > now - pause_seconds:
        return False
    _change(connection, url, checked_at=now)
    return True


def keep_bundle(
    connection: Connection, url: str, *, version: int, etag: str, document: str, now: int
) -> bool:
    """Keep a newer bundle; False, and nothing is changed, for one that is not newer."""
    known = find_bundle(connection, url)
    if known is None or version <= known.version:
        return False
    _change(
        connection,
        url,
        version=version,
        etag=etag,
        document=document,
        fetched_at=now,
        checked_at=now,
        last_error="",
    )
    revisions.bump(connection, revisions.POLICY)
    return True


def confirm_bundle(connection: Connection, url: str, now: int) -> None:
    """The bundle that is kept is still the one that is published."""
    _change(connection, url, fetched_at=now, last_error="")


def fail_bundle(connection: Connection, url: str, error: str) -> None:
    """The look came to nothing; the last good bundle stays."""
    _change(connection, url, last_error=error)


def _change(connection: Connection, url: str, **values: Any) -> None:
    connection.execute(update(policy_bundles).where(policy_bundles.c.url == url).values(**values))
