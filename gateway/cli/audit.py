"""`ocm-gateway audit`: who did or wanted what, and what came of it."""

import asyncio
import csv
import sys
from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import partial
from typing import Annotated

import typer

from gateway.app import Gateway
from gateway.cli.console import REFUSED, ConfigOption, JsonOption, run, show, until
from gateway.errors import Malformed
from gateway.model import AuditEntry
from gateway.policy.streaming import line, members
from gateway.policy.verifying import Verification, verify
from gateway.store import audit
from gateway.store.audit import Wanted
from gateway.web.records import moment, verification

commands = typer.Typer(no_args_is_help=True)

AddressOption = Annotated[str, typer.Option(help="Only entries about this OCM Address.")]
SinceOption = Annotated[str | None, typer.Option(help="Only entries from that time on.")]
_AT_ONCE = 1000
_COLUMNS = ["position", "at", "what", "outcome", "decision", "who", "whom", "provider"]
_COLUMNS += ["about", "reason", "erased", "hash"]


class Form(StrEnum):
    """How the trail is exported."""

    JSONL = "jsonl"
    CSV = "csv"


@commands.command("list")
def list_(
    address: AddressOption = "",
    what: Annotated[str, typer.Option(help="Only what begins so, like sent.")] = "",
    decision: Annotated[str, typer.Option(help="Only the entries of one decision.")] = "",
    who: Annotated[str, typer.Option(help="Only what was done by them.")] = "",
    whom: Annotated[str, typer.Option(help="Only what was done to or for them.")] = "",
    outcome: Annotated[str, typer.Option(help="Only done, allow, deny or quarantine.")] = "",
    server: Annotated[str, typer.Option(help="Only entries about one server.")] = "",
    about: Annotated[str, typer.Option(help="Only entries about that share or invite.")] = "",
    since: SinceOption = None,
    most: Annotated[int, typer.Option(min=1, max=10_000, help="How many.")] = 100,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the entries, the newest first."""

    async def look(gateway: Gateway) -> list[AuditEntry]:
        wanted = Wanted(
            address, what, decision, who, whom, outcome, server, about, since=until(since)
        )
        query = partial(audit.entries, wanted=wanted, most=most, newest_first=True)
        return await gateway.state.database.read(query)

    found = run(config, look, as_json=as_json)
    show(
        [members(entry) for entry in found],
        lambda: [_line(entry) for entry in found] or ["There is no such entry."],
        as_json=as_json,
    )


@commands.command("verify")
def verify_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Verify the whole chain; exit code 4 and the first bad entry when it does not hold."""

    async def look(gateway: Gateway) -> Verification:
        return await verify(gateway.state.database, gateway.state.vault)

    found = run(config, look, as_json=as_json)

    def lines() -> list[str]:
        if found.damaged is not None:
            return [f"The trail does not hold: entry {found.damaged} {found.fault}."]
        return [f"The trail holds: {found.entries} entries, {found.first} to {found.last}."]

    show(verification(found), lines, as_json=as_json)
    if found.damaged is not None:
        raise typer.Exit(REFUSED)


@commands.command("export")
def export(
    form: Annotated[Form, typer.Option("--format", help="JSON lines, or CSV.")] = Form.JSONL,
    address: AddressOption = "",
    since: SinceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the entries to standard output, the oldest first; --json is --format jsonl."""
    write = _lines if as_json or form is Form.JSONL else _table()

    async def work(gateway: Gateway) -> None:
        wanted, after = Wanted(address, since=until(since)), 0
        while True:
            query = partial(audit.entries, wanted=wanted, after=after, most=_AT_ONCE)
            found = await gateway.state.database.read(query)
            await asyncio.to_thread(write, found)
            if len(found) < _AT_ONCE:
                return
            after = found[-1].position

    run(config, work, as_json=as_json)


@commands.command("erase")
def erase(address: str, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Forget an OCM Address wherever the trail names it; the chain still verifies."""

    async def work(gateway: Gateway) -> int:
        if not address.strip():
            raise Malformed("which address?")
        return await gateway.audit.erase(address)

    found = run(config, work, as_json=as_json)
    show({"erased": found}, lambda: [f"{found} entries named it."], as_json=as_json)


@commands.command("prune")
def prune(
    before: Annotated[str, typer.Option(help="The time before which entries are forgotten.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Forget the entries from before a time."""

    async def work(gateway: Gateway) -> int:
        moment_ = until(before)
        assert moment_ is not None
        return await gateway.audit.prune(moment_)

    gone = run(config, work, as_json=as_json)
    show({"pruned": gone}, lambda: [f"{gone} entries are forgotten."], as_json=as_json)


def _lines(found: list[AuditEntry]) -> None:
    for entry in found:
        typer.echo(line(entry))


def _table() -> Callable[[list[AuditEntry]], None]:
    """Writes CSV, with a head before the first row."""
    rows = csv.writer(sys.stdout)
    heads = iter([True])

    def write(found: list[AuditEntry]) -> None:
        rows.writerows(_rows(found, head=next(heads, False)))

    return write


def _rows(found: list[AuditEntry], *, head: bool) -> Iterator[list[str]]:
    if head:
        yield _COLUMNS
    for entry in found:
        cells = members(entry) | {"erased": " ".join(entry.erased)}
        yield [_cell(str(member)) for member in cells.values()]


def _cell(text: str) -> str:
    """What others wrote is no formula to a spreadsheet."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _line(entry: AuditEntry) -> str:
    deed = entry.deed
    words = [moment(deed.at), deed.what, deed.outcome, deed.who, deed.whom, deed.about, deed.reason]
    return f"{entry.position}  " + "  ".join(word for word in words if word)
