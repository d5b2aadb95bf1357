"""JSON objects from strangers (RFC 8259), read strictly.

Readers differ on repeated names, NaN, huge numbers and lone surrogates; what two servers may
read differently is refused. Size and depth are bounded.
"""

import json
import math
from collections.abc import Iterator

from gateway.errors import Malformed

MOST_BYTES = 1 << 20
DEEPEST = 32
_LARGEST = 1 << 63


def load_object(data: bytes, most_bytes: int = MOST_BYTES) -> dict[str, object]:
    """The JSON object in these bytes. Raises Malformed for anything else."""
    if len(data) > most_bytes:
        raise Malformed("the JSON is too large")
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_refuse_constant,
        )
    except (ValueError, RecursionError) as error:
        raise Malformed("the body is not valid JSON", detail=str(error)[:200]) from error
    if not isinstance(value, dict):
        raise Malformed("the JSON is not an object")
    _check_tree(value)
    return value


def dump(value: dict[str, object]) -> bytes:
    """The object as compact JSON in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def has_control(text: str) -> bool:
    """Whether the text holds a control character (C0, DEL, C1)."""
    return any(character < " " or "\x7f" <= character <= "\x9f" for character in text)


def encodable(text: str) -> bool:
    """Whether the text can be written as UTF-8, which lone surrogates cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _check_tree(root: dict[str, object]) -> None:
    """Refuse deep nesting and strings that are no text; iterative, so depth cannot hurt."""
    level: list[object] = [root]
    for _ in range(DEEPEST):
        if not level:
            return
        level = [child for node in level for child in _children(node)]
    raise Malformed("the JSON is nested too deeply")


def _children(node: object) -> Iterator[object]:
    if isinstance(node, dict):
        yield from node
        yield from node.values()
    elif isinstance(node, list):
        yield from node
    elif isinstance(node, str) and not encodable(node):
        raise Malformed("the JSON holds text that is not Unicode")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return members


def _integer(digits: str) -> int:
    if len(digits) > 20 or not -_LARGEST <= int(digits) < _LARGEST:
        raise ValueError("an integer is too large")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
