"""The tour of docs/tour-opencloudmesh-go.md, walked: what stands there is what comes out.

Two processes and their commands, as a person would use them; names and ids are made plain.
"""

import contextlib
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.ocm.invites import parse_invite
from tests import servers
from tests.pair import running
from tests.servers import free_port

PAGE = Path(__file__).parents[2] / "docs" / "tour-opencloudmesh-go.md"
GATEWAY, OTHER = "gateway.example.org", "ocm-go.example.org"
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Tour:
    """Runs commands, and writes down what was typed and what came out."""

    def __init__(self, gateway: Any, other: dict[str, str]) -> None:
        self._gateway = gateway
        self._names = {
            gateway.origin: f"https://{GATEWAY}",
            gateway.authority: GATEWAY,
            other["origin"]: f"https://{OTHER}",
            other["origin"].removeprefix("http://"): OTHER,
            other["address"].partition("@")[0]: "EINSTEIN",
        }
        self._control = other["control"]
        self._ids: dict[str, str] = {}
        self.lines: list[str] = []

    def name(self, text: str, plain: str) -> None:
        """From now on that text is called so."""
        self._names[text] = plain

    def say(self, text: str) -> None:
        self.lines += ["", text, ""]

    def gateway(self, *words: str) -> Any:
        """A command of the gateway, as people see it; its JSON is the answer."""
        done = self._gateway.command(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        self._write(shlex.join(["ocm-gateway", *words]), done.stdout)

    def json(self, *words: str) -> Any:
        """A command whose answer is looked at, not shown."""
        return self._gateway.run(*words)

    def other(self, verb: str, **said: str) -> Any:
        """What einstein is told to do."""
        spelled = json.dumps(said)
        url = f"{self._control}/{verb}"
        done = subprocess.run(
            ["curl", "--silent", "--show-error", "--data", spelled, url],
            capture_output=True, text=True, check=True, timeout=30,
        )  # fmt: skip
        self._write(f"curl --data {shlex.quote(spelled)} {url}", done.stdout)
        return json.loads(done.stdout)

    def curl(self, *words: str) -> str:
        done = subprocess.run(
            ["curl", "--silent", "--show-error", *words],
            capture_output=True, text=True, check=True, timeout=30,
        )  # fmt: skip
        self._write(shlex.join(["curl", *words]), done.stdout)
        return done.stdout

    def _write(self, command: str, output: str) -> None:
        shown = output.rstrip("\n").splitlines()
        self.lines += ["```", f"$ {self._plain(command)}", *map(self._plain, shown), "```"]

    def _plain(self, text: str) -> str:
        for found, plain in sorted(self._names.items(), key=lambda pair: -len(pair[0])):
            text = text.replace(found, plain)
        text = re.sub(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?Z?)?", "2026-11-25", text)
        return UUID.sub(lambda match: self._numbered(match[0]), text)

    def _numbered(self, identifier: str) -> str:
        number = len(self._ids) + 1
        return self._ids.setdefault(identifier, f"00000000-0000-4000-8000-{number:012}")


@contextlib.contextmanager
def simulation(name: str, folder: Path) -> Iterator[dict[str, str]]:
    command = [sys.executable, "-m", "gateway", "simulate", name, "--json"]
    command += ["--listen", f"127.0.0.1:{free_port()}", "--folder", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


@pytest.fixture
def tour(tmp_path):
    servers.require("curl")
    with servers.apache(tmp_path) as storage, simulation("opencloudmesh-go", tmp_path / "o") as at:
        (storage.root / "alice" / "plan.txt").write_bytes(b"Meet at the telescope on Friday.\n")
        with running(tmp_path / "gateway", storage.url) as gateway:
            yield Tour(gateway, at)


def walk(tour: Tour) -> None:
    tour.say("alice looks who is there. Signatures, token exchange and invites are a must to it:")
    tour.gateway("discover", list(tour._names)[3])

    tour.say("Nobody shares with strangers there, so alice sends an invite, and einstein accepts:")
    invite = tour.json("invite", "create", "--user", "alice")["inviteString"]
    tour.name(invite, "INVITE")
    tour.name(parse_invite(invite).token, "TOKEN")
    tour.lines += ["```", "$ ocm-gateway invite create --user alice", "INVITE", "```"]
    assert tour.other("accept-invite", invite=invite)["status"] == 200
    tour.gateway("contact", "list", "--user", "alice")
    [contact] = tour.json("contact", "list", "--user", "alice")

    tour.say("alice shares a file. The share is signed, and its secret must be exchanged:")
    tour.gateway("share", "create", "--user", "alice", "/plan.txt", contact["address"])
    [share] = tour.json("share", "list")
    assert share["mustExchangeToken"] is True

    tour.say("einstein accepts and reads: his server exchanges the secret for a token first.")
    [theirs] = json.loads(tour.curl(tour._control))["received"]
    tour.other("accept", id=theirs["id"])
    read = tour.other("open", id=theirs["id"])
    assert (read["status"], read["body"]) == (200, "Meet at the telescope on Friday.\n")
    tour.gateway("share", "list")

    tour.say("Now the other way: einstein shares a file with alice.")
    address = f"alice@{tour._gateway.authority}"
    sent = tour.other("share", shareWith=address, path="/letter.txt")
    assert sent["state"] == "sent"
    tour.gateway("received", "list", "--user", "alice")
    [received] = tour.json("received", "list", "--user", "alice")

    tour.say("alice accepts, and reads it in her WebDAV tree with any client:")
    tour.gateway("received", "accept", received["id"])
    url = f"{tour._gateway.origin}/remote/dav/received/{received['folder']}"
    login = f"alice:{servers.USERS['alice']}"
    tour.name(servers.USERS["alice"], "PASSWORD")
    assert tour.curl("--user", login, url) == "from afar\n"

    tour.say("Both withdraw what they shared. The tokens that are left open nothing:")
    tour.gateway("share", "revoke", share["id"])
    assert tour.other("open", id=theirs["id"])["status"] in (401, 404)
    assert tour.other("unshare", id=sent["id"])["answered"] == 201
    tour.curl("--user", login, "--output", "/dev/null", "--write-out", "%{http_code}", url)
    tour.gateway("received", "list", "--user", "alice")


def test_the_tour_goes_as_it_is_written(tour):
    walk(tour)
    before = PAGE.read_text() if PAGE.exists() else ""
    introduction = before.partition("<!-- made by the tests -->")[0]
    made = introduction + "<!-- made by the tests -->\n" + "\n".join(tour.lines) + "\n"
    if made != before:
        PAGE.write_text(made)
    assert made == before, f"{PAGE.name} was out of date; it has been made anew, commit it"
