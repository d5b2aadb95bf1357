"""A bundle is believed for its signature alone, and only a newer one is taken."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jwcrypto.jwk import JWK

from gateway.errors import BadSignature, GatewayError
from gateway.policy import bundles
from gateway.policy.language import read_text
from tests import servers
from tests.pair import eventually, in_process
from tests.peer import Answer, open_peer

KEY = JWK.generate(kty="OKP", crv="Ed25519")
OTHER = JWK.generate(kty="OKP", crv="Ed25519")
DENY = read_text("deny: [evil.example.org]", "bundle")
OPEN = read_text("allow: [other.example.org]", "bundle")


def pem(key, *, private=False):
    return key.export_to_pem(private_key=private, password=None).decode()


def signed(document, version, key=KEY):
    return bundles.sign(document, version, 1000, pem(key, private=True))


def test_a_bundle_is_read_as_it_was_signed():
    found = bundles.read(signed(DENY, 7), pem(KEY))
    assert (found.version, found.issued_at, found.document) == (7, 1000, DENY)


def test_another_key_signs_in_vain():
    with pytest.raises(BadSignature):
        bundles.read(signed(DENY, 7, OTHER), pem(KEY))


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_changed_bundle_never_says_anything_else(data):
    text = signed(DENY, 7)
    at = data.draw(st.integers(0, len(text) - 1))
    put = data.draw(st.sampled_from("ABCxyz019-_.=\n ~"))
    changed = text[:at] + put + text[at + 1 :]
    try:
        found = bundles.read(changed, pem(KEY))
    except GatewayError:
        return
    assert (found.version, found.document) == (7, DENY)


async def test_a_followed_bundle_holds_and_a_bad_or_older_one_changes_no_verdict(tmp_path):
    (tmp_path / "key.pem").write_text(pem(KEY))
    async with open_peer() as peer:
        bundle = {
            "url": f"{peer.origin}/policy.jws",
            "key_file": str(tmp_path / "key.pem"),
            "poll_seconds": 86_400,
        }
        peer.on("GET /policy.jws", Answer(200, signed(DENY, 7).encode(), {"ETag": '"7"'}))
        policy = {"default": "allow", "bundle": bundle}
        with servers.wsgidav(tmp_path) as storage:
            async with in_process(tmp_path / "a", storage, policy=policy) as gateway:
                keeper = gateway.others.doorkeeper
                await gateway.live.fetch_bundle()
                await eventually(lambda: not keeper.judge("evil.example.org").allowed)
                for text in (signed(OPEN, 8, OTHER), signed(OPEN, 6), signed(DENY, 9)[:-8]):
                    peer.on("GET /policy.jws", Answer(200, text.encode()))
                    await gateway.live.fetch_bundle()
                    assert not keeper.judge("evil.example.org").allowed
                    assert (await gateway.live.bundle()).last_error
                peer.on("GET /policy.jws", Answer(304))
                await gateway.live.fetch_bundle()
                assert peer.requests("GET /policy.jws")[-1].headers["If-None-Match"] == '"7"'
                assert not (await gateway.live.bundle()).last_error
            peer.on("GET /policy.jws", Answer(503))
            async with in_process(tmp_path / "a", storage, policy=policy) as again:
                assert not again.others.doorkeeper.judge("evil.example.org").allowed
                peer.on("GET /policy.jws", Answer(200, signed(OPEN, 8).encode()))
                await again.live.fetch_bundle()
                assert again.others.doorkeeper.judge("evil.example.org").allowed
