"""`ocm-gateway check`: is the configuration good?"""

import asyncio
from typing import Annotated

import typer

from gateway import config as configuration
from gateway import examining, logs
from gateway.cli import examined
from gateway.cli.console import ConfigOption, JsonOption, settings_of, show
from gateway.cli.doctor import UserOption
from gateway.probes.finding import Finding
from gateway.sharing import ours


def check(
    connect: Annotated[
        bool, typer.Option("--connect", help="Try what it names: storage, database, mail, ...")
    ] = False,
    user: UserOption = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read the configuration and say everything that is wrong or risky about it."""
    settings = settings_of(config, as_json=as_json)
    us = ours.from_config(settings)
    warnings = configuration.warnings(settings)
    found: list[Finding] = []
    if connect or user:
        logs.configure("error", "text")
        found = asyncio.run(examining.connections(settings, user))
    answer = {
        "valid": True,
        "authority": us.authority,
        "origin": us.origin,
        "warnings": warnings,
        **(examined.described(found) if found else {}),
    }

    def lines() -> list[str]:
        return [
            f"The configuration is valid: addresses here end in @{us.authority}.",
            *(f"warning: {warning}" for warning in warnings),
            *examined.lines(found),
        ]

    show(answer, lines, as_json=as_json)
    raise typer.Exit(examined.code(found))
