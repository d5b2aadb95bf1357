"""`ocm-gateway dialects`: how other servers are spoken to, and what was learnt of it."""

from typing import Annotated, Any

import typer

from gateway.app import Gateway
from gateway.cli.console import ConfigOption, JsonOption, run, show
from gateway.errors import NotFound
from gateway.model import Lesson
from gateway.ocm.address import authority
from gateway.ocm.dialects import DIALECTS, Dialect
from gateway.providers.dialects import Speech
from gateway.web.records import moment

commands = typer.Typer(no_args_is_help=True)

ServerArgument = Annotated[str, typer.Argument(help="The server: host[:port].")]


@commands.command("table")
def table(as_json: JsonOption = False) -> None:
    """Print the table of dialects."""
    show([_row(dialect) for dialect in DIALECTS], lambda: _lines(DIALECTS), as_json=as_json)


@commands.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List what was learnt of other servers."""
    lessons = run(config, lambda gateway: gateway.others.dialects.lessons(), as_json=as_json)
    show(
        [learnt(lesson) for lesson in lessons],
        lambda: [_line(lesson) for lesson in lessons] or ["Nothing was learnt yet."],
        as_json=as_json,
    )


@commands.command("show")
def show_(server: ServerArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show what was learnt of a server."""
    lesson = run(config, lambda gateway: _lesson(gateway, server), as_json=as_json)
    show(learnt(lesson), lambda: [_line(lesson)], as_json=as_json)


@commands.command("forget")
def forget(
    server: ServerArgument, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Forget what was learnt of a server, as after it was upgraded."""

    async def work(gateway: Gateway) -> Lesson:
        lesson = await _lesson(gateway, server)
        await gateway.others.dialects.forget(lesson.provider)
        return lesson

    lesson = run(config, work, as_json=as_json)
    show(learnt(lesson), lambda: [f"Forgotten: {_line(lesson)}"], as_json=as_json)


def learnt(lesson: Lesson) -> dict[str, Any]:
    """A lesson, as JSON."""
    return {
        "server": lesson.provider,
        "dialect": lesson.dialect,
        "form": lesson.form or None,
        "approach": lesson.approach or None,
        "learntAt": lesson.learnt_at,
    }


def spoken(speech: Speech) -> dict[str, Any]:
    """How a server is spoken to, as JSON."""
    return _row(speech.dialect) | {
        "source": speech.source,
        "forms": list(speech.forms),
        "approach": speech.approach,
    }


async def _lesson(gateway: Gateway, server: str) -> Lesson:
    lesson = await gateway.others.dialects.lesson(authority(server))
    if lesson is None:
        raise NotFound(f"nothing was learnt of {server}")
    return lesson


def _row(dialect: Dialect) -> dict[str, Any]:
    return {
        "name": dialect.name,
        "title": dialect.title,
        "forms": list(dialect.forms),
        "scheme": dialect.scheme,
        "spelling": dialect.spelling,
        "notice": dialect.notice,
        "atRoot": dialect.at_root,
        "claimsFiles": dialect.claims_files,
        "exchanges": dialect.exchanges,
        "notifies": dialect.notifies,
        "approaches": list(dialect.approaches),
    }


def _lines(dialects: tuple[Dialect, ...]) -> list[str]:
    return [
        f"{one.name:17} {one.title:34} {' '.join(one.forms):18} signs {one.scheme:8}"
        f" {'root' if one.at_root else 'id':5} {' '.join(one.approaches)}"
        for one in dialects
    ]


def _line(lesson: Lesson) -> str:
    how = f"{lesson.form or '-':9} {lesson.approach or '-':14}"
    return f"{lesson.provider:40} {lesson.dialect:17} {how} {moment(lesson.learnt_at)}"
