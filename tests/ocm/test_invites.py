import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Malformed
from gateway.model import Authority
from gateway.ocm.invites import Invite, encode_invite, parse_invite

VECTORS = json.loads((Path(__file__).parents[1] / "vectors.json").read_text())["invites"]


@pytest.mark.conforms("OCM-4.4.6-01", "OCM-4.4.6-02")
@pytest.mark.parametrize("vector", [pytest.param(v, id=v["desc"]) for v in VECTORS])
def test_every_invite_vector(vector):
    if vector["token"] is None:
        with pytest.raises(Malformed):
            parse_invite(vector["input"])
    else:
        assert parse_invite(vector["input"]) == Invite(vector["token"], vector["provider"])


@pytest.mark.parametrize(
    ("text", "invite"),
    [
        ("https://a.example:8443/wayf?x=1&token=a%40b", Invite("a@b", "a.example:8443")),
        ("HTTPS://A.example/wayf?token=\n   abc ", Invite("abc", "a.example")),
        ("dG9rfj4-Pz9AY2xvdWQuZXhhbXBsZS5vcmc", Invite("tok~>>??", "cloud.example.org")),
    ],
)
def test_other_spellings_of_invites(text, invite):
    assert parse_invite(text) == invite


@pytest.mark.parametrize(
    "text",
    [
        "", "====", "tok@a.example", "https://a.example/?token=", "https://u@a.example/?token=x",
        "https://a.example/?token=x&token=y", "https://a.example/?token=x&providerDomain=b/c",
        "https://a.example/?token=%00", "https://a.example/?token=%ff", "https://[/?token=x",
        "ftp://a.example/?token=x", "QGEuZXhhbXBsZQ==", "/0BhLmV4YW1wbGU=", "A" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_invite_is_refused(text):
    with pytest.raises(Malformed):
        parse_invite(text)


def test_the_draft_s_own_string_is_what_we_emit():
    vector = VECTORS[0]
    assert encode_invite(vector["token"], vector["provider"]) == vector["input"]


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=50))
def test_a_token_survives_the_journey(token):
    invite = Invite(token, Authority("a.example:8443"))
    assert parse_invite(encode_invite(token, invite.provider)) == invite


@given(st.text())
def test_nothing_but_malformed_comes_out(text):
    for spelled in (text, f"https://{text}", f"https://a.example/?token={text}"):
        with contextlib.suppress(Malformed):
            parse_invite(spelled)


def test_the_token_is_not_in_the_repr():
    assert "tok" not in repr(Invite("tok", Authority("a.example"))).replace("token", "")
