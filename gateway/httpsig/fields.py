"""Structured fields (RFC 9651), read more strictly than the RFC wants.

There, the last of two equal keys wins. Two parties that read differently could then each see a
signature or a digest of their own, so here a key that stands twice is an error.
"""

import http_sf
from http_sf.types import BareItemType

from gateway.httpsig.reasons import Reason, bad

LONGEST = 16_384

Parameters = dict[str, BareItemType]
Members = dict[str, tuple[object, Parameters]]


def parse_dictionary(text: str, reason: Reason) -> Members:
    """A Dictionary as key -> (value, parameters); an inner list is a list of such pairs.

    Raises BadSignature with that reason when it is none.
    """

    def refuse(key: str, kind: str) -> None:
        raise ValueError(f"{kind} {key} stands twice")

    if len(text) > LONGEST:
        raise bad(reason, "a header field is too long")
    try:
        members = http_sf.parse(text.encode("ascii"), tltype="dictionary", on_duplicate_key=refuse)
    except ValueError as error:
        raise bad(reason, "a header field cannot be read", str(error)) from error
    return members  # type: ignore[return-value]
