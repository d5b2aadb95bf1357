"""`ocm-gateway policy import` and its kin: the list that lies in the database, and its history."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.app import Gateway
from gateway.cli.console import ConfigOption, JsonOption, operator, run, show
from gateway.errors import Malformed, NotFound
from gateway.policy import listing
from gateway.policy.listing import Change
from gateway.store import policies
from gateway.store.policies import Listing
from gateway.web.records import moment

NoteOption = Annotated[str, typer.Option(help="Why, for the history.")]


def import_(
    file: Annotated[Path, typer.Argument(help="CSV (server,then) or JSON (a policy).")],
    apply: Annotated[bool, typer.Option("--apply", help="Do it; else it is only shown.")] = False,
    note: NoteOption = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a list in the place of the one in the database; shown first, done with --apply."""

    async def work(gateway: Gateway) -> tuple[Change, Listing | None]:
        try:
            text = file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise Malformed(f"{file} cannot be read", detail=str(error)) from error
        document = listing.read(text, file.name)
        before = await gateway.state.database.read(policies.latest)
        await gateway.live.admit_list(document)
        change = listing.compare(listing.parse(before.document) if before else None, document)
        if not apply:
            return change, None
        return change, await _keep(gateway, listing.write(document), note or f"import {file.name}")

    change, kept = run(config, work, as_json=as_json)
    answer = {"added": list(change.added), "removed": list(change.removed)}
    show(
        answer | {"applied": kept is not None, "number": kept.number if kept else None},
        lambda: [
            *(f"+ {one}" for one in change.added),
            *(f"- {one}" for one in change.removed),
            f"List {kept.number} holds now." if kept else "Nothing was changed; --apply does it.",
        ],
        as_json=as_json,
    )


def export(
    as_csv: Annotated[bool, typer.Option("--csv", help="Servers only, as CSV.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the list in the database, as `import` takes it."""

    async def look(gateway: Gateway) -> Listing | None:
        return await gateway.state.database.read(policies.latest)

    found = run(config, look, as_json=as_json)
    text = found.document if found else "{}"
    if as_csv and not as_json:
        typer.echo(listing.csv_of(listing.parse(text)), nl=False)
    else:
        typer.echo(json.dumps(json.loads(text), indent=2, ensure_ascii=False))


def history(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List every list there was in the database, the newest first."""

    async def look(gateway: Gateway) -> list[Listing]:
        return await gateway.state.database.read(policies.history)

    found = run(config, look, as_json=as_json)
    show(
        [_described(one) for one in found],
        lambda: (
            [f"{one.number}  {moment(one.made_at)}  {one.note}" for one in found]
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
        known = await gateway.state.database.read(policies.history)
        if not known:
            raise NotFound("there was never a list")
        wanted = known[0].number - 1 if number is None else number
        text = next((one.document for one in known if one.number == wanted), None)
        if text is None and wanted == 0:
            text = "{}"  # before the first list there was none
        if text is None:
            raise NotFound(f"there is no list {wanted}")
        await gateway.live.admit_list(listing.parse(text))
        return await _keep(gateway, text, f"rollback to {wanted}")

    kept = run(config, work, as_json=as_json)
    show(_described(kept), lambda: [f"List {kept.number} holds now: {kept.note}."], as_json=as_json)


async def _keep(gateway: Gateway, document: str, note: str) -> Listing:
    add = partial(
        policies.add, document=document, made_at=gateway.clock(), made_by=operator(), note=note
    )
    deed = gateway.audit.deed("list.changed", who=operator(), reason=note)
    return await gateway.audit.write(add, lambda kept: replace(deed, about=str(kept.number)))


def _described(one: Listing) -> dict[str, Any]:
    return {
        "number": one.number,
        "madeAt": one.made_at,
        "madeBy": one.made_by,
        "note": one.note,
    }
