"""Other OCM Servers, as far as they were added by the operator, named by a user or proven.

The table is bounded: when it is full, the server that nothing was decided about and that was not
seen for the longest makes room. Strangers are never written down.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from gateway.model import (
    Authority,
    KeyStanding,
    Provider,
    ProviderKey,
    ProviderSource,
    Scheme,
    Standing,
)
from gateway.store import revisions
from gateway.store.parts import Part, Turn, folded, holds, part_of
from gateway.store.tables import provider_keys, providers

MOST_PROVIDERS = 10_000
MOST_KEYS = 20
"""The longest history of keys of one server."""


@dataclass(frozen=True, slots=True)
class Health:
    """How a server does: failures in a row, since when, until when it is left alone, and why."""

    failures: int = 0
    failing_since_at: int = 0
    paused_until: int = 0
    last_error: str = ""

    def worse_than(self, other: "Health") -> bool:
        """Whether it failed more often, or is left alone for longer."""
        return (self.failures, self.paused_until) > (other.failures, other.paused_until)


def find(connection: Connection, provider: Authority) -> Provider | None:
    """One server."""
    row = connection.execute(select(providers).where(providers.c.authority == provider)).first()
    return _provider(row) if row else None


def all_providers(connection: Connection) -> list[Provider]:
    """Every server, by name."""
    query = select(providers).order_by(providers.c.authority)
    return [_provider(row) for row in connection.execute(query)]


def part(
    connection: Connection, turn: Turn, search: str = "", *, failing: bool = False
) -> Part[Provider]:
    """A part of the servers, by name; with `search` in name, comment or dialect, or those that
    fail."""
    query = select(providers).order_by(providers.c.authority)
    if search:
        query = query.where(holds(providers.c.found_by, search))
    if failing:
        query = query.where(providers.c.failures > 0)
    return part_of(connection, query, turn, _provider)


def standings(connection: Connection) -> dict[Authority, Standing]:
    """The servers about which something was decided."""
    columns = providers.c.authority, providers.c.standing
    query = select(*columns).where(providers.c.standing != Standing.KNOWN)
    return {Authority(row.authority): Standing(row.standing) for row in connection.execute(query)}


def failing(connection: Connection) -> dict[Authority, Health]:
    """The servers that fail."""
    query = select(providers).where(providers.c.failures > 0)
    return {
        Authority(row.authority): Health(
            row.failures, row.failing_since_at, row.paused_until, row.last_error
        )
        for row in connection.execute(query)
    }


def note(
    connection: Connection,
    provider: Authority,
    source: ProviderSource,
    now: int,
    *,
    standing: Standing = Standing.KNOWN,
) -> Provider:
    """The server, written down with that source and standing where it is new."""
    known = find(connection, provider)
    if known is not None:
        if known.source is ProviderSource.SEEN and source is not ProviderSource.SEEN:
            _change(connection, provider, source=source)
        return known
    _make_room(connection)
    new = Provider(provider, standing, source, now)
    connection.execute(insert(providers).values(**_columns(new)))
    if standing is not Standing.KNOWN:
        revisions.bump(connection, revisions.PROVIDERS)
    return new


def decide(
    connection: Connection, provider: Authority, standing: Standing, comment: str | None = None
) -> None:
    """Keep the operator's decision about a server that is known."""
    values: dict[str, str] = {"standing": standing}
    if comment is not None:
        values["comment"] = comment
    _change(connection, provider, **values)
    revisions.bump(connection, revisions.PROVIDERS)


def strengthen(connection: Connection, provider: Authority, *, scheme: Scheme, now: int) -> None:
    """It proved itself with that scheme just now, which other processes are to know."""
    _change(connection, provider, scheme=scheme, last_seen_at=now)
    revisions.bump(connection, revisions.PROVIDERS)


def signed_to(connection: Connection, provider: Authority, scheme: Scheme) -> None:
    """We signed a request to it with that scheme."""
    _change(connection, provider, our_scheme=scheme)


def describe(
    connection: Connection,
    provider: Authority,
    *,
    api_version: str,
    capabilities: Iterable[str],
    dialect: str,
) -> None:
    """What it last said of itself."""
    _change(
        connection,
        provider,
        api_version=api_version,
        capabilities=" ".join(sorted(capabilities)),
        dialect=dialect,
    )


def seen(connection: Connection, provider: Authority, moment: int) -> None:
    """When it last spoke to us."""
    _change(connection, provider, last_seen_at=moment)


def keep_health(connection: Connection, states: dict[Authority, Health]) -> None:
    """How servers do now; what another process has found worse stays, but for an answer."""
    before = failing(connection)
    changed = 0
    for provider, health in states.items():
        if health.failures and before.get(provider, Health()).worse_than(health):
            continue
        changed += _change(
            connection,
            provider,
            failures=health.failures,
            failing_since_at=health.failing_since_at,
            paused_until=health.paused_until,
            last_error=health.last_error,
        )
    if changed:
        revisions.bump(connection, revisions.PROVIDERS)


def reset(connection: Connection, provider: Authority) -> None:
    """Forget what it proved, its keys but the pinned ones, and its failures."""
    _change(
        connection,
        provider,
        scheme=Scheme.NONE,
        our_scheme=Scheme.NONE,
        failures=0,
        failing_since_at=0,
        paused_until=0,
        last_error="",
    )
    connection.execute(
        delete(provider_keys).where(
            provider_keys.c.provider == provider, provider_keys.c.standing != KeyStanding.PINNED
        )
    )
    revisions.bump(connection, revisions.PROVIDERS)


def remove(connection: Connection, provider: Authority) -> bool:
    """Forget a server and its keys; whether it was there."""
    connection.execute(delete(provider_keys).where(provider_keys.c.provider == provider))
    done = connection.execute(delete(providers).where(providers.c.authority == provider))
    revisions.bump(connection, revisions.PROVIDERS)
    return done.rowcount == 1


def keys_of(connection: Connection, provider: Authority) -> list[ProviderKey]:
    """The keys it has signed with, the newest first."""
    query = (
        select(provider_keys)
        .where(provider_keys.c.provider == provider)
        .order_by(provider_keys.c.last_seen_at.desc(), provider_keys.c.thumbprint)
    )
    return [_key(row) for row in connection.execute(query)]


def add_key(connection: Connection, key: ProviderKey) -> None:
    """Keep a key that is new; of too many, the oldest that is not pinned is forgotten."""
    history = keys_of(connection, key.provider)
    loose = [one for one in history if one.standing is not KeyStanding.PINNED]
    for old in loose[MOST_KEYS - 1 :]:
        connection.execute(delete(provider_keys).where(*_is(old)))
    connection.execute(
        insert(provider_keys).values(
            provider=key.provider,
            thumbprint=key.thumbprint,
            kid=key.kid,
            algorithm=key.algorithm,
            standing=key.standing,
            first_seen_at=key.first_seen_at,
            last_seen_at=key.last_seen_at,
        )
    )


def use_key(connection: Connection, key: ProviderKey, now: int) -> None:
    """It signed with that key again."""
    change = update(provider_keys).where(*_is(key)).values(last_seen_at=now)
    connection.execute(change)


def judge_key(connection: Connection, key: ProviderKey, standing: KeyStanding) -> None:
    """Keep the operator's decision about a key."""
    connection.execute(update(provider_keys).where(*_is(key)).values(standing=standing))
    revisions.bump(connection, revisions.PROVIDERS)


def pin(connection: Connection, provider: Authority, thumbprint: str, now: int) -> None:
    """That key of a server counts, and none but pinned ones; it need not be known yet."""
    known = {key.thumbprint: key for key in keys_of(connection, provider)}
    if found := known.get(thumbprint):
        judge_key(connection, found, KeyStanding.PINNED)
    else:
        add_key(
            connection,
            ProviderKey(provider, thumbprint, "", "", KeyStanding.PINNED, now, 0),
        )
        revisions.bump(connection, revisions.PROVIDERS)


def unpin(connection: Connection, key: ProviderKey) -> None:
    """A pinned key is one like others; one that was never used is forgotten."""
    if key.last_seen_at:
        judge_key(connection, key, KeyStanding.TRUSTED)
    else:
        connection.execute(delete(provider_keys).where(*_is(key)))
        revisions.bump(connection, revisions.PROVIDERS)


def _is(key: ProviderKey) -> tuple[Any, ...]:
    columns = provider_keys.c
    return columns.provider == key.provider, columns.thumbprint == key.thumbprint


def _change(connection: Connection, provider: Authority, **values: object) -> int:
    """Change a server if it is here; how many are."""
    this = update(providers).where(providers.c.authority == provider)
    changed = connection.execute(this.values(**values)).rowcount
    if changed and not {"comment", "dialect"}.isdisjoint(values):
        known = find(connection, provider)
        assert known is not None
        connection.execute(this.values(found_by=_found_by(known)))
    return changed


def _make_room(connection: Connection) -> None:
    count = connection.execute(select(func.count()).select_from(providers)).scalar() or 0
    if count < MOST_PROVIDERS:
        return
    query = (
        select(providers.c.authority)
        .where(providers.c.standing.in_((Standing.KNOWN, Standing.PENDING)))
        .where(providers.c.source != ProviderSource.CONFIGURED)
        .order_by(providers.c.last_seen_at, providers.c.first_seen_at)
        .limit(1 + count - MOST_PROVIDERS)
    )
    for row in connection.execute(query).all():
        remove(connection, Authority(row.authority))


def _found_by(provider: Provider) -> str:
    return folded(provider.authority, provider.comment, provider.dialect)


def _columns(provider: Provider) -> dict[str, object]:
    return {
        "authority": provider.authority,
        "standing": provider.standing,
        "source": provider.source,
        "first_seen_at": provider.first_seen_at,
        "last_seen_at": provider.last_seen_at,
        "scheme": provider.scheme,
        "our_scheme": provider.our_scheme,
        "dialect": provider.dialect,
        "api_version": provider.api_version,
        "capabilities": " ".join(provider.capabilities),
        "comment": provider.comment,
        "failures": provider.failures,
        "failing_since_at": provider.failing_since_at,
        "paused_until": provider.paused_until,
        "last_error": provider.last_error,
        "found_by": _found_by(provider),
    }


def _provider(row: Row[Any]) -> Provider:
    return Provider(
        authority=Authority(row.authority),
        standing=Standing(row.standing),
        source=ProviderSource(row.source),
        first_seen_at=row.first_seen_at,
        last_seen_at=row.last_seen_at,
        scheme=Scheme(row.scheme),
        our_scheme=Scheme(row.our_scheme),
        dialect=row.dialect,
        api_version=row.api_version,
        capabilities=tuple(row.capabilities.split()),
        comment=row.comment,
        failures=row.failures,
        failing_since_at=row.failing_since_at,
        paused_until=row.paused_until,
        last_error=row.last_error,
    )


def _key(row: Row[Any]) -> ProviderKey:
    return ProviderKey(
        provider=Authority(row.provider),
        thumbprint=row.thumbprint,
        kid=row.kid,
        algorithm=row.algorithm,
        standing=KeyStanding(row.standing),
        first_seen_at=row.first_seen_at,
        last_seen_at=row.last_seen_at,
    )
