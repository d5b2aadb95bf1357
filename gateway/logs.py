"""Events, not sentences: a name, and what belongs to it.

Written to standard error as text for people or as JSON lines. Secrets have no key here; a value
under a name that sounds like one is withheld all the same.
"""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal

import structlog

_SECRET = ("authorization", "cookie", "password", "secret", "token", "code")


def event(name: str, *, level: str = "info", **facts: Any) -> None:
    """Log that something happened: `event("share.received", sending_server=...)`."""
    getattr(structlog.get_logger(), level)(name, **facts)


def bind(**facts: Any) -> Mapping[str, Any]:
    """Add facts to every event of the current task, such as the request's id."""
    return structlog.contextvars.bind_contextvars(**facts)


def configure(level: str, form: Literal["text", "json"]) -> None:
    """Set level and form, once, at the start."""
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _withhold,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def _withhold(_: object, __: str, facts: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in facts:
        if key in _SECRET:
            facts[key] = "(withheld)"
    return facts
