"""`ocm-gateway serve`: run the gateway."""

import asyncio
import ctypes
import gc
import os
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import Annotated

import typer

from gateway import app, logs, serving
from gateway.cli.console import ConfigOption, config_file_of, fail, settings_of
from gateway.cli.workers import is_worker, supervise
from gateway.config import Config
from gateway.errors import GatewayError, Unavailable

_MIB = 1024 * 1024
_MALLOC = {-3: 8 * _MIB, -1: 32 * _MIB, -2: 2 * _MIB}
"""mallopt(3): M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD."""


def serve(
    config: ConfigOption = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Processes that share the port.")
    ] = None,
) -> None:
    """Run the gateway until SIGTERM or Ctrl-C."""
    # Until it is heard, a SIGHUP must not end us; what it asks for is done by the start itself.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    settings = settings_of(config, as_json=False)
    logs.configure(settings.log.level, settings.log.format)
    workers = workers or settings.public.workers
    if workers > 1 and not is_worker():
        raise typer.Exit(supervise(config_file_of(config), workers))
    _prepare(settings)
    try:
        _run(serving.serve(settings, shared_port=is_worker()))
    except GatewayError as error:
        fail(error, as_json=False)
    except OSError as error:
        problem = Unavailable("the gateway cannot listen", detail=str(error))
        fail(problem, as_json=False)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _prepare(settings: Config) -> None:
    """Bring the tables to their newest form in a process of its own: what a migration loads is gone
    with it, and not carried by the server all its life. A failure is met, and told, by the server.
    """
    child = os.fork()
    if not child:
        with suppress(BaseException):
            asyncio.run(app.prepare(settings))
        os._exit(0)
    os.waitpid(child, 0)


def _tune() -> None:
    """Spend less on memory: what is loaded stays, and buffers of a body are not given back and
    fetched again for each piece (glibc would map each one above 128 KiB anew)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        for parameter, value in _MALLOC.items():
            mallopt(parameter, value)


def _run(coroutine: Coroutine[None, None, None]) -> None:
    import uvloop

    _tune()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(coroutine)
