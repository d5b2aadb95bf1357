"""`ocm-gateway contact`: the address books of local users."""

import json
from pathlib import Path
from typing import Annotated

import typer

from gateway.app import Gateway
from gateway.cli.console import ConfigOption, JsonOption, OwnerOption, UserOption, fail, run, show
from gateway.errors import Malformed
from gateway.model import Contact
from gateway.sharing.contacts import Taken
from gateway.web.records import contact, contact_line, taken

commands = typer.Typer(no_args_is_help=True)

ContactArgument = Annotated[str, typer.Argument(help="The id of the contact.")]


@commands.command("list")
def list_(
    user: OwnerOption = None,
    search: Annotated[str, typer.Option(help="Only those with this in name or address.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the contacts by name."""
    found = run(config, lambda gateway: gateway.contacts.all(user, search), as_json=as_json)
    show(
        [contact(one) for one in found],
        lambda: [contact_line(one) for one in found] or ["Nobody is known."],
        as_json=as_json,
    )


@commands.command("add")
def add(
    user: UserOption,
    address: Annotated[str, typer.Argument(help="Who: user@host[:port].")],
    name: Annotated[str, typer.Option(help="What to call them.")] = "",
    email: Annotated[str, typer.Option(help="Their mail address, for information.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Enter somebody's OCM Address."""

    async def work(gateway: Gateway) -> Contact:
        return await gateway.contacts.add(user, address.strip(), name=name, email=email)

    _show(run(config, work, as_json=as_json), as_json=as_json)


@commands.command("rename")
def rename(
    contact_id: ContactArgument,
    name: Annotated[str, typer.Argument(help='What to call them; "" for their own name.')],
    user: OwnerOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Call a contact otherwise."""

    async def work(gateway: Gateway) -> Contact:
        return await gateway.contacts.rename(contact_id, name, user=user)

    _show(run(config, work, as_json=as_json), as_json=as_json)


@commands.command("trust")
def trust(
    contact_id: ContactArgument,
    off: Annotated[bool, typer.Option("--off", help="Ask again before accepting.")] = False,
    user: OwnerOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Accept what a contact shares from now on without asking."""

    async def work(gateway: Gateway) -> Contact:
        return await gateway.contacts.trust(contact_id, not off, user=user)

    _show(run(config, work, as_json=as_json), as_json=as_json)


@commands.command("remove")
def remove(
    contact_id: ContactArgument,
    tell: Annotated[
        bool, typer.Option("--tell", help="End the shares both ways and tell the other side.")
    ] = False,
    user: OwnerOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Forget a contact. Nobody is told, and shares stay, unless you say --tell."""

    async def work(gateway: Gateway) -> Contact:
        return await gateway.contacts.remove(contact_id, user=user, tell=tell)

    _show(run(config, work, as_json=as_json), as_json=as_json)


@commands.command("export")
def export(
    user: OwnerOption = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write it there, not to the screen.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The contacts as an array of JSContact cards (RFC 9553)."""
    cards = run(config, lambda gateway: gateway.contacts.export(user), as_json=as_json)
    text = json.dumps(cards, indent=2, ensure_ascii=False)
    if output is None:
        typer.echo(text)
        return
    try:
        output.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        fail(Malformed(f"{output} cannot be written", detail=str(error)), as_json=as_json)
    show(
        {"file": str(output), "contacts": len(cards)},
        lambda: [f"{len(cards)} contacts in {output}"],
        as_json=as_json,
    )


@commands.command("import")
def import_(
    user: UserOption,
    file: Annotated[Path, typer.Argument(help="A JSContact card, or an array of cards.")],
    keep_trust: Annotated[
        bool, typer.Option("--keep-trust", help="Trust whom the cards call trusted.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take in the OCM Addresses of JSContact cards."""
    try:
        cards = file.read_bytes()
    except OSError as error:
        fail(Malformed(f"{file} cannot be read", detail=str(error)), as_json=as_json)

    async def work(gateway: Gateway) -> Taken:
        return await gateway.contacts.take_in(user, cards, keep_trust=keep_trust)

    found = run(config, work, as_json=as_json)
    show(
        taken(found),
        lambda: [
            *(contact_line(one) for one in found.contacts),
            *(f"left out: {reason}" for reason in found.left_out),
        ],
        as_json=as_json,
    )


def _show(one: Contact, *, as_json: bool) -> None:
    show(contact(one), lambda: [contact_line(one)], as_json=as_json)
