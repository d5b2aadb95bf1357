"""The pool under test, on both event loops."""

import asyncio

import pytest
import uvloop

from gateway.upstream.pool import Pool


def pytest_asyncio_loop_factories(config, item):
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def pool():
    pool = Pool(idle_seconds=5)
    yield pool
    await pool.close()
