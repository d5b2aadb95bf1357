"""What people here are still to be told, and how they want to be told."""

from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from gateway.model import News, NewsKind, NewsWay, Wishes
from gateway.store.tables import news, wishes

MOST_WAITING = 100
"""What waits for one user on one way; when a mail server is gone for days, more is left out."""
PAUSE_SECONDS = 300
"""Between two mails to the same user, however much happens."""


def add(connection: Connection, one: News) -> bool:
    """Keep something to tell; whether there was room for it."""
    waiting = select(func.count()).where(news.c.user == one.user, news.c.way == one.way)
    if connection.execute(waiting).scalar_one() >= MOST_WAITING:
        return False
    connection.execute(
        insert(news).values(
            id=one.id,
            way=one.way,
            kind=one.kind,
            user=one.user,
            who=one.who,
            what=one.what,
            about=one.about,
            at=one.at,
            attempts=one.attempts,
            next_attempt_at=one.next_attempt_at,
        )
    )
    return True


def due(connection: Connection, now: int) -> list[News]:
    """What is to be told next: one thing by webhook, or all that waits for a user's mail."""
    query = select(news).where(news.c.next_attempt_at <= now).order_by(news.c.next_attempt_at)
    first = connection.execute(query.limit(1)).one_or_none()
    if first is None:
        return []
    rows = [first]
    if first.way == NewsWay.MAIL:
        mine = (news.c.user == first.user, news.c.way == NewsWay.MAIL)
        mailed_at = connection.execute(
            select(wishes.c.mailed_at).where(wishes.c.user == first.user)
        ).scalar()
        if mailed_at is not None and mailed_at > now - PAUSE_SECONDS:
            later = update(news).where(*mine, news.c.next_attempt_at <= now)
            connection.execute(later.values(next_attempt_at=mailed_at + PAUSE_SECONDS))
            return []
        rows = list(connection.execute(query.where(*mine)))
    return [_news(row) for row in rows]


def finish(connection: Connection, told: list[News]) -> None:
    """Forget what is told, or never will be."""
    connection.execute(delete(news).where(news.c.id.in_([one.id for one in told])))


def postpone(connection: Connection, untold: list[News], next_attempt_at: int) -> None:
    """Try again later."""
    connection.execute(
        update(news)
        .where(news.c.id.in_([one.id for one in untold]))
        .values(next_attempt_at=next_attempt_at, attempts=news.c.attempts + 1)
    )


def all_(connection: Connection) -> list[News]:
    """Everything that is still to be told, the oldest first."""
    return [_news(row) for row in connection.execute(select(news).order_by(news.c.at))]


def wishes_of(connection: Connection, user: str) -> Wishes:
    """How a user wants to be told; who never said wants mail."""
    query = select(wishes.c.by_mail, wishes.c.language).where(wishes.c.user == user)
    row = connection.execute(query).one_or_none()
    return Wishes(row.by_mail, row.language) if row else Wishes()


def wish(
    connection: Connection, user: str, *, by_mail: bool | None = None, language: str | None = None
) -> None:
    """Keep how a user wants to be told; what is None stays."""
    wished = {"by_mail": by_mail, "language": language}
    if said := {name: value for name, value in wished.items() if value is not None}:
        _put(connection, user, **said)


def meet(connection: Connection, user: str, language: str) -> None:
    """Keep the language of somebody of whom none is known."""
    if not wishes_of(connection, user).language:
        _put(connection, user, language=language)


def mailed(connection: Connection, user: str, now: int) -> None:
    """Keep when a user was mailed last."""
    _put(connection, user, mailed_at=now)


def _put(connection: Connection, user: str, **values: object) -> None:
    if connection.execute(update(wishes).where(wishes.c.user == user).values(values)).rowcount == 0:
        connection.execute(insert(wishes).values(user=user, **values))


def _news(row: Row[Any]) -> News:
    return News(
        id=row.id,
        way=NewsWay(row.way),
        kind=NewsKind(row.kind),
        user=row.user,
        who=row.who,
        what=row.what,
        about=row.about,
        at=row.at,
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
    )
