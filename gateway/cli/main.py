"""The command `ocm-gateway`: every command, one file each, loaded when it is chosen."""

import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

from gateway.errors import Malformed
from gateway.ocm.json import encodable

COMMANDS = {
    "serve": "Run the gateway until SIGTERM or Ctrl-C.",
    "check": "Read the configuration and say everything that is wrong or risky about it.",
    "doctor": (
        "Look at everything around a running gateway, and say what to do about what is wrong."
    ),
    "demo": "Start two organisations on loopback, share a folder between them, and stay up.",
    "simulate": (
        "Run a small server that speaks one deployed server's dialect, until Ctrl-C. No real data."
    ),
    "sweep": (
        "Close what is over, forget what ended long ago; a server does so by itself every minute."
    ),
    "discover": "Ask a server for its discovery document, as policy allows.",
    "version": "Print the version.",
    "config": "The configuration as it is read.",
    "share": "Share with people at other servers.",
    "received": "What was shared with people here.",
    "request": "Requests for a share.",
    "review": "Shares that are held for review.",
    "invite": "Invite people at other servers.",
    "contact": "Whom people here know at other servers.",
    "directory": "Lists of the servers of federations.",
    "federation": "Whether another server and this one can federate.",
    "dialects": "How other servers are spoken to.",
    "keys": "The keys of this server.",
    "peers": "The other servers that this one knows.",
    "policy": "Who may federate, and why.",
    "news": "What people here are told, by mail and webhook.",
    "outbox": "What other servers have yet to be told.",
    "audit": "The audit trail.",
    "db": "The database.",
    "sessions": "Browsers that are logged in.",
}
"""What is listed, without loading it."""
_FILES = {"config": "configuration"}


class _Commands(TyperGroup):
    """Knows the commands by name, and loads the one that is chosen."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, listed, rest = super().resolve_command(ctx, args)
        return name, load(name) if name else listed, rest


def load(name: str) -> Any:
    """One command, or a group of commands."""
    module = import_module(f"gateway.cli.{_FILES.get(name, name)}")
    loaded = typer.Typer()
    if hasattr(module, "commands"):
        loaded.add_typer(module.commands, name=name, help=COMMANDS[name])
    else:
        loaded.command(name)(getattr(module, name))
    return get_group(loaded).commands[name]


def _listed() -> None:
    """Stands for a command until that is loaded."""


app = typer.Typer(
    cls=_Commands,
    help="Open Cloud Mesh for WebDAV storage that lacks it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for _name, _help in COMMANDS.items():
    app.command(_name, help=_help)(_listed)


def main() -> None:
    """Run the command line; with --json, a wrong command line is told of in JSON as well."""
    as_json = "--json" in sys.argv
    if not all(map(encodable, sys.argv)):
        sys.exit(_wrong("the command line is not in UTF-8", as_json=as_json))
    if not as_json:
        app()
        return
    try:
        code = app(standalone_mode=False)
    except typer.TyperException as error:
        code = _wrong(error.format_message(), as_json=True)
    sys.exit(code)


def _wrong(message: str, *, as_json: bool) -> int:
    """Tell of a command line that is wrong; the exit code."""
    console = import_module("gateway.cli.console")
    with suppress(typer.Exit):
        console.fail(Malformed(message), as_json=as_json)
    return int(console.USAGE)
