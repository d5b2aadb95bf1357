"""`ocm-gateway peers import`: many servers at once, from a file."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from gateway.app import Gateway
from gateway.cli.console import ConfigOption, JsonOption, operator, run, show
from gateway.errors import Malformed
from gateway.providers import importing
from gateway.providers.importing import Change
from gateway.web.records import imported


def import_(
    file: Annotated[
        Path,
        typer.Argument(help="CSV (authority,standing,comment,pins), or JSON as `list` has it."),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would change.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add, approve and block the servers of a file: all or none; others stay as they are."""

    async def work(gateway: Gateway) -> list[Change]:
        try:
            text = file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise Malformed(f"{file} cannot be read", detail=str(error)) from error
        entries = importing.read(text, file.name)
        if dry_run:
            return await gateway.state.database.read(partial(importing.compare, entries=entries))
        return await gateway.operating.take_in(entries, by=operator())

    done = run(config, work, as_json=as_json)
    changed = [one for one in done if one.changes]
    answer = imported(done, applied=not dry_run)
    end = "Nothing was changed: this was a dry run." if dry_run else f"{len(changed)} changed."
    show(answer, lambda: [*map(_line, changed), end], as_json=as_json)


def _line(change: Change) -> str:
    sign = "~" if change.before else "+"
    before = f"{change.before.value} -> " if change.before else ""
    pins = f"  pinned {' '.join(change.new_pins)}" if change.new_pins else ""
    return f"{sign} {change.entry.authority}  {before}{change.standing.value}{pins}"
