import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import (
    GatewayError,
    InvalidClient,
    InvalidRequest,
    Malformed,
    UnsupportedGrantType,
)
from gateway.httpsig.signing import SigningKey
from gateway.model import Authority
from gateway.ocm import base64url, tokens
from gateway.ocm.tokens import AccessToken, TokenRequest, TokenResponse

FORM = "application/x-www-form-urlencoded"
GOOD = b"grant_type=authorization_code&client_id=a.example&code=s3cret"
CLAIMS = AccessToken(
    iss="https://gw.example", sub="albert", aud="marie@a.example", client_id="a.example",
    iat=1000, exp=1300, jti="j", provider_id="p", resource_type="folder",
)  # fmt: skip
KEY = SigningKey.from_seed("gw.example#key1", bytes(32))


def token(claims=CLAIMS):
    signed = tokens.signing_input(claims, KEY.kid)
    return tokens.assemble(signed, KEY.sign(signed))


def test_a_token_request_is_read():
    assert tokens.parse_request(FORM, GOOD) == TokenRequest(Authority("a.example"), "s3cret")
    assert "s3cret" not in repr(tokens.parse_request(FORM, GOOD))


@pytest.mark.parametrize("content_type", [FORM.upper(), f"{FORM}; charset=utf-8", f" {FORM} ;x"])
def test_the_content_type_may_have_parameters(content_type):
    tokens.parse_request(content_type, GOOD)


def test_further_parameters_are_ignored():
    extra = b"&redirect_uri=x&scope=&code_verifier=y&client_secret=z"
    assert tokens.parse_request(FORM, GOOD + extra) == tokens.parse_request(FORM, GOOD)


@pytest.mark.parametrize(
    ("content_type", "body", "error"),
    [
        ("application/json", b'{"code":"x"}', InvalidRequest),
        ("", GOOD, InvalidRequest),
        ("text/plain", GOOD, InvalidRequest),
        (FORM, b"", InvalidRequest),
        (FORM, GOOD.replace(b"s3cret", b""), InvalidRequest),
        (FORM, GOOD.replace(b"code=", b"kode="), InvalidRequest),
        (FORM, GOOD.replace(b"client_id", b"x"), InvalidRequest),
        (FORM, GOOD.replace(b"grant_type", b"x"), InvalidRequest),
        (FORM, GOOD + b"&code=s3cret", InvalidRequest),
        (FORM, GOOD + b"&x=1&x=2", InvalidRequest),
        (FORM, GOOD + b"%ff", InvalidRequest),
        (FORM, GOOD + b"\xff", InvalidRequest),
        (FORM, GOOD + b"&x" * 60, InvalidRequest),
        (FORM, GOOD + b"x" * 20_000, InvalidRequest),
        (FORM, GOOD.replace(b"authorization_code", b"client_credentials"), UnsupportedGrantType),
        (FORM, GOOD.replace(b"authorization_code", b"refresh_token"), UnsupportedGrantType),
        (FORM, GOOD.replace(b"a.example", b"https://a.example"), InvalidClient),
    ],
)
def test_a_token_request_with_one_defect_is_refused(content_type, body, error):
    with pytest.raises(error):
        tokens.parse_request(content_type, body)


@pytest.mark.conforms("OCM-9.1-07")
@given(st.text(min_size=1, max_size=100).filter(lambda code: code.isprintable()))
def test_a_code_survives_the_journey(code):
    request = TokenRequest(Authority("a.example:8443"), code)
    assert tokens.parse_request(FORM, tokens.encode_request(request)) == request


@given(st.binary())
def test_nothing_but_oauth_errors_comes_out(body):
    with pytest.raises((InvalidRequest, UnsupportedGrantType, InvalidClient)):
        tokens.parse_request(FORM, body)


def response(**change):
    members = {"access_token": "t", "token_type": "Bearer", "expires_in": 60} | change
    kept = {name: value for name, value in members.items() if value is not ...}
    return tokens.parse_response(json.dumps(kept).encode())


def test_a_token_response_is_read():
    assert response(refresh_token="r") == TokenResponse("t", 60)
    assert response(token_type="bEARER").token_type == "Bearer"
    assert response(expires_in=...).expires_in == 300
    assert response(expires_in=1 << 50).expires_in < 1 << 32
    assert tokens.parse_response(tokens.encode_response(TokenResponse("t", 9))).expires_in == 9
    assert "'t'" not in repr(response())


@pytest.mark.parametrize(
    "change",
    [
        {"access_token": ...}, {"access_token": ""}, {"access_token": 1}, {"access_token": "a b"},
        {"access_token": "a\r\nX: y"}, {"access_token": "\u00e9"}, {"access_token": "x" * 9000},
        {"token_type": ...}, {"token_type": "mac"}, {"token_type": 1},
        {"expires_in": 0}, {"expires_in": -1}, {"expires_in": "60"}, {"expires_in": 1.5},
        {"expires_in": True},
    ],
    ids=str,
)  # fmt: skip
def test_a_token_response_with_one_defect_is_refused(change):
    with pytest.raises(Malformed):
        response(**change)


def test_an_access_token_is_a_jwt_that_carries_its_share():
    kid, signed, signature = tokens.split(token())
    KEY.verification_key().verify(signed, signature)
    assert kid == KEY.kid
    assert tokens.parse_claims(signed) == CLAIMS
    header, payload, _ = (base64url.decode(part) for part in (token() + ".").split(".")[:3])
    assert json.loads(header) == {"typ": "at+jwt", "alg": "EdDSA", "kid": KEY.kid}
    assert json.loads(payload)["ocm_ip"] == {"providerId": "p", "resourceType": "folder"}


def forged(header):
    return ".".join([base64url.encode(json.dumps(header).encode()), *token().split(".")[1:]])


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "a.b", "..", token() + ".x", token() + "=", token() + "\n", "x" * 9000,
        forged({"alg": "EdDSA", "kid": "k"}), forged({"typ": "JWT", "alg": "EdDSA", "kid": "k"}),
        forged({"typ": "at+jwt", "alg": "none", "kid": "k"}),
        forged({"typ": "at+jwt", "alg": "EdDSA"}),
        forged({"typ": "at+jwt", "alg": "EdDSA", "kid": 1}),
        forged({"typ": "at+jwt", "alg": "EdDSA", "kid": "k", "crit": ["x"]}),
    ],
    ids=lambda text: text[:40],
)  # fmt: skip
def test_what_is_no_token_of_ours_is_refused(text):
    with pytest.raises(Malformed):
        tokens.split(text)


@pytest.mark.parametrize(
    "change",
    [{"iss": None}, {"exp": "1"}, {"iat": True}, {"ocm_ip": []}, {"ocm_ip": {}}, {"aud": ["x"]}],
)
def test_a_claim_that_is_missing_or_of_another_type_is_refused(change):
    payload = json.loads(base64url.decode(token().split(".")[1])) | change
    with pytest.raises(Malformed):
        tokens.parse_claims(f"x.{base64url.encode(json.dumps(payload).encode())}".encode())


@given(st.text())
def test_nothing_but_malformed_comes_out_of_a_token(text):
    with pytest.raises(GatewayError):
        tokens.split(text)


def test_claims_are_what_is_signed():
    assert token() != token(replace(CLAIMS, provider_id="q"))
