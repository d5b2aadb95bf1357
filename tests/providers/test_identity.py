"""Whether a message is from the server we expect: the role says whom, never the message."""

import asyncio

import pytest

from gateway.errors import BadSignature, Unavailable, Unsigned
from gateway.httpsig.message import Message
from gateway.httpsig.reasons import Reason
from gateway.ocm.address import authority
from gateway.providers.identity import claimed
from tests.peer import Answer, ed25519_key, unsigned
from tests.sharing.stage import Clock

URL = "https://gw.example/ocm/notifications"


def message(sent):
    return Message(sent.method, sent.url, tuple(sent.headers.items()), sent.body)


def signed(peer, **options):
    return message(peer.signed("POST", URL, b"{}", **options))


async def authenticate(gateway, peer, signed_message, **options):
    expected = authority(peer.authority)
    return await gateway.others.identity.authenticate(signed_message, expected, **options)


async def reason(gateway, peer, signed_message):
    with pytest.raises(BadSignature) as caught:
        await authenticate(gateway, peer, signed_message)
    return caught.value.reason


async def test_the_expected_server_is_proven(gateway, peer):
    assert await authenticate(gateway, peer, signed(peer)) == peer.authority


async def test_an_opaque_key_id_is_looked_up_at_the_expected_server(gateway, peer):
    peer.key = ed25519_key("opaque")
    peer.keys[:] = [peer.key]
    assert await authenticate(gateway, peer, signed(peer)) == peer.authority


@pytest.mark.parametrize("form", ["{}#key1", "https://{}/ocm#key1", "http://{}/x/y#key1"])
async def test_a_key_id_may_name_its_server_as_a_url(gateway, peer, form):
    kid = form.format(peer.authority)
    peer.key = ed25519_key(kid)
    peer.keys[:] = [peer.key]
    assert await authenticate(gateway, peer, signed(peer)) == peer.authority
    assert claimed(gateway.others.identity.examine(signed(peer))) == peer.authority


async def test_a_key_of_another_server_is_never_fetched(gateway, peer, other):
    assert await reason(gateway, peer, signed(other)) is Reason.WRONG_SERVER
    assert peer.seen == other.seen == []


async def test_a_claim_proves_nothing(gateway, peer, other):
    forged = signed(other, key=other.key, keyid=peer.key.kid)
    assert claimed(gateway.others.identity.examine(forged)) == peer.authority
    assert await reason(gateway, peer, forged) is Reason.SIGNATURE


async def test_keys_are_fetched_from_the_place_that_the_server_names(gateway, peer):
    peer.document["jwksUri"] = f"{peer.origin}/keys"
    peer.on("GET /keys", Answer(body={"keys": [peer.key.jwk()]}))
    await authenticate(gateway, peer, signed(peer))
    assert peer.requests("GET /.well-known/jwks.json") == []


@pytest.mark.conforms("OCM-RFC7517-08")
async def test_random_key_ids_cost_few_fetches_even_without_a_cache(opened, peer):
    clock = Clock()
    gateway = await opened(clock=clock, discovery={"cache_seconds": 0})
    for number in range(30):
        forged = signed(peer, keyid=f"{peer.authority}#{number}")
        assert await reason(gateway, peer, forged) is Reason.UNKNOWN_KEY
    assert len(peer.requests("GET /.well-known/jwks.json")) <= 4
    # What has become of a key that is known is seen at once.
    peer.keys[:] = [ed25519_key(f"{peer.authority}#new")]
    assert await reason(gateway, peer, signed(peer)) is Reason.UNKNOWN_KEY


@pytest.mark.conforms("OCM-RFC8615-05")
async def test_keys_at_another_server_are_not_its_keys(gateway, peer, other):
    peer.document["jwksUri"] = f"{other.origin}/.well-known/jwks.json"
    assert await reason(gateway, peer, signed(peer)) is Reason.NO_KEYS
    assert other.seen == []


async def test_keys_are_fetched_once_for_many_messages(gateway, peer):
    await asyncio.gather(*(authenticate(gateway, peer, signed(peer)) for _ in range(10)))
    assert len(peer.requests("GET /.well-known/jwks.json")) == 1


@pytest.mark.conforms("OCM-RFC9421-14")
async def test_of_two_that_come_at_once_one_is_a_replay(gateway, peer):
    twice = signed(peer)
    results = await asyncio.gather(
        *(authenticate(gateway, peer, twice) for _ in range(5)), return_exceptions=True
    )
    assert results.count(peer.authority) == 1
    assert {one.reason for one in results if isinstance(one, BadSignature)} == {Reason.REPLAY}


@pytest.mark.conforms("OCM-RFC9421-13")
@pytest.mark.parametrize(("age", "good"), [(300, True), (301, False), (-60, True), (-61, False)])
async def test_a_signature_is_good_for_its_time(opened, peer, age, good):
    clock = Clock()
    gateway = await opened(clock)
    made = signed(peer, created=clock())
    clock.now += age
    if good:
        assert await authenticate(gateway, peer, made) == peer.authority
    else:
        assert await reason(gateway, peer, made) is Reason.CREATED


async def test_a_replay_is_remembered_as_long_as_it_could_be_taken(opened, peer):
    clock = Clock()
    gateway = await opened(clock)
    made = signed(peer, created=clock() + 60)
    await authenticate(gateway, peer, made)
    clock.now += 360
    assert await reason(gateway, peer, made) is Reason.REPLAY


async def test_keys_that_cannot_be_fetched_are_a_passing_trouble(gateway, peer):
    peer.on("GET /.well-known/jwks.json", Answer(503))
    with pytest.raises(Unavailable) as caught:
        await authenticate(gateway, peer, signed(peer))
    assert caught.value.retry_after


async def test_known_keys_outlive_a_short_outage(gateway, peer):
    await authenticate(gateway, peer, signed(peer))
    peer.on("GET /.well-known/jwks.json", Answer(503))
    await authenticate(gateway, peer, signed(peer))
    stranger = ed25519_key(peer.key.kid)
    assert await reason(gateway, peer, signed(peer, key=stranger)) is Reason.SIGNATURE


@pytest.mark.conforms("OCM-6.3-01")
async def test_unsigned_is_tolerated_for_servers_without_keys_alone(opened, peer, other):
    gateway = await opened(signatures={"required": False})
    plain = message(unsigned("POST", URL, b"{}"))
    with pytest.raises(Unsigned):
        await authenticate(gateway, peer, plain)
    other.on("GET /.well-known/jwks.json", Answer(404))
    assert await authenticate(gateway, other, plain) is None
    with pytest.raises(Unsigned):
        await authenticate(gateway, other, plain, required=True)
