"""Changed settings are taken up while the gateway runs: all of them or none, and nothing is cut."""

import asyncio
import contextlib
import json
import signal
import socket
import sys

import aiohttp
import pytest
import structlog
import yaml
from aiohttp import web
from prometheus_client import REGISTRY

from gateway import config, serving
from gateway.app import answering, open_gateway
from gateway.cli import workers
from gateway.model import Permission
from gateway.serving import Serving
from gateway.sharing.sending import Offer
from tests import servers
from tests.pair import eventually, settings, write
from tests.peer import open_peer

SIZE = 48 << 20


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    with servers.wsgidav(tmp_path_factory.mktemp("storage")) as storage:
        yield storage


class Stage:
    """A gateway that takes up what its file says, and a client that keeps its connection."""

    def __init__(self, file, serving, client, wanted):
        self.file = file
        self.serving = serving
        self.client = client
        self.origin = wanted.public.origin

    async def listens(self):
        with contextlib.suppress(aiohttp.ClientConnectionError):
            return await self.provider()

    def change(self, **sections):
        data = yaml.safe_load(self.file.read_text())
        for name, section in sections.items():
            data[name] = data.get(name, {}) | section
        self.file.write_text(yaml.safe_dump(data))

    async def provider(self):
        async with self.client.get(f"{self.origin}/.well-known/ocm") as answer:
            return (await answer.json())["provider"]

    async def ready(self):
        listen = self.serving._settings.management.listen
        async with self.client.get(f"http://{listen}/readyz") as answer:
            return await answer.json()


@pytest.fixture
async def stage(tmp_path, storage):
    file = write(tmp_path / "a", settings(tmp_path / "a", storage.url))
    wanted = config.load(file, {})
    async with (
        Serving(wanted, lambda now: config.load(now.file, {})) as opened,
        answering(wanted, opened.front, opened.reading),
        aiohttp.ClientSession() as client,
    ):
        yield Stage(file, opened, client, wanted)
    structlog.reset_defaults()


def events(capsys):
    lines = capsys.readouterr().err.splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]
    return {one["event"]: one for one in found}


def metric(name):
    return REGISTRY.get_sample_value(name)


async def test_a_changed_setting_holds_and_connections_stay_open(stage):
    assert await stage.provider() == "a"
    [connection] = [one for pool in stage.client.connector._conns.values() for one in pool]
    stage.change(public={"provider": "renamed"})
    await stage.serving.reload()
    assert await stage.provider() == "renamed"
    [same] = [one for pool in stage.client.connector._conns.values() for one in pool]
    assert same[0] is connection[0]
    assert metric("ocm_config_last_reload_successful") == 1
    await eventually(lambda: not stage.serving._relieved)


async def test_a_bad_file_keeps_the_old_settings_whole_and_alarms(stage):
    stage.change(public={"provider": "renamed"}, tokens={"lifetime_seconds": 0})
    await stage.serving.reload()
    assert await stage.provider() == "a"
    assert metric("ocm_config_last_reload_successful") == 0
    told = await stage.ready()
    assert told["status"] == "ok"
    assert "tokens.lifetime_seconds" in told["configuration"]["faults"][0]
    stage.change(tokens={"lifetime_seconds": 9})
    await stage.serving.reload()
    assert await stage.provider() == "renamed"
    assert "configuration" not in await stage.ready()
    assert metric("ocm_config_last_reload_successful") == 1


async def test_settings_that_are_right_and_do_not_work_change_nothing(stage, tmp_path):
    (tmp_path / "key").write_text("no key")
    service = {"name": "one", "url": "https://d.example/list", "key_files": [str(tmp_path / "key")]}
    stage.change(public={"provider": "renamed"}, directories={"services": [service]})
    await stage.serving.reload()
    assert await stage.provider() == "a"
    assert (await stage.ready())["configuration"]["status"] == "older kept"


async def test_what_runs_is_finished_by_the_gateway_it_began_with(stage):
    started, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request):
        started.set()
        await go_on.wait()
        return web.Response(text="from the first")

    stage.serving.front.shift.handler = slow
    first = asyncio.create_task(stage.client.get(stage.origin))
    await started.wait()
    stage.change(public={"provider": "renamed"})
    await stage.serving.reload()
    assert await stage.provider() == "renamed"
    assert len(stage.serving._relieved) == 1
    go_on.set()
    answer = await first
    assert await answer.text() == "from the first"
    await eventually(lambda: not stage.serving._relieved)


@pytest.mark.parametrize("public", [{}, {"fast_lane": False}, {"zero_copy": False}])
async def test_a_running_download_ends_whole_over_a_reload(tmp_path, storage, public):
    (storage.root / "alice" / "big").write_bytes(bytes(SIZE))
    file = write(tmp_path / "a", settings(tmp_path / "a", storage.url))
    changed = yaml.safe_load(file.read_text())
    changed["public"] |= public
    wanted = config.load(write(tmp_path / "a", changed), {})
    async with (
        Serving(wanted, lambda now: config.load(now.file, {})) as opened,
        answering(wanted, opened.front, opened.reading),
        open_peer() as peer,
    ):
        async with open_gateway(wanted) as beside:
            offer = Offer("alice", "/big", f"bob@{peer.authority}", frozenset({Permission.READ}))
            share = await beside.sending.create_share(offer)
            token = beside.access.issue(share).access_token
        host, _, port = wanted.public.listen.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 16)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        path = f"/remote/dav/ocm/{share.provider_id}"
        asked = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n"
        writer.write(asked.encode())
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        await opened.reload()
        assert len(opened._relieved) == 1  # it waits for this download
        assert await reader.readexactly(SIZE) == bytes(SIZE)
        await eventually(lambda: not opened._relieved)
        writer.close()
    structlog.reset_defaults()


async def test_what_needs_a_restart_stays_and_is_told(stage, capsys):
    listen = stage.serving._settings.public.listen
    stage.change(public={"listen": "127.0.0.1:1", "provider": "renamed"}, log={"format": "json"})
    await stage.serving.reload()
    assert await stage.provider() == "renamed"
    assert stage.serving._settings.public.listen == listen
    assert stage.serving.reading.waiting == ("public.listen",)
    told = events(capsys)["configuration.waits_for_restart"]
    assert told["settings"] == ["public.listen"]


async def test_the_log_tells_the_difference_and_no_secret(stage, capsys):
    stage.change(
        public={"provider": "renamed"},
        storage={"credentials": {"kind": "basic", "username": "u", "password": "top-secret"}},
        log={"format": "json"},
    )
    await stage.serving.reload()
    told = events(capsys)["configuration.reloaded"]
    assert told["changes"]["public.provider"] == "a -> renamed"
    assert told["changes"]["storage.credentials.password"] == "*** -> ***"
    assert "top-secret" not in json.dumps(told)


async def test_a_config_map_that_is_swapped_is_noticed(tmp_path, storage):
    data = settings(tmp_path / "a", storage.url, state={"folder": str(tmp_path / "state")})
    write(tmp_path / "one", data)
    write(tmp_path / "two", data | {"public": data["public"] | {"provider": "renamed"}})
    mount = tmp_path / "mount"
    mount.mkdir()
    (mount / "..data").symlink_to(tmp_path / "one")
    (mount / "gateway.yaml").symlink_to("..data/gateway.yaml")
    wanted = config.load(mount / "gateway.yaml", {})
    async with Serving(wanted, lambda now: config.load(now.file, {})) as opened:
        watch = asyncio.create_task(opened.watch(asyncio.Event()))
        (mount / "new").symlink_to(tmp_path / "two")
        (mount / "new").rename(mount / "..data")
        await eventually(lambda: opened._settings.public.provider == "renamed")
        watch.cancel()
    structlog.reset_defaults()


async def test_what_changes_while_a_change_is_taken_up_is_taken_up_next(stage):
    read = stage.serving._load

    def overtaken(now):
        taken = read(now)
        if taken.public.provider == "first":
            stage.change(public={"provider": "second"})
        return taken

    stage.serving._load = overtaken
    watch = asyncio.create_task(stage.serving.watch(asyncio.Event()))
    stage.change(public={"provider": "first"})
    await eventually(lambda: stage.serving._settings.public.provider == "second")
    watch.cancel()


async def test_a_changed_policy_holds_for_what_runs_as_well(stage):
    started, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_):
        started.set()
        await go_on.wait()
        return web.Response()

    first = stage.serving.front.shift
    first.handler = slow
    running = asyncio.create_task(stage.client.get(stage.origin))
    await started.wait()
    watch = asyncio.create_task(stage.serving.watch(asyncio.Event()))

    def denied(host):
        shifts = {first, stage.serving.front.shift}
        return len(shifts) == 2 and not any(allows(shift, host) for shift in shifts)

    for host in ("bad.example.org", "worse.example.org"):  # once relieved, it still listens
        stage.change(policy={"deny": [host]})
        await eventually(lambda host=host: denied(host))
    assert allows(first, "bad.example.org")
    stage.change(policy={"deny": ["bad.example.org"], "rules": [{"who": [], "then": "allow"}]})
    await eventually(lambda: stage.serving.reading.faults)
    assert denied("worse.example.org")
    watch.cancel()
    go_on.set()
    await running


def allows(shift, host):
    return shift.desk.policy._keeper.judge(host).allowed


async def test_sighup_takes_up_what_is_written_and_sigterm_ends(tmp_path, storage, monkeypatch):
    file = write(tmp_path / "a", settings(tmp_path / "a", storage.url))
    monkeypatch.setattr(serving, "_LOOK_SECONDS", 600)  # only the signal can do it
    wanted = config.load(file)
    served = asyncio.create_task(serving.serve(wanted))
    async with aiohttp.ClientSession() as client:
        stage = Stage(file, None, client, wanted)
        await eventually(stage.listens)
        stage.change(public={"provider": "renamed"})
        signal.raise_signal(signal.SIGHUP)

        async def renamed():
            return await stage.provider() == "renamed"

        await eventually(renamed)
    signal.raise_signal(signal.SIGTERM)
    await served
    structlog.reset_defaults()


CHILD = """
import os, pathlib, signal, sys
place = pathlib.Path(sys.argv[1])
def heard(*_):
    (place / f"{os.getpid()}.heard").touch()
    sys.exit()
signal.signal(signal.SIGHUP, heard)
(place / f"{os.getpid()}.ready").touch()
while True:
    signal.pause()
"""


async def test_the_signal_is_passed_on_to_every_worker(tmp_path):
    supervisor = workers._Supervisor(None, 2, str(tmp_path))
    supervisor._command = [sys.executable, "-c", CHILD, str(tmp_path)]
    for _ in range(2):
        supervisor._start()
    await eventually(lambda: len(list(tmp_path.glob("*.ready"))) == 2, 60)
    supervisor._pass_on(signal.SIGHUP, None)
    await eventually(lambda: len(list(tmp_path.glob("*.heard"))) == 2, 60)
    for process, _ in supervisor._running.values():
        process.wait(60)
