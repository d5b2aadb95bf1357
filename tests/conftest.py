"""For every test: a log of its own, and a PostgreSQL for those that ask for one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, settings

from gateway import logs
from tests import postgres as postgres_

# How long a test may take says something of the machine, nothing of the code.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def _log() -> None:
    logs.configure("info", "text")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres_.Server]:
    """The session's PostgreSQL."""
    with postgres_.running() as server:
        postgres_.migrate_template(server)
        yield server


@pytest.fixture
def postgres(postgres_server: postgres_.Server) -> Iterator[str]:
    """The URL of a PostgreSQL database of this test's own, its tables made."""
    with postgres_server.lend() as url:
        yield url


Keeps = Callable[[str], dict[str, str]]


@pytest.fixture
def keeps() -> Keeps:
    """Where the gateway of a folder keeps its state, as `tests.pair.settings` takes it: SQLite."""
    return lambda _: {}


@pytest.fixture(params=["sqlite", "postgres"])
def keeps_in_both(request: pytest.FixtureRequest) -> Iterator[Keeps]:
    """The same, for tests that shall run on either engine: SQLite once, PostgreSQL once."""
    if request.param == "sqlite":
        yield lambda _: {}
        return
    server = request.getfixturevalue("postgres_server")
    urls: dict[str, str] = {}
    with ExitStack() as lent:

        def keeps(folder: str) -> dict[str, str]:
            if folder not in urls:
                urls[folder] = lent.enter_context(server.lend())
            return {"postgres": urls[folder]}

        yield keeps
