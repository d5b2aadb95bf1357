import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jwcrypto.jwa import JWA
from jwcrypto.jwk import JWK

from gateway.errors import BadSignature, GatewayError, Malformed
from gateway.ocm import base64url
from gateway.ocm.directory import parse_directory, pin

VECTORS = json.loads((Path(__file__).parents[1] / "vectors.json").read_text())["directory"]
KEYS = {VECTORS[name]["kid"]: VECTORS[name] for name in ("rs256_jwk", "eddsa_jwk")}
EDDSA, RS256 = JWK(**VECTORS["eddsa_jwk"]), JWK(**VECTORS["rs256_jwk"])
PINNED = [EDDSA.export_public(as_dict=True)]
PAYLOAD = {"federation": "F", "servers": [{"url": "https://a.example", "displayName": "A"}]}


def signed(payload=None, key=EDDSA, header=None, **protected):
    """A JWS, compact or with an unprotected header flattened; as odd as it is asked to be."""
    encoded = [
        base64url.encode(json.dumps(part).encode())
        for part in ({"alg": key["alg"]} | protected, PAYLOAD if payload is None else payload)
    ]
    signing_input = ".".join(encoded).encode()
    signature = base64url.encode(JWA.signing_alg(key["alg"]).sign(key, signing_input))
    if header is None:
        return ".".join([*encoded, signature]).encode()
    members = {"protected": encoded[0], "payload": encoded[1], "signature": signature}
    return json.dumps(members | {"header": header}).encode()


@pytest.mark.conforms(
    "OCM-18-02",
    "OCM-18-03",
    "OCM-18-04",
    "OCM-18-05",
    "OCM-18-06",
    "OCM-18-08",
    "OCM-18-09",
    "OCM-18-10",
    "OCM-18-11",
    "OCM-18-12",
    "OCM-RFC7515-01",
    "OCM-RFC7515-03",
    "OCM-RFC7515-04",
    "OCM-RFC7515-07",
)
@pytest.mark.parametrize("case", [pytest.param(c, id=c["desc"]) for c in VECTORS["cases"]])
def test_every_directory_vector(case):
    document, pinned = case["document"].encode(), [KEYS[kid] for kid in case["pinned"]]
    if not case["accept"]:
        with pytest.raises((Malformed, BadSignature)):
            parse_directory(document, pinned)
        return
    directory = parse_directory(document, pinned)
    assert [server.url for server in directory.servers] == case["usable"]


@pytest.mark.conforms("OCM-RFC7515-07")
def test_a_compact_jws_is_read():
    directory = parse_directory(signed(kid="x", typ="JWT") + b"\n", PINNED)
    assert directory.federation == "F"
    assert directory.servers[0].authority == "a.example"


def test_a_key_may_be_pinned_as_pem():
    pem = RS256.export_to_pem().decode()
    assert parse_directory(signed(key=RS256), [pem]).federation == "F"
    assert pin(EDDSA.export_to_pem().decode()).algorithm == "EdDSA"


@pytest.mark.conforms("OCM-18-09")
def test_a_server_on_plain_http_keeps_its_port():
    urls = ["http://a.example", "http://a.example:443", "https://A.example:443", "http://[::1]:8"]
    payload = PAYLOAD | {"servers": [{"url": url, "displayName": ""} for url in urls]}
    servers = parse_directory(signed(payload), PINNED).servers
    found = [server.authority for server in servers]
    assert found == ["a.example:80", "a.example", "a.example", "[::1]:8"]


@pytest.mark.conforms("OCM-RFC7515-04", "OCM-RFC7515-05", "OCM-RFC7515-06")
@pytest.mark.parametrize(
    "document",
    [
        signed(crit=["x"], x=1),
        signed(header={"kid": "a"}, kid="b"),
        signed(header={"crit": ["kid"], "kid": "a"}),
        signed(key=RS256),
        signed().replace(b".", b"=.", 1),
        signed() + b"A",
        signed(
            jku="https://evil.example/", key=JWK.generate(kty="OKP", crv="Ed25519", alg="EdDSA")
        ),
    ],
)
def test_a_signature_that_is_not_that_of_a_pinned_key_is_refused(document):
    with pytest.raises(BadSignature):
        parse_directory(document, PINNED)


@pytest.mark.conforms("OCM-RFC7515-03")
def test_the_pinned_public_key_is_no_shared_secret():
    # Algorithm confusion: HMAC with the public key's text as the secret.
    public = base64url.encode(RS256.export_to_pem())
    forged = signed(key=JWK(kty="oct", k=public, alg="HS256"))
    with pytest.raises(BadSignature):
        parse_directory(forged, [RS256.export_public(as_dict=True)])


@pytest.mark.conforms("OCM-RFC7515-02")
def test_an_algorithm_named_twice_is_refused():
    _, payload, signature = signed().split(b".")
    twice = base64url.encode(b'{"alg":"none","alg":"EdDSA"}').encode()
    with pytest.raises(BadSignature):
        parse_directory(b".".join((twice, payload, signature)), PINNED)


@pytest.mark.parametrize(
    "payload",
    [{}, {"federation": 1, "servers": []}, {"federation": "F"}, {"federation": "F", "servers": {}}],
)
def test_a_signed_document_that_is_no_directory_is_refused(payload):
    with pytest.raises(Malformed):
        parse_directory(signed(payload), PINNED)


@pytest.mark.parametrize(
    "document", [b"", b"{}", b"..", b"a.b", b"[]", b'{"signatures":[]}', b"\xff"]
)
def test_what_is_no_jws_is_refused(document):
    with pytest.raises((Malformed, BadSignature)):
        parse_directory(document, PINNED)


@pytest.mark.parametrize(
    "key",
    [
        "", "-----BEGIN PUBLIC KEY-----", {}, {"kty": "oct", "k": "AAAA"},
        PINNED[0] | {"alg": "RS256"}, PINNED[0] | {"alg": "none"},
        {"kty": "OKP", "crv": "X25519", "x": PINNED[0]["x"]},
    ],
    ids=str,
)  # fmt: skip
def test_only_public_keys_that_verify_can_be_pinned(key):
    with pytest.raises(Malformed):
        pin(key)


@given(st.binary() | st.text().map(str.encode))
def test_nothing_but_our_errors_comes_out(document):
    with pytest.raises(GatewayError):
        parse_directory(document, PINNED)


MEMBERS = st.sampled_from(["payload", "protected", "signature", "signatures", "header"])
ANY = st.recursive(
    st.text() | st.none() | st.integers(0, 9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner),
)


@given(st.dictionaries(MEMBERS, ANY))
def test_no_odd_jws_raises_anything_else(members):
    document = json.dumps({"payload": "e30", "protected": "e30", "signature": "AA"} | members)
    with pytest.raises(GatewayError):
        parse_directory(document.encode(), PINNED)
