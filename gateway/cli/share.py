"""`ocm-gateway share`: what local users share with people at other servers."""

from typing import Annotated

import typer

from gateway.app import Gateway
from gateway.cli.console import (
    REFUSED,
    TRY_AGAIN,
    ConfigOption,
    JsonOption,
    OwnerOption,
    UserOption,
    fail,
    run,
    show,
    until,
)
from gateway.errors import Malformed
from gateway.model import AccessLine, OutboxEntry, Permission, SentShare, SentState, ShareType
from gateway.sharing.changing import Change, Changed
from gateway.sharing.recipients import Recipient
from gateway.sharing.sending import Offer
from gateway.web.records import (
    access,
    access_line,
    errand,
    public_link,
    recipient,
    sent,
    sent_line,
    visit,
)

commands = typer.Typer(no_args_is_help=True)


@commands.command("create")
def create(
    user: UserOption,
    path: Annotated[str, typer.Argument(help="What: a path in the user's files.")],
    share_with: Annotated[str, typer.Argument(help="With whom: user@host[:port].")],
    permissions: Annotated[
        str, typer.Option("--permissions", "-p", help="Out of read, write, share; by commas.")
    ] = "read",
    expires: Annotated[
        str | None,
        typer.Option(help="Until when: 2027-01-31, 2027-01-31T12:00:00Z, seconds, or +30d/+12h."),
    ] = None,
    exchange: Annotated[
        bool | None,
        typer.Option(
            "--must-exchange-token/--no-exchange",
            help="Demand the token exchange, or do without; else it is used where possible.",
        ),
    ] = None,
    mfa: Annotated[
        bool, typer.Option("--mfa", help="Open only after a log-in with several factors.")
    ] = False,
    group: Annotated[bool, typer.Option("--group", help="With a group of that name.")] = False,
    description: Annotated[str, typer.Option(help="A note for the recipient.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Share a file or folder. Exits with 4 when the other server refuses."""
    try:
        offer = Offer(
            user=user,
            path=path,
            share_with=share_with.strip(),
            permissions=permissions_of(permissions),
            expiration_at=until(expires),
            must_exchange_token=exchange,
            must_use_mfa=mfa,
            description=description,
            share_type=ShareType.GROUP if group else ShareType.USER,
        )
    except Malformed as error:
        fail(error, as_json=as_json)
    share = run(config, lambda gateway: gateway.sending.create_share(offer), as_json=as_json)
    show(sent(share), lambda: _outcome(share), as_json=as_json)
    if share.state is SentState.REFUSED:
        raise typer.Exit(REFUSED)


@commands.command("look")
def look(
    user: UserOption,
    address: Annotated[str, typer.Argument(help="With whom: user@host[:port].")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """See whether somebody can be shared with, and what may be demanded of their server.

    Exits with 4 when nothing can be shared there.
    """
    seen = run(config, lambda gateway: gateway.recipients.look(user, address), as_json=as_json)
    show(recipient(seen), lambda: _seen(seen), as_json=as_json)
    if seen.problem:
        raise typer.Exit(REFUSED)


@commands.command("list")
def list_(
    user: OwnerOption = None,
    search: Annotated[str, typer.Option(help="Only those with this in name or recipient.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the shares, the newest first."""

    async def find(gateway: Gateway) -> list[SentShare]:
        return await gateway.sending.all(user, search=search)

    shares = run(config, find, as_json=as_json)
    show(
        [sent(share) for share in shares],
        lambda: [sent_line(share) for share in shares] or ["Nothing is shared."],
        as_json=as_json,
    )


@commands.command("show")
def show_(
    share_id: Annotated[str, typer.Argument(help="The id of the share.")],
    user: OwnerOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one share."""

    async def find(gateway: Gateway) -> SentShare:
        return await gateway.sending.by_id(share_id, owner=user)

    share = run(config, find, as_json=as_json)
    show(sent(share), lambda: [sent_line(share)], as_json=as_json)


@commands.command("update")
def update(
    share_id: Annotated[str, typer.Argument(help="The id of the share.")],
    permissions: Annotated[
        str | None,
        typer.Option("--permissions", "-p", help="Out of read, write, share; by commas."),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(help="Until when: 2027-01-31, 2027-01-31T12:00:00Z, seconds, or +30d/+12h."),
    ] = None,
    no_expiry: Annotated[bool, typer.Option("--no-expiry", help="It lasts.")] = False,
    user: OwnerOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a share other permissions or another end. They hold at once."""
    try:
        if permissions is None and expires is None and not no_expiry:
            raise Malformed("say what to change: --permissions, --expires or --no-expiry")
        wanted = Change(
            permissions=None if permissions is None else permissions_of(permissions),
            expiration_at=until(expires),
            endless=no_expiry,
        )
    except Malformed as error:
        fail(error, as_json=as_json)

    async def change(gateway: Gateway) -> Changed:
        return await gateway.changing.change(share_id, wanted, owner=user)

    changed = run(config, change, as_json=as_json)
    told = "The other server is told." if changed.told else "The other server is not told."
    show(
        sent(changed.share) | {"told": changed.told},
        lambda: [sent_line(changed.share), told],
        as_json=as_json,
    )


@commands.command("revoke")
def revoke(
    share_id: Annotated[str, typer.Argument(help="The id of the share.")],
    user: OwnerOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Withdraw a share. Access ends at once; the other server is told."""

    async def withdraw(gateway: Gateway) -> SentShare:
        return await gateway.sending.revoke(share_id, owner=user)

    share = run(config, withdraw, as_json=as_json)
    show(sent(share), lambda: [sent_line(share)], as_json=as_json)


@commands.command("retry")
def retry(
    share_id: Annotated[str, typer.Argument(help="The id of the share.")],
    user: OwnerOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell the other server now what it was not told yet. Exits with 6 when it fails again."""

    async def tell(gateway: Gateway) -> tuple[SentShare, list[OutboxEntry]]:
        share = await gateway.sending.by_id(share_id, owner=user)
        left = await gateway.outbox.retry_about(share.provider_id)
        return await gateway.sending.by_id(share_id), left

    share, left = run(config, tell, as_json=as_json)
    show(
        sent(share) | {"errands": [errand(one) for one in left]},
        lambda: [sent_line(share), *_failed(left)],
        as_json=as_json,
    )
    if left:
        raise typer.Exit(TRY_AGAIN)


@commands.command("link")
def link(
    share_id: Annotated[str, typer.Argument(help="The id of the share.")],
    off: Annotated[bool, typer.Option("--off", help="Take the link away.")] = False,
    user: OwnerOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a public link by which others ask for a share like it, in place of an earlier one."""

    async def switch(gateway: Gateway) -> str:
        if off:
            await gateway.links.switch_off(share_id, owner=user)
            return ""
        return await gateway.links.switch_on(share_id, owner=user)

    made = run(config, switch, as_json=as_json)
    show(
        public_link(share_id, made or None, on=bool(made)),
        lambda: [made or "There is no link any more."],
        as_json=as_json,
    )


@commands.command("asked")
def asked(
    share_id: Annotated[str, typer.Argument(help="The id of the share.")],
    user: OwnerOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List who asked by the public link of a share, the newest first."""

    async def visits(gateway: Gateway) -> list[tuple[str, int]]:
        return await gateway.links.visits(share_id, owner=user)

    found = run(config, visits, as_json=as_json)
    show(
        [visit(*one) for one in found],
        lambda: [who for who, _ in found] or ["Nobody asked."],
        as_json=as_json,
    )


@commands.command("accesses")
def accesses(
    share_id: Annotated[str, typer.Argument(help="The id of the share.")],
    user: OwnerOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List who came to a share, the newest first: to look, to read or to write."""

    async def lines(gateway: Gateway) -> list[AccessLine]:
        share = await gateway.sending.by_id(share_id, owner=user)
        return await gateway.accesses.of(share.provider_id)

    found = run(config, lines, as_json=as_json)
    show(
        [access(one) for one in found],
        lambda: [access_line(one) for one in found] or ["Nobody came."],
        as_json=as_json,
    )


def _seen(seen: Recipient) -> list[str]:
    if seen.problem:
        return [f"No: {seen.problem}."]
    demands = {"--mfa": seen.demands_mfa, "--must-exchange-token": seen.demands_exchange}
    possible = [name for name, can in demands.items() if can]
    lines = [f"Yes: {seen.provider} can be reached and takes shares ({seen.product})."]
    if possible:
        lines.append(f"It may be demanded: {', '.join(possible)}.")
    if seen.read_only:
        lines.append("Policy lets them read only.")
    if seen.longest_days:
        lines.append(f"Policy ends it after {seen.longest_days} days.")
    return lines


def _failed(left: list[OutboxEntry]) -> list[str]:
    return [f"It failed again: {one.last_error}" for one in left if one.last_error]


def _outcome(share: SentShare) -> list[str]:
    match share.state:
        case SentState.PENDING:
            return [sent_line(share), "Not delivered yet; it will be tried again."]
        case SentState.HELD:
            return [sent_line(share), "Held for review; `review release` lets it go."]
        case SentState.REFUSED:
            return [sent_line(share), f"Refused: {share.reason}"]
    return [sent_line(share)]


def permissions_of(text: str) -> frozenset[Permission]:
    """Permissions by commas; Malformed for others."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    unknown = sorted(set(words) - set(Permission))
    if unknown or not words:
        raise Malformed(
            f"permissions are read, write and share, not {', '.join(unknown) or 'none'}"
        )
    return frozenset(Permission(word) for word in words)
