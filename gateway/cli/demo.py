"""`ocm-gateway demo`: two organisations on this machine, and the main job done once before your
eyes."""

import importlib.util
import json
import re
import signal
import time
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from gateway.cli.console import fail
from gateway.cli.organisation import Organisation, free_port
from gateway.errors import GatewayError, Unavailable

_WAIT_SECONDS = 15


def demo(
    folder: Annotated[
        Path, typer.Option(help="Where files, configurations and logs of both go.")
    ] = Path(".demo"),
    once: Annotated[bool, typer.Option("--once", help="Stop after the transcript.")] = False,
) -> None:
    """Start two organisations on loopback, share a folder between them, and stay up."""
    if importlib.util.find_spec("wsgidav") is None:
        fail(
            Unavailable("the demonstration needs the extra `demo`: pip install ocm-gateway[demo]"),
            as_json=False,
        )
    signal.signal(signal.SIGTERM, _interrupt)
    north, south = _organisations(folder.resolve())
    try:
        _say("Starting two organisations, each a gateway in front of its own WebDAV storage")
        for organisation in (north, south):
            organisation.prepare()
            organisation.start()
            _note(f"{organisation.name}: {organisation.origin}, files in {organisation.folder}")
        _main_job(north, south)
        if not once:
            _invite(north, south)
            signal.pause()
    except KeyboardInterrupt:
        typer.echo("\nStopping.")
    except GatewayError as error:
        fail(error, as_json=False)
    finally:
        north.stop()
        south.stop()


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def _organisations(folder: Path) -> tuple[Organisation, Organisation]:
    def organisation(name: str, port: int, users: dict[str, str]) -> Organisation:
        home = folder / name
        home.mkdir(parents=True, exist_ok=True)
        ports = (free_port(port), free_port(port + 1), free_port(port + 2))
        return Organisation(name, home, *ports, users)

    return (
        organisation("north", 8110, {"alice": "alice-demo", "anna": "anna-demo"}),
        organisation("south", 8120, {"bob": "bob-demo", "ben": "ben-demo"}),
    )


def _main_job(north: Organisation, south: Organisation) -> None:
    """The whole life of one Share, each step checked."""
    _say("1. Discovery: who is south?")
    _discover(south)

    _say("2. alice at north shares a folder with bob at south")
    share = _share(north, south)

    _say("3. bob accepts")
    received = _accept(north, south, share)

    _say("4. bob opens the folder; south exchanges the share's secret for a token")
    folder = f"/remote/dav/received/{received['folder']}"
    _list(south, f"{folder}/")
    token = _expect(lambda: north.events("token.issued"), "north issued no token")
    _note(f"north gave south a token for {token[-1]['expires_in']} seconds")

    _say("5. bob reads a file and writes one")
    _read_and_write(north, south, folder)

    _say("6. alice revokes; the token that south still holds opens nothing any more")
    _revoke(north, south, share, folder)
    _say("Done: every step worked.")


def _discover(south: Organisation) -> None:
    status, body = south.request("GET", "/.well-known/ocm")
    _type(f"curl {south.origin}/.well-known/ocm")
    _check(status == 200, f"discovery answered {status}")
    document = json.loads(body)
    for name in ("apiVersion", "endPoint", "tokenEndPoint", "jwksUri"):
        _note(f"{name}: {document[name]}")
    _note(f"capabilities: {', '.join(document['capabilities'])}")


def _share(north: Organisation, south: Organisation) -> Any:
    words = ["share", "create", "--user", "alice", "/projects/telescope", f"bob@{south.authority}"]
    words += ["--permissions", "read,write", "--expires", "+1d"]
    _type(north.spelled(*words))
    share = north.command(*words)
    _check(share.get("state") == "sent", f"the share was not delivered: {share}")
    _note(f"share {share['id']}: {share['state']}, the notification was signed and taken")
    return share


def _accept(north: Organisation, south: Organisation, share: Any) -> Any:
    _type(south.spelled("received", "list", "--user", "bob"))
    pending = south.command("received", "list", "--user", "bob")
    arrived = [one for one in pending if one["providerId"] == share["id"]]
    _check(bool(arrived), "the share did not arrive")
    received = arrived[0]
    _note(f"{received['name']} from {received['sender']}, {' and '.join(received['permissions'])}")
    _type(south.spelled("received", "accept", received["id"]))
    accepted = south.command("received", "accept", received["id"])
    _check(accepted.get("state") == "accepted", f"not accepted: {accepted}")
    state = north.command("share", "show", share["id"])["state"]
    _check(state == "accepted", f"north was not told: the share is {state}")
    _note("north was told: SHARE_ACCEPTED")
    return accepted


def _list(south: Organisation, path: str) -> None:
    _type(f"curl -u bob:bob-demo -X PROPFIND -H 'Depth: 1' {south.origin}{path}")
    status, body = south.request("PROPFIND", path, user="bob", depth="1")
    _check(status == 207, f"PROPFIND answered {status}: {body[:300]!r}")
    for href in re.findall(r"<[^>]*href>([^<]+)<", body.decode()):
        _note(href)


def _read_and_write(north: Organisation, south: Organisation, folder: str) -> None:
    _type(f"curl -u bob:bob-demo {south.origin}{folder}/budget.csv")
    status, body = south.request("GET", f"{folder}/budget.csv", user="bob")
    _check(status == 200 and b"mirror" in body, f"GET answered {status}")
    for line in body.decode().splitlines():
        _note(line)
    text = b"Bob will fetch the mount on Friday.\n"
    _type(f"curl -u bob:bob-demo -T answer.txt {south.origin}{folder}/answer.txt")
    status, _ = south.request("PUT", f"{folder}/answer.txt", user="bob", body=text)
    _check(status in (201, 204), f"PUT answered {status}")
    arrived = north.folder / "files" / "alice" / "projects" / "telescope" / "answer.txt"
    _check(arrived.read_bytes() == text, "the file did not arrive")
    _note(f"{status}: it lies in alice's storage at north now")


def _revoke(north: Organisation, south: Organisation, share: Any, folder: str) -> None:
    _type(north.spelled("share", "revoke", share["id"]))
    revoked = north.command("share", "revoke", share["id"])
    _check(revoked.get("state") == "revoked", f"not revoked: {revoked}")
    status, _ = south.request("GET", f"{folder}/budget.csv", user="bob")
    _check(status == 404, f"GET still answered {status}")
    _note(f"GET now answers {status}: south was told SHARE_UNSHARED")
    status, _ = north.request("GET", f"/remote/dav/ocm/{share['id']}/budget.csv")
    _check(status == 401, f"north answered {status} without a token")
    left = south.command("received", "list", "--user", "bob")
    _check(all(one["providerId"] != share["id"] for one in left), "the share is still listed")


def _invite(north: Organisation, south: Organisation) -> None:
    _say("Both stay up until Ctrl-C. Next you may")
    _note("share with the other side, as alice or anna (north), bob or ben (south):")
    _type(north.spelled("share", "create", "-u", "anna", "/notes.txt", f"ben@{south.authority}"))
    _type(south.spelled("received", "list"))
    _type(south.spelled("received", "accept", "ID"))
    _note("open what was shared with ben in any WebDAV client, password ben-demo:")
    _type(f"{south.origin}/remote/dav/received/")
    _note(f"look at metrics: http://127.0.0.1:{south.management_port}/metrics")


def _say(text: str) -> None:
    typer.secho(f"\n{text}", bold=True)


def _type(command: str) -> None:
    typer.secho(f"  $ {command}", fg=typer.colors.CYAN)


def _note(text: str) -> None:
    typer.echo(f"    {text}")


def _check(worked: bool, otherwise: str) -> None:
    if not worked:
        raise Unavailable(f"the demonstration failed: {otherwise}")


def _expect(look: Any, otherwise: str) -> Any:
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.1)
    raise Unavailable(f"the demonstration failed: {otherwise}")
