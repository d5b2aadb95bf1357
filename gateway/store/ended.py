"""Shares, invites and requests of ours whose end is long past: when it was, and that they go.

A sweep writes down when it found a Share ended (`ended_at`), and takes that back for one that is
tried again or is there again. What still has an errand to another server stays until that is done
or given up; so does a Share that bounds what an open request asks for, and one with a group until
it has ended for every member, so that nobody is given it a second time. With a Share goes what only
it gives a meaning: its link, who asked by it and who came. The audit trail stays, and what others
asked for.
"""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, exists, or_, select, update

from gateway.model import DEAD_AFTER_LOOKS, InviteState, ReceivedState, RequestState, SentState
from gateway.store.tables import (
    acceptances,
    accesses,
    invites,
    link_visits,
    links,
    outbox,
    received_shares,
    requests,
    sent_requests,
    sent_shares,
)

_LASTING = [state for state in SentState if state.lasts]
_GONE = (ReceivedState.DECLINED, ReceivedState.UNSHARED, ReceivedState.EXPIRED)


def mark(connection: Connection, now: int) -> None:
    """Write down which Shares have ended since the last time."""
    sent, received = sent_shares.c, received_shares.c
    dead = and_(received.state == ReceivedState.UNAVAILABLE, received.misses >= DEAD_AFTER_LOOKS)
    _mark(connection, sent_shares, sent.state.not_in(_LASTING), now)
    _mark(connection, received_shares, or_(received.state.in_(_GONE), dead), now)


def _mark(connection: Connection, table: Table, ended: ColumnElement[bool], now: int) -> None:
    since = table.c.ended_at
    connection.execute(update(table).where(since.is_(None), ended).values(ended_at=now))
    connection.execute(update(table).where(since.is_not(None), ~ended).values(ended_at=None))


def old_sent(connection: Connection, before: int, most: int) -> list[str]:
    """The ids of Shares that we sent, that ended before that second and that may go."""
    table = sent_shares.c
    asked = exists().where(
        requests.c.about == table.provider_id, requests.c.state == RequestState.OPEN
    )
    query = (
        select(table.provider_id)
        .where(table.ended_at < before, ~_errand(table.provider_id), ~asked)
        .order_by(table.ended_at)
        .limit(most)
    )
    return list(connection.execute(query).scalars())


def forget_sent(connection: Connection, before: int, most: int) -> list[str]:
    """Forget those, with all that belongs to them; their ids."""
    gone = old_sent(connection, before, most)
    for other in (links, link_visits, accesses, outbox):
        connection.execute(delete(other).where(other.c.share.in_(gone)))
    connection.execute(delete(sent_shares).where(sent_shares.c.provider_id.in_(gone)))
    return gone


def old_received(connection: Connection, before: int, most: int) -> list[str]:
    """The ids of Shares that we received, that ended before that second and that may go."""
    table, member = received_shares.c, received_shares.alias("member").c
    lasting = exists().where(
        table.group != "",
        member.sending_server == table.sending_server,
        member.provider_id == table.provider_id,
        or_(member.ended_at.is_(None), member.ended_at >= before),
    )
    query = (
        select(table.id)
        .where(table.ended_at < before, ~_errand(table.id), ~lasting)
        .order_by(table.ended_at)
        .limit(most)
    )
    return list(connection.execute(query).scalars())


def forget_received(connection: Connection, before: int, most: int) -> list[str]:
    """Forget those; their ids."""
    gone = old_received(connection, before, most)
    connection.execute(delete(outbox).where(outbox.c.share.in_(gone)))
    connection.execute(delete(received_shares).where(received_shares.c.id.in_(gone)))
    return gone


def old_invites(connection: Connection, before: int, most: int) -> list[str]:
    """The ids of Invites that expired, were accepted or were withdrawn before that second.

    One that was withdrawn would have been over when it expired, or was over when it was made.
    """
    table = invites.c
    over: list[ColumnElement[bool]] = [
        and_(table.state == InviteState.OPEN, table.expiration_at < before),
        and_(table.state == InviteState.ACCEPTED, table.accepted_at < before),
        and_(table.state == InviteState.WITHDRAWN, table.created_at < before)
        & or_(table.expiration_at.is_(None), table.expiration_at < before),
    ]
    query = select(table.id).where(or_(*over)).order_by(table.created_at).limit(most)
    return list(connection.execute(query).scalars())


def forget_invites(connection: Connection, before: int, most: int) -> list[str]:
    """Forget those, and acceptances whose outcome nobody has learnt since; their ids."""
    gone = old_invites(connection, before, most)
    connection.execute(delete(invites).where(invites.c.id.in_(gone)))
    connection.execute(delete(acceptances).where(acceptances.c.begun_at < before))
    return gone


def old_requests(connection: Connection, before: int, most: int) -> list[str]:
    """The ids of requests that we sent before that second and that wait for nothing.

    What became of one no message tells, so it is over when it has arrived, or never will.
    """
    table = sent_requests.c
    query = (
        select(table.id)
        .where(table.created_at < before, ~_errand(table.id))
        .order_by(table.created_at)
        .limit(most)
    )
    return list(connection.execute(query).scalars())


def forget_requests(connection: Connection, before: int, most: int) -> list[str]:
    """Forget those; their ids."""
    gone = old_requests(connection, before, most)
    connection.execute(delete(outbox).where(outbox.c.share.in_(gone)))
    connection.execute(delete(sent_requests).where(sent_requests.c.id.in_(gone)))
    return gone


def _errand(share: Any) -> ColumnElement[bool]:
    """Whether something about a Share is still to be told."""
    return exists().where(outbox.c.share == share, outbox.c.dead.is_(False))
