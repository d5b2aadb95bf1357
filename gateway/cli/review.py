"""`ocm-gateway review`: shares that policy holds until the operator has looked at them."""

from typing import Annotated

import typer

from gateway.cli.console import ConfigOption, JsonOption, operator, run, show
from gateway.model import ReceivedShare, SentShare
from gateway.web.records import either, held, received_line, sent_line

commands = typer.Typer(no_args_is_help=True)

ShareArgument = Annotated[str, typer.Argument(help="The id of the share, as `list` tells it.")]


@commands.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the shares that are held, either way, the newest first."""

    found = run(config, lambda gateway: gateway.reviewing.all(), as_json=as_json)
    show(
        held(found),
        lambda: (
            [
                *(f"in   {received_line(one)}" for one in found.received),
                *(f"out  {sent_line(one)}" for one in found.sent),
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

    _answer(
        run(
            config,
            lambda gateway: gateway.reviewing.release(share_id, by=operator()),
            as_json=as_json,
        ),
        as_json=as_json,
    )


@commands.command()
def refuse(
    share_id: ShareArgument, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Turn a share away: nobody here sees it, and who sent it is told that it was declined."""

    _answer(
        run(
            config,
            lambda gateway: gateway.reviewing.refuse(share_id, by=operator()),
            as_json=as_json,
        ),
        as_json=as_json,
    )


def _answer(share: SentShare | ReceivedShare, *, as_json: bool) -> None:
    line = sent_line(share) if isinstance(share, SentShare) else received_line(share)
    show(either(share), lambda: [line], as_json=as_json)
