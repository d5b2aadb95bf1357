"""`ocm-gateway received`: what people at other servers share with local users."""

from typing import Annotated

import typer

from gateway.app import Gateway
from gateway.cli.console import ConfigOption, JsonOption, OwnerOption, run, show
from gateway.model import ReceivedShare
from gateway.web.records import offered, received, received_line

commands = typer.Typer(no_args_is_help=True)

ShareArgument = Annotated[str, typer.Argument(help="The id of the received share.")]


@commands.command("list")
def list_(
    user: OwnerOption = None,
    search: Annotated[str, typer.Option(help="Only those with this in folder or sender.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what was shared, the newest first."""

    async def work(gateway: Gateway) -> tuple[list[ReceivedShare], set[tuple[str, str]]]:
        known = {(one.user, one.address) for one in await gateway.contacts.all(user)}
        return await gateway.receiving.inbox(user, search=search), known

    shares, known = run(config, work, as_json=as_json)
    strange = [(share.recipient, share.sender) not in known for share in shares]
    show(
        [
            offered(share, known=not stranger)
            for share, stranger in zip(shares, strange, strict=True)
        ],
        lambda: (
            [
                received_line(share) + ("  from a stranger" if stranger else "")
                for share, stranger in zip(shares, strange, strict=True)
            ]
            or ["Nothing was shared."]
        ),
        as_json=as_json,
    )


@commands.command("accept")
def accept(
    share_id: ShareArgument,
    user: OwnerOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Accept a share: it appears in the user's WebDAV tree."""

    async def work(gateway: Gateway) -> ReceivedShare:
        return await gateway.receiving.accept(share_id, recipient=user)

    share = run(config, work, as_json=as_json)
    show(received(share), lambda: [received_line(share)], as_json=as_json)


@commands.command("decline")
def decline(
    share_id: ShareArgument,
    user: OwnerOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decline a share, or leave one that was accepted."""

    async def work(gateway: Gateway) -> ReceivedShare:
        return await gateway.receiving.decline(share_id, recipient=user)

    share = run(config, work, as_json=as_json)
    show(received(share), lambda: [received_line(share)], as_json=as_json)


@commands.command("hide")
def hide(
    share_id: ShareArgument,
    off: Annotated[bool, typer.Option("--off", help="Show it again.")] = False,
    user: OwnerOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a share out of its recipient's sight; nobody is told, and it opens as before."""

    async def work(gateway: Gateway) -> ReceivedShare:
        return await gateway.receiving.hide(share_id, hidden=not off, recipient=user)

    share = run(config, work, as_json=as_json)
    show(received(share), lambda: [received_line(share)], as_json=as_json)
