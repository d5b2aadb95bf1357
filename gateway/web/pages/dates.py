"""Dates as forms have them."""

from datetime import UTC, datetime

from gateway.errors import Malformed


def date_of(seconds: int | None) -> str:
    """The date of a time in UTC, as forms have it; empty for None."""
    return datetime.fromtimestamp(seconds, UTC).date().isoformat() if seconds else ""


def end_of_day(text: str) -> int | None:
    """The last second of a date such as 2027-01-31, in UTC; None for no date."""
    if not text:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise Malformed("the date is not one like 2027-01-31") from error
    return int(day.timestamp()) + 86_399
