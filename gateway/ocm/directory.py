"""Directory Service documents (draft 03, 18): a federation's servers, as a signed list.

A JWS (RFC 7515) in any of its three serialisations, verified with keys that were pinned offline.
The algorithm is the pinned key's and must stand in the protected header; keys or links to keys
that the document brings along are never looked at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from jwcrypto.common import JWException
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS

from gateway.errors import BadSignature, Malformed
from gateway.model import Authority
from gateway.ocm import base64url, json, urls

MOST_BYTES = 4 << 20
MOST_SERVERS = 20_000
_MOST_SIGNATURES = 20
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_FITTING: dict[tuple[object, object], tuple[str, ...]] = {
    ("OKP", "Ed25519"): ("EdDSA",),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("RSA", None): _RSA,
}


@dataclass(frozen=True, slots=True)
class DirectoryServer:
    """One server of a federation; `url` is as published, `authority` what it names."""

    url: str
    authority: Authority
    display_name: str


@dataclass(frozen=True, slots=True)
class Directory:
    """A federation and its servers, in the order of the document."""

    federation: str
    servers: tuple[DirectoryServer, ...]


@dataclass(frozen=True, slots=True)
class PinnedKey:
    """A public key from the configuration and the one algorithm it is used with."""

    jwk: JWK
    algorithm: str


@dataclass(frozen=True, slots=True)
class _Signed:
    """One signature of a JWS; every part as base64url text."""

    protected: str
    payload: str
    signature: str
    header: Mapping[str, object]


class Form(StrEnum):
    """The serialisations of a JWS (RFC 7515 7)."""

    COMPACT = "compact"
    FLATTENED = "flattened"
    GENERAL = "general"


def pin(key: Mapping[str, object] | str) -> PinnedKey:
    """A key to pin: a JWK or PEM text. Without alg, an RSA key stands for RS256.

    Raises Malformed for a broken or symmetric key, and for an alg that does not go with it.
    """
    try:
        public = _private(key).export_public(as_dict=True)
    except (JWException, ValueError, TypeError, KeyError) as error:
        raise Malformed("the pinned key cannot be read", detail=str(error)[:200]) from error
    fitting = _FITTING.get((public.get("kty"), public.get("crv")), ())
    algorithm = public.get("alg") or next(iter(fitting), "")
    if algorithm not in fitting:
        raise Malformed("the pinned key is not for signatures that we verify")
    return PinnedKey(JWK(**public), algorithm)


def parse_directory(document: bytes, pinned: Sequence[Mapping[str, object] | str]) -> Directory:
    """Verify and read a directory.

    Entries that break the rules for urls, or have no displayName, are left out. Raises Malformed
    when it is no signed directory, BadSignature when no signature is that of a pinned key.
    """
    keys = [pin(key) for key in pinned]
    if len(document) > MOST_BYTES:
        raise Malformed("the directory is too large")
    signatures = _signatures(document)
    if not any(_verifies(signed, key) for signed in signatures for key in keys):
        raise BadSignature("the directory is not signed by a pinned key", reason="signature")
    return _directory(json.load_object(base64url.decode(signatures[0].payload), MOST_BYTES))


def parse_unsigned(document: bytes) -> Directory:
    """Read a directory that nobody signed, as Reva and OpenCloud publish them.

    Draft 03 prints one with its payload as an object, which no signature can cover; that form is
    read here too. Raises Malformed.
    """
    members = json.load_object(document, MOST_BYTES)
    payload = members.get("payload")
    return _directory(payload if isinstance(payload, dict) else members)


def sign_directory(directory: Directory, private: Mapping[str, object] | str, form: Form) -> str:
    """The directory as a JWS by that key, a JWK or PEM text. Raises Malformed for a bad key."""
    key = pin(private)
    servers = [{"url": one.url, "displayName": one.display_name} for one in directory.servers]
    jws = JWS(json.dump({"federation": directory.federation, "servers": servers}))
    jws.allowed_algs = [key.algorithm]
    try:
        jws.add_signature(_private(private), protected=f'{{"alg":"{key.algorithm}"}}')
    except (JWException, ValueError, TypeError) as error:
        raise Malformed("the key cannot sign", detail=str(error)[:200]) from error
    if form is Form.COMPACT:
        return str(jws.serialize(compact=True))
    flattened = json.load_object(jws.serialize().encode(), 2 * MOST_BYTES)
    if form is Form.GENERAL:
        signature = {"protected": flattened["protected"], "signature": flattened["signature"]}
        flattened = {"payload": flattened["payload"], "signatures": [signature]}
    return json.dump(flattened).decode()


def parse_entries(federation: object, servers: object) -> Directory:
    """A directory to publish. Malformed, naming them, for entries that readers would leave out."""
    directory = _directory({"federation": federation, "servers": servers})
    entries = servers if isinstance(servers, list) else []
    faults = tuple(
        (f"servers.{position}", "is not an absolute URL of a server with a displayName")
        for position, entry in enumerate(entries)
        if _server(entry) is None
    )
    if faults:
        raise Malformed("the list has servers that readers would leave out", fields=faults)
    return directory


def _directory(payload: Mapping[str, object]) -> Directory:
    federation, servers = payload.get("federation"), payload.get("servers")
    if not isinstance(federation, str):
        raise Malformed("the directory names no federation")
    if not isinstance(servers, list) or len(servers) > MOST_SERVERS:
        raise Malformed("the directory has no list of servers, or too long a one")
    return Directory(federation, tuple(filter(None, map(_server, servers))))


def _private(key: Mapping[str, object] | str) -> JWK:
    """The key as it is, with its private half if it has one."""
    if isinstance(key, str):
        return JWK.from_pem(key.encode())
    # From JSON: given as arguments, a key could also ask to be generated.
    return JWK.from_json(json.dump(dict(key)).decode())


def _signatures(document: bytes) -> list[_Signed]:
    """The signatures of a compact, flattened or general JWS (RFC 7515 7); at least one."""
    parts = document.decode("ascii", "replace").strip().split(".")
    if len(parts) == 3 and not document.lstrip().startswith(b"{"):
        return [_Signed(parts[0], parts[1], parts[2], {})]
    members = json.load_object(document, MOST_BYTES)
    entries = members.get("signatures", [members])
    if not isinstance(entries, list) or not 0 < len(entries) <= _MOST_SIGNATURES:
        raise Malformed("the directory has no signatures, or too many")
    return [_signed(entry, members.get("payload")) for entry in entries]


def _signed(entry: object, payload: object) -> _Signed:
    if not isinstance(entry, dict):
        raise Malformed("a signature of the directory is not an object")
    protected, signature = entry.get("protected"), entry.get("signature")
    header = entry.get("header", {})
    if not (
        isinstance(payload, str)
        and isinstance(protected, str)
        and isinstance(signature, str)
        and isinstance(header, dict)
    ):
        raise Malformed("the directory is not a JWS")
    return _Signed(protected, payload, signature, header)


def _verifies(signed: _Signed, key: PinnedKey) -> bool:
    """Whether this is a signature by that key, with its algorithm."""
    try:
        header = json.load_object(base64url.decode(signed.protected))
        # Decoded here to be sure of its form: what is verified is what was received.
        base64url.decode(signed.payload)
        base64url.decode(signed.signature)
    except Malformed:
        return False
    # crit names extensions that must be understood, and we understand none.
    if header.get("alg") != key.algorithm or "crit" in header or "b64" in header:
        return False
    if header.keys() & signed.header.keys() or "crit" in signed.header:
        return False
    jws = JWS()
    jws.allowed_algs = [key.algorithm]
    try:
        jws.deserialize(f"{signed.protected}.{signed.payload}.{signed.signature}")
        jws.verify(key.jwk)
    except (JWException, ValueError, TypeError):
        return False
    return True


def _server(entry: object) -> DirectoryServer | None:
    """One server: an absolute URL with a host and nothing behind it (a bare slash is nothing)."""
    url, name = (
        (entry.get("url"), entry.get("displayName")) if isinstance(entry, dict) else (None, None)
    )
    if not isinstance(url, str) or not isinstance(name, str):
        return None
    try:
        urls.absolute(url)
        authority = urls.authority_of(url)
    except Malformed:
        return None
    if url.partition("://")[2].rstrip("/").count("/") or url.endswith("//"):
        return None
    return DirectoryServer(url, authority, name)
