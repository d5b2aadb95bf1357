"""Keys are replaced without anybody noticing."""

import pytest

from gateway.app import open_gateway
from gateway.errors import Conflict
from gateway.httpsig.keys import parse_pem
from gateway.model import KeyState
from tests.pair import eventually
from tests.sharing.stage import create_share, token_of, visit


async def document(gateway, peer, path):
    async with peer.session.get(gateway.ours.origin + path) as answer:
        return await answer.json()


async def kids(gateway, peer):
    return [key["kid"] for key in (await document(gateway, peer, "/.well-known/jwks.json"))["keys"]]


@pytest.mark.conforms("OCM-RFC7517-09")
async def test_a_new_key_is_published_before_it_signs_and_the_old_one_after(gateway, peer):
    old = gateway.ring.active.kid
    new = (await gateway.ring.stage("es256")).key.kid
    assert await kids(gateway, peer) == [old, new]
    assert gateway.ring.active.kid == old
    await gateway.ring.activate(new)
    assert await kids(gateway, peer) == [new, old]
    with pytest.raises(Conflict):
        await gateway.ring.retire(new)
    await gateway.ring.retire(old)
    assert await kids(gateway, peer) == [new]
    with pytest.raises(Conflict):
        await gateway.ring.activate(old)


async def test_a_running_gateway_follows_what_a_command_does(gateway, peer):
    async with open_gateway(gateway.settings) as command:
        new = (await command.ring.stage("ed25519")).key.kid
        assert command.ring.active.kid != new
        await command.ring.activate(new)
    await eventually(lambda: gateway.ring.active.kid == new, 1)
    assert (await kids(gateway, peer))[0] == new


async def test_access_tokens_outlive_the_key_that_signed_them(gateway, peer):
    share = await create_share(gateway, peer)
    token = await token_of(gateway, peer, share)
    old = gateway.ring.active.kid
    new = (await gateway.ring.stage("es256")).key.kid
    await gateway.ring.activate(new)
    await gateway.ring.retire(old)
    assert (await visit(gateway, peer, share.provider_id, token)).status == 207
    renewed = await token_of(gateway, peer, share)
    assert (await visit(gateway, peer, share.provider_id, renewed)).status == 207


async def test_a_compromised_key_takes_its_tokens_along(gateway, peer):
    share = await create_share(gateway, peer)
    token = await token_of(gateway, peer, share)
    old = gateway.ring.active.kid
    await gateway.ring.activate((await gateway.ring.stage("ed25519")).key.kid)
    assert (await visit(gateway, peer, share.provider_id, token)).status == 207
    await gateway.ring.retire(old, compromised=True)
    assert (await visit(gateway, peer, share.provider_id, token)).status == 401


async def test_keys_of_another_public_origin_are_left_alone(opened):
    first = await opened()
    # Each gateway of the stage has a port of its own, and so another origin.
    second = await opened(folder="gateway", listens=False)
    assert not {one.key.kid for one in first.ring.keys} & {one.key.kid for one in second.ring.keys}
    assert len(second.ring.keys) == 2


async def test_older_servers_find_one_rsa_key_in_the_document(gateway, peer):
    found = (await document(gateway, peer, "/.well-known/ocm"))["publicKey"]
    assert found["keyId"].startswith(f"{gateway.ours.origin}/ocm#")
    assert parse_pem(found["keyId"], found["publicKeyPem"]).public.key_size == 2048
    new = await gateway.ring.stage("rsa")
    assert (await document(gateway, peer, "/.well-known/ocm"))["publicKey"] == found
    await gateway.ring.activate(new.key.kid)
    changed = (await document(gateway, peer, "/.well-known/ocm"))["publicKey"]
    assert changed["keyId"] == new.key.kid != found["keyId"]
    states = {one.state for one in gateway.ring.keys if one.cavage}
    assert states == {KeyState.ACTIVE, KeyState.OVERLAPPING}
    assert new.key.kid not in await kids(gateway, peer)


async def test_without_cavage_there_is_no_rsa_key(opened, peer):
    gateway = await opened(signatures={"cavage": False})
    assert "publicKey" not in await document(gateway, peer, "/.well-known/ocm")
    assert [one.cavage for one in gateway.ring.keys] == [False]
