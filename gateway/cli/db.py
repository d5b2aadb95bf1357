"""`ocm-gateway db`: the database checked, backed up, restored, and moved to another engine."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from sqlalchemy import Connection

from gateway import logs
from gateway.app import place_of
from gateway.cli.console import (
    REFUSED,
    ConfigOption,
    JsonOption,
    fail,
    operator,
    settings_of,
    show,
)
from gateway.config import Config
from gateway.errors import Conflict, GatewayError, Malformed, NotFound
from gateway.policy.audit import Audit
from gateway.policy.verifying import Verification, verify
from gateway.store import facts
from gateway.store.copying import back_up, copy, counts, integrity, open_database
from gateway.store.database import HEAD, Damaged, unavailable, version
from gateway.store.place import PostgresAddress
from gateway.store.sqlite import Sqlite
from gateway.store.vault import Vault, open_vault
from gateway.web.records import verification

commands = typer.Typer(no_args_is_help=True)

ForceOption = Annotated[bool, typer.Option("--force", help="Replace what is in the target.")]
Place = Path | PostgresAddress
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Health:
    """What was found of a database; `schema` is None and `rows` empty where it has no tables."""

    schema: str | None
    integrity: str
    key: str
    rows: dict[str, int]
    trail: Verification

    @property
    def sound(self) -> bool:
        """Whether a gateway can stand on it."""
        good = self.integrity == self.key == "ok" and self.trail.damaged is None
        return good and self.schema == HEAD


@commands.command("check")
def check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Look at the file, the tables, the key and the audit trail; exit 4 when something is wrong."""

    async def work(settings: Config) -> Health:
        return await _health(_there(place_of(settings.state)), _vault(settings))

    found = _run(config, work, as_json=as_json)
    show(_described(found) | {"head": HEAD}, lambda: _lines(found), as_json=as_json)
    if not found.sound:
        raise typer.Exit(REFUSED)


@commands.command("backup")
def backup(
    file: Annotated[Path, typer.Argument(help="Where to write it; must not exist.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write all of the database into one file while the gateway runs. Keep the key file with it."""

    async def work(settings: Config) -> Health:
        await back_up(_there(place_of(settings.state)), file.absolute())
        return await _health(file, _vault(settings))

    found = _run(config, work, as_json=as_json)
    show(
        {"file": str(file), "bytes": file.stat().st_size} | _described(found),
        lambda: [f"{file} has {sum(found.rows.values())} rows.", *_lines(found)],
        as_json=as_json,
    )
    if not found.sound:
        raise typer.Exit(REFUSED)


@commands.command("restore")
def restore(
    file: Annotated[Path, typer.Argument(help="A file that `db backup` has made.")],
    force: ForceOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a backup, checked first, into the configured database. Stop the gateway first."""

    async def work(settings: Config) -> Health:
        target, vault = place_of(settings.state), _vault(settings)
        if not file.is_file():
            raise NotFound(f"there is no {file}")
        with tempfile.TemporaryDirectory(prefix="ocm-gateway-") as folder:
            # A backup of an older version is brought to the newest form, but not the file itself.
            draft = Path(folder) / "database"
            await asyncio.to_thread(shutil.copyfile, file, draft)
            try:
                await _migrate(draft)
            except Damaged as error:
                raise Conflict(f"{file} is not sound", detail=error.detail) from error
            held = await _health(draft, vault)
            if not held.sound:
                raise Conflict(f"{file} is not sound", detail="; ".join(_lines(held)))
            await copy(draft, target, force=force)
        found = await _equal(target, vault, held)
        await _enter(settings, target, vault, file.name)
        return found

    found = _run(config, work, as_json=as_json)
    show(_described(found), lambda: _lines(found), as_json=as_json)


@commands.command("copy")
def copy_(
    target: Annotated[str, typer.Argument(help="A SQLite file, or postgresql://user@host/name.")],
    force: ForceOption = False,
    password_file: Annotated[
        Path | None, typer.Option(help="The password of a PostgreSQL target.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the configured database into one of the other engine. Stop the gateway first."""

    async def work(settings: Config) -> Health:
        source, vault = _there(place_of(settings.state)), _vault(settings)
        other = _place(target, password_file)
        if source == other:
            raise Malformed("that is the database itself")
        held = await _health(source, vault)
        await copy(source, other, force=force)
        return await _equal(other, vault, held)

    found = _run(config, work, as_json=as_json)
    show(_described(found), lambda: _lines(found), as_json=as_json)


def _run(
    path: Path | None, work: Callable[[Config], Awaitable[Result]], *, as_json: bool
) -> Result:
    """Do some work without opening a gateway: it would make what is not there."""
    settings = settings_of(path, as_json=as_json)
    logs.configure("error", "text")

    async def worked() -> Result:
        return await work(settings)

    try:
        return asyncio.run(worked())
    except GatewayError as error:
        fail(error, as_json=as_json)
    except OSError as error:
        fail(unavailable(error), as_json=as_json)


def _place(target: str, password_file: Path | None) -> Place:
    if target.startswith(("postgresql://", "postgres://")):
        return PostgresAddress(target, password_file)
    if "://" in target:
        raise Malformed("a target is a file, or begins with postgresql://")
    return Path(target).absolute()


def _there(place: Place) -> Place:
    if isinstance(place, Path) and not place.is_file():
        raise NotFound(f"there is no {place}")
    return place


def _vault(settings: Config) -> Vault:
    return open_vault(settings.state.key_path, fresh=False)


async def _migrate(file: Path) -> None:
    database = Sqlite(file)
    try:
        await database.migrate()
    finally:
        await database.close()


async def _health(place: Place, vault: Vault) -> Health:
    def look(connection: Connection) -> tuple[str | None, str, str, dict[str, int]]:
        whole, schema = integrity(connection), version(connection)
        if schema != HEAD:
            return schema, whole, "unknown", {}
        try:
            facts.check_key(connection, vault)
        except GatewayError as error:
            return schema, whole, error.message, counts(connection)
        return schema, whole, "ok", counts(connection)

    database = open_database(place)
    try:
        schema, whole, key, rows = await database.read(look)
        trail = Verification(0, 0, 0)
        if schema == HEAD:
            trail = await verify(database, vault)
        return Health(schema, whole, key, rows, trail)
    except Damaged as error:
        return Health(None, error.detail, "unknown", {}, Verification(0, 0, 0))
    finally:
        await database.close()


async def _equal(target: Place, vault: Vault, source: Health) -> Health:
    """What was copied, proven to be what was there. Raises Conflict."""
    found = await _health(target, vault)
    if (found.rows, found.trail) != (source.rows, source.trail):
        raise Conflict(
            "the copy is not what the source was; did a gateway write meanwhile?",
            detail="; ".join(_lines(found)),
        )
    return found


async def _enter(settings: Config, target: Place, vault: Vault, name: str) -> None:
    database = open_database(target)
    audit = Audit(database, vault, lambda: int(time.time()), on=settings.audit.enabled)
    try:
        await audit.record("database.restored", who=operator(), reason=name)
    finally:
        await audit.close()
        await database.close()


def _described(found: Health) -> dict[str, Any]:
    return {
        "sound": found.sound,
        "schema": found.schema,
        "integrity": found.integrity,
        "key": found.key,
        "rows": found.rows,
        "audit": verification(found.trail),
    }


def _lines(found: Health) -> list[str]:
    trail = found.trail
    held = (
        f"{trail.entries} entries hold"
        if trail.damaged is None
        else f"entry {trail.damaged} {trail.fault}"
    )
    return [
        f"tables    {found.schema or 'none'}, this version has {HEAD}",
        f"integrity {found.integrity}",
        f"key       {found.key}",
        f"rows      {sum(found.rows.values())}",
        f"audit     {held}",
    ]
