"""`ocm-gateway keys`: the keys that this server signs with."""

import typer

from gateway.app import Gateway
from gateway.cli.console import ConfigOption, JsonOption, run, show
from gateway.cli.records import moment
from gateway.providers.ring import Ring

commands = typer.Typer(help="The keys of this server.", no_args_is_help=True)


@commands.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the published keys; the first one signs."""

    async def look(gateway: Gateway) -> Ring:
        return gateway.ring

    ring = run(config, look, as_json=as_json)
    keys = [
        {
            "kid": key.kid,
            "algorithm": key.algorithm,
            "createdAt": created_at,
            "active": key is ring.active,
            "jwk": key.public_jwk(),
        }
        for key, created_at in zip(ring.published, ring.created_at, strict=True)
    ]

    def lines() -> list[str]:
        return [
            f"{key.kid}  {key.algorithm}  made {moment(created_at)}"
            + ("  signs" if key is ring.active else "")
            for key, created_at in zip(ring.published, ring.created_at, strict=True)
        ]

    show(keys, lines, as_json=as_json)
