"""`ocm-gateway sessions`: browsers that are logged in."""

from functools import partial
from typing import Annotated, Any

import typer

from gateway.app import Gateway
from gateway.cli.console import ConfigOption, JsonOption, operator, run, show
from gateway.model import Session
from gateway.store import sessions
from gateway.web.records import moment

commands = typer.Typer(help="Browsers that are logged in.", no_args_is_help=True)

UserOption = Annotated[str, typer.Option("--user", "-u", help="Whose.")]


@commands.command("list")
def list_(user: UserOption, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the sessions of a user, the last used first."""

    async def look(gateway: Gateway) -> list[Session]:
        every = await gateway.state.database.read(partial(sessions.of_user, user=user))
        idle_seconds = gateway.settings.login.idle_minutes * 60
        now = gateway.clock()
        return [one for one in every if one.expires_at > now and one.seen_at > now - idle_seconds]

    found = run(config, look, as_json=as_json)
    show(
        [_members(one) for one in found],
        lambda: [_line(one) for one in found] or ["Nobody is logged in."],
        as_json=as_json,
    )


@commands.command("end")
def end(user: UserOption, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Log a user out everywhere."""

    async def work(gateway: Gateway) -> int:
        whom = str(gateway.ours.address(user))
        deed = gateway.audit.deed("sessions.ended", who=operator(), whom=whom)
        return await gateway.audit.write(partial(sessions.end_all, user=user), lambda _: deed)

    ended = run(config, work, as_json=as_json)
    show({"ended": ended}, lambda: [f"Sessions ended: {ended}."], as_json=as_json)


def _members(session: Session) -> dict[str, Any]:
    return {
        "user": session.user,
        "displayName": session.display_name,
        "method": session.method.value,
        "createdAt": session.created_at,
        "seenAt": session.seen_at,
        "expiresAt": session.expires_at,
        "strong": session.strong,
        "agent": session.agent,
    }


def _line(session: Session) -> str:
    return f"{session.user}  {session.method.value}  {moment(session.seen_at)}  {session.agent}"
