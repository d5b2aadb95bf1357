"""A real opencloudmesh-go, built from its module at one version, where that can be had.

Needs a Go toolchain and a module proxy that serves the module, or the program itself, named by
OPENCLOUDMESH_GO. Without either these are skipped and say why; the simulation stands in for it.
"""

import contextlib
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.ocm.address import authority
from gateway.ocm.dialects import recognise
from tests import servers
from tests.pair import in_process
from tests.servers import free_port

MODULE = "github.com/MahdiBaghbani/opencloudmesh-go/cmd/opencloudmesh-go"
VERSION = "183c88b"  # 2026-08-21, the commit that the table of dialects was read from
BUILT = Path(__file__).parents[2] / "build" / "go"
START_SECONDS = 20


@pytest.fixture(scope="module")
def program() -> Path:
    """The program: named, built before, or built now."""
    if named := os.environ.get("OPENCLOUDMESH_GO"):
        return Path(named)
    built = BUILT / "opencloudmesh-go"
    if built.exists():
        return built
    go = shutil.which("go")
    if go is None:
        pytest.skip("there is no Go toolchain")
    BUILT.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"GOBIN": str(BUILT), "CGO_ENABLED": "0"}
    done = subprocess.run(
        [go, "install", f"{MODULE}@{VERSION}"],
        capture_output=True, text=True, timeout=500, check=False, env=environment,
    )  # fmt: skip
    if done.returncode != 0:
        pytest.skip(f"opencloudmesh-go cannot be built: {done.stderr.strip()[-300:]}")
    return built


@contextlib.contextmanager
def running(program: Path, folder: Path) -> Iterator[str]:
    """One in its development mode, which speaks plain http; its authority."""
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    (folder / "config.toml").write_text(f"""
mode = "dev"
listen_addr = "127.0.0.1:{port}"
public_origin = "{origin}"
[tls]
mode = "off"
[persistence]
backend = "memory"
[server.bootstrap_admin]
username = "admin"
password = "a-long-password-for-tests"
""")
    log = (folder / "log").open("wb")
    with (
        log,
        subprocess.Popen(
            [program, "--config", folder / "config.toml"], cwd=folder, stdout=log, stderr=log
        ) as process,
    ):
        try:
            _wait_for(f"{origin}/api/healthz", process, folder / "log")
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-2000:]
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(url, timeout=2).close()
            return
        time.sleep(0.1)
    raise AssertionError(f"it did not start: {log.read_text()[-2000:]}")


async def test_it_is_discovered_and_recognised(tmp_path, program):
    with running(program, tmp_path) as there, servers.wsgidav(tmp_path) as storage:
        async with in_process(tmp_path / "gateway", storage) as gateway:
            document = await gateway.others.discoveries.discover(authority(there))
            assert recognise(document).name == "opencloudmesh-go"
