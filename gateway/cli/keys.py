"""`ocm-gateway keys`: the keys that this server signs with.

A key is changed without anybody noticing in three steps: `stage` publishes a new one, `activate`
signs with it while the old one stays published, `retire` ends the old one. Between them lies the
time that other servers believe a key set: an hour is plenty.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

from gateway.app import Gateway
from gateway.cli.console import ConfigOption, JsonOption, entered, run, show
from gateway.model import KeyState
from gateway.providers.ring import OwnKey, Ring
from gateway.web.records import moment

commands = typer.Typer(help="The keys of this server.", no_args_is_help=True)

KidArgument = Annotated[str, typer.Argument(help="The key, as `keys list` names it.")]


@commands.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the keys of this server, the newest first."""

    async def look(gateway: Gateway) -> tuple[OwnKey, ...]:
        return gateway.ring.keys

    keys = run(config, look, as_json=as_json)
    show([_described(key) for key in keys], lambda: [_line(key) for key in keys], as_json=as_json)


@commands.command()
def stage(
    algorithm: Annotated[
        str, typer.Option(help="ed25519, es256, or rsa for older servers.")
    ] = "ed25519",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and publish it; it signs nothing yet."""
    _change(lambda ring: ring.stage(algorithm), config, as_json=as_json)


@commands.command()
def activate(kid: KidArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Sign with a key from now on; the one before stays published."""
    _change(lambda ring: ring.activate(kid), config, as_json=as_json)


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
    _change(lambda ring: ring.retire(kid, compromised=compromised), config, as_json=as_json)


def _change(
    change: Callable[[Ring], Awaitable[OwnKey]], config: ConfigOption, *, as_json: bool
) -> None:
    async def work(gateway: Gateway) -> OwnKey:
        key = await change(gateway.ring)
        await entered(gateway, f"key.{key.state.value}", about=key.key.kid)
        return key

    key = run(config, work, as_json=as_json)
    show(_described(key), lambda: [_line(key)], as_json=as_json)


def _described(own: OwnKey) -> dict[str, Any]:
    return {
        "kid": own.key.kid,
        "algorithm": own.key.algorithm,
        "state": own.state.value,
        "active": own.state is KeyState.ACTIVE,
        "createdAt": own.created_at,
        "changedAt": own.changed_at,
        "thumbprint": own.key.verification_key().thumbprint,
        "jwk": own.key.public_jwk(),
    }


def _line(own: OwnKey) -> str:
    made = moment(own.created_at)
    return f"{own.key.kid}  {own.key.algorithm}  {own.state.value}  made {made}"
