import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Malformed
from gateway.ocm.address import Address, authority, parse_address

VECTORS = json.loads((Path(__file__).parents[1] / "vectors.json").read_text())["addresses"]


@pytest.mark.conforms("OCM-2-02", "OCM-2-03", "OCM-2-05", "OCM-5.2-01")
@pytest.mark.parametrize("vector", [pytest.param(v, id=v["note"]) for v in VECTORS])
def test_every_address_vector(vector):
    if not vector["valid"]:
        with pytest.raises(Malformed):
            parse_address(vector["input"])
        return
    address = parse_address(vector["input"])
    port = f":{vector['port']}" if vector["port"] else ""
    assert address == Address(vector["identifier"], vector["host"] + port)
    assert str(address) == f"{vector['identifier']}@{vector['host']}{port}"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("A.Example", "a.example"),
        ("a.example.", "a.example"),
        ("a.example.:443", "a.example"),
        ("a.example:80", "a.example:80"),
        ("B\u00fccher.example", "xn--bcher-kva.example"),
        ("b\u00fccher\u3002example", "xn--bcher-kva.example"),
        ("xn--Bcher-KVA.example", "xn--bcher-kva.example"),
        ("[2001:DB8:0:0::1]", "[2001:db8::1]"),
        ("[::1]:443", "[::1]"),
        ("10.0.0.1:65535", "10.0.0.1:65535"),
        ("1a.example", "1a.example"),
    ],
)
def test_an_authority_has_one_spelling(text, canonical):
    assert authority(text) == canonical
    assert authority(canonical) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "", ".", "a..b", "a.example..", "https://a.example", "u@a.example", "a.example:", "a b",
        "a.example:65536", "a.example:0443", "a.example:+1", "a_b.example", "a-.example", "*.a",
        "a%2eb", "127.1", "0x7f000001", "0x7f.1", "0177.0.0.1", "1.2.3.4.5", "\uff11.1", "a.0x",
        "[::1", "::1]", "[]", "[1.2.3.4]", "[v1.a]", "[::1%eth0]", "a" * 64, "a." * 130 + "a",
        "a\n", "a\u0000", "a\u202eb.example", "\ud800", "a\uff0fb", "a\uff20b", "\u2488com",
    ],
)  # fmt: skip
def test_what_names_no_server_is_refused(text):
    with pytest.raises(Malformed):
        authority(text)


@pytest.mark.parametrize("identifier", ["a\n", "\x7f", "\x85", "\ud800", "x" * 1025])
def test_identifiers_that_no_one_can_have_are_refused(identifier):
    with pytest.raises(Malformed):
        parse_address(f"{identifier}@a.example")


LABELS = st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,10}[a-zA-Z0-9])?", fullmatch=True)
HOSTS = st.lists(LABELS, min_size=1, max_size=4).map(".".join) | st.ip_addresses(v=6).map(
    "[{}]".format
)
PORTS = st.none() | st.integers(1, 65535)
IDENTIFIERS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40)


@given(IDENTIFIERS, HOSTS, PORTS)
def test_an_address_survives_being_written_and_read(identifier, host, port):
    try:
        address = Address(identifier, authority(host if port is None else f"{host}:{port}"))
    except Malformed:
        return  # a host that ends in a number
    assert parse_address(str(address)) == address


@given(st.text())
def test_nothing_but_malformed_comes_out(text):
    with contextlib.suppress(Malformed):
        assert parse_address(str(parse_address(text))) == parse_address(text)


@given(st.text(st.characters(exclude_categories=[]), max_size=12))
def test_an_authority_that_passes_is_canonical_and_plain(text):
    try:
        found = authority(text)
    except Malformed:
        return
    assert authority(found) == found
    assert found.isascii()
    assert found == found.lower()
