"""The audit stream: every entry at least once and in order, at nobody's cost."""

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway import transport
from gateway.addresses import PrivateRoutes
from gateway.config import Audit as Settings
from gateway.config import Breaker
from gateway.policy.audit import Audit
from gateway.policy.streaming import Stream
from gateway.providers.health import Healths
from gateway.store import facts, streams
from gateway.store.place import PostgresAddress
from gateway.store.state import open_state
from tests.pair import eventually


@asynccontextmanager
async def hook(*statuses):
    """Somebody who takes entries in, after answering with these."""
    taken, asked, answers = [], [], list(statuses)

    async def take(request):
        status = answers.pop(0) if answers else 204
        asked.append(dict(request.headers))
        body = await request.text()
        if status < 300:
            taken.extend(json.loads(line) for line in body.splitlines())
        return web.Response(status=status)

    app = web.Application()
    app.router.add_post("/audit", take)
    async with TestServer(app, host="127.0.0.1") as server:
        yield str(server.make_url("/audit")), taken, asked


@pytest.fixture(params=["sqlite", "postgres"])
async def place(request, tmp_path):
    if request.param == "sqlite":
        return tmp_path / "db"
    return PostgresAddress(request.getfixturevalue("postgres"))


@asynccontextmanager
async def process(tmp_path, place, url, **settings):
    """One of the processes that share a trail: it writes, and tells when it is its turn."""
    state = await open_state(tmp_path, place, tmp_path / "key")
    host = url.split("/")[2] if "/" in url else "none.example"
    healths = Healths(Breaker(), lambda: 1000)
    hosts = transport.TestingHosts(frozenset({host}))
    anywhere = transport.Guarded(hosts, lambda _: None, healths, PrivateRoutes())
    stream = Stream(Settings(stream=url, **settings), state, anywhere, lambda: 1000)
    audit = Audit(state.database, state.vault, lambda: 1000, stream.written)
    working = audit.working = asyncio.create_task(stream.work())
    try:
        # Nothing is told of what was before somebody wanted to hear of it.
        await eventually(lambda: state.database.read(has_begun))
        yield audit
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await audit.close()
        await anywhere.close()
        await state.close()


def has_begun(connection):
    return streams.find(connection) is not None


def positions(taken):
    return [entry["position"] for entry in taken]


async def test_every_entry_comes_once_and_in_order_while_all_goes_well(tmp_path, place):
    token = tmp_path / "token"
    token.write_text("a-token\n")
    async with (
        hook() as (url, taken, asked),
        process(tmp_path, place, url, stream_token_file=token) as audit,
    ):
        for n in range(5):
            await audit.record("sent.created", about=f"share-{n}")
        await eventually(lambda: len(taken) == 5)
        assert positions(taken) == [1, 2, 3, 4, 5]
        assert [entry["about"] for entry in taken] == [f"share-{n}" for n in range(5)]
        assert {one["Authorization"] for one in asked} == {"Bearer a-token"}


async def test_what_is_not_taken_is_told_again_and_no_writer_waits(tmp_path, place, monkeypatch):
    monkeypatch.setattr("gateway.policy.streaming._POLL_SECONDS", 0.05)
    async with (
        hook(500, 302, 404, 429) as (url, taken, _),
        process(tmp_path, place, url) as audit,
    ):
        await asyncio.gather(*(audit.record("sent.created") for _ in range(4)))
        assert not taken
        await eventually(lambda: len(taken) == 4)
        assert positions(taken) == [1, 2, 3, 4]


async def test_another_process_goes_on_where_one_has_ended(tmp_path, place, monkeypatch):
    monkeypatch.setattr("gateway.policy.streaming._POLL_SECONDS", 0.05)
    async with hook() as (url, taken, _), AsyncExitStack() as first:
        one = await first.enter_async_context(process(tmp_path, place, url))
        async with process(tmp_path, place, url) as two:
            await one.record("sent.created")
            await two.record("sent.created")
            await eventually(lambda: len(taken) == 2)
            await first.aclose()
            await two.record("sent.created")
            await eventually(lambda: len(taken) == 3)
            assert positions(taken) == [1, 2, 3]


async def test_another_process_goes_on_where_one_stops_telling_and_lives_on(
    tmp_path, place, monkeypatch
):
    """As a gateway does that is relieved by changed settings while a download still runs."""
    monkeypatch.setattr("gateway.policy.streaming._POLL_SECONDS", 0.05)
    async with (
        hook() as (url, taken, _),
        process(tmp_path, place, url) as one,
        process(tmp_path, place, url) as two,
    ):
        await one.record("sent.created")
        await eventually(lambda: len(taken) == 1)
        one.working.cancel()
        await asyncio.gather(one.working, return_exceptions=True)
        await one.record("sent.created")
        await two.record("sent.created")
        await eventually(lambda: len(taken) == 3)
        assert positions(taken) == [1, 2, 3]


async def test_what_an_older_gateway_noted_is_read(tmp_path, place):
    state = await open_state(tmp_path, place, tmp_path / "key")
    await state.database.write(lambda c: facts.put(c, "audit stream", "host-1-2 7"))
    assert await state.database.read(streams.find) == 7
    await state.close()


async def test_what_was_before_the_stream_is_not_told(tmp_path, place):
    state = await open_state(tmp_path, place, tmp_path / "key")
    before = Audit(state.database, state.vault, lambda: 1000)
    await before.record("sent.created")
    await state.close()
    async with hook() as (url, taken, _), process(tmp_path, place, url) as audit:
        await audit.record("sent.created")
        await eventually(lambda: taken)
        assert positions(taken) == [2]


async def test_standard_output_gets_lines(tmp_path, capfd):
    async with process(tmp_path, tmp_path / "db", "stdout") as audit:
        await audit.record("sent.created", about="share-1")
        found = []

        def told():
            found.extend(capfd.readouterr().out.splitlines())
            return found

        await eventually(told)
        assert json.loads(found[0])["about"] == "share-1"
