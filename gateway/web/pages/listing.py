"""What pages that show folders have in common: paths in addresses, crumbs, parts of long lists."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import quote

from gateway.dav.target import check_name
from gateway.errors import Malformed
from gateway.sharing.files import Item

PAGE_SIZE = 200
CARDS = 50
"""How many lines of a folder, or cards of anything else, are one part."""
_DEEPEST = 100


Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True)
class Part(Generic[Thing]):
    """One part of a long list. `number` counts from 1; `found` is how many there are in all."""

    items: Sequence[Thing]
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


def part_of(items: Sequence[Item], number: str, wanted: str) -> Part[Item]:
    """The part of that number of the items whose names hold `wanted`, in any case."""
    return cut(items, number, wanted, lambda item: item.name, PAGE_SIZE)


def cut(
    things: Sequence[Thing],
    number: str,
    wanted: str,
    called: Callable[[Thing], str],
    size: int = CARDS,
) -> Part[Thing]:
    """The part of that number of what is called something that holds `wanted`, in any case."""
    if wanted:
        things = [one for one in things if wanted.casefold() in called(one).casefold()]
    last = max(1, -(-len(things) // size))
    at = min(max(int(number[:9]), 1), last) if number.isascii() and number.isdigit() else 1
    return Part(things[(at - 1) * size : at * size], at, last, len(things))
