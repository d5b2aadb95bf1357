"""OCM Address: identifier@authority (draft 03, 2).

The last @ divides. The identifier is opaque: case, blanks and further @ are its own business.
The authority is host[:port] and has one spelling here: lower case, A-labels, no trailing dot, no
:443, so that two of them are the same server when they are the same text.
"""

import ipaddress
import re
from dataclasses import dataclass

import idna

from gateway.errors import Malformed
from gateway.model import Authority
from gateway.ocm.json import encodable, has_control

LONGEST_IDENTIFIER = 1024
_SPLIT = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*)(?::([1-9][0-9]{0,4}))?")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# What resolvers take for an IPv4 address in other clothes: 2130706433, 0x7f.1, 0177.0.0.1.
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class Address:
    """A Party: who (`identifier`) at which server. Written with `str`, read by `parse_address`."""

    identifier: str
    authority: Authority

    def __str__(self) -> str:
        return f"{self.identifier}@{self.authority}"


def parse_address(text: str) -> Address:
    """Read an OCM Address. Raises Malformed."""
    identifier, at, host = text.rpartition("@")
    if not at or not identifier:
        raise Malformed("an OCM Address is identifier@host")
    if len(identifier) > LONGEST_IDENTIFIER:
        raise Malformed("the identifier of the OCM Address is too long")
    if has_control(identifier) or not encodable(identifier):
        raise Malformed("the identifier of the OCM Address holds control characters")
    return Address(identifier, authority(host))


def local_part(identifier: str, provider: Authority) -> str:
    """An identifier without the name of its own server behind it.

    Reva writes a userID as `id@https://host`; ownCloud Infinite Scale names the identity provider
    in it, which often is the same host: `id@host` in invites, `id@host@host` in shares.
    """
    local, _, host = identifier.rpartition("@")
    try:
        same = authority(host.removeprefix("https://")) == provider
    except Malformed:
        same = False
    return local if local and same else identifier


def authority(text: str) -> Authority:
    """host or host:port in its canonical spelling (RFC 3986 3.2.2, 3.2.3). Raises Malformed.

    No scheme, userinfo, path or blanks; no zone ids and no IPv4 address in unusual notation.
    """
    match = _SPLIT.fullmatch(text)
    if match is None or len(text) > 1024:
        raise Malformed("a server is named by its host, or host:port")
    host, port = match[1], match[2] or "443"
    if int(port) > 65535:
        raise Malformed("the port is out of range")
    canonical = _ip_literal(host[1:-1]) if host.startswith("[") else _registered_name(host)
    return Authority(canonical if port == "443" else f"{canonical}:{port}")


def _ip_literal(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError as error:
        raise Malformed("the IP literal in brackets is not an IPv6 address") from error
    if address.scope_id is not None:
        raise Malformed("an IPv6 address with a zone names no server")
    return f"[{address.compressed}]"


def _registered_name(host: str) -> str:
    """A host name or a dotted IPv4 address."""
    name = _to_ascii(host).removesuffix(".")
    labels = name.split(".")
    if len(name) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise Malformed("the host name is not valid")
    if _NUMERIC.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError as error:
            raise Malformed("the host is not an IPv4 address in dotted form") from error
    return name


def _to_ascii(host: str) -> str:
    if host.isascii():
        return host.lower()
    try:
        return idna.encode(host, uts46=True, std3_rules=True).decode("ascii").lower()
    except (idna.IDNAError, ValueError) as error:
        raise Malformed("the host name is not valid") from error
