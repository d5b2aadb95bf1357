"""`ocm-gateway policy`: the rules in force, why they decided as they did, and what they would."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from gateway.app import Gateway
from gateway.cli import policy_lists
from gateway.cli.console import REFUSED, ConfigOption, JsonOption, run, show
from gateway.errors import Malformed
from gateway.model import Decision
from gateway.ocm.address import authority
from gateway.policy import bundles, explaining, overview, rehearsing, sources
from gateway.policy.cases import read_cases
from gateway.policy.language import read_text
from gateway.policy.lint import lint
from gateway.providers.directories import read_key
from gateway.web.records import moment

commands = typer.Typer(no_args_is_help=True)
commands.command("import")(policy_lists.import_)
commands.command()(policy_lists.export)
commands.command()(policy_lists.history)
commands.command()(policy_lists.rollback)


@commands.command("show")
def show_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show the policy in force: its rules, where they come from, and what is wrong."""

    async def look(gateway: Gateway) -> dict[str, Any]:
        return overview.described(await _seen(gateway))

    found = run(config, look, as_json=as_json)

    def lines() -> list[str]:
        return [
            f"policy {found['version']}, default {found['default']}",
            *(
                f"  {one['id']}  {one['then']}  decided {one['decided']}  {one['comment']}"
                for one in found["rules"]
            ),
            *(f"  fault: {fault}" for fault in found["faults"]),
        ]

    show(found, lines, as_json=as_json)


@commands.command()
def explain(
    decision: Annotated[str, typer.Argument(help="The id that the other side was told.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain a decision: what was known, the rules that were tried, the near misses."""

    async def look(gateway: Gateway) -> Decision:
        return await gateway.ledger.by_id(decision)

    found = explaining.decision(run(config, look, as_json=as_json))
    show(found, lambda: _told(found), as_json=as_json)


@commands.command("what-if")
def what_if(
    action: Annotated[str, typer.Argument(help="What is to be done: share-in, access, ...")],
    host: Annotated[str, typer.Argument(help="The other server: host[:port].")],
    fact: Annotated[
        list[str] | None, typer.Option("--fact", help="What is known: user=alice, invited=true.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell what would be decided, and why. Nothing is counted or written down."""

    async def look(gateway: Gateway) -> dict[str, Any]:
        given = {"action": action, "server": host} | _facts(fact or [])
        return rehearsing.what_if(gateway.others.doorkeeper, given)

    found = run(config, look, as_json=as_json)
    show(found, lambda: _told(found), as_json=as_json)


@commands.command("test")
def try_(
    file: Annotated[Path, typer.Argument(help="Cases in YAML: facts, and what to expect.")],
    candidate: Annotated[
        Path | None, typer.Option("--policy", help="Judge by this text, not by what is in force.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try the operator's own cases; exit 4 when one comes out otherwise."""

    async def look(gateway: Gateway) -> list[dict[str, Any]]:
        cases = read_cases(_text(file))
        keeper = gateway.others.doorkeeper
        policy = keeper.in_force.policy
        if candidate:
            policy = sources.alone(read_text(_text(candidate), candidate.name), policy.default)
        return rehearsing.tried(keeper, policy, cases)

    found = run(config, look, as_json=as_json)
    missed = [one for one in found if not one["met"]]
    show(
        {"cases": found, "failed": len(missed)},
        lambda: [
            *(f"case {one['case']}: not {one['expected']}, {one['reason']}" for one in missed),
            f"{len(found) - len(missed)} of {len(found)} cases come out as expected.",
        ],
        as_json=as_json,
    )
    if missed:
        raise typer.Exit(REFUSED)


@commands.command("lint")
def lint_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Find shadowed, unused and contradictory rules; exit 4 when there are some."""

    async def look(gateway: Gateway) -> list[dict[str, str]]:
        policy = gateway.others.doorkeeper.in_force.policy
        found = lint(policy, await gateway.live.sources(), gateway.clock())
        return [one.described() for one in found]

    found = run(config, look, as_json=as_json)
    show(
        found,
        lambda: (
            [f"{one['about']} is {one['kind']}: {one['said']}" for one in found]
            or ["Nothing is odd."]
        ),
        as_json=as_json,
    )
    if found:
        raise typer.Exit(REFUSED)


@commands.command()
def decisions(
    host: Annotated[str | None, typer.Option(help="Only about this server.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the latest decisions, the newest first."""
    wanted = {"provider": authority(host)} if host else {}
    _list(config, lambda: wanted, as_json=as_json)


@commands.command()
def shadow(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the decisions that the rehearsed policy would make differently."""
    _list(config, lambda: {"shadowed": True}, as_json=as_json)


@commands.command()
def publish(
    file: Annotated[Path, typer.Argument(help="The policy, in YAML or JSON.")],
    output: Annotated[Path, typer.Argument(help="Where to write the signed bundle.")],
    key_file: Annotated[Path, typer.Option("--key", help="The private key, PEM or JWK.")],
    version: Annotated[int, typer.Option(min=1, help="Greater than that of any bundle before.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign a policy as a bundle, for any web server to serve and many gateways to follow."""

    async def work(gateway: Gateway) -> dict[str, Any]:
        document = read_text(_text(file), file.name)
        sources.alone(document, gateway.others.doorkeeper.in_force.policy.default)
        text = bundles.sign(document, version, gateway.clock(), read_key(key_file))
        try:
            output.write_text(text, encoding="ascii")
        except OSError as error:
            raise Malformed(f"{output} cannot be written", detail=str(error)) from error
        return {"file": str(output), "version": version, "bytes": len(text)}

    done = run(config, work, as_json=as_json)
    show(done, lambda: [f"Version {version} stands in {output}."], as_json=as_json)


async def _seen(gateway: Gateway) -> overview.Overview:
    keeper = gateway.others.doorkeeper
    return await overview.overview(keeper, gateway.live, gateway.ledger, gateway.clock())


def _list(config: ConfigOption, wanted: Callable[[], dict[str, Any]], *, as_json: bool) -> None:
    async def look(gateway: Gateway) -> list[Decision]:
        return await gateway.ledger.latest(**wanted())

    found = run(config, look, as_json=as_json)
    show(
        [explaining.decision(one) for one in found],
        lambda: (
            [
                f"{one.id}  {moment(one.at)}  {one.action}  {one.provider}  {one.outcome}"
                f"  {one.rule}{f'  (rehearsed: {one.shadow})' if one.shadow else ''}"
                for one in found
            ]
            or ["There are none."]
        ),
        as_json=as_json,
    )


def _told(found: dict[str, Any]) -> list[str]:
    steps = [
        f"  {step['step']}: {json.dumps(step.get('said', step.get('tried')), ensure_ascii=False)}"
        for step in found["chain"]
    ]
    return [f"{found['outcome']}: {found['reason']}", *steps]


def _facts(given: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise Malformed(f"{one!r} is not like user=alice")
        try:
            found[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise Malformed(f"{one!r} is not like user=alice") from error
    return found


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Malformed(f"{file} cannot be read", detail=str(error)) from error
