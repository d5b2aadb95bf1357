"""What people at other servers ask local users to share."""

import json
from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row, Select, func, insert, select, update

from gateway.errors import NotFound
from gateway.model import Authority, Request, RequestState
from gateway.store.parts import Part, Turn, part_of
from gateway.store.tables import requests


def add(connection: Connection, request: Request) -> None:
    """Keep a new request."""
    connection.execute(
        insert(requests).values(
            id=request.id,
            owner=request.owner,
            share_with=request.share_with,
            provider=request.provider,
            resource=json.dumps(request.resource),
            about=request.about,
            created_at=request.created_at,
            state=request.state,
            decided_at=request.decided_at,
            share=request.share,
        )
    )


def by_id(connection: Connection, request_id: str) -> Request:
    """The request of that id; NotFound when there is none."""
    row = connection.execute(select(requests).where(requests.c.id == request_id)).one_or_none()
    if row is None:
        raise NotFound("there is no such request")
    return _request(row)


def latest(
    connection: Connection, owner: str, share_with: str, resource: tuple[str, ...]
) -> Request | None:
    """The last time that somebody asked for a Resource, if ever."""
    query = (
        select(requests)
        .where(
            requests.c.owner == owner,
            requests.c.share_with == share_with,
            requests.c.resource == json.dumps(resource),
        )
        .order_by(requests.c.created_at.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return _request(row) if row else None


def all_(connection: Connection, owner: str | None = None) -> list[Request]:
    """Every request, or those to one owner; the newest first."""
    return [_request(row) for row in connection.execute(_newest(owner))]


def part(
    connection: Connection, turn: Turn, owner: str, states: Collection[RequestState]
) -> Part[Request]:
    """A part of the requests to one owner in those states, the newest first."""
    query = _newest(owner).where(requests.c.state.in_(states))
    return part_of(connection, query, turn, _request)


def open_to(connection: Connection, owner: str, provider: Authority | None = None) -> int:
    """How many open requests an owner has, from one server or from all."""
    query = (
        select(func.count())
        .select_from(requests)
        .where(requests.c.owner == owner, requests.c.state == RequestState.OPEN)
    )
    if provider is not None:
        query = query.where(requests.c.provider == provider)
    return int(connection.execute(query).scalar_one())


def decide(
    connection: Connection,
    request_id: str,
    state: RequestState,
    *,
    out_of: RequestState,
    at: int,
    share: str = "",
) -> bool:
    """Put a request into `state` if it is in `out_of`; whether it was."""
    done = connection.execute(
        update(requests)
        .where(requests.c.id == request_id, requests.c.state == out_of)
        .values(state=state, decided_at=at, share=share)
    )
    return done.rowcount == 1


def _newest(owner: str | None) -> Select[tuple[Any, ...]]:
    query = select(requests).order_by(requests.c.created_at.desc(), requests.c.id)
    return query if owner is None else query.where(requests.c.owner == owner)


def _request(row: Row[Any]) -> Request:
    return Request(
        id=row.id,
        owner=row.owner,
        share_with=row.share_with,
        provider=Authority(row.provider),
        resource=tuple(json.loads(row.resource)),
        about=row.about,
        created_at=row.created_at,
        state=RequestState(row.state),
        decided_at=row.decided_at,
        share=row.share,
    )
