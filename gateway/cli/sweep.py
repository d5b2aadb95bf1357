"""`ocm-gateway sweep`: close the shares whose time is over, forget what ended long ago."""

from typing import Annotated, Any

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
    """Close what is over, forget what ended long ago; a server does so by itself every minute."""

    async def work(gateway: Gateway) -> Swept:
        return await (gateway.sweeping.look() if dry_run else gateway.sweeping.sweep())

    found = run(config, work, as_json=as_json)
    answer: dict[str, Any] = {
        "dryRun": dry_run,
        "sent": [sent(share) for share in found.sent],
        "received": [received(share) for share in found.received],
        "gone": [received(share) for share in found.gone],
        "given": [received(share) for share in found.given],
        "forgotten": {
            "sent": list(found.forgotten_sent),
            "received": list(found.forgotten_received),
            "invites": list(found.forgotten_invites),
            "requests": list(found.forgotten_requests),
        },
        "busy": found.busy,
    }
    lines = [sent_line(share) for share in found.sent]
    lines += [received_line(share) for share in found.received]
    lines += [f"gone at its server: {received_line(one)}" for one in found.gone]
    lines += [f"given to a new member of its group: {received_line(one)}" for one in found.given]
    forgotten = sum(map(len, answer["forgotten"].values()))
    if forgotten:
        lines.append(f"{'To forget' if dry_run else 'Forgotten'}: {forgotten} that ended long ago.")
    if found.busy:
        lines = ["Another process is sweeping just now."]
    show(answer, lambda: lines or ["No share is over."], as_json=as_json)
