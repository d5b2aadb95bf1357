"""What was learnt of how other servers are spoken to."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from gateway.model import Authority, Lesson
from gateway.store.tables import lessons


def find(connection: Connection, provider: Authority) -> Lesson | None:
    """What was learnt of a server, if anything was."""
    row = connection.execute(select(lessons).where(lessons.c.provider == provider)).one_or_none()
    return _lesson(row) if row else None


def keep(connection: Connection, lesson: Lesson) -> None:
    """Keep a lesson in place of an older one."""
    forget(connection, lesson.provider)
    connection.execute(insert(lessons).values(**asdict(lesson)))


def forget(connection: Connection, provider: Authority) -> bool:
    """Forget what was learnt of a server; whether there was anything."""
    done = connection.execute(delete(lessons).where(lessons.c.provider == provider))
    return done.rowcount == 1


def all_lessons(connection: Connection) -> list[Lesson]:
    """Everything learnt, by server."""
    return [_lesson(row) for row in connection.execute(select(lessons).order_by("provider"))]


def _lesson(row: Row[Any]) -> Lesson:
    return Lesson(
        provider=Authority(row.provider),
        dialect=row.dialect,
        form=row.form,
        approach=row.approach,
        learnt_at=row.learnt_at,
    )
