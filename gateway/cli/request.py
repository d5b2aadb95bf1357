"""`ocm-gateway request`: being asked to share, and asking others."""

from typing import Annotated

import typer

from gateway.app import Gateway
from gateway.cli.console import (
    REFUSED,
    TRY_AGAIN,
    ConfigOption,
    JsonOption,
    OwnerOption,
    UserOption,
    fail,
    run,
    show,
    until,
)
from gateway.cli.share import permissions_of
from gateway.errors import Malformed
from gateway.model import Request, SentRequest, SentRequestState
from gateway.web.records import request as record
from gateway.web.records import request_line, sent_request, sent_request_line

commands = typer.Typer(no_args_is_help=True)

RequestArgument = Annotated[str, typer.Argument(help="The id of the request.")]


@commands.command("list")
def list_(
    user: OwnerOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List what people here were asked to share, the newest first."""
    found = run(config, lambda gateway: gateway.requests.all(user), as_json=as_json)
    show(
        [record(one) for one in found],
        lambda: [request_line(one) for one in found] or ["Nobody asked for anything."],
        as_json=as_json,
    )


@commands.command("agree")
def agree(
    request_id: RequestArgument,
    permissions: Annotated[
        str, typer.Option("--permissions", "-p", help="Out of read, write, share; by commas.")
    ] = "read",
    expires: Annotated[
        str | None,
        typer.Option(help="Until when: 2027-01-31, 2027-01-31T12:00:00Z, seconds, or +30d/+12h."),
    ] = None,
    user: OwnerOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Share what was asked for."""
    try:
        granted, ends_at = permissions_of(permissions), until(expires)
    except Malformed as error:
        fail(error, as_json=as_json)

    async def work(gateway: Gateway) -> Request:
        return await gateway.requests.agree(
            request_id, owner=user, permissions=granted, expiration_at=ends_at
        )

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
    user: UserOption,
    owner: Annotated[str, typer.Argument(help="Whom to ask: user@host[:port].")],
    share: Annotated[str, typer.Argument(help="For what: an identifier or URL of the resource.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask somebody at another server to share something. Exits with 4 when it refuses."""

    async def work(gateway: Gateway) -> SentRequest:
        return await gateway.asking.send(user, owner.strip(), share)

    asked = run(config, work, as_json=as_json)
    show(sent_request(asked), lambda: _outcome(asked), as_json=as_json)
    if asked.state is SentRequestState.REFUSED:
        raise typer.Exit(REFUSED)


@commands.command("sent")
def sent(
    user: OwnerOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List what people here asked others to share, the newest first."""
    found = run(config, lambda gateway: gateway.asking.all(user), as_json=as_json)
    show(
        [sent_request(one) for one in found],
        lambda: [sent_request_line(one) for one in found] or ["Nobody asked for anything."],
        as_json=as_json,
    )


@commands.command("retry")
def retry(
    request_id: Annotated[str, typer.Argument(help="The id of the request that was sent.")],
    user: OwnerOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask now what did not arrive yet. Exits with 6 when it fails again, with 4 when refused."""

    async def ask(gateway: Gateway) -> SentRequest:
        made = await gateway.asking.by_id(request_id, user=user)
        await gateway.outbox.retry_about(made.id)
        return await gateway.asking.by_id(request_id)

    asked = run(config, ask, as_json=as_json)
    show(sent_request(asked), lambda: _outcome(asked), as_json=as_json)
    if asked.state is not SentRequestState.SENT:
        raise typer.Exit(REFUSED if asked.state is SentRequestState.REFUSED else TRY_AGAIN)


def _outcome(asked: SentRequest) -> list[str]:
    said = {
        SentRequestState.PENDING: "Not delivered yet; it will be tried again.",
        SentRequestState.SENT: "Asked. It is theirs to share.",
        SentRequestState.REFUSED: f"Refused: {asked.reason}",
    }
    return [sent_request_line(asked), said[asked.state]]


def _show(request: Request, *, as_json: bool) -> None:
    show(record(request), lambda: [request_line(request)], as_json=as_json)
