"""Asking somebody to share: what POST {endPoint}/request-share carries (OCM-API 1.4)."""

from dataclasses import dataclass

from gateway.errors import Malformed
from gateway.ocm import json
from gateway.ocm.address import Address, parse_address

_LONGEST = 2048


@dataclass(frozen=True, slots=True)
class ShareRequest:
    """`share_with` asks `owner` for `share`, an identifier or URL of the Resource."""

    owner: Address
    share_with: Address
    share: str


def parse(body: bytes) -> ShareRequest:
    """Read a request. Raises Malformed, naming the members at fault."""
    members = json.load_object(body)
    faults = []
    addresses = {}
    for name in ("owner", "shareWith"):
        try:
            addresses[name] = parse_address(_text(members.get(name)))
        except Malformed as error:
            faults.append((name, error.message))
    try:
        share = _text(members.get("share"))
    except Malformed as error:
        faults.append(("share", error.message))
    if faults:
        raise Malformed("the request is not valid", fields=tuple(faults))
    return ShareRequest(addresses["owner"], addresses["shareWith"], share)


def encode(request: ShareRequest) -> bytes:
    """The body of the request."""
    return json.dump(
        {
            "owner": str(request.owner),
            "shareWith": str(request.share_with),
            "share": request.share,
        }
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST or json.has_control(value):
        raise Malformed("must be a string of reasonable length")
    return value
