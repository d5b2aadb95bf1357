"""The gateway under test: a real process, with a share that the peer may open."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench import load, rivals
from bench.machine import PROXY_CORE
from bench.peer import Peer
from bench.programs import Program, Unusable, free_port, running

ROOT = Path(__file__).parents[1]
USER = "alice"
FOLDER = "bench"
DOOR = "/remote/dav/ocm"


@dataclass(frozen=True, slots=True)
class Installation:
    """A configured gateway: several processes may serve it, each on ports of its own.

    `tree` is the checkout it runs from. `state` lies on a disk: durable on tmpfs would not be
    durable.
    """

    tree: Path
    python: Path
    home: Path
    state: Path
    storage_port: int
    port: int

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def serving(
        self,
        name: str = "gateway",
        *,
        workers: int = 1,
        port: int | None = None,
        profile: Path | None = None,
    ) -> Iterator[Program]:
        """A gateway that listens; with `profile` under cProfile, which writes that file."""
        port = port or free_port()
        file = self._configure(name, port)
        profiler = ["-m", "cProfile", "-o", str(profile)] if profile else []
        command = [str(self.python), *profiler, "-m", "gateway", "serve", "--config", str(file)]
        if workers > 1:
            command += ["--workers", str(workers)]
        with running(
            name,
            port,
            command,
            core=PROXY_CORE,
            log=file.with_suffix(".log"),
            folder=self.tree,
            environment={"TMPDIR": str(self.home)},
        ) as program:
            yield program

    def share(self, peer: Peer) -> tuple[str, str]:
        """Share FOLDER with the peer by the command line: its id and its secret."""
        file = self._configure("command", self.port)
        address = f"einstein@{peer.authority}"
        words = ["share", "create", "--user", USER, f"/{FOLDER}", address, "-p", "read,write"]
        done = subprocess.run(
            [str(self.python), "-m", "gateway", *words, "--config", str(file), "--json"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=self.tree,
            env=os.environ | {"TMPDIR": str(self.home)},
        )
        if done.returncode or not peer.told:
            raise Unusable(f"could not share: {done.stdout}{done.stderr}")
        told = peer.told[-1]
        return str(told["providerId"]), str(told["protocol"]["webdav"]["sharedSecret"])

    def token(self, peer: Peer, secret: str) -> str:
        """An access token for the share, from the gateway that listens on `port`."""
        answer = load.ask(self.port, peer.token_request(self.origin, secret))
        if answer.status != 200:
            raise Unusable(f"no token: {answer.status} {answer.body[:300]!r}")
        return str(json.loads(answer.body)["access_token"])

    def _configure(self, name: str, port: int) -> Path:
        """Like production but for the log of each request, which the rivals do not write either."""
        credentials = {"kind": "basic", "username": rivals.USERNAME, "password": rivals.PASSWORD}
        settings: dict[str, Any] = {
            "public": {
                "origin": self.origin,
                "listen": f"127.0.0.1:{port}",
                "provider": "benchmark",
            },
            "management": {"listen": f"127.0.0.1:{free_port()}"},
            "storage": {
                "url": f"http://127.0.0.1:{self.storage_port}/dav",
                "path": "/{user}",
                "credentials": credentials,
                "quirks": {"atomic_put": True, "exact_destination": True},
            },
            "users": {"source": "list", "list": [{"name": USER, "password": "alice-password"}]},
            "policy": {"default": "allow"},
            "tokens": {"lifetime_seconds": 7200},
            "state": {"folder": str(self.state)},
            "log": {"level": "warning"},
            "testing": {"hosts": ["127.0.0.1"], "rate_limits": False},
        }
        file = self.home / f"{name.replace(' ', '-')}.yaml"
        file.write_text(yaml.safe_dump(settings))
        return file
