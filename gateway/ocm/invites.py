"""Invites as people pass them on (draft 03, 4.4.6): an invite string, or a link.

The string is base64 of token@host, the last @ divides. Mail programs wrap it and web pages drop
its padding; what it decodes to is what counts. A link has the token as a query parameter.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from gateway.errors import Malformed
from gateway.model import Authority
from gateway.ocm.address import authority
from gateway.ocm.json import encodable, has_control

LONGEST = 4096
_LINK = re.compile(r"https?://", re.IGNORECASE)
_ALPHABET = re.compile(r"[A-Za-z0-9+/]*")


@dataclass(frozen=True, slots=True)
class Invite:
    """An invite token and the server of the Invite Sender."""

    token: str = field(repr=False)
    provider: Authority


def parse_invite(text: str) -> Invite:
    """Read an invite string or an invite link. Raises Malformed."""
    if len(text) > LONGEST:
        raise Malformed("the invite is too long")
    unwrapped = "".join(text.split())
    token, provider = _from_link(unwrapped) if _LINK.match(unwrapped) else _from_string(unwrapped)
    if not token or has_control(token) or not encodable(token):
        raise Malformed("the invite has no token")
    return Invite(token, authority(provider))


def encode_invite(token: str, provider: Authority) -> str:
    """The invite string: base64 with padding, on one line."""
    return base64.b64encode(f"{token}@{provider}".encode()).decode("ascii")


def _from_string(text: str) -> tuple[str, str]:
    # Both alphabets are about (OCM-API 1.4 has the URL-safe one); neither misreads the other.
    standard = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        if not _ALPHABET.fullmatch(standard):
            raise ValueError("a character outside of base64")
        decoded = base64.b64decode(standard + "=" * (-len(standard) % 4)).decode("utf-8")
    except (binascii.Error, ValueError) as error:
        raise Malformed("the invite cannot be decoded") from error
    token, _, provider = decoded.rpartition("@")
    return token, provider


def _from_link(text: str) -> tuple[str, str]:
    """A WAYF link names the Invite Sender by its host, an accept dialog's by providerDomain."""
    try:
        link = urlsplit(text)
        query = parse_qs(link.query, max_num_fields=20, errors="strict")
    except ValueError as error:
        raise Malformed("the invite link cannot be read") from error
    tokens, providers = query.get("token", []), query.get("providerDomain", [link.netloc])
    if len(tokens) != 1 or len(providers) != 1:
        raise Malformed("the invite link does not have one token")
    return tokens[0].strip(), providers[0]
