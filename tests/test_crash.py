"""kill -9 in the middle: what was decided arrives after the restart, and has its effect once."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests import servers
from tests.pair import Process, running

WAIT_SECONDS = 20


@contextmanager
def relay(port: int) -> Iterator["Relay"]:
    """A TCP relay in front of a gateway that can hold answers back, or let nothing through."""
    found = Relay(port)
    threading.Thread(target=found.serve, daemon=True).start()
    try:
        yield found
    finally:
        found.listener.close()


class Relay:
    """`requests` counts the connections that posted to `path`; `hold` keeps their answers."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.own_port = self.listener.getsockname()[1]
        self.hold: bytes | None = None
        self.held = threading.Event()
        self.seen: list[bytes] = []

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.carry, args=(client,), daemon=True).start()

    def carry(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.port))
        except OSError:
            client.close()
            return
        holding = threading.Event()

        def back() -> None:
            while data := _receive(server):
                if holding.is_set():
                    self.held.set()
                    return  # the answer never arrives
                client.sendall(data)
            client.close()

        threading.Thread(target=back, daemon=True).start()
        while data := _receive(client):
            line = data.split(b"\r\n", 1)[0]
            if line.startswith(b"POST"):
                self.seen.append(line)
                if self.hold and self.hold in line:
                    holding.set()
            server.sendall(data)
        server.close()


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except OSError:
        return b""


@pytest.fixture
def world(tmp_path) -> Iterator[tuple[Process, Process, Relay, Relay]]:
    """a and b, each reached by the other through a relay that can lose answers."""
    (tmp_path / "s").mkdir()
    ports = servers.free_port(), servers.free_port()
    with (
        servers.wsgidav(tmp_path / "s") as storage,
        relay(ports[0]) as to_a,
        relay(ports[1]) as to_b,
        running(tmp_path / "a", storage.url, **_behind(to_a)) as a,
        running(tmp_path / "b", storage.url, **_behind(to_b)) as b,
    ):
        (storage.root / "alice" / "x.txt").write_text("x")
        yield a, b, to_a, to_b


def _behind(found: Relay) -> dict[str, dict[str, object]]:
    public = {"origin": f"http://127.0.0.1:{found.own_port}", "listen": f"127.0.0.1:{found.port}"}
    return {"public": public, "limits": {"provider_seconds": 60}}


def _until(check):
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if found := check():
            return found
        time.sleep(0.2)
    raise AssertionError("never came true")


def test_a_delivery_killed_in_the_middle_arrives_once(world):
    a, b, _, to_b = world
    to_b.hold = b"/ocm/shares"
    create = ["share", "create", "-u", "alice", "/x.txt", f"bob@{b.authority}"]
    killer = threading.Thread(target=_kill_command, args=(a, create, to_b.held))
    killer.start()
    killer.join()
    a.kill()
    [share] = a.run("share", "list")
    assert share["state"] == "pending"
    to_b.hold = None
    a.start()
    _until(lambda: a.run("share", "show", share["id"])["state"] == "sent")
    assert len([line for line in to_b.seen if b"/ocm/shares" in line]) == 2
    [received] = b.run("received", "list")
    assert received["providerId"] == share["id"]
    assert a.run("outbox", "list") == []


def _kill_command(gateway: Process, words: list[str], when: threading.Event) -> None:
    import subprocess
    import sys

    command = subprocess.Popen(
        [sys.executable, "-m", "gateway", *words, "--config", str(gateway.file)],
        stdout=subprocess.DEVNULL,
    )
    assert when.wait(WAIT_SECONDS)
    command.kill()
    command.wait()


def test_an_acceptance_killed_in_the_middle_is_told_once(world):
    a, b, to_a, _ = world
    share = a.run("share", "create", "-u", "alice", "/x.txt", f"bob@{b.authority}")
    [received] = b.run("received", "list")
    to_a.hold = b"/ocm/notifications"
    _kill_command(b, ["received", "accept", received["id"]], to_a.held)
    b.kill()
    [after] = b.run("received", "list")
    assert after["state"] == "accepted"
    to_a.hold = None
    b.start()
    _until(lambda: b.run("outbox", "list") == [])
    assert a.run("share", "show", share["id"])["state"] == "accepted"


def test_a_server_killed_while_it_retries_goes_on_after_the_restart(world):
    a, b, _, _ = world
    b.kill()
    share = a.run("share", "create", "-u", "alice", "/x.txt", f"bob@{b.authority}")
    assert share["state"] == "pending"
    a.kill()
    b.start()
    a.start()
    _until(lambda: a.run("share", "show", share["id"])["state"] == "sent")
    assert len(b.run("received", "list")) == 1


def test_what_a_share_notification_got_201_for_survives_the_receivers_death(world):
    a, b, _, _ = world
    share = a.run("share", "create", "-u", "alice", "/x.txt", f"bob@{b.authority}")
    assert share["state"] == "sent"
    b.kill()
    b.start()
    [received] = b.run("received", "list")
    assert received["providerId"] == share["id"]
