"""Gateways for the tests: real ones, on loopback, in front of real storages.

`in_process` opens one in the event loop of the test, so that the test can call its roles;
`Process` runs one as its operator would, and can be killed.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from gateway import config
from gateway.app import Gateway, listening, open_gateway
from tests.servers import PASSWORD, USERNAME, Storage, free_port

START_SECONDS = 60


def settings(
    folder: Path, storage_url: str, *, postgres: str | None = None, **changes: Any
) -> dict[str, Any]:
    """A configuration for tests as its YAML would have it; `changes` replace whole sections.

    With `postgres` (the URL that the fixture of that name gives) the state is kept there.
    """
    if postgres:
        changes["state"] = {"database": postgres} | changes.get("state", {})
    port = free_port()
    data = {
        "public": {
            "origin": f"http://127.0.0.1:{port}",
            "listen": f"127.0.0.1:{port}",
            "provider": folder.name,
        },
        "management": {"listen": f"127.0.0.1:{free_port()}"},
        "storage": {
            "url": storage_url,
            "path": "/{user}",
            "credentials": {"kind": "basic", "username": USERNAME, "password": PASSWORD},
        },
        "users": {"source": "storage"},
        "policy": {"default": "allow"},
        "outbox": {"first_retry_seconds": 1},
        "testing": {"hosts": ["127.0.0.1", "localhost"], "rate_limits": False},
    }
    for name, section in changes.items():
        if name == "public_workers":
            data["public"]["workers"] = section
        else:
            data[name] = data.get(name, {}) | section
    return data


def write(folder: Path, data: dict[str, Any]) -> Path:
    """The configuration as a file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "gateway.yaml"
    file.write_text(yaml.safe_dump(data))
    return file


@contextlib.asynccontextmanager
async def in_process(folder: Path, behind: Storage, **changes: Any) -> AsyncIterator[Gateway]:
    """A gateway in this event loop, listening; on PostgreSQL with `postgres=url`."""
    file = write(folder, settings(folder, behind.url, **changes))
    async with open_gateway(config.load(file)) as gateway, listening(gateway):
        yield gateway


@dataclass
class Process:
    """A gateway in a process of its own, with its command line."""

    file: Path
    process: subprocess.Popen[bytes] | None = None
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        return yaml.safe_load(self.file.read_text())

    @property
    def origin(self) -> str:
        return str(self.settings["public"]["origin"])

    @property
    def authority(self) -> str:
        return self.origin.removeprefix("http://")

    @property
    def management(self) -> str:
        return f"http://{self.settings['management']['listen']}"

    @property
    def log(self) -> Path:
        return self.file.with_name("gateway.log")

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gateway", "serve", "--config", str(self.file)],
                stdout=log,
                stderr=log,
                env=os.environ | self.environment,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                urllib.request.urlopen(f"{self.management}/livez", timeout=2).close()
                return
            time.sleep(0.05)
        raise AssertionError(f"the gateway did not start: {self.log.read_text()[-3000:]}")

    def kill(self) -> None:
        """kill -9."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=40)
            self.process = None

    def run(self, *words: str, code: int = 0) -> Any:
        """A command's JSON answer; it must exit with `code`."""
        done = self.command(*words, "--json")
        assert done.returncode == code, f"{words}: {done.returncode} {done.stdout} {done.stderr}"
        return json.loads(done.stdout)

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "gateway", *words, "--config", str(self.file)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=os.environ | self.environment,
        )


@contextlib.contextmanager
def running(folder: Path, storage_url: str, **changes: Any) -> Iterator[Process]:
    """A gateway process, started."""
    gateway = Process(write(folder, settings(folder, storage_url, **changes)))
    gateway.start()
    try:
        yield gateway
    finally:
        if gateway.process:
            gateway.process.send_signal(signal.SIGTERM)
            try:
                gateway.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                gateway.kill()


async def eventually(check: Any, seconds: float = 10) -> Any:
    """What `check` returns once it is true; it may be async."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        found = check()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert asyncio.get_running_loop().time() < deadline, f"{check} never came true"
        await asyncio.sleep(0.05)
