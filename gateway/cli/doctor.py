"""`ocm-gateway doctor`: what ails this gateway, inside and as others see it."""

import asyncio
from typing import Annotated

import typer

from gateway import examining, logs
from gateway.cli import examined
from gateway.cli.console import ConfigOption, JsonOption, settings_of, show

UserOption = Annotated[str, typer.Option(help="Look at this user's files in the storage, too.")]


def doctor(user: UserOption = "", config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Look at everything around a running gateway, and say what to do about what is wrong."""
    settings = settings_of(config, as_json=as_json)
    logs.configure("error", "text")
    found = asyncio.run(examining.doctor(settings, user))
    show(examined.described(found), lambda: examined.lines(found), as_json=as_json)
    raise typer.Exit(examined.code(found))
