"""Browsers that are logged in. Only the hash of a cookie's token is kept."""

import json
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from gateway.model import LoginMethod, Session
from gateway.store.tables import sessions


def add(connection: Connection, session: Session) -> None:
    """Keep a new session."""
    connection.execute(
        insert(sessions).values(
            id=session.id,
            user=session.user,
            display_name=session.display_name,
            method=session.method,
            created_at=session.created_at,
            seen_at=session.seen_at,
            expires_at=session.expires_at,
            strong=session.strong,
            acr=session.acr,
            amr=json.dumps(session.amr),
            agent=session.agent,
        )
    )


def find(connection: Connection, session_id: str) -> Session | None:
    """The session of that id, if there is one; whether it still holds is the caller's to see."""
    row = connection.execute(select(sessions).where(sessions.c.id == session_id)).one_or_none()
    return _session(row) if row else None


def of_user(connection: Connection, user: str) -> list[Session]:
    """Every session of a user, the last used first."""
    query = select(sessions).where(sessions.c.user == user).order_by(sessions.c.seen_at.desc())
    return [_session(row) for row in connection.execute(query)]


def touch(connection: Connection, session_id: str, seen_at: int) -> None:
    """Note that a session was used."""
    connection.execute(update(sessions).where(sessions.c.id == session_id).values(seen_at=seen_at))


def end(connection: Connection, session_id: str, user: str | None = None) -> int:
    """Forget one session, of that user if one is given; how many there were."""
    query = delete(sessions).where(sessions.c.id == session_id)
    if user is not None:
        query = query.where(sessions.c.user == user)
    return connection.execute(query).rowcount


def end_all(connection: Connection, user: str) -> int:
    """Forget every session of a user; how many there were."""
    return connection.execute(delete(sessions).where(sessions.c.user == user)).rowcount


def sweep(connection: Connection, now: int, idle_seconds: int) -> int:
    """Forget the sessions that hold no longer; how many there were."""
    over = (sessions.c.expires_at <= now) | (sessions.c.seen_at <= now - idle_seconds)
    return connection.execute(delete(sessions).where(over)).rowcount


def _session(row: Row[Any]) -> Session:
    return Session(
        id=row.id,
        user=row.user,
        display_name=row.display_name,
        method=LoginMethod(row.method),
        created_at=row.created_at,
        seen_at=row.seen_at,
        expires_at=row.expires_at,
        strong=row.strong,
        acr=row.acr,
        amr=tuple(json.loads(row.amr)),
        agent=row.agent,
    )
