"""`ocm-gateway serve`: run the gateway."""

import asyncio
from collections.abc import Coroutine
from typing import Annotated

import typer

from gateway import app, logs
from gateway.cli.console import ConfigOption, config_file_of, fail, settings_of
from gateway.cli.workers import is_worker, supervise
from gateway.errors import GatewayError, Unavailable


def serve(
    config: ConfigOption = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Processes that share the port.")
    ] = None,
) -> None:
    """Run the gateway until SIGTERM or Ctrl-C."""
    settings = settings_of(config, as_json=False)
    logs.configure(settings.log.level, settings.log.format)
    workers = workers or settings.public.workers
    if workers > 1 and not is_worker():
        raise typer.Exit(supervise(config_file_of(config), workers))
    try:
        _run(app.serve(settings, shared_port=is_worker()))
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
