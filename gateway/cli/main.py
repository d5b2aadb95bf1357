"""The command `ocm-gateway`: every command, one file each."""

import sys
from contextlib import suppress

import typer

from gateway import __version__
from gateway.cli import (
    audit,
    configuration,
    contact,
    db,
    dialects,
    directory,
    discover,
    federation,
    invite,
    keys,
    news,
    outbox,
    peers,
    policy,
    received,
    request,
    review,
    sessions,
    share,
)
from gateway.cli.check import check
from gateway.cli.console import USAGE, JsonOption, fail, show
from gateway.cli.demo import demo
from gateway.cli.doctor import doctor
from gateway.cli.serve import serve
from gateway.cli.simulate import simulate
from gateway.cli.sweep import sweep
from gateway.errors import Malformed
from gateway.ocm.json import encodable

app = typer.Typer(
    help="Open Cloud Mesh for WebDAV storage that lacks it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(serve)
app.command()(check)
app.command()(doctor)
app.command()(demo)
app.command()(simulate)
app.command()(sweep)
app.add_typer(configuration.commands, name="config")
app.add_typer(share.commands, name="share")
app.add_typer(received.commands, name="received")
app.add_typer(request.commands, name="request")
app.add_typer(review.commands, name="review")
app.add_typer(invite.commands, name="invite")
app.add_typer(contact.commands, name="contact")
app.add_typer(directory.commands, name="directory")
app.command()(discover.discover)
app.add_typer(federation.commands, name="federation")
app.add_typer(dialects.commands, name="dialects")
app.add_typer(keys.commands, name="keys")
app.add_typer(peers.commands, name="peers")
app.add_typer(policy.commands, name="policy")
app.add_typer(news.commands, name="news")
app.add_typer(outbox.commands, name="outbox")
app.add_typer(audit.commands, name="audit")
app.add_typer(db.commands, name="db")
app.add_typer(sessions.commands, name="sessions")


@app.command()
def version(*, as_json: JsonOption = False) -> None:
    """Print the version."""
    show({"version": __version__}, lambda: [__version__], as_json=as_json)


def main() -> None:
    """Run the command line; with --json, a wrong command line is told of in JSON as well."""
    as_json = "--json" in sys.argv
    if not all(map(encodable, sys.argv)):
        with suppress(typer.Exit):
            fail(Malformed("the command line is not in UTF-8"), as_json=as_json)
        sys.exit(USAGE)
    if not as_json:
        app()
        return
    try:
        code = app(standalone_mode=False)
    except typer.TyperException as error:
        told = {"code": Malformed.code, "message": error.format_message(), "detail": ""}
        show({"error": told}, list, as_json=True)
        code = USAGE
    sys.exit(code)
