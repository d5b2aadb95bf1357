"""`ocm-gateway review`: shares that policy holds until the operator has looked at them."""

from typing import Annotated, Any

import typer

from gateway.app import Gateway
from gateway.cli.console import ConfigOption, JsonOption, operator, run, show
from gateway.errors import NotFound
from gateway.model import ReceivedShare, SentShare
from gateway.web.records import received, received_line, sent, sent_line

commands = typer.Typer(help="Shares that are held for review.", no_args_is_help=True)

ShareArgument = Annotated[str, typer.Argument(help="The id of the share, as `list` tells it.")]


@commands.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the shares that are held, either way, the newest first."""

    async def look(gateway: Gateway) -> tuple[list[ReceivedShare], list[SentShare]]:
        return await gateway.receiving.held(), await gateway.sending.held()

    came, go = run(config, look, as_json=as_json)
    show(
        {"received": [received(one) for one in came], "sent": [sent(one) for one in go]},
        lambda: (
            [
                *(f"in   {received_line(one)}" for one in came),
                *(f"out  {sent_line(one)}" for one in go),
            ]
            or ["Nothing is held."]
        ),
        as_json=as_json,
    )


@commands.command()
def release(
    share_id: ShareArgument, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Let a share in, or go: its recipient sees it from now on."""

    async def work(gateway: Gateway) -> SentShare | ReceivedShare:
        if await _comes(gateway, share_id):
            return await gateway.receiving.release(share_id, by=operator())
        return await gateway.sending.release(share_id, by=operator())

    _answer(run(config, work, as_json=as_json), as_json=as_json)


@commands.command()
def refuse(
    share_id: ShareArgument, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Turn a share away: nobody here sees it, and who sent it is told that it was declined."""

    async def work(gateway: Gateway) -> SentShare | ReceivedShare:
        if await _comes(gateway, share_id):
            return await gateway.receiving.turn_away(share_id, by=operator())
        return await gateway.sending.turn_down(share_id, by=operator())

    _answer(run(config, work, as_json=as_json), as_json=as_json)


async def _comes(gateway: Gateway, share_id: str) -> bool:
    """Whether the share is one that we received."""
    try:
        await gateway.receiving.by_id(share_id)
    except NotFound:
        return False
    return True


def _answer(share: SentShare | ReceivedShare, *, as_json: bool) -> None:
    answer: dict[str, Any]
    if isinstance(share, SentShare):
        answer, line = sent(share), sent_line(share)
    else:
        answer, line = received(share), received_line(share)
    show(answer, lambda: [line], as_json=as_json)
