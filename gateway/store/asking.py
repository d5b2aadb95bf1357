"""What local users ask people at other servers to share."""

from typing import Any

from sqlalchemy import Connection, Row, Select, insert, select, update

from gateway.errors import NotFound
from gateway.model import Authority, SentRequest, SentRequestState
from gateway.store.parts import Part, Turn, part_of
from gateway.store.tables import sent_requests


def add(connection: Connection, request: SentRequest) -> None:
    """Keep a new request."""
    connection.execute(
        insert(sent_requests).values(
            id=request.id,
            user=request.user,
            owner=request.owner,
            provider=request.provider,
            share=request.share,
            created_at=request.created_at,
            state=request.state,
            reason=request.reason,
        )
    )


def by_id(connection: Connection, request_id: str) -> SentRequest:
    """The request of that id; NotFound when there is none."""
    query = select(sent_requests).where(sent_requests.c.id == request_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound("there is no such request")
    return _request(row)


def latest(connection: Connection, user: str, owner: str, share: str) -> SentRequest | None:
    """The last time that a user asked somebody for something, if ever."""
    query = (
        select(sent_requests)
        .where(
            sent_requests.c.user == user,
            sent_requests.c.owner == owner,
            sent_requests.c.share == share,
        )
        .order_by(sent_requests.c.created_at.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return _request(row) if row else None


def all_(connection: Connection, user: str | None = None) -> list[SentRequest]:
    """Every request, or one user's; the newest first."""
    return [_request(row) for row in connection.execute(_newest(user))]


def part(connection: Connection, turn: Turn, user: str) -> Part[SentRequest]:
    """A part of one user's requests, the newest first."""
    return part_of(connection, _newest(user), turn, _request)


def move(
    connection: Connection,
    request_id: str,
    state: SentRequestState,
    *,
    out_of: SentRequestState,
    reason: str = "",
) -> None:
    """Put a request into `state` if it is in `out_of`."""
    connection.execute(
        update(sent_requests)
        .where(sent_requests.c.id == request_id, sent_requests.c.state == out_of)
        .values(state=state, reason=reason)
    )


def _newest(user: str | None) -> Select[tuple[Any, ...]]:
    query = select(sent_requests).order_by(sent_requests.c.created_at.desc(), sent_requests.c.id)
    return query if user is None else query.where(sent_requests.c.user == user)


def _request(row: Row[Any]) -> SentRequest:
    return SentRequest(
        id=row.id,
        user=row.user,
        owner=row.owner,
        provider=Authority(row.provider),
        share=row.share,
        created_at=row.created_at,
        state=SentRequestState(row.state),
        reason=row.reason,
    )
