"""`ocm-gateway keys`: the keys that this server signs with.

A key is changed without anybody noticing in three steps: `stage` publishes a new one, `activate`
signs with it while the old one stays published, `retire` ends the old one. Between them lies the
time that other servers believe a key set: an hour is plenty.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from gateway.app import Gateway
from gateway.cli.console import ConfigOption, JsonOption, operator, run, show
from gateway.providers.ring import OwnKey
from gateway.sharing.operating import Operating
from gateway.web.records import moment, own_key

commands = typer.Typer(no_args_is_help=True)

KidArgument = Annotated[str, typer.Argument(help="The key, as `keys list` names it.")]


@commands.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the keys of this server, the newest first."""

    async def look(gateway: Gateway) -> tuple[OwnKey, ...]:
        return gateway.ring.keys

    keys = run(config, look, as_json=as_json)
    show([own_key(key) for key in keys], lambda: [_line(key) for key in keys], as_json=as_json)


@commands.command()
def stage(
    algorithm: Annotated[
        str, typer.Option(help="ed25519, es256, or rsa for older servers.")
    ] = "ed25519",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and publish it; it signs nothing yet."""
    _change(lambda desk: desk.stage(algorithm, by=operator()), config, as_json=as_json)


@commands.command()
def activate(kid: KidArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Sign with a key from now on; the one before stays published."""
    _change(lambda desk: desk.activate(kid, by=operator()), config, as_json=as_json)


@commands.command()
def retire(
    kid: KidArgument,
    compromised: Annotated[
        bool, typer.Option(help="End the access tokens that it signed at once.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Publish a key no more; access tokens that it signed hold until they expire."""
    _change(
        lambda desk: desk.retire(kid, by=operator(), compromised=compromised),
        config,
        as_json=as_json,
    )


def _change(
    change: Callable[[Operating], Awaitable[OwnKey]], config: ConfigOption, *, as_json: bool
) -> None:
    key = run(config, lambda gateway: change(gateway.operating), as_json=as_json)
    show(own_key(key), lambda: [_line(key)], as_json=as_json)


def _line(own: OwnKey) -> str:
    made = moment(own.created_at)
    return f"{own.key.kid}  {own.key.algorithm}  {own.state.value}  made {made}"
