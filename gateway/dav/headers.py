"""Which header fields cross the gateway, and what is written into those that carry addresses.

By allow-list in both directions (deny-lists always miss one): nothing hop-by-hop, no credential, no
cookie and no name of the inside gets through because nobody thought of it.
"""

import re
from collections.abc import Iterable

from multidict import CIMultiDict, CIMultiDictProxy

from gateway.dav import conditions, methods
from gateway.dav.conditions import ConditionList
from gateway.dav.hrefs import Hrefs, Segments
from gateway.dav.locks import NEVER, NO_LOCK, LockSeal
from gateway.dav.message import Headers
from gateway.dav.target import Target, authority_of, encode_path, parse_target, split_url
from gateway.errors import Malformed, Refused, Unsupported

TO_STORAGE = (
    "Accept",
    "Accept-Language",
    "Content-Language",
    "Content-Type",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "If-Range",
    "If-Unmodified-Since",
    "OC-Checksum",
    "OC-Total-Length",
    "Range",
    "X-Expected-Entity-Length",
    "X-OC-Mtime",
)
"""Sent on as they are. Depth, Destination, If and the like are written anew."""

TO_CLIENT = (
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Range",
    "Content-Type",
    "Date",
    "ETag",
    "Last-Modified",
    "OC-ETag",
    "OC-FileId",
    "Vary",
    "X-OC-Mtime",
)

ON_CONTENT = (
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "sandbox; default-src 'none'"),
    ("Cache-Control", "private, no-cache"),
)
"""Content is someone else's: no browser may run it, no shared cache keep it."""

LONGEST_LOCK_SECONDS = 1800
LONGEST_VALUE = 8 * 1024

_ONE_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-\d{1,18})")
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_SECONDS = re.compile(r"second-(\d{1,10})", re.IGNORECASE)
_CODED_URL = re.compile(r"\s*<([^<>\s]+)>\s*")
_ENTITY_TAG = re.compile(r'(?:W/)?"[^"]*"')
_NOWHERE = ".ocm-gateway-nowhere"


def single(headers: CIMultiDictProxy[str], name: str) -> str | None:
    """The value of a field that may come once. Raises Malformed when it comes twice."""
    values = headers.getall(name, [])
    if len(values) > 1:
        raise Malformed(f"{name} is given more than once")
    return values[0] if values else None


def admit(method: str, headers: CIMultiDictProxy[str]) -> None:
    """Refuse requests whose headers make a storage do something else. Malformed, Unsupported."""
    if "OC-Chunked" in headers:
        raise Unsupported("chunked uploads of that kind are not offered")
    # RFC 9110 14.5: a server that does not do partial PUT must refuse it. Some truncate the file.
    if method == "PUT" and "Content-Range" in headers:
        raise Malformed("a PUT with Content-Range is not offered")
    if method != "PUT" and headers.get("Content-Encoding", "identity").lower() != "identity":
        fault = Malformed("only files may come encoded")
        fault.status = 415
        raise fault


def for_storage(method: str, headers: CIMultiDictProxy[str], target: Target) -> CIMultiDict[str]:
    """What every request to the storage carries: the allowed fields and our credential."""
    sent: CIMultiDict[str] = CIMultiDict()
    for name in TO_STORAGE:
        if name in headers:
            sent[name] = _clean(name, ", ".join(headers.getall(name)))
    if method == "PUT" and "Content-Encoding" in headers:
        sent["Content-Encoding"] = _clean("Content-Encoding", headers["Content-Encoding"])
    _limit_ranges(sent, target)
    return authorized(target.authorization, sent)


def authorized(authorization: str, sent: CIMultiDict[str] | None = None) -> CIMultiDict[str]:
    """Headers with the storage's credential, asking for bodies as they are."""
    result: CIMultiDict[str] = CIMultiDict() if sent is None else sent
    result["Accept-Encoding"] = "identity"
    if authorization:
        result["Authorization"] = authorization
    return result


def _clean(name: str, value: str) -> str:
    if len(value) > LONGEST_VALUE or not value.isprintable():
        raise Malformed(f"{name} is malformed")
    return value


def _limit_ranges(sent: CIMultiDict[str], target: Target) -> None:
    # Storages merge several ranges, or answer the last, or make something of one that ends before
    # it begins; those that ignore conditions on writes also get If-Range wrong. The whole file is
    # always a right answer (RFC 9110 14.2).
    odd = "Range" in sent and not _one_range(sent["Range"].replace(" ", ""))
    if odd or ("If-Range" in sent and not target.profile.conditional_put):
        sent.popall("Range", None)
        sent.popall("If-Range", None)


def _one_range(value: str) -> bool:
    match = _ONE_RANGE.fullmatch(value)
    return match is not None and not (match[2] and int(match[2]) < int(match[1]))


def for_client(headers: CIMultiDictProxy[str], names: Iterable[str] = TO_CLIENT) -> Headers:
    """The fields of a storage's answer that the client may see."""
    return tuple(
        (name, value)
        for name in names
        if name in headers
        for value in headers.getall(name)
        if len(value) <= LONGEST_VALUE and value.isascii() and value.isprintable()
    )


def location(value: str, hrefs: Hrefs, origin: str) -> str | None:
    """A Location (RFC 9110 10.2.2) as an absolute URL here; None for what is outside."""
    rel = hrefs.rel(value)
    return None if rel is None else origin + hrefs.public(rel, slash=value.endswith("/"))


_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:\s]+)(:[0-9]{0,5})?")


def destination(value: str | None, target: Target) -> tuple[Segments, bool]:
    """Where a MOVE or COPY leads: segments below the root, and whether it ended in a slash.

    RFC 4918 10.3. Raises Malformed, Refused (403 outside the share, 502 on another server).
    """
    if value is None:
        raise Malformed("Destination is missing")
    if value.startswith("//"):
        raise Malformed("Destination names no scheme")
    if not value.startswith("/"):
        authority, value = split_url(value)
        if authority != _own_authority(target):
            if not _AUTHORITY.fullmatch(authority):
                raise Malformed("Destination names no server")
            raise _elsewhere()
    path = parse_target(value)
    if "?" in value:
        raise Malformed("Destination has a query")
    start = len(target.mount)
    if path.segments[:start] != target.mount:
        raise Refused("the destination is outside the share")
    return path.segments[start:], path.slash


def _own_authority(target: Target) -> str:
    scheme, _, authority = target.origin.partition("://")
    return authority_of(scheme, authority)


def _elsewhere() -> Refused:
    # RFC 4918 9.8.5, 9.9.4: 502 when the destination is on another server.
    fault = Refused("the destination is on another server")
    fault.status = 502
    return fault


def at_storage(target: Target, rel: Segments, *, slash: bool = False) -> str:
    """The URL of something below the root."""
    return target.base + encode_path(target.root + rel) + ("/" if slash else "")


def condition_lists(
    headers: CIMultiDictProxy[str], target: Target, seal: LockSeal
) -> tuple[ConditionList, ...]:
    """The If header as the storage is to see it; empty when there is none. Raises Malformed."""
    values = headers.getall("If", [])
    if not values:
        return ()
    return tuple(
        ConditionList(
            tuple(seal.opened(target.scope, condition) for condition in entry.conditions),
            _tagged(entry.resource, target) if entry.resource else "",
        )
        for entry in conditions.parse(" ".join(values))
    )


def _tagged(resource: str, target: Target) -> str:
    try:
        rel, slash = destination(resource, target)
    except Refused:
        # The RFC wants a condition that fails, not an error, for what we know nothing about.
        rel, slash = (_NOWHERE,), False
    if target.single_file:
        return target.url if len(rel) <= 1 else f"{target.url}{_NOWHERE}"
    return at_storage(target, rel, slash=slash)


def if_value(lists: tuple[ConditionList, ...]) -> str:
    """The If header for the storage; see `conditions.encode`."""
    return conditions.encode(lists)


def shows_token(headers: CIMultiDictProxy[str], target: Target, seal: LockSeal) -> bool:
    """Whether the If header has a lock token of this scope. Raises Malformed."""
    lists = condition_lists(headers, target, seal)
    tokens = (condition.token for each in lists for condition in each.conditions)
    return any(token not in ("", NEVER, NO_LOCK) for token in tokens)


def lock_token(value: str | None, target: Target, seal: LockSeal) -> str | None:
    """The storage's token of a Lock-Token header (RFC 4918 10.5), None when it is not ours.

    Raises Malformed.
    """
    match = _CODED_URL.fullmatch(value or "")
    if match is None:
        raise Malformed("Lock-Token is missing or malformed")
    return seal.open(target.scope, match[1])


def sealed_token(value: str, target: Target, seal: LockSeal) -> str | None:
    """The Lock-Token header for the client, from the storage's."""
    match = _CODED_URL.fullmatch(value)
    return f"<{seal.seal(target.scope, match[1])}>" if match else None


def timeout(value: str | None) -> str:
    """One Timeout within our bounds (RFC 4918 10.7): rclone takes Infinite for no time at all."""
    match = _SECONDS.search(value or "")
    seconds = int(match[1]) if match else LONGEST_LOCK_SECONDS
    return f"Second-{max(1, min(seconds, LONGEST_LOCK_SECONDS))}"


def range_total(value: str, length: int | None) -> tuple[bool, str]:
    """Whether a Content-Range is possible and fits `length`, and the total it names or '*'."""
    match = _CONTENT_RANGE.fullmatch(value)
    if match is None:
        return False, "*"
    first, last = int(match[1]), int(match[2])
    total = match[3]
    fits = length is None or last - first + 1 == length
    return first <= last and fits and (total == "*" or last < int(total)), total


def answers(asked: str | None, given: str) -> bool:
    """Whether a part with that Content-Range is of the one Range that was asked for, if any."""
    wanted, part = (
        _ONE_RANGE.fullmatch((asked or "").replace(" ", "")),
        _CONTENT_RANGE.fullmatch(given),
    )
    if wanted is None or part is None:
        return False
    if wanted[1] is None:  # the end of the file
        return part[3] == "*" or int(part[2]) == int(part[3]) - 1
    return int(part[1]) == int(wanted[1]) and int(part[2]) <= int(wanted[2] or part[2])


def depth_of(method: str, headers: CIMultiDictProxy[str]) -> str:
    """`methods.depth` of a request."""
    return methods.depth(method, single(headers, "Depth"))


def precondition_holds(headers: CIMultiDictProxy[str], *, exists: bool, etag: str) -> bool:
    """Whether If-Match and If-None-Match hold (RFC 9110 13.1), for storages that do not look."""
    wanted = _entity_tags(headers, "If-Match")
    if wanted is not None and not (exists and ("*" in wanted or etag in wanted)):
        return False
    unwanted = _entity_tags(headers, "If-None-Match")
    return unwanted is None or not exists or not ("*" in unwanted or etag in unwanted)


def _entity_tags(headers: CIMultiDictProxy[str], name: str) -> frozenset[str] | None:
    values = headers.getall(name, None)
    if values is None:
        return None
    text = ", ".join(values)
    return frozenset({"*"}) if text.strip() == "*" else frozenset(_ENTITY_TAG.findall(text))
