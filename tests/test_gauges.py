"""What is measured unasked is what is there."""

import asyncio
import ssl

import aiohttp
import pytest
import trustme
from aiohttp import web
from prometheus_client import REGISTRY

from gateway import config, settings
from gateway.app import open_gateway
from gateway.gauges import Gauges, _lag
from gateway.model import Standing
from gateway.sharing.sending import Offer
from gateway.store.place import PostgresAddress
from gateway.store.postgres import Postgres
from gateway.store.sqlite import Sqlite
from tests import servers
from tests.pair import eventually, in_process
from tests.pair import settings as settings_of
from tests.peer import Answer, open_peer
from tests.sharing.stage import Clock


@pytest.fixture
def storage(tmp_path):
    with servers.wsgidav(tmp_path) as storage:
        (storage.root / "alice" / "letter.txt").write_bytes(b"Dear Bob")
        yield storage


def metric(name, **labels):
    return REGISTRY.get_sample_value(name, labels)


def gauges_of(gateway):
    return Gauges(gateway.settings, gateway.state, gateway.ring, gateway.storage, gateway.clock)


async def test_what_there_is_and_waits_is_counted(tmp_path, storage):
    clock = Clock()
    wanted = config.parse(settings_of(tmp_path / "a", storage.url), folder=tmp_path)
    async with open_peer() as peer, open_gateway(wanted, clock) as gateway:
        peer.on("POST /ocm/shares", Answer(503))
        gauges = gauges_of(gateway)
        await gauges.count()
        assert metric("ocm_outbox_oldest_seconds") == 0
        await gateway.sending.create_share(Offer("alice", "/letter.txt", f"bob@{peer.authority}"))
        await gateway.inviting.create_invite("alice")
        await gateway.others.registry.decide(peer.authority, Standing.BLOCKED)
        clock.now += 90
        await gauges.count()
        assert metric("ocm_shares", direction="sent", state="pending") == 1
        assert metric("ocm_shares", direction="received", state="quarantined") == 0
        assert metric("ocm_invites", state="open") == 1
        assert metric("ocm_providers", standing="blocked") == 1
        assert metric("ocm_providers_paused") == 0
        assert metric("ocm_outbox_oldest_seconds") == 90


async def test_the_storage_the_keys_and_the_room_are_looked_at(tmp_path, storage):
    wanted = config.parse(settings_of(tmp_path / "a", storage.url), folder=tmp_path)
    async with open_gateway(wanted) as gateway:
        gauges = gauges_of(gateway)
        await gauges.look()
        assert metric("ocm_backend_up") == 1
        assert metric("ocm_state_free_bytes") > 0
        assert metric("ocm_database_connections") == 1
        assert metric("ocm_signing_keys", state="active") == 2
        assert metric("ocm_signing_keys", state="staged") == 0
        since = gateway.ring.by_kid(gateway.ring.active.kid).changed_at
        assert metric("ocm_signing_key_active_timestamp_seconds", use="rfc9421") == since
        storage.stop()
        await gauges.look()
        assert metric("ocm_backend_up") == 0


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
async def test_transactions_that_wait_are_counted_until_they_end(engine, request, tmp_path):
    if engine == "sqlite":
        database = Sqlite(tmp_path / "db")
    else:
        url = request.getfixturevalue("postgres")
        database = Postgres(PostgresAddress(url, connections=3))
    await database.migrate()
    assert database.connections == (1 if engine == "sqlite" else 3)
    assert database.running == 0
    waiting = [
        asyncio.create_task(database.read(lambda connection: connection.info and 1))
        for _ in range(7)
    ]
    await asyncio.sleep(0)
    assert database.running >= 6
    waiting[0].cancel()  # who gives up does not end the transaction
    await asyncio.gather(*waiting, return_exceptions=True)
    await eventually(lambda: database.running == 0)
    await database.close()


async def test_a_loop_that_is_held_up_is_seen():
    before = metric("ocm_event_loop_lag_seconds_sum")
    task = asyncio.create_task(_lag())
    await asyncio.sleep(0.05)
    deadline = asyncio.get_running_loop().time() + 0.8
    while asyncio.get_running_loop().time() < deadline:
        pass
    await asyncio.sleep(0.01)
    task.cancel()
    assert metric("ocm_event_loop_lag_seconds_sum") - before > 0.4


async def test_the_certificate_at_the_public_name_is_looked_at_and_0_where_there_is_none(
    tmp_path, storage
):
    issued = trustme.CA().issue_cert("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(context)

    async def answer(_):
        return web.Response()

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    port = runner.addresses[0][1]
    data = settings_of(tmp_path / "a", storage.url)
    data["public"]["origin"] = f"https://127.0.0.1:{port}"
    async with open_gateway(config.parse(data, folder=tmp_path)) as gateway:
        await gauges_of(gateway).certificate()
        until = metric("ocm_public_certificate_expiry_timestamp_seconds")
        assert until > gateway.clock()
        await runner.cleanup()
        await gauges_of(gateway).certificate()
        assert metric("ocm_public_certificate_expiry_timestamp_seconds") == 0


def test_the_number_of_a_configuration_is_that_of_its_settings(tmp_path):
    data = settings_of(tmp_path, "http://127.0.0.1:1/dav")
    one = settings.fingerprint(config.parse(data))
    assert one == settings.fingerprint(config.parse(data))
    assert one < 2**48  # a float holds it
    elsewhere = data | {"management": {"listen": "127.0.0.1:1"}}
    assert settings.fingerprint(config.parse(elsewhere)) == one
    secret = data | {"storage": data["storage"] | {"credentials": {
        "kind": "basic", "username": "gateway", "password": "another"}}}  # fmt: skip
    assert settings.fingerprint(config.parse(secret)) == one
    other = data | {"tokens": {"lifetime_seconds": 9}}
    assert settings.fingerprint(config.parse(other)) != one


async def test_the_time_to_an_answer_is_noted_by_route(tmp_path, storage):
    before = metric("ocm_http_request_seconds_count", route="ocm.discovery") or 0
    async with in_process(tmp_path / "a", storage) as gateway, aiohttp.ClientSession() as client:
        await client.get(f"{gateway.ours.origin}/.well-known/ocm")
        listen = gateway.settings.management.listen
        async with client.get(f"http://{listen}/metrics") as answer:
            told = await answer.text()
    found = [line for line in told.splitlines() if line.startswith("ocm_http_request_seconds_coun")]
    assert sum(float(line.split()[1]) for line in found) > before
    assert "ocm_event_loop_lag_seconds_bucket" in told
