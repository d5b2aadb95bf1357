"""Directories by command: published by one operator, read by another."""

import json

import pytest
import yaml
from typer.testing import CliRunner

from gateway.cli import console
from gateway.cli.main import app
from gateway.ocm.directory import parse_directory
from tests.cli.test_commands import _own_log, command, configured, peer, said, storage
from tests.peer import Answer

__all__ = ["_own_log", "command", "peer", "storage"]


@pytest.mark.parametrize("kind", ["ed25519", "p256", "rsa"])
@pytest.mark.parametrize("form", ["compact", "flattened", "general"])
def test_an_operator_publishes_and_another_reads(tmp_path, storage, peer, kind, form):
    without = configured(tmp_path / "unused", storage)
    listed, out, key = (tmp_path / name for name in ("list.yaml", "out.json", "private.pem"))
    servers = [{"url": f"http://{peer.authority}", "displayName": "The peer"}]
    listed.write_text(yaml.safe_dump({"federation": "Science", "servers": servers}))
    made = _run("directory", "new-key", str(key), "--kind", kind)
    assert key.stat().st_mode & 0o777 == 0o600
    assert "PRIVATE" not in json.dumps(made)
    done = _run("directory", "publish", str(listed), str(out), "--key", str(key), "--form", form)
    assert (done["federation"], done["servers"]) == ("Science", 1)
    assert "d" not in done["key"]
    assert parse_directory(out.read_bytes(), [made["publicKeyPem"]]).federation == "Science"
    pinned = tmp_path / "public.pem"
    pinned.write_text(made["publicKeyPem"])
    peer.on("GET /list", Answer(body=out.read_bytes()))
    service = {"name": "science", "url": f"{peer.origin}/list", "key_files": [str(pinned)]}
    command = configured(tmp_path, storage, directories={"services": [service]})
    [read] = command("directory", "refresh")
    assert read["servers"] == servers
    assert command("directory", "list") == [read]
    assert without("directory", "list") == []


def test_what_cannot_be_published_is_told(tmp_path):
    listed, out, key = (tmp_path / name for name in ("list.yaml", "out.json", "private.pem"))
    _run("directory", "new-key", str(key))
    said(_run("directory", "new-key", str(key), code=console.USAGE))
    for text in ("- 1", "{", "federation: F\nservers:\n- url: https://a.example/x"):
        listed.write_text(text)
        words = ("directory", "publish", str(listed), str(out), "--key", str(key))
        said(_run(*words, code=console.USAGE))
    assert not out.exists()


def test_an_unknown_directory_is_told(command):
    said(command("directory", "refresh", "none", code=console.NOT_FOUND))


def _run(*words, code=0):
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == code, f"{done.output} {done.exception!r}"
    return json.loads(done.stdout)
