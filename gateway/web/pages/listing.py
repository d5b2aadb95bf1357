"""What pages that show folders have in common: paths in addresses, crumbs, parts of long lists."""

from collections.abc import Callable, Mapping, Sequence
from urllib.parse import quote

from gateway.dav.target import check_name
from gateway.errors import Malformed
from gateway.sharing.files import Item
from gateway.store.parts import Part, Thing, Turn, cut, fitting
from gateway.web.views import View

PAGE_SIZE = 200
CARDS = 50
"""How many lines of a folder, or cards of anything else, are one part."""
FIRST = Turn(1, CARDS)
OFFERED = Turn(1, 200)
"""Contacts that a field completes; any other is typed."""
_DEEPEST = 100
_LONGEST_SEARCH = 200


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


def turn_of(view: View, size: int = CARDS) -> Turn:
    """Which part of the list the address asks for."""
    return _turn(view.query("page"), size)


def _turn(number: str, size: int) -> Turn:
    at = int(number[:9]) if number.isascii() and number.isdigit() else 1
    return Turn(at, size)


def search_of(view: View) -> str:
    """What the address looks for; what is too long finds nothing anyway."""
    return view.query("q").strip()[:_LONGEST_SEARCH]


def turn_in(query: Mapping[str, str], name: str = "page") -> Turn:
    """Which part of the list an operator's address asks for, by the parameter of that name."""
    return _turn(query.get(name, ""), CARDS)


def search_in(query: Mapping[str, str]) -> str:
    """What an operator's address looks for."""
    return query.get("q", "").strip()[:_LONGEST_SEARCH]


def found_in(
    query: Mapping[str, str], things: Sequence[Thing], words: Callable[[Thing], str]
) -> tuple[str, Part[Thing]]:
    """(what an operator's address looks for, the part of those whose words hold it)."""
    wanted = search_in(query)
    return wanted, cut(fitting(things, wanted, words), turn_in(query))


def part_of(view: View, items: Sequence[Item]) -> Part[Item]:
    """The part that the address asks for of the items whose names hold what it looks for."""
    items = fitting(items, search_of(view), lambda one: one.name)
    return cut(items, turn_of(view, PAGE_SIZE))
