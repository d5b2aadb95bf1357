"""What pages that show folders have in common: paths in addresses, crumbs, parts of long lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from gateway.dav.target import check_name
from gateway.errors import Malformed
from gateway.sharing.files import Item

PAGE_SIZE = 200
_DEEPEST = 100


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a long list. `number` counts from 1; `found` is how many there are in all."""

    items: list[Item]
    number: int
    last: int
    found: int


def path_of(text: str) -> tuple[str, ...]:
    """The path in an address, such as `projects/telescope`. Raises Malformed."""
    segments = tuple(part for part in text.split("/") if part)
    if len(segments) > _DEEPEST:
        raise Malformed("the path is too deep")
    for segment in segments:
        check_name(segment)
    return segments


def query_of(path: Sequence[str]) -> str:
    """A path as the value of a parameter in an address."""
    return quote("/".join(path), safe="/")


def crumbs(path: tuple[str, ...]) -> list[tuple[str, str]]:
    """(name, value for an address) of every folder on the way, the last one being the path."""
    return [(path[at], query_of(path[: at + 1])) for at in range(len(path))]


def part_of(items: list[Item], number: str, wanted: str) -> Part:
    """The part of that number of the items whose names hold `wanted`, in any case."""
    if wanted:
        items = [item for item in items if wanted.casefold() in item.name.casefold()]
    last = max(1, -(-len(items) // PAGE_SIZE))
    at = min(max(int(number), 1), last) if number.isascii() and number.isdigit() else 1
    return Part(items[(at - 1) * PAGE_SIZE : at * PAGE_SIZE], at, last, len(items))
