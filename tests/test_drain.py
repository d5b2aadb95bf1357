"""A gateway that is told to stop finishes what runs, and says that it takes nothing new."""

import base64
import http.client
import json
import signal
import socket
import urllib.error
import urllib.request

import pytest

from tests import servers
from tests.pair import running

SIZE = 48 << 20


def probe(gateway, name):
    try:
        with urllib.request.urlopen(f"{gateway.management}/{name}", timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.parametrize("zero_copy", [True, False])
def test_a_running_download_ends_whole_while_nothing_new_is_taken(tmp_path, zero_copy):
    for name in ("sa", "sb"):
        (tmp_path / name).mkdir()
    with (
        servers.wsgidav(tmp_path / "sa") as sa,
        servers.wsgidav(tmp_path / "sb") as sb,
        running(tmp_path / "a", sa.url) as a,
        running(tmp_path / "b", sb.url, public={"zero_copy": zero_copy}) as b,
    ):
        (sa.root / "alice" / "big").mkdir()
        (sa.root / "alice" / "big" / "file.bin").write_bytes(b"x" * SIZE)
        a.run("share", "create", "-u", "alice", "/big", f"bob@{b.authority}")
        [received] = b.run("received", "list")
        b.run("received", "accept", received["id"])
        assert probe(b, "startupz")[0] == probe(b, "readyz")[0] == 200

        host, _, port = b.authority.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=20)
        headers = {"Authorization": basic("bob")}
        connection.request("GET", "/remote/dav/received/big/file.bin", headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200
        got = len(answer.read(1 << 20))

        b.process.send_signal(signal.SIGTERM)
        deadline = 100
        while probe(b, "readyz")[0] == 200 and deadline:
            deadline -= 1
        status, said = probe(b, "readyz")
        assert (status, said["status"]) == (503, "stopping")
        assert probe(b, "livez")[0] == 200
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)), timeout=2)

        while chunk := answer.read(1 << 20):
            got += len(chunk)
        assert got == SIZE
        assert b.process.wait(timeout=30) == 0
        b.process = None


def basic(name):
    return "Basic " + base64.b64encode(f"{name}:{name}-password".encode()).decode()
