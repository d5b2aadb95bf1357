"""A private PostgreSQL for the tests: one server a session, a database of its own for each test.

It listens on a Unix socket in a temporary folder and on loopback, and forgets everything: nothing
is synced to disk. Where PostgreSQL is not installed the tests are skipped with the reason.
"""

import asyncio
import contextlib
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import pytest

from gateway.store.place import PostgresAddress
from gateway.store.postgres import Postgres
from tests.servers import free_port

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parts[-2])
START_SECONDS = 60
PASSWORD = "the-databases-own-secret"
TEMPLATE = "migrated"
_CONFIGURATION = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
fsync = off
full_page_writes = off
max_connections = 300
shared_buffers = 32MB
"""
_EMPTY = """
DO $$ BEGIN EXECUTE (
  SELECT 'TRUNCATE ' || string_agg(quote_ident(tablename), ', ') || ' RESTART IDENTITY'
  FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'
); END $$
"""


@dataclass
class Server:
    """A running PostgreSQL."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    spare: list[str] = field(default_factory=list)

    def url(self, database: str, *, password: bool = True) -> str:
        secret = f":{PASSWORD}" if password else ""
        return f"postgresql://gateway{secret}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it and return when it answers."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*_unprivileged(), _binary("postgres"), "-D", str(self.folder / "data")],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        while subprocess.run(
            [_binary("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False
        ).returncode:
            assert time.monotonic() < deadline, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.05)

    def stop(self) -> None:
        """End it at once, as a machine that fails."""
        if self.process is not None:
            process, self.process = self.process, None
            process.send_signal(3)  # SIGQUIT: an immediate shutdown
            process.wait(20)

    @contextlib.contextmanager
    def lend(self) -> Iterator[str]:
        """The URL of a database with every table and no row; it is used again afterwards."""
        if self.spare:
            url = self.spare.pop()
            self.run(_EMPTY, url)
        else:
            url = self.database(TEMPLATE)
        yield url
        self.spare.append(url)

    def database(self, template: str = "template0") -> str:
        """The URL of a new database, without tables unless it is made like another."""
        name = f"test_{next(self.numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def run(self, statement: str, url: str = "") -> None:
        subprocess.run(
            [_binary("psql"), "-q", "-d", url or self.url("postgres"), "-c", statement],
            check=True,
            capture_output=True,
        )


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """A new server."""
    if not BINARIES:
        reason = "PostgreSQL is not installed: run `make servers`"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    # Not pytest's own folder, which the unprivileged user could not enter.
    folder = Path(tempfile.mkdtemp(prefix="ocm-postgres-"))
    server = Server(folder, free_port())
    try:
        _initialize(server)
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def migrate_template(server: Server) -> None:
    """Make the database that others are copied from."""
    server.run(f"CREATE DATABASE {TEMPLATE} TEMPLATE template0")
    with ThreadPoolExecutor(1) as beside:  # the test that asks first may have a loop running
        beside.submit(asyncio.run, _migrate(server.url(TEMPLATE))).result()


async def _migrate(url: str) -> None:
    database = Postgres(PostgresAddress(url))
    await database.migrate()
    await database.close()


async def query(url: str, statement: str) -> list[asyncpg.Record]:
    """Ask the database, past the gateway."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(statement)
    finally:
        await connection.close()


def _initialize(server: Server) -> None:
    secret = server.folder / "password"
    secret.write_text(PASSWORD)
    if os.geteuid() == 0:
        for path in (server.folder, secret):
            shutil.chown(path, _USER)
    made = subprocess.run(
        [
            *_unprivileged(),
            _binary("initdb"),
            *("-D", str(server.folder / "data"), "-U", "gateway", "--pwfile", str(secret)),
            *("--auth", "scram-sha-256", "-E", "UTF8", "--locale", "C", "--no-sync"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    settings = server.folder / "data" / "postgresql.conf"
    with settings.open("a") as file:
        file.write(_CONFIGURATION.format(port=server.port))


_USER = "postgres"


def _unprivileged() -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam(_USER)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def _binary(name: str) -> str:
    return str(BINARIES[-1] / name)
