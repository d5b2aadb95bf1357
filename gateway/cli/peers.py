"""`ocm-gateway peers`: the other servers that this one knows."""

from typing import Annotated

import typer

from gateway.app import Gateway
from gateway.cli import federation, peers_import
from gateway.cli.console import ConfigOption, JsonOption, operator, run, show
from gateway.model import Authority, Provider, ProviderKey, Standing
from gateway.ocm.address import authority
from gateway.web.records import moment, server, server_key

commands = typer.Typer(no_args_is_help=True)
commands.command("import")(peers_import.import_)
commands.command("test")(federation.check)

HostArgument = Annotated[str, typer.Argument(help="The server: host[:port].")]
CommentOption = Annotated[str | None, typer.Option(help="A note for the operators.")]


@commands.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the servers that were added, dealt with or have proven themselves."""

    async def look(gateway: Gateway) -> list[Provider]:
        return await gateway.others.registry.all()

    found = run(config, look, as_json=as_json)
    show(
        [server(one) for one in found],
        lambda: [line(one) for one in found] or ["No server is known yet."],
        as_json=as_json,
    )


@commands.command("show")
def show_(host: HostArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show a server: what it can do, what it has proven, its keys, how it does."""

    async def look(gateway: Gateway) -> tuple[Provider, list[ProviderKey]]:
        provider = authority(host)
        registry = gateway.others.registry
        return await registry.by_authority(provider), await registry.keys_of(provider)

    found, keys = run(config, look, as_json=as_json)

    def lines() -> list[str]:
        return [
            line(found),
            f"  first seen    {moment(found.first_seen_at)}",
            f"  API version   {found.api_version or '-'}",
            f"  dialect       {found.dialect or '-'}",
            f"  capabilities  {' '.join(found.capabilities) or '-'}",
            f"  signs with    {found.scheme.value}; we to it: {found.our_scheme.value}",
            *(f"  key           {key.thumbprint}  {key.standing.value}  {key.kid}" for key in keys),
            *(
                [f"  fails         {found.failures} times: {found.last_error}"]
                * bool(found.failures)
            ),
        ]

    answer = server(found) | {"keys": [server_key(key) for key in keys]}
    show(answer, lines, as_json=as_json)


@commands.command()
def add(
    host: HostArgument,
    comment: CommentOption = None,
    pin: Annotated[
        list[str] | None,
        typer.Option(help="The thumbprint (RFC 7638) of a key; no other key is taken then."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a server as approved. Policy still judges it."""

    async def work(gateway: Gateway) -> Provider:
        return await gateway.operating.add(
            authority(host), by=operator(), comment=comment or "", pins=tuple(pin or ())
        )

    _answer(run(config, work, as_json=as_json), as_json=as_json)


@commands.command()
def pin(
    host: HostArgument,
    key: Annotated[
        str, typer.Argument(help="Its thumbprint (RFC 7638); else the only key there is.")
    ] = "",
    off: Annotated[bool, typer.Option("--off", help="Pin it no longer.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pin a key of a server: no other is taken then, whatever is published."""

    async def work(gateway: Gateway) -> Provider:
        if off:
            return await gateway.operating.unpin(authority(host), key, by=operator())
        return await gateway.operating.pin(authority(host), key, by=operator())

    _answer(run(config, work, as_json=as_json), as_json=as_json)


@commands.command()
def approve(
    host: HostArgument,
    comment: CommentOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Approve a server that waits, and trust those of its keys that do."""
    _decide(host, Standing.APPROVED, comment, config, as_json=as_json)


@commands.command()
def block(
    host: HostArgument,
    comment: CommentOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Block a server, whatever policy says: nothing is taken from it or sent to it."""
    _decide(host, Standing.BLOCKED, comment, config, as_json=as_json)


@commands.command()
def reset(host: HostArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Forget what a server has proven, its keys and its failures: it begins anew."""

    async def work(gateway: Gateway) -> Provider:
        return await gateway.operating.reset(authority(host), by=operator())

    _answer(run(config, work, as_json=as_json), as_json=as_json)


@commands.command()
def remove(host: HostArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Forget a server altogether, a decision about it included."""

    async def work(gateway: Gateway) -> Authority:
        provider = authority(host)
        await gateway.operating.remove(provider, by=operator())
        return provider

    gone = run(config, work, as_json=as_json)
    show({"authority": gone, "removed": True}, lambda: [f"{gone} is forgotten."], as_json=as_json)


def line(provider: Provider) -> str:
    """A server in a line."""
    last = moment(provider.last_seen_at) if provider.last_seen_at else "never"
    why = f"  {provider.comment}" if provider.comment else ""
    return (
        f"{provider.authority}  {provider.standing.value}  {provider.source.value}"
        f"  heard {last}  {provider.scheme.value}{why}"
    )


def _decide(
    host: str,
    standing: Standing,
    comment: str | None,
    config: ConfigOption,
    *,
    as_json: bool,
) -> None:
    async def work(gateway: Gateway) -> Provider:
        return await gateway.operating.decide(
            authority(host), standing, by=operator(), comment=comment
        )

    _answer(run(config, work, as_json=as_json), as_json=as_json)


def _answer(provider: Provider, *, as_json: bool) -> None:
    show(server(provider), lambda: [line(provider)], as_json=as_json)
