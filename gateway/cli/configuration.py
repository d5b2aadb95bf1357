"""`ocm-gateway config`: what every setting is, and where that comes from."""

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from gateway import settings
from gateway.cli.console import ConfigOption, JsonOption, settings_of, show
from gateway.config import Config

commands = typer.Typer(no_args_is_help=True)


@commands.command("show")
def show_(
    origin: Annotated[
        bool, typer.Option("--origin", help="Say where each value comes from.")
    ] = False,
    changed: Annotated[
        bool, typer.Option("--changed", help="Leave out what is as by default.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show every setting as it holds: file and environment together, secrets hidden."""
    found = [
        one
        for one in settings.every(settings_of(config, as_json=as_json))
        if not (changed and one.default)
    ]

    def line(one: settings.Setting) -> str:
        return f"{one.name}: {settings.text(one.value)}" + f"  # {one.origin}" * origin

    show([asdict(one) for one in found], lambda: [line(one) for one in found], as_json=as_json)


@commands.command()
def schema() -> None:
    """Print the JSON Schema of the configuration file, for editors and checks."""
    typer.echo(json.dumps(json_schema(), indent=2))


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the configuration file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ocm-gateway",
        **{name: part for name, part in Config.model_json_schema().items() if name != "title"},
    }
