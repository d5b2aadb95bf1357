"""HTTP Message Signatures (RFC 9421): read, check and make them. No I/O and no clock.

    signature = read_signature(message)              shape and coverage
    check_unkeyed(signature, message, now)           freshness, digest, length: still no key needed
    check_keyed(signature, *keys)                    the key, its algorithm, the signature

A message without any signature is Unsigned; one with a signature that fails anywhere is a
BadSignature and never taken for unsigned. Only one signature is ours to judge: the one tagged
`ocm`, else labelled `ocm`, else `sig1` (draft 03), else the only one. A proxy may add its own.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from enum import StrEnum

import http_sf
from http_sf.innerlist import ser_innerlist
from http_sf.types import BareItemType

from gateway.errors import BadSignature, Unsigned
from gateway.httpsig.components import Component, derived_value, has_query, parse_component
from gateway.httpsig.digest import check_digest, content_digest
from gateway.httpsig.fields import Members, Parameters, parse_dictionary
from gateway.httpsig.keys import VerificationKey
from gateway.httpsig.reasons import Reason, bad
from gateway.httpsig.signing import SigningKey
from gateway.model import Scheme

LABEL = TAG = "ocm"
MAX_AGE_SECONDS = 300
SKEW_SECONDS = 60

_MOST_COMPONENTS = 40
_SIGNED = ("@method", "@target-uri", "content-digest", "content-length", "date")
_REPLACED = frozenset({"content-digest", "content-length", "date", "signature-input", "signature"})
_FOLD = re.compile(r"(?<![ \t])[ \t]*\r?\n[ \t]+")  # the first part keeps it linear


class Profile(StrEnum):
    """How much a signature must cover.

    STRICT: what came after draft 03, to the letter. Exactly one signature for OCM, over method,
    target, digest, length and date. COMPATIBLE: draft 03, over method, target and, for a message
    with a body, its digest.
    """

    STRICT = "strict"
    COMPATIBLE = "compatible"


@dataclass(frozen=True, slots=True)
class Message:
    """A request as its sender saw it: `target_uri` is the absolute public URI, byte for byte.

    `headers` in the order received, repeated names kept. A `status` makes it a response.
    """

    method: str
    target_uri: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    status: int | None = None

    def field(self, name: str) -> str | None:
        """The combined value of a header field (RFC 9421 2.1), None when it is absent."""
        lines = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(_FOLD.sub(" ", line).strip(" \t\r\n") for line in lines) if lines else None


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature as it was received, and the bytes it must have been made over."""

    label: str
    components: tuple[Component, ...]
    keyid: str
    alg: str | None
    created: int
    expires: int | None
    nonce: str | None
    tag: str | None
    value: bytes = field(repr=False)
    base: bytes = field(repr=False)
    scheme: Scheme = Scheme.RFC9421


def signature_base(
    message: Message,
    components: Sequence[Component],
    parameters: Sequence[tuple[str, BareItemType]],
) -> str:
    """The text that is signed (RFC 9421 2.5).

    `parameters` are those of the signature, in the order they were received. Raises BadSignature:
    malformed for a repeated component or a value that would break a line, coverage when the
    message lacks a covered component.
    """
    if len(set(components)) != len(components):
        raise bad(Reason.MALFORMED, "a component is covered twice")
    lines = [f"{part.identifier}: {_value(message, part)}" for part in components]
    lines.append(f'"@signature-params": {_signature_params(components, parameters)}')
    return "\n".join(lines)


def read_signature(message: Message, profile: Profile = Profile.COMPATIBLE) -> Signature:
    """The signature that is meant for OCM, complete in shape and coverage; nothing proven yet.

    Raises Unsigned when there is neither Signature nor Signature-Input; BadSignature (malformed,
    coverage) for everything else.
    """
    inputs, values = message.field("signature-input"), message.field("signature")
    if inputs is None and values is None:
        raise Unsigned("the request is not signed")
    if inputs is None or values is None:
        raise bad(Reason.MALFORMED, "Signature and Signature-Input only go together")
    members = parse_dictionary(inputs, Reason.MALFORMED)
    label = _choose(members, profile)
    covered, parameters = members[label]
    value = parse_dictionary(values, Reason.MALFORMED).get(label, (None, {}))[0]
    if not isinstance(value, bytes):
        raise bad(Reason.MALFORMED, "the Signature field has no bytes under that label", label)
    components = _components(covered)
    _check_coverage(components, message, profile)
    base = signature_base(message, components, tuple(parameters.items()))
    return Signature(
        label=label,
        components=components,
        keyid=_keyid(parameters),
        alg=_text(parameters, "alg"),
        created=_created(parameters),
        expires=_seconds(parameters, "expires"),
        nonce=_text(parameters, "nonce"),
        tag=_text(parameters, "tag"),
        value=value,
        base=base.encode("ascii"),
    )


def check_fresh(
    signature: Signature,
    now: int,
    max_age_seconds: int = MAX_AGE_SECONDS,
    skew_seconds: int = SKEW_SECONDS,
) -> None:
    """Raise BadSignature (created, expired) unless it was made just now and still holds."""
    if signature.created > now + skew_seconds:
        raise bad(Reason.CREATED, "the signature was created in the future")
    if signature.created < now - max_age_seconds:
        raise bad(Reason.CREATED, "the signature is too old")
    if signature.expires is not None and signature.expires <= now:
        raise bad(Reason.EXPIRED, "the signature has expired")


def check_body(message: Message) -> None:
    """Raise BadSignature (digest) unless Content-Digest and Content-Length are the body's."""
    length = message.field("content-length")
    if length is not None and length != str(len(message.body)):
        raise bad(Reason.DIGEST, "Content-Length is not the length of the body")
    digest = message.field("content-digest")
    if digest is not None:
        check_digest(digest, message.body)
    elif message.body:
        raise bad(Reason.COVERAGE, "a body without Content-Digest")


def check_unkeyed(
    signature: Signature,
    message: Message,
    now: int,
    max_age_seconds: int = MAX_AGE_SECONDS,
    skew_seconds: int = SKEW_SECONDS,
) -> None:
    """All that can be checked before a key is fetched. Raises BadSignature."""
    check_fresh(signature, now, max_age_seconds, skew_seconds)
    check_body(message)


def check_keyed(signature: Signature, *keys: VerificationKey) -> VerificationKey:
    """The key that made the signature, out of these.

    Only keys whose kid is the keyid count; if several share it, any may fit. Raises BadSignature:
    unknown_key, algorithm, signature.
    """
    error = bad(Reason.UNKNOWN_KEY, "no key of that keyid is published", signature.keyid)
    for key in keys:
        if key.kid != signature.keyid:
            continue
        try:
            key.verify(signature.base, signature.value, signature.alg)
        except BadSignature as failure:
            error = failure
        else:
            return key
    raise error


def verify(
    signature: Signature,
    message: Message,
    key: VerificationKey,
    now: int,
    max_age_seconds: int = MAX_AGE_SECONDS,
    skew_seconds: int = SKEW_SECONDS,
) -> None:
    """All checks at once, for a key at hand. Raises BadSignature."""
    check_unkeyed(signature, message, now, max_age_seconds, skew_seconds)
    check_keyed(signature, key)


def sign(message: Message, key: SigningKey, now: int, nonce: str | None = None) -> Message:
    """The request with our signature and the headers that it covers.

    Two signatures of one message within a second are the same bytes and look like a replay;
    a `nonce` (printable ASCII) tells them apart.
    """
    added = (
        ("Content-Digest", content_digest(message.body)),
        ("Content-Length", str(len(message.body))),
        ("Date", formatdate(now, usegmt=True)),
    )
    kept = tuple(header for header in message.headers if header[0].lower() not in _REPLACED)
    signed = replace(message, headers=kept + added)
    components = tuple(Component(name) for name in _SIGNED)
    parameters: list[tuple[str, BareItemType]] = [
        ("created", now),
        ("keyid", key.kid),
        ("alg", key.algorithm),
        ("tag", TAG),
    ]
    if nonce is not None:
        parameters.append(("nonce", nonce))
    value = key.sign(signature_base(signed, components, parameters).encode("ascii"))
    signature = (
        ("Signature-Input", f"{LABEL}={_signature_params(components, parameters)}"),
        ("Signature", http_sf.ser({LABEL: value})),
    )
    return replace(signed, headers=signed.headers + signature)


def _value(message: Message, component: Component) -> str:
    if component.name.startswith("@"):
        value: str | None = derived_value(
            component, message.method, message.target_uri, message.status
        )
    else:
        value = message.field(component.name)
    if value is None:
        raise bad(Reason.COVERAGE, "a covered header is absent", component.name)
    # RFC 9421 2.5: the base is ASCII, and a line break in a value would forge another line.
    if not value.replace("\t", " ").isprintable() or not value.isascii():
        raise bad(Reason.MALFORMED, "a covered value is not plain text", component.name)
    return value


def _signature_params(
    components: Sequence[Component], parameters: Sequence[tuple[str, BareItemType]]
) -> str:
    items = [(part.name, dict(part.parameters)) for part in components]
    return ser_innerlist((items, dict(parameters)))  # type: ignore[arg-type]


def _choose(members: Members, profile: Profile) -> str:
    """The label of the signature for OCM; one with a foreign tag is for someone else."""
    tags = {label: parameters.get("tag") for label, (_, parameters) in members.items()}
    tagged = [label for label, tag in tags.items() if type(tag) is str and tag == TAG]
    untagged = [label for label, tag in tags.items() if tag is None]
    if profile is Profile.STRICT and LABEL in untagged:
        tagged.append(LABEL)
    if len(tagged) > 1:
        raise bad(Reason.MALFORMED, "there is more than one signature for OCM")
    if tagged:
        return tagged[0]
    if profile is Profile.COMPATIBLE:
        for label in (LABEL, "sig1"):
            if label in untagged:
                return label
        if len(untagged) == 1:
            return untagged[0]
    raise bad(Reason.MALFORMED, "none of the signatures is for OCM")


def _components(covered: object) -> tuple[Component, ...]:
    if not isinstance(covered, list):
        raise bad(Reason.MALFORMED, "Signature-Input has no list of components")
    if len(covered) > _MOST_COMPONENTS:
        raise bad(Reason.MALFORMED, "too many components are covered")
    return tuple(parse_component(name, parameters) for name, parameters in covered)


def _check_coverage(components: Sequence[Component], message: Message, profile: Profile) -> None:
    covered = {component.name for component in components}
    required = set(_SIGNED) if profile is Profile.STRICT else {"@method"}
    if profile is Profile.COMPATIBLE:
        if "@target-uri" not in covered:
            required |= {"@authority", "@path"}
            required |= {"@query"} if has_query(message.target_uri) else set()
        if message.body:
            required.add("content-digest")
    if missing := required - covered:
        raise bad(Reason.COVERAGE, "the signature covers too little", ", ".join(sorted(missing)))


def _keyid(parameters: Parameters) -> str:
    keyid = _text(parameters, "keyid")
    if not keyid:
        raise bad(Reason.MALFORMED, "the signature names no key")
    return keyid


def _created(parameters: Parameters) -> int:
    created = _seconds(parameters, "created")
    if created is None:
        raise bad(Reason.CREATED, "the signature does not say when it was created")
    return created


def _text(parameters: Parameters, name: str) -> str | None:
    value = parameters.get(name)
    if value is None or type(value) is str:
        return value
    raise bad(Reason.MALFORMED, f"{name} is not a string")


def _seconds(parameters: Parameters, name: str) -> int | None:
    value = parameters.get(name)
    if value is None or type(value) is int:  # a boolean is an int to isinstance
        return value
    raise bad(Reason.MALFORMED, f"{name} is not a whole number of seconds")
