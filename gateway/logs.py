"""Events, not sentences: a name, and what belongs to it.

Written to standard error as text for people or as JSON lines. Secrets have no key here; a value
under a name that sounds like one is withheld all the same.
"""

import contextlib
import logging
import sys
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any, Literal

import structlog

_SECRET = ("authorization", "cookie", "password", "secret", "token", "code")


REQUEST: ContextVar[str] = ContextVar("request", default="")
"""The id of the request that the current task answers; it stands in each of its events."""
TRACE: ContextVar[str] = ContextVar("trace", default="")
"""The `traceparent` (W3C Trace Context) of that request, if it brought one; it is passed on."""
ADDRESS: ContextVar[str] = ContextVar("address", default="")
"""The network address that the request of the current task came from."""
STRONG: ContextVar[bool | None] = ContextVar("strong", default=None)
"""Whether the local user whom the current task serves proved several factors; None for nobody."""

_logger = structlog.get_logger()
_lowest: int = logging.DEBUG


def writes(level: str) -> bool:
    """Whether events of that level are written, for those who have to gather the facts first."""
    return bool(logging.getLevelName(level.upper()) >= _lowest)


def event(name: str, *, level: str = "info", **facts: Any) -> None:
    """Log that something happened: `event("share.received", sending_server=...)`."""
    getattr(_logger, level)(name, **facts)


def configure(level: str, form: Literal["text", "json"]) -> None:
    """Set level and form, once, at the start."""
    global _logger, _lowest  # noqa: PLW0603
    _lowest = logging.getLevelName(level.upper())
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            pad_event_to=0,
            # The pretty form prints local variables, and secrets are among them.
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    structlog.configure(
        processors=[
            _name_request,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _withhold,
            *([structlog.processors.format_exc_info] if form == "json" else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=_Stderr,
        cache_logger_on_first_use=True,
    )
    _logger = structlog.get_logger()


class _Stderr:
    """Writes lines to standard error, wherever that leads just now. A log that cannot be written
    must not cost an answer."""

    def __init__(self, *_: object) -> None:
        pass

    def msg(self, line: str) -> None:
        """Write one line."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(line + "\n")

    debug = info = warning = error = msg


def _name_request(_: object, __: str, facts: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if request := REQUEST.get():
        facts["request"] = request
    if trace := TRACE.get():
        facts["trace"] = trace.split("-")[1]
    return facts


def _withhold(_: object, __: str, facts: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in facts:
        if key in _SECRET:
            facts[key] = "(withheld)"
    return facts
