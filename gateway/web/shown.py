"""How pages show times and sizes, in the language of the visitor."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from babel import Locale
from babel.dates import format_datetime, format_timedelta
from babel.numbers import format_decimal
from markupsafe import Markup

_KEPT = 4096
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


_BROWSERS = {  # in this order: those further up also call themselves by the names below
    "Edg": "Edge",
    "OPR/": "Opera",
    "Firefox/": "Firefox",
    "Chrome/": "Chrome",
    "Version/": "Safari",
}
_SYSTEMS = {
    "Android": "Android",
    "iPhone": "iOS",
    "iPad": "iPadOS",
    "Windows": "Windows",
    "Mac OS X": "macOS",
    "Linux": "Linux",
}


def agent(text: str) -> str:
    """A User-Agent in two words where it is a browser's (RFC 9110, 10.1.5), else as it came."""
    browser = next((name for mark, name in _BROWSERS.items() if mark in text), "")
    system = next((name for mark, name in _SYSTEMS.items() if mark in text), "")
    return f"{browser}, {system}" if browser and system else text


def filters(code: str) -> dict[str, Callable[..., str]]:
    """The filters of the templates in one language: `when` and `ago` of seconds since the epoch,
    `bytes` of a size, `agent` of a User-Agent."""
    locale = Locale.parse(code, sep="-")

    @lru_cache(_KEPT)  # most of a long list is seen again, and this is the dearest part of it
    def when(seconds: int) -> Markup:
        moment = datetime.fromtimestamp(seconds, UTC)
        text = format_datetime(moment, "medium", locale=locale) + " UTC"
        return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(), text)

    def ago(seconds: int, now: int) -> str:
        return format_timedelta(seconds - now, add_direction=True, locale=locale)

    def size(number: int | None) -> str:
        if number is None:
            return ""
        value, unit = float(number), 0
        while value >= 1024 and unit + 1 < len(_UNITS):
            value, unit = value / 1024, unit + 1
        return f"{format_decimal(round(value, 1), locale=locale)} {_UNITS[unit]}"

    def capitalize_first(text: str) -> str:
        return text[:1].upper() + text[1:]

    return {
        "agent": agent,
        "when": when,
        "ago": ago,
        "bytes": size,
        "capitalize_first": capitalize_first,
    }
