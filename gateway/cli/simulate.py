"""`ocm-gateway simulate`: play another kind of OCM Server, to rehearse with."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.console import JsonOption, fail
from gateway.errors import GatewayError
from gateway.simulate.peers import PEERS
from gateway.simulate.server import CONTROL, open_simulation
from gateway.simulate.state import Simulation


def simulate(
    peer: Annotated[str, typer.Argument(help=f"One of {', '.join(PEERS)}.")],
    listen: Annotated[
        str, typer.Option(help="host:port; port 0 takes a free one.")
    ] = "127.0.0.1:8200",
    folder: Annotated[
        Path | None, typer.Option(help="What it can share; else a few files of its own.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a small server that speaks one deployed server's dialect, until Ctrl-C. No real data."""

    async def play() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with open_simulation(peer, listen, folder) as world:
            _announce(world, as_json=as_json)
            await stop.wait()

    try:
        asyncio.run(play())
    except GatewayError as error:
        fail(error, as_json=as_json)


def _announce(world: Simulation, *, as_json: bool) -> None:
    control = f"{world.origin}{CONTROL}"
    if as_json:
        facts = {
            "simulation": True,
            "peer": world.peer.name,
            "origin": world.origin,
            "address": world.address,
            "control": control,
            "folder": str(world.folder),
        }
        typer.echo(json.dumps(facts))
        return
    typer.echo(f"A simulation of {world.peer.title} at {world.origin}; share with {world.address}.")
    typer.echo("Its user acts when you say so (docs/interop.md):")
    said = '{"shareWith": "alice@gateway.example.org", "path": "/letter.txt"}'
    typer.echo(f"  curl {control}")
    typer.echo(f"  curl -d '{said}' {control}/share")
