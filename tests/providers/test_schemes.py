"""One scheme for a request, and no server falls behind what it has shown."""

import time

import pytest

from gateway.model import Scheme, Standing
from gateway.ocm.address import authority
from gateway.simulate import signing
from tests.peer import Answer, ed25519_key, p256_key, unsigned, verify
from tests.sharing.stage import address, create_share, send_share, shares_of

LEGACY = {"signatures": {"required": False}}


@pytest.fixture
def nextcloud(peer):
    """The peer as a Nextcloud 31 to 34: RSA in its document, no key set."""
    peer.rsa = signing.generate("rsa", f"{peer.origin}/ocm#signature")
    peer.document["capabilities"] = ["notifications", "shares", "exchange-token"]
    peer.document["publicKey"] = {"keyId": peer.rsa.kid, "publicKeyPem": peer.rsa.pem()}
    return peer


def in_cavage(peer, url, body, key=None):
    """The request, signed with draft-cavage by the code of the played servers."""
    sent = unsigned("POST", url, body)
    request = signing.Request("POST", url, {"content-type": "application/json"}, sent.body)
    headers = signing.sign_cavage(request, key or peer.rsa, int(time.time()))
    return sent.having(content_digest=None, **headers)


async def share(peer, gateway, made, **changes):
    """The status of a share from the peer, signed as `made` does."""
    body = peer.share(address(gateway), **changes)
    return (await peer.send(made(peer, shares_of(gateway), body))).status


def plain(_, url, body):
    return unsigned("POST", url, body)


def in_rfc9421(peer, url, body):
    return peer.signed("POST", url, body)


async def scheme(gateway, peer):
    return (await gateway.others.registry.by_authority(authority(peer.authority))).scheme


async def test_a_server_that_signs_with_draft_cavage_is_proven(gateway, nextcloud):
    assert await share(nextcloud, gateway, in_cavage) == 201
    assert await scheme(gateway, nextcloud) is Scheme.CAVAGE
    [key] = await gateway.others.registry.keys_of(authority(nextcloud.authority))
    assert (key.kid, key.algorithm) == (nextcloud.rsa.kid, "rsa-v1_5-sha512")


async def test_a_signature_of_either_kind_is_taken_once(gateway, nextcloud):
    sent = in_cavage(nextcloud, shares_of(gateway), nextcloud.share(address(gateway)))
    assert (await nextcloud.send(sent)).status == 201
    assert (await nextcloud.send(sent)).status == 401


async def test_another_rsa_key_proves_nothing(gateway, nextcloud):
    stranger = signing.generate("rsa", nextcloud.rsa.kid)

    def forged(peer, url, body):
        return in_cavage(peer, url, body, stranger)

    assert await share(nextcloud, gateway, forged) == 401


async def test_a_new_rsa_key_is_fetched_when_the_old_one_does_not_verify(gateway, nextcloud):
    assert await share(nextcloud, gateway, in_cavage) == 201
    nextcloud.rsa = signing.generate("rsa", f"{nextcloud.origin}/ocm#next")
    nextcloud.document["publicKey"] = {
        "keyId": nextcloud.rsa.kid,
        "publicKeyPem": nextcloud.rsa.pem(),
    }
    assert await share(nextcloud, gateway, in_cavage) == 201


async def test_a_key_id_of_another_server_is_refused_without_asking_it(gateway, nextcloud, other):
    key = signing.generate("rsa", f"{other.origin}/ocm#signature")

    def foreign(peer, url, body):
        return in_cavage(peer, url, body, key)

    assert await share(nextcloud, gateway, foreign) == 401
    assert nextcloud.seen == other.seen == []


async def test_draft_cavage_can_be_switched_off(opened, nextcloud):
    gateway = await opened(signatures={"cavage": False})
    assert await share(nextcloud, gateway, in_cavage) == 401
    assert nextcloud.seen == []


async def test_what_signed_once_is_never_taken_unsigned_again(opened, nextcloud):
    gateway = await opened(**LEGACY, discovery={"cache_seconds": 0})
    nextcloud.on("GET /.well-known/jwks.json", Answer(404))
    assert await share(nextcloud, gateway, in_cavage) == 201
    del nextcloud.document["publicKey"]
    assert await share(nextcloud, gateway, plain) == 401
    await gateway.others.registry.reset(authority(nextcloud.authority))
    assert await share(nextcloud, gateway, plain) == 201


async def test_who_used_rfc_9421_is_not_taken_with_less(opened, nextcloud):
    gateway = await opened(**LEGACY)
    assert await share(nextcloud, gateway, in_cavage) == 201
    assert await share(nextcloud, gateway, in_rfc9421) == 201
    assert await scheme(gateway, nextcloud) is Scheme.RFC9421
    assert await share(nextcloud, gateway, in_cavage) == 401
    assert await share(nextcloud, gateway, plain) == 401
    assert await scheme(gateway, nextcloud) is Scheme.RFC9421
    await gateway.others.registry.reset(authority(nextcloud.authority))
    assert await share(nextcloud, gateway, in_cavage) == 201


async def test_only_named_servers_come_unsigned_where_signatures_are_required(opened, peer, other):
    known = [{"server": peer.authority, "unsigned": True}]
    gateway = await opened(dialects={"servers": known})
    assert await share(peer, gateway, plain) == 201
    assert await share(other, gateway, plain) == 401
    assert other.seen == []
    await send_share(peer, gateway)
    assert await share(peer, gateway, plain) == 401


async def test_we_sign_as_the_other_server_can_verify(gateway, nextcloud, other):
    await create_share(gateway, nextcloud)
    [seen] = nextcloud.requests("POST /ocm/shares")
    headers = {name.lower(): value for name, value in seen.headers.items()}
    assert "signature-input" not in headers
    pem = gateway.ring.cavage.public_pem()
    request = signing.Request("POST", nextcloud.origin + seen.path, headers, seen.body)
    signing.verify_cavage(request, pem, int(time.time()))
    await create_share(gateway, other)
    [seen] = other.requests("POST /ocm/shares")
    assert verify(seen, other.origin, gateway.ring.jwks()["keys"][0])["label"] == "ocm"


async def test_a_server_that_says_nothing_is_not_signed_to_until_it_has_been_once(gateway, peer):
    peer.document["capabilities"] = []
    await create_share(gateway, peer)
    assert "Signature" not in peer.requests("POST /ocm/shares")[-1].headers
    peer.document["capabilities"] = ["http-sig"]
    await create_share(gateway, peer)
    assert "Signature-Input" in peer.requests("POST /ocm/shares")[-1].headers
    peer.document["capabilities"] = []
    await create_share(gateway, peer)
    assert "Signature-Input" in peer.requests("POST /ocm/shares")[-1].headers


@pytest.mark.parametrize(
    ("changed_key", "status"), [("accept", 201), ("quarantine", 401), ("refuse", 401)]
)
async def test_a_changed_key_is_dealt_with_as_configured(opened, peer, changed_key, status):
    gateway = await opened(trust={"changed_key": changed_key})
    registry, provider = gateway.others.registry, authority(peer.authority)
    await send_share(peer, gateway)
    peer.key = p256_key(f"{peer.authority}#key2")
    peer.keys[:] = [peer.key]
    assert await share(peer, gateway, in_rfc9421) == status
    assert len(await registry.keys_of(provider)) == 2
    await registry.decide(provider, Standing.APPROVED)
    assert await share(peer, gateway, in_rfc9421) == (401 if changed_key == "refuse" else 201)
    await registry.reset(provider)
    assert await share(peer, gateway, in_rfc9421) == 201


async def test_a_pinned_key_is_the_only_one(gateway, peer):
    await send_share(peer, gateway)
    registry, provider = gateway.others.registry, authority(peer.authority)
    [key] = await registry.keys_of(provider)
    await registry.add(provider, "", (key.thumbprint,))
    await send_share(peer, gateway)
    peer.key = ed25519_key(f"{peer.authority}#key2")
    peer.keys.append(peer.key)
    assert await share(peer, gateway, in_rfc9421) == 401
    await registry.reset(provider)
    assert await share(peer, gateway, in_rfc9421) == 401


async def test_where_approval_is_wanted_a_new_server_waits_for_it(opened, peer):
    gateway = await opened(trust={"approval": True})
    registry, provider = gateway.others.registry, authority(peer.authority)
    assert await share(peer, gateway, in_rfc9421) == 403
    assert registry.standing(provider) is Standing.PENDING
    assert await gateway.receiving.inbox() == []
    await registry.decide(provider, Standing.APPROVED)
    assert await share(peer, gateway, in_rfc9421) == 201


async def test_strangers_are_not_written_down(gateway, peer, other):
    assert await share(peer, gateway, plain) == 401
    forged = ed25519_key(peer.key.kid)
    assert (
        await peer.send(
            peer.signed("POST", shares_of(gateway), peer.share("x@y.example"), key=forged)
        )
    ).status == 401
    assert await gateway.others.registry.all() == []


@pytest.mark.conforms("OCM-2-13")
async def test_the_registry_shows_what_a_server_said(gateway, peer):
    await send_share(peer, gateway)
    registry = gateway.others.registry
    await gateway.others.discoveries.discover(authority(peer.authority), afresh=True)
    await registry.flush()
    found = await registry.by_authority(authority(peer.authority))
    assert found.api_version == "1.3.0"
    assert "http-sig" in found.capabilities
    assert found.dialect == "draft-03"
    assert found.last_seen_at >= found.first_seen_at
