"""`ocm-gateway outbox`: what has not reached another server yet."""

from typing import Annotated

import typer

from gateway.cli.console import ConfigOption, JsonOption, operator, run, show
from gateway.model import OutboxEntry
from gateway.web.records import errand, moment

commands = typer.Typer(no_args_is_help=True)


@commands.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the errands that wait, and those that were given up."""

    entries = run(config, lambda gateway: gateway.outbox.all(), as_json=as_json)

    def line(entry: OutboxEntry) -> str:
        when = "given up" if entry.dead else f"next {moment(entry.next_attempt_at)}"
        why = f": {entry.last_error}" if entry.last_error else ""
        return f"{entry.errand.value}  {entry.provider}  {entry.attempts} attempts, {when}{why}"

    show(
        [errand(entry) for entry in entries],
        lambda: [line(entry) for entry in entries] or ["The outbox is empty."],
        as_json=as_json,
    )


EntryArgument = Annotated[str, typer.Argument(help="The id of the errand.")]


@commands.command("retry")
def retry(entry: EntryArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Try an errand now, also one that was given up."""

    left = run(
        config, lambda gateway: gateway.operating.retry(entry, by=operator()), as_json=as_json
    )

    def lines() -> list[str]:
        return [f"It failed again: {left.last_error}"] if left else ["Done."]

    show({"done": left is None, "errand": left and errand(left)}, lines, as_json=as_json)


@commands.command("drop")
def drop(entry: EntryArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Forget an errand for good; a share that was not delivered yet counts as refused."""
    dropped = run(
        config, lambda gateway: gateway.operating.drop(entry, by=operator()), as_json=as_json
    )
    show(errand(dropped), lambda: [f"Dropped {dropped.errand.value}."], as_json=as_json)
