"""`ocm-gateway invite`: how local users and people at other servers come to know each other."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.app import Gateway
from gateway.cli.console import (
    ConfigOption,
    JsonOption,
    OwnerOption,
    UserOption,
    fail,
    run,
    show,
    until,
)
from gateway.errors import GatewayError, Malformed
from gateway.model import Contact, SentInvite
from gateway.ocm.invites import parse_invite
from gateway.sharing import messages
from gateway.web.records import contact, contact_line, invite, invite_line

commands = typer.Typer(no_args_is_help=True)

Shown = tuple[SentInvite, str, str]
"""An Invite, its invite string and its link."""

MailOption = Annotated[str, typer.Option("--mail-to", help="Mail it to this address.")]
MessageOption = Annotated[str, typer.Option(help="A few words for that mail.")]
InviteArgument = Annotated[str, typer.Argument(help="The id of the invite.")]


@commands.command("create")
def create(
    user: UserOption,
    note: Annotated[str, typer.Option(help="A note to the inviter, such as for whom it is.")] = "",
    mail_to: MailOption = "",
    message: MessageOption = "",
    expires: Annotated[
        str | None,
        typer.Option(help="Until when: 2027-01-31, 2027-01-31T12:00:00Z, seconds, or +30d/+12h."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an invite. Whoever gets its string first may accept it."""
    try:
        expiration_at = until(expires)
    except Malformed as error:
        fail(error, as_json=as_json)

    async def work(gateway: Gateway) -> Shown:
        made = await gateway.inviting.create_invite(user, note=note, expiration_at=expiration_at)
        if mail_to:
            made = await gateway.messages.mail(made.id, mail_to, text=message)
        return _with_forms(gateway, made)

    _show(run(config, work, as_json=as_json), as_json=as_json)


@commands.command("list")
def list_(
    user: OwnerOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List the invites, the newest first."""

    async def work(gateway: Gateway) -> list[Shown]:
        invites = await gateway.inviting.all(user)
        return [_with_forms(gateway, one) for one in invites]

    found = run(config, work, as_json=as_json)
    show(
        [invite(*one) for one in found],
        lambda: [invite_line(one) for one, _, _ in found] or ["Nobody was invited."],
        as_json=as_json,
    )


@commands.command("show")
def show_(
    invite_id: InviteArgument,
    qr: Annotated[
        Path | None, typer.Option("--qr", help="Write its QR code there, as an SVG.")
    ] = None,
    user: OwnerOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one invite with its invite string."""

    async def work(gateway: Gateway) -> Shown:
        found = await gateway.inviting.by_id(invite_id, sender=user)
        return _with_forms(gateway, found)

    shown = run(config, work, as_json=as_json)
    if qr is not None:
        _, text, link = shown
        try:
            if not text:
                raise Malformed("the invite cannot be accepted any more")
            qr.write_text(messages.qr(link or text), encoding="utf-8")
        except Malformed as error:
            fail(error, as_json=as_json)
        except OSError as error:
            fail(Malformed(f"{qr} cannot be written", detail=str(error)), as_json=as_json)
    _show(shown, as_json=as_json)


@commands.command("withdraw")
def withdraw(
    invite_id: InviteArgument,
    user: OwnerOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take an invite back, before somebody accepts it."""

    async def work(gateway: Gateway) -> Shown:
        return _with_forms(gateway, await gateway.inviting.withdraw(invite_id, sender=user))

    _show(run(config, work, as_json=as_json), as_json=as_json)


@commands.command("resend")
def resend(
    invite_id: InviteArgument,
    mail_to: MailOption = "",
    message: MessageOption = "",
    user: OwnerOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let an invite last anew, even one that has expired; mail it again if it was mailed."""

    async def work(gateway: Gateway) -> Shown:
        renewed = await gateway.inviting.renew(invite_id, sender=user)
        if mail_to or (renewed.email and gateway.messages.by_mail):
            renewed = await gateway.messages.mail(renewed.id, mail_to, text=message)
        return _with_forms(gateway, renewed)

    _show(run(config, work, as_json=as_json), as_json=as_json)


@commands.command("accept")
def accept(
    user: UserOption,
    text: Annotated[str, typer.Argument(help="The invite string, or the link.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Accept an invite of somebody at another server: they become a contact."""
    try:
        wanted = parse_invite(text)
    except GatewayError as error:
        fail(error, as_json=as_json)

    async def work(gateway: Gateway) -> Contact:
        return await gateway.inviting.accept_invite(user, wanted)

    made = run(config, work, as_json=as_json)
    show(contact(made), lambda: [contact_line(made)], as_json=as_json)


def _show(shown: Shown, *, as_json: bool) -> None:
    found, text, link = shown
    lines = [invite_line(found), *filter(None, (text, link))]
    show(invite(found, text, link), lambda: lines, as_json=as_json)


def _with_forms(gateway: Gateway, one: SentInvite) -> Shown:
    return one, gateway.inviting.string_of(one), gateway.inviting.link_of(one)
