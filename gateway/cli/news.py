"""`ocm-gateway news`: what people are told by mail and webhook."""

from typing import Annotated

import typer

from gateway.app import Gateway
from gateway.cli.console import ConfigOption, JsonOption, UserOption, run, show
from gateway.model import News, Wishes
from gateway.web.records import moment, news

commands = typer.Typer(no_args_is_help=True)


@commands.command("waiting")
def waiting(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List what is still to be told, the oldest first."""

    async def look(gateway: Gateway) -> list[News]:
        return await gateway.newsroom.waiting()

    found = run(config, look, as_json=as_json)
    show(
        [news(one) for one in found],
        lambda: [_line(one) for one in found] or ["Everything is told."],
        as_json=as_json,
    )


@commands.command("mail")
def mail(
    user: UserOption,
    on: Annotated[
        bool | None, typer.Option("--on/--off", help="Mail them, or no longer; else only show it.")
    ] = None,
    language: Annotated[
        str | None, typer.Option(help='In which language, such as de; "" for that of this server.')
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show or change whether a user is mailed about shares, answers, invites and requests."""

    async def work(gateway: Gateway) -> Wishes:
        if (on, language) != (None, None):
            await gateway.newsroom.wish(user, by_mail=on, language=language)
        return await gateway.newsroom.wishes(user)

    wishes = run(config, work, as_json=as_json)
    spoken = f", in {wishes.language}" if wishes.language else ""
    show(
        {"user": user, "byMail": wishes.by_mail, "language": wishes.language},
        lambda: [f"{user} is {'' if wishes.by_mail else 'not '}mailed{spoken}."],
        as_json=as_json,
    )


def _line(one: News) -> str:
    return (
        f"{moment(one.at)}  {one.way.value:7}  {one.kind.value} of {one.who} for {one.user}"
        f"  tried {one.attempts} times, next at {moment(one.next_attempt_at)}"
    )
