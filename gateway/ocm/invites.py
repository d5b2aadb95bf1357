"""Invites: as people pass them on (draft 03, 4.4.6), and as servers accept them (4.4.3, 4.4.4).

An invite is a string, base64 of token@host where the last @ divides, or a link that has the token
as a query parameter. Mail programs wrap the string and web pages drop its padding; what it
decodes to is what counts.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from pydantic import ValidationError

from gateway.errors import Malformed
from gateway.model import Authority
from gateway.ocm import json
from gateway.ocm.address import authority, local_part
from gateway.ocm.json import encodable, has_control
from gateway.ocm.wire import AcceptanceMembers, PersonMembers

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
    return read_invite(token, provider)


def read_invite(token: str, provider: str) -> Invite:
    """An invite out of its two parts. Raises Malformed."""
    if len(token) > LONGEST or not token or has_control(token) or not encodable(token):
        raise Malformed("the invite has no token")
    return Invite(token, authority(provider))


def encode_invite(token: str, provider: Authority) -> str:
    """The invite string: URL-safe base64 without padding (OCM-API 1.4), on one line."""
    return base64.urlsafe_b64encode(f"{token}@{provider}".encode()).decode("ascii").rstrip("=")


def fit(token: str, provider: Authority) -> str:
    """As much of a token as needs no padding in an invite string.

    Of a token out of letters, digits, - and _ the string is then the same in every alphabet, with
    padding and without: every reader of either generation takes it.
    """
    return token[: len(token) - len(f"{token}@{provider}".encode()) % 3]


@dataclass(frozen=True, slots=True)
class Person:
    """An Invite Sender or Invite Receiver, as their server introduces them.

    `user_id` is their identifier at that server. `email` is informational and may be "".
    """

    user_id: str
    email: str
    name: str


@dataclass(frozen=True, slots=True)
class Acceptance:
    """An Invite Acceptance Request (draft 03, 4.4.3): who accepts which Invite."""

    token: str = field(repr=False)
    recipient_provider: Authority
    receiver: Person


def parse_acceptance(body: bytes) -> Acceptance:
    """Read an Invite Acceptance Request. Raises Malformed, naming the members at fault."""
    try:
        members = AcceptanceMembers.model_validate(json.load_object(body))
    except ValidationError as error:
        raise Malformed("the acceptance is not valid", fields=_faults(error)) from error
    try:
        provider = authority(members.recipient_provider)
    except Malformed as error:
        raise Malformed(
            "the acceptance is not valid", fields=(("recipientProvider", error.message),)
        ) from error
    return Acceptance(members.token, provider, _person(members, provider))


def encode_acceptance(acceptance: Acceptance) -> bytes:
    """The body of an Invite Acceptance Request: all five members are required."""
    return json.dump(
        {"recipientProvider": acceptance.recipient_provider, "token": acceptance.token}
        | person_members(acceptance.receiver)
    )


def parse_person(body: bytes, provider: Authority) -> Person:
    """Read an Invite Acceptance Response of that server (draft 03, 4.4.4). Raises Malformed."""
    try:
        return _person(PersonMembers.model_validate(json.load_object(body)), provider)
    except ValidationError as error:
        raise Malformed("the answer does not say who they are", fields=_faults(error)) from error


def person_members(person: Person) -> dict[str, object]:
    """The members that say who somebody is."""
    return {"userID": person.user_id, "email": person.email, "name": person.name}


def _person(members: PersonMembers, provider: Authority) -> Person:
    return Person(local_part(members.user_id, provider), members.email, members.name.strip())


def _faults(error: ValidationError) -> tuple[tuple[str, str], ...]:
    """Which members are wrong and why, without their values: one is a secret."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return tuple((".".join(map(str, fault["loc"])), fault["msg"]) for fault in faults)


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
