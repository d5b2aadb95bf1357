import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Malformed
from gateway.model import Authority, Contact, ContactSource
from gateway.ocm.jscontact import PROPERTY, encode_card, parse_cards

CONTACT = Contact(
    id="7c084226-d9a1-41e6-bf26-cec0c932ce01",
    user="alice",
    user_id="einstein",
    provider=Authority("cloud.example.org"),
    name="Albert Einstein",
    email="albert@example.org",
    source=ContactSource.INVITE,
    added_at=1_795_579_700,
    label="Al",
    trusted=True,
)


@pytest.mark.conforms("OCM-13.2-01", "OCM-13.3-01")
def test_a_contact_is_a_card_with_a_map_of_ocm_addresses():
    assert encode_card(CONTACT) == {
        "@type": "Card",
        "version": "1.0",
        "uid": "urn:uuid:7c084226-d9a1-41e6-bf26-cec0c932ce01",
        "created": "2026-11-25T04:08:20Z",
        "kind": "individual",
        "name": {"@type": "Name", "full": "Al"},
        "emails": {"primary": {"@type": "EmailAddress", "address": "albert@example.org"}},
        "ietf.org:ocmAddresses": {
            "primary": {
                "@type": "ocmAddress",
                "address": "einstein@cloud.example.org",
                "trusted": True,
                "source": "invite",
                "label": "Al",
            }
        },
    }


@pytest.mark.conforms("OCM-13.4-01")
@pytest.mark.parametrize("source", list(ContactSource))
def test_sources_are_spelled_as_registered(source):
    card = encode_card(replace(CONTACT, source=source))
    assert card[PROPERTY]["primary"]["source"] in {"invite", "share", "direct entry"}


def test_what_is_exported_can_be_imported():
    [found], wrong = parse_cards(json.dumps([encode_card(CONTACT)]).encode())
    assert wrong == []
    assert str(found.address) == CONTACT.address
    assert (found.name, found.email, found.label) == ("Al", "albert@example.org", "Al")
    assert (found.source, found.trusted) == (ContactSource.INVITE, True)


def test_one_card_may_hold_several_addresses_and_its_name_in_parts():
    card = {
        "@type": "Card",
        "version": "1.0",
        "name": {"components": [{"kind": "given", "value": "Ada"}, {"value": "Lovelace"}]},
        PROPERTY: {
            "a": {"address": "ada@one.example"},
            "b": {"address": "ada@two.example:8443", "source": "elsewhere", "trusted": "yes"},
            "c": {"address": "nobody"},
            "d": {"address": 7},
            "e": "ada@three.example",
        },
    }
    found, wrong = parse_cards(json.dumps(card).encode())
    assert [str(one.address) for one in found] == ["ada@one.example", "ada@two.example:8443"]
    assert {one.name for one in found} == {"Ada Lovelace"}
    assert {(one.source, one.trusted) for one in found} == {(ContactSource.DIRECT_ENTRY, False)}
    assert [one.partition(":")[0] for one in wrong] == ["nobody", ""]


@pytest.mark.parametrize(
    "data",
    [
        b"", b"7", b'"x"', b"[7]", b"{", b"\xff", b'[{"@type":"CardGroup"}]', b"[],[]",
        b'{}}{"a":1', b"null", b"[" * 100 + b"]" * 100,
    ],
)  # fmt: skip
def test_what_is_no_card_is_refused(data):
    with pytest.raises(Malformed):
        parse_cards(data)


def test_too_many_cards_are_refused():
    with pytest.raises(Malformed):
        parse_cards(json.dumps([{}] * 5001).encode())


@given(st.recursive(st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner) | (
    st.dictionaries(st.sampled_from(["name", "emails", PROPERTY, "full", "address"]), inner)
)))  # fmt: skip
def test_any_json_is_read_or_refused(value):
    try:
        found, wrong = parse_cards(json.dumps(value).encode())
    except Malformed:
        return
    assert isinstance(found, list)
    assert isinstance(wrong, list)
