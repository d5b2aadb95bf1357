"""`ocm-gateway peers`: the other servers that this one knows."""

from typing import Annotated, Any

import typer

from gateway.app import Gateway
from gateway.cli import federation, peers_import
from gateway.cli.console import ConfigOption, JsonOption, entered, run, show
from gateway.model import Authority, KeyStanding, Provider, ProviderKey, Standing
from gateway.ocm.address import authority
from gateway.providers.importing import thumbprint
from gateway.web.records import moment

commands = typer.Typer(help="The other servers that this one knows.", no_args_is_help=True)
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
        [described(one) for one in found],
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

    answer = described(found) | {"keys": [described_key(key) for key in keys]}
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
        pins = tuple(thumbprint(one) for one in pin or ())
        added = await gateway.others.registry.add(authority(host), comment or "", pins)
        await _enter(gateway, "peer.added", added.authority, comment, pins)
        return added

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
        registry, provider = gateway.others.registry, authority(host)
        if off:
            done = await registry.unpin(provider, thumbprint(key))
            await _enter(gateway, "peer.unpinned", provider, key)
            return done
        done = await registry.pin(provider, thumbprint(key) if key else "")
        pins = [
            one for one in await registry.keys_of(provider) if one.standing is KeyStanding.PINNED
        ]
        await _enter(gateway, "peer.pinned", provider, pins=tuple(one.thumbprint for one in pins))
        return done

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
        provider = await gateway.others.registry.reset(authority(host))
        await _enter(gateway, "peer.reset", provider.authority)
        return provider

    _answer(run(config, work, as_json=as_json), as_json=as_json)


@commands.command()
def remove(host: HostArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Forget a server altogether, a decision about it included."""

    async def work(gateway: Gateway) -> Authority:
        provider = authority(host)
        await gateway.others.registry.remove(provider)
        await _enter(gateway, "peer.removed", provider)
        return provider

    gone = run(config, work, as_json=as_json)
    show({"authority": gone, "removed": True}, lambda: [f"{gone} is forgotten."], as_json=as_json)


def described(provider: Provider) -> dict[str, Any]:
    """A server as JSON."""
    return {
        "authority": provider.authority,
        "standing": provider.standing.value,
        "source": provider.source.value,
        "firstSeenAt": provider.first_seen_at,
        "lastSeenAt": provider.last_seen_at,
        "scheme": provider.scheme.value,
        "ourScheme": provider.our_scheme.value,
        "dialect": provider.dialect,
        "apiVersion": provider.api_version,
        "capabilities": list(provider.capabilities),
        "comment": provider.comment,
        "failures": provider.failures,
        "failingSinceAt": provider.failing_since_at,
        "pausedUntil": provider.paused_until,
        "lastError": provider.last_error,
    }


def described_key(key: ProviderKey) -> dict[str, Any]:
    """A key of a server as JSON."""
    return {
        "thumbprint": key.thumbprint,
        "kid": key.kid,
        "algorithm": key.algorithm,
        "standing": key.standing.value,
        "firstSeenAt": key.first_seen_at,
        "lastSeenAt": key.last_seen_at,
    }


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
        provider = await gateway.others.registry.decide(authority(host), standing, comment)
        await _enter(gateway, f"peer.{standing.value}", provider.authority, comment)
        return provider

    _answer(run(config, work, as_json=as_json), as_json=as_json)


async def _enter(
    gateway: Gateway,
    what: str,
    provider: Authority,
    comment: str | None = None,
    pins: tuple[str, ...] = (),
) -> None:
    said = [*([comment] if comment else []), *(f"pinned {pin}" for pin in pins)]
    await entered(gateway, what, provider=provider, reason=", ".join(said))


def _answer(provider: Provider, *, as_json: bool) -> None:
    show(described(provider), lambda: [line(provider)], as_json=as_json)
