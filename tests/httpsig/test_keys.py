import base64
import json

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from jwcrypto.jwk import JWK

from gateway.errors import BadSignature, Malformed
from gateway.httpsig.keys import MOST_KEYS, parse_jwks, parse_pem
from gateway.httpsig.signing import SigningKey

KEY = SigningKey.from_seed("a.example#key1", bytes(range(32)))
RSA = rsa.generate_private_key(65537, 2048)
P384 = ec.generate_private_key(ec.SECP384R1())
DATA = b"data"


def jwk_of(private, **members):
    return json.loads(JWK.from_pyca(private.public_key()).export_public()) | {"kid": "k"} | members


def one(entry):
    [key] = parse_jwks({"keys": [entry]})
    return key


def reason(key, *arguments):
    with pytest.raises(BadSignature) as caught:
        key.verify(*arguments)
    return caught.value.reason


def test_our_key_is_published_as_every_peer_wants_it():
    jwk = KEY.public_jwk()
    assert set(jwk) == {"kty", "crv", "x", "kid", "use", "alg"}
    assert (jwk["kid"], jwk["use"], jwk["alg"]) == ("a.example#key1", "sig", "EdDSA")
    one(jwk).verify(DATA, KEY.sign(DATA))


def test_no_secret_is_in_the_repr():
    assert "private" not in repr(KEY)


@pytest.mark.parametrize(("kid", "seed"), [("k", b"short"), ("", bytes(32)), ("a b", bytes(32))])
def test_odd_keys_are_not_made(kid, seed):
    with pytest.raises(Malformed):
        SigningKey.from_seed(kid, seed)


def test_p384_signatures_are_raw():
    key = one(jwk_of(P384, alg="ES384"))
    der = P384.sign(DATA, ec.ECDSA(hashes.SHA384()))
    raw = b"".join(number.to_bytes(48) for number in decode_dss_signature(der))
    key.verify(DATA, raw, "ecdsa-p384-sha384")
    assert reason(key, DATA, der) == "signature"
    assert reason(key, DATA, bytes(96)) == "signature"
    assert reason(key, DATA, raw, "ecdsa-p256-sha256") == "algorithm"


def test_rsa_without_alg_needs_the_signature_to_name_it():
    key = one(jwk_of(RSA))
    v15 = RSA.sign(DATA, padding.PKCS1v15(), hashes.SHA256())
    pss = RSA.sign(DATA, padding.PSS(padding.MGF1(hashes.SHA512()), 64), hashes.SHA512())
    key.verify(DATA, v15, "rsa-v1_5-sha256")
    key.verify(DATA, v15, "rsa-sha256")
    key.verify(DATA, pss, "rsa-pss-sha512")
    assert reason(key, DATA, v15) == "algorithm"
    assert reason(key, DATA, v15, "rsa-pss-sha512") == "signature"
    assert reason(key, DATA, v15, "rsa-v1_5-sha512") == "signature"
    assert reason(key, DATA, v15, "rsa-v1_5-sha1") == "algorithm"


@pytest.mark.parametrize(
    ("sha", "jose", "native"),
    [
        (hashes.SHA256(), "RS256", "rsa-v1_5-sha256"),
        (hashes.SHA384(), "RS384", "rsa-v1_5-sha384"),
        (hashes.SHA512(), "RS512", "rsa-v1_5-sha512"),
    ],
)
def test_rsa_verifies_under_the_names_that_peers_give_it(sha, jose, native):
    made = RSA.sign(DATA, padding.PKCS1v15(), sha)
    one(jwk_of(RSA, alg=jose)).verify(DATA, made, native)
    one(jwk_of(RSA, alg=jose)).verify(DATA, made)
    one(jwk_of(RSA)).verify(DATA, made, jose)


@pytest.mark.parametrize("algorithm", ["ed25519", "ecdsa-p256-sha256", "rsa-v1_5-sha512"])
def test_every_kind_of_key_survives_being_kept(algorithm):
    key = SigningKey.generate("a.example#k", algorithm)
    again = SigningKey.load(key.kid, algorithm, key.private_bytes())
    assert again.public_jwk() == key.public_jwk()
    again.verification_key().verify(DATA, key.sign(DATA), algorithm)
    assert not {"d", "p", "q", "k"} & key.public_jwk().keys()
    assert again.verification_key().thumbprint == JWK(**key.public_jwk()).thumbprint()


def test_a_published_pem_is_an_rsa_key():
    pem = SigningKey.generate("https://h/ocm#signature", "rsa-v1_5-sha512").public_pem()
    key = parse_pem("k", pem)
    assert key.algorithms == ("rsa-v1_5-sha512", "rsa-v1_5-sha256")
    weak = rsa.generate_private_key(65537, 1024).public_key()
    for private in (P384.public_key(), weak):
        text = private.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        with pytest.raises(Malformed):
            parse_pem("k", text)
    for text in ("", "x", "-----BEGIN PUBLIC KEY-----\n\n-----END PUBLIC KEY-----", "\u00e9"):
        with pytest.raises(Malformed):
            parse_pem("k", text)


@pytest.mark.conforms("OCM-RFC9421-20")
def test_the_salt_of_pss_has_64_bytes():
    pss = RSA.sign(DATA, padding.PSS(padding.MGF1(hashes.SHA512()), 32), hashes.SHA512())
    assert reason(one(jwk_of(RSA, alg="PS512")), DATA, pss) == "signature"


@pytest.mark.conforms("OCM-RFC9421-16")
def test_the_alg_of_the_key_wins():
    key = one(jwk_of(RSA, alg="RS256"))
    assert key.algorithms == ("rsa-v1_5-sha256",)
    assert reason(key, DATA, b"", "rsa-pss-sha512") == "algorithm"


@pytest.mark.conforms("OCM-RFC7517-03", "OCM-RFC7517-06")
@pytest.mark.parametrize(
    "change",
    [
        {"kid": None},
        {"kid": ""},
        {"kid": 7},
        {"kty": "oct", "k": "AAAA"},
        {"kty": "unknown"},
        {"kty": None},
        {"crv": "Ed448"},
        {"crv": "X25519"},
        {"crv": ["Ed25519"]},
        {"x": "AAAA"},
        {"x": KEY.public_jwk()["x"] + "="},
        {"x": None},
        {"alg": "ES256"},
        {"alg": "HS256"},
        {"alg": None},
        {"alg": ["EdDSA"]},
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"key_ops": "verify"},
    ],
)
def test_an_entry_that_we_cannot_use_does_not_hide_the_others(change):
    broken = KEY.public_jwk() | change
    found = parse_jwks({"keys": [broken, "x", None, KEY.public_jwk()], "other": 1})
    assert [key.kid for key in found] == [KEY.kid]


@pytest.mark.parametrize(
    "entry",
    [
        jwk_of(rsa.generate_private_key(65537, 1024)),
        jwk_of(RSA, alg="PS256"),
        {key: value for key, value in jwk_of(RSA).items() if key != "n"},
        jwk_of(RSA, e="Ag"),
        jwk_of(P384, y=jwk_of(P384)["x"]),
        jwk_of(P384, crv="P-256"),
        jwk_of(P384, x="AAAA"),
    ],
)
def test_weak_and_broken_keys_are_left_out(entry):
    assert parse_jwks({"keys": [entry]}) == ()


@pytest.mark.parametrize(
    "change", [{}, {"alg": "Ed25519"}, {"alg": "ed25519"}, {"key_ops": ["verify"]}]
)
def test_keys_in_other_spellings_are_read(change):
    assert one(KEY.public_jwk() | change).algorithms == ("ed25519",)


@pytest.mark.conforms("OCM-RFC7517-05")
def test_two_keys_of_one_name_both_stay():
    other = SigningKey.from_seed(KEY.kid, bytes(32))
    assert len(parse_jwks({"keys": [KEY.public_jwk(), other.public_jwk()]})) == 2


@pytest.mark.parametrize("data", [None, [], {}, {"keys": {}}, {"keys": [{}] * (MOST_KEYS + 1)}])
def test_what_is_no_key_set_is_refused(data):
    with pytest.raises(Malformed):
        parse_jwks(data)


MEMBERS = st.sampled_from(["kty", "crv", "kid", "x", "y", "n", "e", "alg", "use", "key_ops"])
VALUES = st.sampled_from(
    ["OKP", "EC", "RSA", "Ed25519", "P-256", "sig", "AQAB", ["verify"], 1, None]
)
RANDOM = st.binary(min_size=1, max_size=70).map(
    lambda b: base64.urlsafe_b64encode(b).rstrip(b"=").decode()
)


@given(st.lists(st.dictionaries(MEMBERS, VALUES | RANDOM), max_size=5))
def test_no_key_set_raises_anything_else(entries):
    parse_jwks({"keys": entries})
