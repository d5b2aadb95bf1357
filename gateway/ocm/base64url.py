"""Base64url without padding (RFC 7515 2), in its one canonical spelling."""

import base64
import binascii
import re

from gateway.errors import Malformed

_ALPHABET = re.compile(r"[A-Za-z0-9_-]*")


def encode(data: bytes) -> str:
    """The bytes as base64url, no padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """The bytes. Raises Malformed for padding, foreign characters or stray bits at the end.

    One value has one spelling, so a signature over the decoded bytes is one over the text too.
    """
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise Malformed("not base64url") from error
    if not _ALPHABET.fullmatch(text) or encode(data) != text:
        raise Malformed("not base64url in its canonical form")
    return data
