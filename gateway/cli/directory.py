"""`ocm-gateway directory`: the lists of federations, read and published."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from jwcrypto.jwk import JWK

from gateway.app import Gateway
from gateway.cli.console import ConfigOption, JsonOption, fail, run, show
from gateway.errors import GatewayError, Malformed
from gateway.ocm import directory
from gateway.ocm.directory import Form
from gateway.providers.directories import DirectoryState, read_key
from gateway.web.records import directory_, moment

commands = typer.Typer(no_args_is_help=True)


class KeyKind(StrEnum):
    """The kinds of keys that a directory may be signed with."""

    ED25519 = "ed25519"
    P256 = "p256"
    RSA = "rsa"


_PARAMETERS: dict[KeyKind, dict[str, Any]] = {
    KeyKind.ED25519: {"kty": "OKP", "crv": "Ed25519"},
    KeyKind.P256: {"kty": "EC", "crv": "P-256"},
    KeyKind.RSA: {"kty": "RSA", "size": 3072},
}


@commands.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the Directory Services with their servers, as last fetched."""

    async def work(gateway: Gateway) -> list[DirectoryState]:
        return await gateway.directories.states()

    _show(run(config, work, as_json=as_json), as_json=as_json)


@commands.command("refresh")
def refresh(
    name: Annotated[str | None, typer.Argument(help="Only this one.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch the lists now. One that is refused leaves the last good one in place."""

    async def work(gateway: Gateway) -> list[DirectoryState]:
        return await gateway.directories.refresh(name)

    _show(run(config, work, as_json=as_json), as_json=as_json)


@commands.command("publish")
def publish(
    list_file: Annotated[
        Path, typer.Argument(help="YAML or JSON: federation, and servers with url, displayName.")
    ],
    output: Annotated[Path, typer.Argument(help="Where to write the signed list.")],
    key_file: Annotated[
        Path, typer.Option("--key", help="The private key, PEM or JWK; keep it offline.")
    ],
    form: Annotated[Form, typer.Option(help="How to write it.")] = Form.FLATTENED,
    as_json: JsonOption = False,
) -> None:
    """Sign a list of servers, for a web server to publish. Needs no configuration."""
    try:
        members = _members(list_file)
        listed = directory.parse_entries(members.get("federation"), members.get("servers"))
        key = read_key(key_file)
        document = directory.sign_directory(listed, key, form)
        directory.parse_directory(document.encode(), [key])
        _write(output, document.encode(), 0o644)
    except GatewayError as error:
        fail(error, as_json=as_json)
    answer = {
        "file": str(output),
        "federation": listed.federation,
        "servers": len(listed.servers),
        "key": directory.pin(key).jwk.export_public(as_dict=True),
    }
    show(
        answer,
        lambda: [f"{output}: {listed.federation}, {len(listed.servers)} servers"],
        as_json=as_json,
    )


@commands.command("new-key")
def new_key(
    file: Annotated[Path, typer.Argument(help="Where to write the private key; must not exist.")],
    kind: Annotated[KeyKind, typer.Option(help="Which kind.")] = KeyKind.ED25519,
    as_json: JsonOption = False,
) -> None:
    """Make a key to sign a directory with; prints the public half, for its readers to pin."""
    if file.exists():
        fail(Malformed(f"{file} exists already"), as_json=as_json)
    key = JWK.generate(**_PARAMETERS[kind])
    try:
        _write(file, key.export_to_pem(private_key=True, password=None), 0o600)
    except GatewayError as error:
        fail(error, as_json=as_json)
    public = key.export_to_pem().decode()
    show({"file": str(file), "publicKeyPem": public}, lambda: [public.strip()], as_json=as_json)


def _members(file: Path) -> dict[str, Any]:
    try:
        members = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Malformed(f"{file} cannot be read", detail=" ".join(str(error).split())) from error
    if not isinstance(members, dict):
        raise Malformed(f"{file} has no federation and servers")
    return members


def _write(file: Path, content: bytes, mode: int) -> None:
    """Whole or not at all: readers of a published list never see half of one."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
            out.write(content)
        draft.replace(file)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise Malformed(f"{file} cannot be written", detail=str(error)) from error


def _show(states: list[DirectoryState], *, as_json: bool) -> None:
    def lines() -> list[str]:
        found = []
        for one in states:
            fetched = moment(one.fetched_at) if one.fetched_at else "never fetched"
            found.append(f"{one.name}  {one.federation or '-'}  {fetched}  {one.url}")
            if one.error:
                found.append(f"  the last try failed: {one.error}")
            found += [f"  {server.url}  {server.display_name}" for server in one.servers]
        return found or ["There are no directories in the configuration."]

    show([directory_(one) for one in states], lines, as_json=as_json)
