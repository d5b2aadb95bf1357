"""draft-cavage-http-signatures-12, as Nextcloud 31 to 34 sends and wants it; RSA alone.

    Signature: keyId="https://nc.example/ocm#signature",algorithm="rsa-sha512",
      headers="(request-target) content-length date digest host",signature="<base64>"

Both this and RFC 9421 use the field Signature; without Signature-Input it is this one, if it names
a keyId. What is signed is a line `name: value` for each of `headers`, in that order. All five are
demanded, whatever the draft leaves open, and the host must be ours: else a message to one server
could be shown to another. `hs2019` says nothing about the algorithm, and nobody sends it.
"""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import replace
from email.utils import formatdate, parsedate_to_datetime

from gateway.errors import Unsigned
from gateway.httpsig.components import Component, derived_value
from gateway.httpsig.fields import LONGEST
from gateway.httpsig.keys import RSA_V15, RSA_V15_512
from gateway.httpsig.message import Message, Signature, check_fresh
from gateway.httpsig.reasons import Reason, bad
from gateway.httpsig.signing import SigningKey
from gateway.model import Scheme

TARGET = "(request-target)"
_SIGNED = (TARGET, "content-length", "date", "digest", "host")
_REPLACED = frozenset({*_SIGNED, "signature", "signature-input", "content-digest"})
_ALGORITHMS = {"rsa-sha512": RSA_V15_512, "rsa-sha256": RSA_V15}
_DIGESTS = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}
_PARAMETER = re.compile(r'[ \t]*([A-Za-z]+)=(?:"([^"\\]*)"|([0-9]+))[ \t]*(?:,|$)')
_MOST_HEADERS = 40


def spoken_in(message: Message) -> bool:
    """Whether a message has a signature of this kind: with a keyId, and no Signature-Input."""
    value = message.field("signature")
    return value is not None and "keyId=" in value and message.field("signature-input") is None


def read_signature(message: Message) -> Signature:
    """The signature, complete in shape and coverage; nothing proven yet.

    Raises BadSignature (malformed, coverage, algorithm, created); Unsigned for the form of
    michielbdejong/ocm-stub, which signs values without names and proves nothing.
    """
    parameters = _parameters(message.field("signature") or "")
    names = parameters["headers"].split(" ")
    if "," in parameters["headers"] and "://" not in parameters["keyId"]:
        raise Unsigned("the request is signed in a way that proves nothing")
    if parameters["algorithm"] not in _ALGORITHMS:
        raise bad(Reason.ALGORITHM, "the algorithm is not RSA", parameters["algorithm"][:80])
    base = _base(message, names)
    return Signature(
        label="",
        components=tuple(Component(name) for name in names),
        keyid=parameters["keyId"],
        alg=_ALGORITHMS[parameters["algorithm"]],
        created=_date(message.field("date") or ""),
        expires=None,
        nonce=None,
        tag=None,
        value=_octets(parameters["signature"], Reason.MALFORMED),
        base=base,
        scheme=Scheme.CAVAGE,
    )


def check_unkeyed(
    signature: Signature, message: Message, now: int, max_age_seconds: int, skew_seconds: int
) -> None:
    """All that can be checked before a key is fetched: Date, length, digest. BadSignature."""
    check_fresh(signature, now, max_age_seconds, skew_seconds)
    if message.field("content-length") != str(len(message.body)):
        raise bad(Reason.DIGEST, "Content-Length is not the length of the body")
    _check_digest(message.field("digest") or "", message.body)


def sign(message: Message, key: SigningKey, now: int) -> Message:
    """The request with our signature and the headers that it covers.

    Two signatures of one message within a second are the same bytes.
    """
    digest = base64.b64encode(hashlib.sha512(message.body).digest()).decode("ascii")
    added = (
        ("Host", _derived(message, "@authority")),
        ("Date", formatdate(now, usegmt=True)),
        ("Content-Length", str(len(message.body))),
        ("Digest", f"SHA-512={digest}"),
    )
    kept = tuple(header for header in message.headers if header[0].lower() not in _REPLACED)
    signed = replace(message, headers=kept + added)
    value = base64.b64encode(key.sign(_base(signed, list(_SIGNED)))).decode("ascii")
    entry = (
        f'keyId="{key.kid}",algorithm="rsa-sha512",headers="{" ".join(_SIGNED)}",'
        f'signature="{value}"'
    )
    return replace(signed, headers=(*signed.headers, ("Signature", entry)))


def _parameters(value: str) -> dict[str, str]:
    """keyId, algorithm, headers and signature; a parameter that stands twice is an error."""
    found: dict[str, str] = {}
    position = 0
    while len(value) <= LONGEST and (match := _PARAMETER.match(value, position)):
        if match[1] in found:
            raise bad(Reason.MALFORMED, "a parameter of the signature stands twice", match[1])
        found[match[1]] = match[3] if match[2] is None else match[2]
        position = match.end()
        if position == len(value):
            break
    missing = {"keyId", "algorithm", "headers", "signature"} - found.keys()
    if position != len(value) or missing or not found["keyId"]:
        raise bad(Reason.MALFORMED, "the signature cannot be read")
    return found


def _base(message: Message, names: list[str]) -> bytes:
    """The signing string (draft-cavage-12, 2.3)."""
    if len(names) > _MOST_HEADERS or len(set(names)) != len(names):
        raise bad(Reason.MALFORMED, "too many headers are covered, or one twice")
    if missing := set(_SIGNED) - set(names):
        raise bad(Reason.COVERAGE, "the signature covers too little", ", ".join(sorted(missing)))
    return "\n".join(f"{name}: {_value(message, name)}" for name in names).encode("ascii")


def _value(message: Message, name: str) -> str:
    value: str | None = None
    if name == TARGET:
        value = f"{message.method.lower()} {_derived(message, '@request-target')}"
    elif name == "host":
        # Ours, whatever a proxy in front has made of Host: the message must have been meant for us.
        value = _derived(message, "@authority")
    elif re.fullmatch(r"[a-z0-9-]+", name):
        value = message.field(name)
    if value is None:
        raise bad(Reason.COVERAGE, "a covered header is absent", name[:80])
    if not value.isascii() or not value.replace("\t", " ").isprintable():
        raise bad(Reason.MALFORMED, "a covered value is not plain text", name)
    return value


def _derived(message: Message, name: str) -> str:
    return derived_value(Component(name), message.method, message.target_uri, None)


def _date(text: str) -> int:
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            raise ValueError("no time zone")
        return int(moment.timestamp())
    except (ValueError, OverflowError) as error:
        raise bad(Reason.CREATED, "Date cannot be read", text[:80]) from error


def _check_digest(header: str, body: bytes) -> None:
    """Digest (RFC 3230): every algorithm that we know must match, and one must be there."""
    known = 0
    for entry in header.split(","):
        name, _, value = entry.strip().partition("=")
        if make := _DIGESTS.get(name.lower()):
            known += 1
            if not hmac.compare_digest(_octets(value, Reason.DIGEST), make(body).digest()):
                raise bad(Reason.DIGEST, "Digest does not match the body", name)
    if not known:
        raise bad(Reason.DIGEST, "Digest names neither SHA-256 nor SHA-512")


def _octets(text: str, reason: Reason) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise bad(reason, "a value is not base64") from error
