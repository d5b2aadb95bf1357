"""An organisation for the demonstration: a small WebDAV storage, and a gateway in front of it."""

import base64
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from gateway.errors import Unavailable

_START_SECONDS = 30
_SERVICE = "gateway"
_FILES = {
    "projects/telescope/readme.md": "# Telescope\n\nMirror ordered, mount arrives in spring.\n",
    "projects/telescope/budget.csv": "part,euro\nmirror,1200\nmount,900\n",
    "notes.txt": "Buy milk.\n",
}


@dataclass
class Organisation:
    """One of the two: its folder, its ports, its users and their passwords, its processes."""

    name: str
    folder: Path
    port: int
    management_port: int
    storage_port: int
    users: Mapping[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def authority(self) -> str:
        """What addresses here end in."""
        return f"127.0.0.1:{self.port}"

    @property
    def origin(self) -> str:
        """The gateway's public origin."""
        return f"http://{self.authority}"

    @property
    def config_file(self) -> Path:
        """The gateway's configuration."""
        return self.folder / "gateway.yaml"

    @property
    def log_file(self) -> Path:
        """The gateway's log."""
        return self.folder / "gateway.log"

    def prepare(self) -> None:
        """Write sample files and both configurations; what is there already stays."""
        for user in self.users:
            for name, text in _FILES.items():
                file = self.folder / "files" / user / name
                if not file.exists():
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text(text)
        self._write_storage_config()
        settings = {
            "public": {
                "origin": self.origin,
                "listen": self.authority,
                "provider": self.name,
            },
            "management": {"listen": f"127.0.0.1:{self.management_port}"},
            "storage": {
                "url": f"http://127.0.0.1:{self.storage_port}",
                "path": "/{user}",
                "credentials": {"kind": "basic", "username": _SERVICE, "password_file": "service"},
            },
            "users": {"source": "storage"},
            "policy": {"default": "allow"},
            "log": {"format": "json"},
            "testing": {"hosts": ["127.0.0.1"]},
        }
        (self.folder / "service").write_text("only-for-the-demonstration\n")
        self.config_file.write_text(yaml.safe_dump(settings, sort_keys=False))

    def _write_storage_config(self) -> None:
        accounts = {_SERVICE: "only-for-the-demonstration", **self.users}
        settings = {
            "host": "127.0.0.1",
            "port": self.storage_port,
            "server": "cheroot",
            "provider_mapping": {"/": str(self.folder / "files")},
            "http_authenticator": {"domain_controller": None, "accept_digest": False},
            "simple_dc": {
                "user_mapping": {"*": {name: {"password": word} for name, word in accounts.items()}}
            },
            "logging": {"enable": True, "enable_loggers": []},
            "lock_storage": True,
            "property_manager": True,
        }
        (self.folder / "storage.json").write_text(json.dumps(settings, indent=2))

    def start(self) -> None:
        """Start the storage, then the gateway; Unavailable when one does not come up."""
        storage = [sys.executable, "-m", "wsgidav.server.server_cli"]
        self._launch([*storage, "--config", str(self.folder / "storage.json")], "storage.log")
        self._await(f"http://127.0.0.1:{self.storage_port}/", "storage.log")
        self._launch(
            [sys.executable, "-m", "gateway", "serve", "--config", str(self.config_file)],
            self.log_file.name,
        )
        self._await(f"http://127.0.0.1:{self.management_port}/readyz", self.log_file.name)

    def _launch(self, command: list[str], log: str) -> None:
        with (self.folder / log).open("wb") as file:
            process = subprocess.Popen(  # noqa: S603
                command, stdout=file, stderr=file, start_new_session=True
            )
        self.processes.append(process)

    def _await(self, url: str, log: str) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self.processes[-1].poll() is None:
            try:
                urllib.request.urlopen(url, timeout=5).close()  # noqa: S310
            except urllib.error.HTTPError as answer:
                if answer.code != 503:
                    return
            except OSError:
                pass
            else:
                return
            time.sleep(0.1)
        tail = (self.folder / log).read_text(errors="replace")[-2000:]
        raise Unavailable(f"{self.name} does not start", detail=tail)

    def stop(self) -> None:
        """Stop both."""
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
            process.kill()

    def spelled(self, *words: str) -> str:
        """A command of this organisation's operator, as it is typed here."""
        program = os.path.relpath(sys.argv[0])
        return f"{program} {' '.join(words)} -c {os.path.relpath(self.config_file)}"

    def command(self, *words: str) -> Any:
        """Run a command of this organisation's operator and return its JSON."""
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "gateway", *words, "--json", "--config", str(self.config_file)],
            capture_output=True,
            text=True,
            check=False,
        )
        try:
            return json.loads(done.stdout)
        except json.JSONDecodeError:
            raise Unavailable(f"{' '.join(words)} failed", detail=done.stderr[-500:]) from None

    def request(
        self, method: str, path: str, *, user: str = "", body: bytes | None = None, depth: str = ""
    ) -> tuple[int, bytes]:
        """Send a request to this gateway, as a user's WebDAV client would."""
        headers = {"Depth": depth} if depth else {}
        if user:
            pair = base64.b64encode(f"{user}:{self.users[user]}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
        request = urllib.request.Request(  # noqa: S310
            self.origin + path, method=method, data=body, headers=headers
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def events(self, name: str) -> list[dict[str, Any]]:
        """The events of that name in the gateway's log."""
        lines = self.log_file.read_text().splitlines()
        found = (json.loads(line) for line in lines if line.startswith("{"))
        return [event for event in found if event.get("event") == name]


def free_port(wanted: int) -> int:
    """That port if it is free, else another."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise Unavailable("there is no free port")
