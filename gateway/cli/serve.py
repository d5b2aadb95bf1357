"""`ocm-gateway serve`: run the gateway."""

import asyncio
from collections.abc import Coroutine

import typer

from gateway import app, logs
from gateway.cli.console import ConfigOption, fail, settings_of
from gateway.errors import GatewayError, Unavailable


def serve(config: ConfigOption = None) -> None:
    """Run the gateway until SIGTERM or Ctrl-C."""
    settings = settings_of(config, as_json=False)
    logs.configure(settings.log.level, settings.log.format)
    try:
        _run(app.serve(settings))
    except GatewayError as error:
        fail(error, as_json=False)
    except OSError as error:
        problem = Unavailable("the gateway cannot listen", detail=str(error))
        fail(problem, as_json=False)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _run(coroutine: Coroutine[None, None, None]) -> None:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(coroutine)
