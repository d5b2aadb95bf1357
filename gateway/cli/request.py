"""`ocm-gateway request`: being asked to share, and asking others."""

from typing import Annotated, Any

import typer

from gateway.app import Gateway
from gateway.cli.console import ConfigOption, JsonOption, fail, run, show
from gateway.cli.share import permissions_of
from gateway.errors import Malformed
from gateway.model import Request
from gateway.web.records import moment

commands = typer.Typer(help="Requests for a share.", no_args_is_help=True)

OwnerOption = Annotated[str | None, typer.Option("--user", "-u", help="Only this local user's.")]
RequestArgument = Annotated[str, typer.Argument(help="The id of the request.")]


@commands.command("list")
def list_(
    user: OwnerOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List what people here were asked to share, the newest first."""
    found = run(config, lambda gateway: gateway.requests.all(user), as_json=as_json)
    show(
        [_members(one) for one in found],
        lambda: [_line(one) for one in found] or ["Nobody asked for anything."],
        as_json=as_json,
    )


@commands.command("agree")
def agree(
    request_id: RequestArgument,
    permissions: Annotated[
        str, typer.Option("--permissions", "-p", help="Out of read, write, share; by commas.")
    ] = "read",
    user: OwnerOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Share what was asked for."""
    try:
        granted = permissions_of(permissions)
    except Malformed as error:
        fail(error, as_json=as_json)

    async def work(gateway: Gateway) -> Request:
        return await gateway.requests.agree(request_id, owner=user, permissions=granted)

    _show(run(config, work, as_json=as_json), as_json=as_json)


@commands.command("decline")
def decline(
    request_id: RequestArgument,
    user: OwnerOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Do not share; the same request is not heard again for a week."""

    async def work(gateway: Gateway) -> Request:
        return await gateway.requests.decline(request_id, owner=user)

    _show(run(config, work, as_json=as_json), as_json=as_json)


@commands.command("send")
def send(
    user: Annotated[str, typer.Option("--user", "-u", help="The local user who asks.")],
    owner: Annotated[str, typer.Argument(help="Whom to ask: user@host[:port].")],
    share: Annotated[str, typer.Argument(help="For what: an identifier or URL of the resource.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask somebody at another server to share something."""
    run(config, lambda gateway: gateway.requests.send(user, owner, share), as_json=as_json)
    show({"sent": True}, lambda: ["Asked. It is theirs to share."], as_json=as_json)


def _show(request: Request, *, as_json: bool) -> None:
    show(_members(request), lambda: [_line(request)], as_json=as_json)


def _members(request: Request) -> dict[str, Any]:
    return {
        "id": request.id,
        "state": request.state.value,
        "owner": request.owner,
        "shareWith": request.share_with,
        "askedBy": request.provider,
        "path": "/" + "/".join(request.resource),
        "aboutShare": request.about,
        "createdAt": request.created_at,
        "decidedAt": request.decided_at,
        "share": request.share,
    }


def _line(request: Request) -> str:
    path = "/" + "/".join(request.resource)
    return (
        f"{request.id}  {request.state.value:9}  {request.share_with} asks {request.owner} for"
        f" {path}  {moment(request.created_at)}"
    )
