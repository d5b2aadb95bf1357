"""For every test: a log of its own."""

import pytest

from gateway import logs


@pytest.fixture(autouse=True)
def _log() -> None:
    logs.configure("info", "text")
