"""Every signature vector: RFC 9421 appendix B, and the OCM ones, good and bad."""

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from gateway.errors import BadSignature
from gateway.httpsig import keys as jwks
from gateway.httpsig.components import parse_component
from gateway.httpsig.digest import content_digest
from gateway.httpsig.fields import parse_dictionary
from gateway.httpsig.keys import NATIVE, VerificationKey
from gateway.httpsig.message import (
    Message,
    Profile,
    check_keyed,
    check_unkeyed,
    read_signature,
    signature_base,
)
from gateway.httpsig.reasons import Reason

VECTORS = json.loads((Path(__file__).parents[1] / "vectors.json").read_text())

REASONS = {
    "content-digest mismatch": Reason.DIGEST,
    "content-digest not covered": Reason.COVERAGE,
    "created in the future": Reason.CREATED,
    "created missing": Reason.CREATED,
    "keyid not in the JWKS of the claimed domain": Reason.UNKNOWN_KEY,
    "alg does not match key": Reason.ALGORITHM,
    "bad signature": Reason.SIGNATURE,
    "no label in both headers": Reason.MALFORMED,
    "duplicate component": Reason.MALFORMED,
}


def named(vectors, name="id"):
    return [pytest.param(vector, id=vector[name]) for vector in vectors]


def message_of(vector):
    headers = tuple((name, value) for name, value in vector["headers"])
    body = base64.b64decode(vector["body_b64"])
    return Message(vector["method"], vector["url"], headers, body)


def judge(vector):
    message = message_of(vector)
    signature = read_signature(message)
    check_unkeyed(signature, message, vector["now"])
    published = VECTORS["jwks"][vector["claimed_domain"]]
    check_keyed(signature, *jwks.parse_jwks(published))
    return signature


@pytest.mark.conforms("OCM-RFC9421-02", "OCM-RFC9421-03", "OCM-RFC9421-04", "OCM-RFC9421-20")
@pytest.mark.parametrize("vector", named(VECTORS["rfc9421"], "name"))
def test_the_examples_of_rfc_9421_reproduce_and_verify(vector):
    told = vector["message"]
    message = Message(
        told.get("method", ""),
        told.get("url", ""),
        tuple((name, value) for name, value in told["headers"]),
        (told.get("body") or "").encode(),
        told.get("status"),
    )
    covered, parameters = parse_dictionary("x=" + vector["signature_input"], Reason.MALFORMED)["x"]
    components = [parse_component(*item) for item in covered]
    base = signature_base(message, components, tuple(parameters.items()))
    assert base == vector["base"]
    pem = VECTORS["rfc9421_keys"][vector["keyid"]]["public"].encode()
    public = serialization.load_pem_public_key(pem)
    key = VerificationKey(vector["keyid"], (NATIVE[vector["alg"]],), public)
    value = base64.b64decode(vector["signature"])
    key.verify(base.encode(), value, vector["alg"])
    with pytest.raises(BadSignature):
        key.verify(base.encode() + b" ", value, vector["alg"])


@pytest.mark.conforms("OCM-17.3-04", "OCM-RFC9421-18", "OCM-RFC9421-19", "OCM-RFC9421-22")
@pytest.mark.parametrize("vector", named(VECTORS["ocm_positive"]))
def test_good_ocm_signatures_hold(vector):
    assert judge(vector).base.decode() == vector["base"]


@pytest.mark.conforms("OCM-RFC9421-01", "OCM-RFC9421-08", "OCM-RFC9421-16", "OCM-RFC9530-05")
@pytest.mark.parametrize("vector", named(VECTORS["ocm_negative"]))
def test_bad_ocm_signatures_are_refused_for_the_right_reason(vector):
    with pytest.raises(BadSignature) as caught:
        judge(vector)
    assert caught.value.reason == REASONS[vector["reason"]]


def test_the_strict_profile_takes_only_the_vector_that_covers_everything():
    held = []
    for vector in VECTORS["ocm_positive"]:
        try:
            read_signature(message_of(vector), Profile.STRICT)
        except BadSignature:
            continue
        held.append(vector["id"])
    assert held == ["P2"]


@pytest.mark.parametrize("vector", named(VECTORS["a_serialisations"]))
def test_digests_are_over_the_bytes(vector):
    body = base64.b64decode(vector["body_b64"])
    assert content_digest(body) == f"sha-256=:{vector['sha256']}:"


def test_every_section_of_the_vectors_is_used():
    assert set(VECTORS) == {
        "a_serialisations", "rfc9421_keys", "rfc9421", "jwks", "private_jwk",
        "ocm_positive", "ocm_negative", "invites", "addresses", "directory",
    }  # fmt: skip
