"""`ocm-gateway federation check`: where it breaks between this server and another."""

from typing import Annotated

import typer

from gateway import examining
from gateway.app import Gateway
from gateway.cli import examined
from gateway.cli.console import ConfigOption, JsonOption, run, show
from gateway.ocm.address import authority
from gateway.probes.server import Look

commands = typer.Typer()


@commands.callback()
def _group() -> None:
    """Whether another server and this one can federate."""


@commands.command()
def check(
    host: Annotated[str, typer.Argument(help="The server: host[:port].")],
    signed: Annotated[
        bool,
        typer.Option(help="Try our signature, with a token request for a code that is none."),
    ] = True,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell DNS, TCP, TLS, HTTP, JSON, keys, clock, policy and signature apart."""

    async def work(gateway: Gateway) -> Look:
        return await examining.federation(gateway, authority(host), signed=signed)

    look = run(config, work, as_json=as_json)
    answer = {"server": look.provider} | examined.described(look.findings)
    show(answer, lambda: [look.provider, *examined.lines(look.findings)], as_json=as_json)
    raise typer.Exit(examined.code(look.findings))
