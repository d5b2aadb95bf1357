"""Contacts as JSContact cards (RFC 9553) with their OCM Addresses (draft 03, 13.2 to 13.4)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.errors import Malformed
from gateway.model import Contact, ContactSource
from gateway.ocm import json
from gateway.ocm.address import Address, parse_address

PROPERTY = "ietf.org:ocmAddresses"
MOST_BYTES = 8 << 20
MOST_CARDS = 5000
_MOST_ADDRESSES = 50
_LONGEST = 255


@dataclass(frozen=True, slots=True)
class CardAddress:
    """One OCM Address of a card, with what the card says of its owner."""

    address: Address
    name: str
    email: str
    label: str
    source: ContactSource
    trusted: bool


def encode_card(contact: Contact) -> dict[str, object]:
    """A contact as a card with one OCM Address."""
    address: dict[str, object] = {
        "@type": "ocmAddress",
        "address": contact.address,
        "trusted": contact.trusted,
        "source": contact.source.value,
    }
    if contact.label:
        address["label"] = contact.label
    card: dict[str, object] = {
        "@type": "Card",
        "version": "1.0",
        "uid": f"urn:uuid:{contact.id}",
        "created": _moment(contact.added_at),
        "kind": "individual",
        "name": {"@type": "Name", "full": contact.shown_as},
        PROPERTY: {"primary": address},
    }
    if contact.email:
        card["emails"] = {"primary": {"@type": "EmailAddress", "address": contact.email}}
    return card


def parse_cards(data: bytes) -> tuple[list[CardAddress], list[str]]:
    """The OCM Addresses of a card, or of an array of cards, and those that are none.

    Everything else in the cards is left alone. Raises Malformed for what is no such JSON.
    """
    # Read as a member, so that the strict reader of objects takes an array too.
    cards = json.load_object(b'{"cards":' + data + b"}", MOST_BYTES)["cards"]
    cards = [cards] if isinstance(cards, dict) else cards
    if not isinstance(cards, list) or len(cards) > MOST_CARDS:
        raise Malformed("this is no JSContact card, nor an array of some")
    found: list[CardAddress] = []
    wrong: list[str] = []
    for card in cards:
        if not isinstance(card, dict) or card.get("@type", "Card") != "Card":
            raise Malformed("this is no JSContact card, nor an array of some")
        for entry in _addresses(card):
            try:
                found.append(_card_address(card, entry))
            except Malformed as error:
                wrong.append(f"{_text(entry.get('address'))}: {error.message}")
    return found, wrong


def _addresses(card: dict[str, object]) -> Iterator[dict[str, object]]:
    entries = card.get(PROPERTY)
    values: Sequence[object] = list(entries.values()) if isinstance(entries, dict) else []
    return (entry for entry in values[:_MOST_ADDRESSES] if isinstance(entry, dict))


def _card_address(card: dict[str, object], entry: dict[str, object]) -> CardAddress:
    address = entry.get("address")
    if not isinstance(address, str):
        raise Malformed("an ocmAddress has no address")
    source = entry.get("source")
    known = isinstance(source, str) and source in {one.value for one in ContactSource}
    return CardAddress(
        address=parse_address(address),
        name=_full_name(card),
        email=_first_email(card),
        label=_text(entry.get("label")),
        source=ContactSource(str(source)) if known else ContactSource.DIRECT_ENTRY,
        trusted=entry.get("trusted") is True,
    )


def _full_name(card: dict[str, object]) -> str:
    """RFC 9553 2.2.1: `full`, or the components in their order."""
    name = card.get("name")
    if not isinstance(name, dict):
        return ""
    components = name.get("components")
    parts = [
        _text(part.get("value"))
        for part in (components if isinstance(components, list) else [])
        if isinstance(part, dict)
    ]
    return _text(name.get("full")) or " ".join(filter(None, parts))[:_LONGEST]


def _first_email(card: dict[str, object]) -> str:
    emails = card.get("emails")
    entries = list(emails.values()) if isinstance(emails, dict) else []
    found = (_text(one.get("address")) for one in entries if isinstance(one, dict))
    return next(filter(None, found), "")


def _text(value: object) -> str:
    """A line of text, as much of it as we keep."""
    text = " ".join(value.split()) if isinstance(value, str) else ""
    return "" if json.has_control(text) else text[:_LONGEST]


def _moment(seconds: int) -> str:
    """RFC 9553 1.4.5: UTCDateTime."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
