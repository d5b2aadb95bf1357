"""What every command needs: the configuration, a gateway, an answer in words or in JSON, an exit
code."""

import asyncio
import json
import os
import pwd
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from gateway import config, environment, logs
from gateway.config import Config, Misconfigured
from gateway.errors import GatewayError, Malformed

if TYPE_CHECKING:
    from gateway.app import Gateway

Result = TypeVar("Result")

DONE = 0
FAULT = 1
USAGE = 2
MISCONFIGURED = 3
REFUSED = 4
NOT_FOUND = 5
TRY_AGAIN = 6
"""Exit codes, documented in docs/commands.md."""

_CODE_OF_STATUS = {
    **dict.fromkeys((400, 413, 414), USAGE),
    **dict.fromkeys((401, 403, 409, 501), REFUSED),
    404: NOT_FOUND,
}
_TRY_AGAIN_STATUSES = frozenset({429, 502, 503, 504, 507})
_VARIABLE = "OCM_GATEWAY_CONFIG"
_COUNTED = re.compile(r"(\+?)([0-9]{1,17})([dhms]?)")
_UNITS = {"d": 86_400, "h": 3600, "m": 60, "s": 1, "": 1}
_USUAL = Path("/etc/ocm-gateway/gateway.yaml")

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help=f"The configuration file; else ${_VARIABLE}, else {_USUAL}."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]


def _somebody(user: str | None) -> str | None:
    """A script whose variable is empty means nobody, and never everybody."""
    if user == "":
        raise typer.BadParameter("name the user")
    return user


UserOption = Annotated[
    str, typer.Option("--user", "-u", help="The local user.", callback=_somebody)
]
OwnerOption = Annotated[
    str | None,
    typer.Option("--user", "-u", help="Only this local user's.", callback=_somebody),
]


def config_file_of(path: Path | None) -> Path | None:
    """The configuration file: as named, else by the environment, else the usual one; None where
    that is not there and the environment has the settings."""
    if path or _VARIABLE in os.environ:
        return path or Path(os.environ[_VARIABLE])
    return None if environment.named(os.environ) and not _USUAL.exists() else _USUAL


def settings_of(path: Path | None, *, as_json: bool) -> Config:
    """The configuration, or an exit that names all its faults."""
    try:
        return config.load(config_file_of(path))
    except Misconfigured as error:
        fail(error, as_json=as_json)


def run(
    path: Path | None, work: "Callable[[Gateway], Awaitable[Result]]", *, as_json: bool
) -> Result:
    """Do some work with a gateway opened beside the server, if one runs."""
    from gateway.app import open_gateway  # a second of loading, which not every command needs

    settings = settings_of(path, as_json=as_json)
    logs.configure("error", "text")

    async def opened() -> Result:
        async with open_gateway(settings) as gateway:
            return await work(gateway)

    try:
        return asyncio.run(opened())
    except GatewayError as error:
        fail(error, as_json=as_json)


def show(answer: Any, lines: Callable[[], list[str]], *, as_json: bool) -> None:
    """Print an answer: as JSON, or as lines for people."""
    if as_json:
        typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        for line in lines():
            typer.echo(line)


def operator() -> str:
    """Who runs the command, as the audit trail names them."""
    try:
        name = os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # as in a container
        name = f"uid {os.getuid()}"
    return f"operator {name}"


def fail(error: GatewayError, *, as_json: bool) -> NoReturn:
    """Say what went wrong, on standard error or as JSON, and exit with its code."""
    if as_json:
        typer.echo(json.dumps({"error": described(error)}, indent=2, ensure_ascii=False))
    elif isinstance(error, Misconfigured):
        typer.echo("The configuration has faults:", err=True)
        for fault in error.faults:
            typer.echo(f"  {fault}", err=True)
    else:
        typer.echo(f"{error.explanation[0].upper()}{error.explanation[1:]}.", err=True)
    raise typer.Exit(_code(error))


def described(error: GatewayError) -> dict[str, Any]:
    """An error as JSON."""
    facts: dict[str, Any] = {"code": error.code, "message": error.message, "detail": error.detail}
    if isinstance(error, Misconfigured):
        facts["faults"] = error.faults
    if isinstance(error, Malformed) and error.fields:
        facts["fields"] = dict(error.fields)
    return facts


def _code(error: GatewayError) -> int:
    if isinstance(error, Misconfigured):
        return MISCONFIGURED
    if error.status in _TRY_AGAIN_STATUSES:
        return TRY_AGAIN
    return _CODE_OF_STATUS.get(error.status, FAULT)


def until(text: str | None) -> int | None:
    """Seconds since the epoch of a date, a time, or an interval from now."""
    if text is None:
        return None
    wrong = Malformed(f"{text[:40]!r} is not a date, a time or an interval like +30d")
    if counted := _COUNTED.fullmatch(text):
        relative, number, unit = counted.groups()
        moment = int(number) * _UNITS[unit] + (int(time.time()) if relative else 0)
        # RFC 8259 6: larger integers are not the same to every reader of JSON.
        if bool(relative) != bool(unit) or moment > 1 << 53:
            raise wrong
        return moment
    try:
        parsed = datetime.fromisoformat(text)
        return int((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError) as error:
        raise wrong from error
