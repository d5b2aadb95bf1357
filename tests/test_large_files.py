"""Bodies are streamed: two gateways move 2 GiB each way in little memory."""

import base64
import hashlib
import http.client
from pathlib import Path

import pytest

from tests import servers
from tests.pair import Process, running

SIZE = 2 * 1024**3
PIECE = bytes(range(256)) * 4096
MOST_MEMORY = 120 * 1024**2


def peak_memory(gateway: Process) -> int:
    assert gateway.process
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


@pytest.mark.conforms("OCM-RFC4918-19")
@pytest.mark.slow
def test_two_gibibytes_go_down_and_up_in_little_memory(tmp_path):
    for name in ("sa", "sb"):
        (tmp_path / name).mkdir()
    with (
        servers.apache(tmp_path / "sa") as sa,
        servers.wsgidav(tmp_path / "sb") as sb,
        running(tmp_path / "a", sa.url, storage={"quirks": {"atomic_put": True}}) as a,
        running(tmp_path / "b", sb.url) as b,
    ):
        folder = sa.root / "alice" / "big"
        folder.mkdir()
        folder.chmod(0o777)
        expected = hashlib.sha256()
        with (folder / "down.bin").open("wb") as file:
            for _ in range(SIZE // len(PIECE)):
                file.write(PIECE)
                expected.update(PIECE)
        a.run("share", "create", "-u", "alice", "/big", f"bob@{b.authority}", "-p", "read,write")
        [received] = b.run("received", "list")
        b.run("received", "accept", received["id"])

        assert download(b, "big/down.bin") == expected.hexdigest()
        assert upload(b, "big/up.bin") == 201
        (folder / "down.bin").unlink()
        assert digest(folder / "up.bin") == expected.hexdigest()
        for gateway in (a, b):
            assert peak_memory(gateway) < MOST_MEMORY, gateway.file


def _connect(gateway: Process) -> tuple[http.client.HTTPConnection, dict[str, str]]:
    login = base64.b64encode(f"bob:{servers.USERS['bob']}".encode()).decode()
    connection = http.client.HTTPConnection(gateway.authority, timeout=120)
    return connection, {"Authorization": f"Basic {login}"}


def download(gateway: Process, path: str) -> str:
    connection, headers = _connect(gateway)
    connection.request("GET", f"/remote/dav/received/{path}", headers=headers)
    answer = connection.getresponse()
    assert answer.status == 200
    found, size = hashlib.sha256(), 0
    while piece := answer.read(1 << 20):
        found.update(piece)
        size += len(piece)
    assert size == SIZE
    return found.hexdigest()


def upload(gateway: Process, path: str) -> int:
    connection, headers = _connect(gateway)
    body = (PIECE for _ in range(SIZE // len(PIECE)))
    headers["Content-Length"] = str(SIZE)
    connection.request("PUT", f"/remote/dav/received/{path}", body=body, headers=headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status


def digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
