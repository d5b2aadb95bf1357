"""`ocm-gateway sweep`: close the shares whose time is over."""

from typing import Annotated

import typer

from gateway.app import Gateway
from gateway.cli.console import ConfigOption, JsonOption, run, show
from gateway.sharing.sweeping import Swept
from gateway.web.records import received, received_line, sent, sent_line


def sweep(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Close the shares whose time is over; a running server does so by itself every minute."""

    async def work(gateway: Gateway) -> Swept:
        return await (gateway.sweeping.look() if dry_run else gateway.sweeping.sweep())

    found = run(config, work, as_json=as_json)
    answer = {
        "dryRun": dry_run,
        "sent": [sent(share) for share in found.sent],
        "received": [received(share) for share in found.received],
    }
    lines = [sent_line(share) for share in found.sent]
    lines += [received_line(share) for share in found.received]
    show(answer, lambda: lines or ["No share is over."], as_json=as_json)
