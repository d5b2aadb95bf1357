"""`ocm-gateway sessions`: browsers that are logged in."""

from functools import partial
from typing import Annotated

import typer

from gateway.app import Gateway
from gateway.cli.console import ConfigOption, JsonOption, UserOption, operator, run, show
from gateway.errors import NotFound
from gateway.model import Session
from gateway.store import sessions
from gateway.web.records import session, session_line

commands = typer.Typer(no_args_is_help=True)


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
        [session(one) for one in found],
        lambda: [session_line(one) for one in found] or ["Nobody is logged in."],
        as_json=as_json,
    )


@commands.command("end")
def end(
    user: UserOption,
    session_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="Only this one.", show_default=False)
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Log a user out, everywhere or in one browser."""

    async def work(gateway: Gateway) -> int:
        whom = str(gateway.ours.address(user))
        deed = gateway.audit.deed("sessions.ended", who=operator(), whom=whom)
        if session_id is None:
            return await gateway.audit.write(partial(sessions.end_all, user=user), lambda _: deed)
        one = partial(sessions.end, session_id=session_id, user=user)
        ended = await gateway.audit.write(one, lambda gone: deed if gone else None)
        if not ended:
            raise NotFound("there is no such session")
        return ended

    ended = run(config, work, as_json=as_json)
    show({"ended": ended}, lambda: [f"Sessions ended: {ended}."], as_json=as_json)
