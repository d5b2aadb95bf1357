"""Signatures as the played servers make and check them: RFC 9421 and draft-cavage-12.

Written apart from `gateway.httpsig`, so that a mistake in one is a failed verification in the
other.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import http_sf
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

_COVERED = ("@method", "@target-uri", "content-digest", "content-length")
_CAVAGE = ("(request-target)", "content-length", "date", "digest", "host")
_OLDEST_SECONDS, _FUTURE_SECONDS = 300, 60
_INNER_LIST = r'\([^)]*\)(?:;[a-z]+=(?:"[^"]*"|-?\d+))*'
_CAVAGE_ENTRY = re.compile(r'(\w+)="([^"]*)"')

Private = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class NotProven(Exception):
    """A signature that does not hold, and why."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it is sent, or as it came. Header names in lower case."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Key:
    """A key pair and its name."""

    kid: str
    private: Private

    def sign(self, data: bytes) -> bytes:
        """A signature as RFC 9421 3.3 has it for this kind of key."""
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            return self.private.sign(data)
        if isinstance(self.private, rsa.RSAPrivateKey):
            return self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())
        r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def sign_cavage(self, data: bytes) -> bytes:
        """RSA with SHA-512, the one algorithm that Nextcloud signs with."""
        assert isinstance(self.private, rsa.RSAPrivateKey)
        return self.private.sign(data, padding.PKCS1v15(), hashes.SHA512())

    def jwk(self) -> dict[str, str]:
        """The public half in a key set (RFC 7517)."""
        public = self.private.public_key()
        common = {"kid": self.kid, "use": "sig"}
        if isinstance(public, ed25519.Ed25519PublicKey):
            x = _text(public.public_bytes_raw())
            return common | {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": x}
        if isinstance(public, rsa.RSAPublicKey):
            n, e = public.public_numbers().n, public.public_numbers().e
            members = {"n": _text(n.to_bytes(256, "big")), "e": _text(e.to_bytes(3, "big"))}
            return common | {"kty": "RSA", "alg": "RS256"} | members
        at = public.public_numbers()
        point = {"x": _text(at.x.to_bytes(32, "big")), "y": _text(at.y.to_bytes(32, "big"))}
        return common | {"kty": "EC", "crv": "P-256", "alg": "ES256"} | point

    def pem(self) -> str:
        """The public half as Nextcloud publishes it."""
        return (
            self.private.public_key()
            .public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            .decode()
        )


def generate(kind: str, kid: str) -> Key:
    """A new key of that kind: ed25519, p256 or rsa."""
    if kind == "rsa":
        return Key(kid, rsa.generate_private_key(65537, 2048))
    if kind == "p256":
        return Key(kid, ec.generate_private_key(ec.SECP256R1()))
    return Key(kid, ed25519.Ed25519PrivateKey.generate())


def sign(
    request: Request, key: Key, now: int, *, with_date: bool, with_algorithm: bool
) -> dict[str, str]:
    """The headers of the request with a signature after RFC 9421, labelled and tagged `ocm`."""
    digest = base64.b64encode(hashlib.sha256(request.body).digest()).decode()
    headers = dict(request.headers) | {
        "content-digest": f"sha-256=:{digest}:",
        "content-length": str(len(request.body)),
        "date": formatdate(now, usegmt=True),
    }
    covered = (*_COVERED, "date") if with_date else _COVERED
    alg = ';alg="ed25519"' if with_algorithm else ""
    names = " ".join(f'"{name}"' for name in covered)
    parameters = f'({names});created={now};keyid="{key.kid}"{alg};tag="ocm"'
    base = _base(Request(request.method, request.url, headers, request.body), covered, parameters)
    made = base64.b64encode(key.sign(base)).decode()
    return headers | {"signature-input": f"ocm={parameters}", "signature": f"ocm=:{made}:"}


def keyid_of(headers: Mapping[str, str]) -> str:
    """The key that a signature of either scheme names; NotProven when there is no such name."""
    if "signature-input" not in headers:
        return _cavage_entries(headers).get("keyId", "")
    _, _, parameters = _tagged(headers)
    return str(parameters.get("keyid", ""))


def verify(request: Request, jwk: Mapping[str, Any], now: int) -> None:
    """Return if the request was signed after RFC 9421 with that key; NotProven otherwise.

    As strict as the strictest server: tag, four components, a JWK that names its algorithm.
    """
    label, covered, parameters = _tagged(request.headers)
    names = [name for name, _ in covered]
    if missing := set(_COVERED) - set(names):
        raise NotProven(f"not covered: {', '.join(sorted(missing))}")
    created = parameters.get("created")
    if type(created) is not int or not now - _OLDEST_SECONDS <= created <= now + _FUTURE_SECONDS:
        raise NotProven("not made just now")
    _expect_digest(request)
    if "alg" not in jwk:
        raise NotProven("the published key names no algorithm")
    value = _dictionary(request.headers.get("signature", "")).get(label, (b"", {}))[0]
    spelled = _spelled(request.headers["signature-input"], label)
    try:
        _verify(jwk, _base(request, tuple(names), spelled), value)
    except (InvalidSignature, ValueError, TypeError) as error:
        raise NotProven("the signature does not verify") from error


def sign_cavage(request: Request, key: Key, now: int) -> dict[str, str]:
    """The headers of the request with a draft-cavage signature, as Nextcloud 31 to 34 send it."""
    digest = base64.b64encode(hashlib.sha512(request.body).digest()).decode()
    headers = dict(request.headers) | {
        "content-length": str(len(request.body)),
        "date": formatdate(now, usegmt=True),
        "digest": f"SHA-512={digest}",
        "host": urlsplit(request.url).netloc,
    }
    base = _cavage_base(Request(request.method, request.url, headers, request.body), _CAVAGE)
    made = base64.b64encode(key.sign_cavage(base)).decode()
    names = " ".join(_CAVAGE)
    entry = f'keyId="{key.kid}",algorithm="rsa-sha512",headers="{names}",signature="{made}"'
    return headers | {"signature": entry}


def verify_cavage(request: Request, pem: str, now: int) -> None:
    """Return if the request was signed after draft-cavage with that key; NotProven otherwise."""
    entries = _cavage_entries(request.headers)
    names = tuple(entries.get("headers", "date").split())
    if missing := set(_CAVAGE) - {"(request-target)"} - set(names):
        raise NotProven(f"not covered: {', '.join(sorted(missing))}")
    sha = {"rsa-sha256": hashes.SHA256(), "rsa-sha512": hashes.SHA512()}.get(
        entries.get("algorithm", "")
    )
    digest = request.headers.get("digest", "").partition("=")[2]
    made = base64.b64encode(hashlib.sha512(request.body).digest()).decode()
    if (
        digest != made
        and digest != base64.b64encode(hashlib.sha256(request.body).digest()).decode()
    ):
        raise NotProven("the digest is another")
    try:
        date = parsedate_to_datetime(request.headers["date"]).timestamp()
        public = serialization.load_pem_public_key(pem.encode())
        if sha is None or not isinstance(public, rsa.RSAPublicKey):
            raise NotProven("not RSA with SHA-2")
        if abs(now - date) > _OLDEST_SECONDS:
            raise NotProven("not made just now")
        value = base64.b64decode(entries.get("signature", ""), validate=True)
        public.verify(value, _cavage_base(request, names), padding.PKCS1v15(), sha)
    except (InvalidSignature, ValueError, KeyError, TypeError) as error:
        raise NotProven("the signature does not verify") from error


def _tagged(
    headers: Mapping[str, str],
) -> tuple[str, list[tuple[str, Any]], Mapping[str, Any]]:
    """Label, components and parameters of the one signature tagged `ocm`."""
    try:
        members = _dictionary(headers.get("signature-input", ""))
    except ValueError as error:
        raise NotProven("Signature-Input cannot be read") from error
    tagged = [(name, *value) for name, value in members.items() if value[1].get("tag") == "ocm"]
    if len(tagged) != 1 or not isinstance(tagged[0][1], list):
        raise NotProven("not exactly one signature is tagged ocm")
    return tagged[0]


def _dictionary(text: str) -> dict[str, Any]:
    """A structured field (RFC 9651); ValueError when it is none."""
    found = http_sf.parse(text.encode(), tltype="dictionary")
    return found if isinstance(found, dict) else {}


def _spelled(inputs: str, label: str) -> str:
    """Components and parameters under that label, letter by letter: they are signed too."""
    found = re.search(rf"(?:^|,\s*){re.escape(label)}=({_INNER_LIST})", inputs)
    if found is None:
        raise NotProven("Signature-Input cannot be read")
    return found[1]


def _base(request: Request, covered: tuple[str, ...], parameters: str) -> bytes:
    """What is signed (RFC 9421 2.5)."""
    derived = {"@method": request.method, "@target-uri": request.url}
    lines = [f'"{name}": {derived.get(name) or request.headers.get(name, "")}' for name in covered]
    return "\n".join([*lines, f'"@signature-params": {parameters}']).encode()


def _cavage_base(request: Request, names: tuple[str, ...]) -> bytes:
    parts = urlsplit(request.url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    values = {**request.headers, "(request-target)": f"{request.method.lower()} {target}"}
    return "\n".join(f"{name}: {values[name]}" for name in names).encode()


def _cavage_entries(headers: Mapping[str, str]) -> dict[str, str]:
    return dict(_CAVAGE_ENTRY.findall(headers.get("signature", "")))


def _expect_digest(request: Request) -> None:
    for name, value in re.findall(r"(sha-\d+)=:([^:]*):", request.headers["content-digest"]):
        if name not in ("sha-256", "sha-512"):
            raise NotProven(f"the digest {name} is unknown")
        made = hashlib.new(name.replace("-", ""), request.body).digest()
        if base64.b64encode(made).decode() != value:
            raise NotProven("the digest is another")
        return
    raise NotProven("no digest")


def _verify(jwk: Mapping[str, Any], data: bytes, value: bytes) -> None:
    if jwk["kty"] == "OKP":
        ed25519.Ed25519PublicKey.from_public_bytes(_octets(jwk["x"])).verify(value, data)
    elif jwk["kty"] == "EC":
        numbers = ec.EllipticCurvePublicNumbers(
            int.from_bytes(_octets(jwk["x"])), int.from_bytes(_octets(jwk["y"])), ec.SECP256R1()
        )
        r, s = int.from_bytes(value[:32]), int.from_bytes(value[32:])
        der = encode_dss_signature(r, s)
        numbers.public_key().verify(der, data, ec.ECDSA(hashes.SHA256()))
    else:
        modulus, exponent = (int.from_bytes(_octets(jwk[name])) for name in ("n", "e"))
        public = rsa.RSAPublicNumbers(exponent, modulus).public_key()
        public.verify(value, data, padding.PKCS1v15(), hashes.SHA256())


def _text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def _octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
