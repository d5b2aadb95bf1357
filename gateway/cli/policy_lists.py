"""`ocm-gateway policy import` and its kin: the list that lies in the database, and its history."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.app import Gateway
from gateway.cli.console import MISCONFIGURED, ConfigOption, JsonOption, operator, run, show
from gateway.errors import Malformed
from gateway.policy import listing
from gateway.policy.lists import Preview
from gateway.store.policies import Listing, Version
from gateway.web import records
from gateway.web.records import moment


def import_(
    file: Annotated[Path, typer.Argument(help="CSV (server,then) or JSON (a policy).")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would change.")
    ] = False,
    note: Annotated[str, typer.Option(help="Why, for the history.")] = "",
    seen: Annotated[
        str, typer.Option(help="The `seen` of a dry run: refused if it would do otherwise by now.")
    ] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a list in the place of the one in the database: all of it or nothing."""

    async def work(gateway: Gateway) -> tuple[Preview, Listing | None]:
        try:
            text = file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise Malformed(f"{file} cannot be read", detail=str(error)) from error
        found = await gateway.lists.preview(text, file.name)
        if dry_run:
            return found, None
        done = await gateway.lists.apply(
            text, file.name, by=operator(), note=note, seen=seen or found.seen
        )
        return found, done

    found, kept = run(config, work, as_json=as_json)
    show(
        records.preview(found)
        | {"applied": kept is not None, "number": kept.number if kept else None},
        lambda: [
            *(f"+ {one}" for one in found.change.added),
            *(f"- {one}" for one in found.change.removed),
            *(f"! {one}" for one in found.refused),
            f"List {kept.number} holds now." if kept else _dry(found),
        ],
        as_json=as_json,
    )
    if found.refused:
        raise typer.Exit(MISCONFIGURED)


def _dry(found: Preview) -> str:
    if found.refused:
        return "None of it can hold until nothing is refused."
    return "Nothing was changed: this was a dry run."


def export(
    as_csv: Annotated[bool, typer.Option("--csv", help="Servers only, as CSV.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the list in the database, as `import` takes it."""

    async def look(gateway: Gateway) -> Listing:
        return await gateway.lists.latest()

    text = run(config, look, as_json=as_json).document
    if as_csv and not as_json:
        typer.echo(listing.csv_of(listing.parse(text)), nl=False)
    else:
        typer.echo(json.dumps(json.loads(text), indent=2, ensure_ascii=False))


def history(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List every list there was in the database, the newest first."""

    async def look(gateway: Gateway) -> list[Version]:
        return await gateway.lists.history()

    found = run(config, look, as_json=as_json)
    show(
        [records.version(one) for one in found],
        lambda: (
            [f"{one.number}  {moment(one.made_at)}  {one.made_by}  {one.note}" for one in found]
            or ["There was never a list."]
        ),
        as_json=as_json,
    )


def rollback(
    number: Annotated[int | None, typer.Argument(help="Which list; else the one before.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let an earlier list hold again, as a new entry of the history."""

    async def work(gateway: Gateway) -> Listing:
        return await gateway.lists.roll_back(number, by=operator())

    kept = run(config, work, as_json=as_json)
    answer: dict[str, Any] = records.version(kept)
    show(answer, lambda: [f"List {kept.number} holds now: {kept.note}."], as_json=as_json)
