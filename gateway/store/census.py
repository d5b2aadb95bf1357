"""What there is, counted: shares, invites, servers by state; how old the oldest errand is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from gateway.model import InviteState, ReceivedState, SentState, Standing
from gateway.store.tables import invites, outbox, providers, received_shares, sent_shares


@dataclass(frozen=True, slots=True)
class Census:
    """How many there are in each state; a state that none is in is there with 0.

    paused: servers that are left alone, because they do not answer. oldest_errand_at: when the
    oldest errand was given that still waits; None when none does.
    """

    sent: Mapping[str, int]
    received: Mapping[str, int]
    invites: Mapping[str, int]
    providers: Mapping[str, int]
    paused: int
    oldest_errand_at: int | None


def take(connection: Connection, now: int) -> Census:
    """Count. It reads whole tables: nothing to do for every request."""
    paused = select(func.count()).where(providers.c.paused_until > now)
    waiting = select(func.min(outbox.c.created_at)).where(outbox.c.dead.is_(False))
    return Census(
        _by_state(connection, sent_shares.c.state, [one.value for one in SentState]),
        _by_state(connection, received_shares.c.state, [one.value for one in ReceivedState]),
        _by_state(connection, invites.c.state, [one.value for one in InviteState]),
        _by_state(connection, providers.c.standing, [one.value for one in Standing]),
        connection.execute(paused).scalar_one(),
        connection.execute(waiting).scalar(),
    )


def _by_state(connection: Connection, column: Any, states: list[str]) -> dict[str, int]:
    query = select(column, func.count()).group_by(column)
    found: dict[str, int] = {row[0]: row[1] for row in connection.execute(query)}
    return {state: found.get(state, 0) for state in states}
