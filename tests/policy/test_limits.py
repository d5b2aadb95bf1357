"""Allowed within limits: each of them, as other servers and our users meet it over HTTP."""

import time
import uuid

import pytest

from gateway.errors import Refused
from gateway.model import Contact, ContactSource, Permission
from gateway.ocm.address import authority
from gateway.store import contacts
from tests.peer import unsigned
from tests.sharing.stage import (
    address,
    create_share,
    gateway,
    opened,
    other,
    peer,
    receive_share,
    shares_of,
    storage,
    token_of,
    visit,
    webdav,
)

__all__ = ["gateway", "opened", "other", "peer", "storage"]

DAY = 86_400
BOTH = frozenset({Permission.READ, Permission.WRITE})


@pytest.fixture
def limited(opened):
    """A gateway that allows everything to everyone within limits."""

    async def start(action=None, **limits):
        rule = {"id": "some", "who": "everyone", "then": "allow", "limits": limits}
        if action:
            rule["action"] = action
        default = "deny" if action is None else "allow"
        return await opened(policy={"default": default, "rules": [rule]})

    return start


async def offer(peer, gateway, signed=True, **changes):
    """The answer to a share that the peer offers."""
    url, body = shares_of(gateway), peer.share(address(gateway), **changes)
    sent = peer.signed("POST", url, body) if signed else unsigned("POST", url, body)
    return await peer.send(sent)


def access(**changes):
    return {"name": "multi", "webdav": webdav(**changes)}


def announced(peer):
    """What the peer was told of the latest share."""
    return peer.requests("POST /ocm/shares")[-1].json()


def explained(reply):
    """A refusal, which names its decision."""
    assert reply.json()["decision"]
    return reply.status


async def test_read_only_shrinks_what_comes_and_what_goes_and_refuses_writes(limited, peer):
    gateway = await limited(read_only=True)
    received = await receive_share(peer, gateway, webdav={"permissions": ["read", "write"]})
    assert {one.value for one in received.permissions} == {"read"}
    share = await create_share(gateway, peer, permissions=BOTH)
    assert announced(peer)["protocol"]["webdav"]["permissions"] == ["read"]
    token = await token_of(gateway, peer, share)
    assert (await visit(gateway, peer, share.provider_id, token)).status == 207
    put = await visit(gateway, peer, share.provider_id, token, "/new.txt", "PUT", b"x")
    assert put.status == 403


async def test_read_only_holds_for_a_share_that_could_be_written_before(opened, peer, tmp_path):
    extra = tmp_path / "extra.yaml"
    extra.write_text("rules: []")
    gateway = await opened(policy={"files": [str(extra)]})
    share = await create_share(gateway, peer, permissions=BOTH)
    token = await token_of(gateway, peer, share)
    put = ("/limit.txt", "PUT", b"x")
    assert (await visit(gateway, peer, share.provider_id, token, *put)).status in (201, 204)
    extra.write_text(
        "rules: [{who: everyone, action: access, then: allow, limits: {read_only: true}}]"
    )
    await gateway.live._reload()
    assert (await visit(gateway, peer, share.provider_id, token, *put)).status == 403
    assert (await visit(gateway, peer, share.provider_id, token)).status == 207


async def test_a_longest_expiration_shortens_what_comes_and_what_goes(limited, peer):
    gateway = await limited(max_expiration_days=2)
    before = int(time.time())
    for wanted in (None, before + 30 * DAY):
        received = await receive_share(peer, gateway, expiration=wanted)
        assert before + 2 * DAY <= received.expiration_at <= time.time() + 2 * DAY
        await create_share(gateway, peer, expiration_at=wanted)
        assert before + 2 * DAY <= announced(peer)["expiration"] <= time.time() + 2 * DAY
    sooner = before + DAY
    assert (await receive_share(peer, gateway, expiration=sooner)).expiration_at == sooner


async def test_a_largest_size_refuses_what_is_larger(limited, peer):
    gateway = await limited(max_size=5)
    large, small = access(size=6), access(size=5)
    assert explained(await offer(peer, gateway, resourceType="file", protocol=large)) == 403
    assert (await offer(peer, gateway, resourceType="file", protocol=small)).status == 201
    with pytest.raises(Refused, match="larger"):
        await create_share(gateway, peer, "/letter.txt")
    assert peer.requests("POST /ocm/shares") == []
    await create_share(gateway, peer, "/trip/day.txt")
    assert len(peer.requests("POST /ocm/shares")) == 1


async def test_a_rate_is_of_one_server_and_a_minute(limited, peer, other):
    gateway = await limited("share-in", rate_per_minute=3)
    answers = [await offer(peer, gateway) for _ in range(9)]  # at most two minutes are touched
    statuses = [one.status for one in answers]
    assert statuses[:3] == [201] * 3
    assert 3 <= statuses.count(201) <= 6
    refused = next(one for one in answers if one.status != 201)
    assert (refused.status, bool(refused.headers["Retry-After"])) == (429, True)
    assert (await offer(other, gateway)).status == 201


async def test_an_exchange_that_is_a_must_is_one_both_ways(limited, peer):
    gateway = await limited(must_exchange=True)
    assert explained(await offer(peer, gateway, protocol=access(requirements=[]))) == 403
    assert (await offer(peer, gateway, protocol=access())).status == 201
    share = await create_share(gateway, peer, must_exchange_token=False)
    assert announced(peer)["protocol"]["webdav"]["requirements"] == ["must-exchange-token"]
    assert (await visit(gateway, peer, share.provider_id, share.shared_secret)).status == 401
    token = await token_of(gateway, peer, share)
    assert (await visit(gateway, peer, share.provider_id, token)).status == 207


async def test_a_signature_that_is_a_must_is_one_where_unsigned_ones_are_taken_else(opened, peer):
    rule = {"who": "everyone", "then": "allow", "limits": {"must_be_signed": True}}
    known = {"servers": [{"server": peer.authority, "unsigned": True}]}
    gateway = await opened(policy={"default": "deny", "rules": [rule]}, dialects=known)
    assert explained(await offer(peer, gateway, signed=False)) == 401
    assert await gateway.receiving.inbox() == []
    assert (await offer(peer, gateway)).status == 201


async def test_an_invite_that_is_a_must_is_one_both_ways(limited, peer):
    gateway = await limited(must_be_invited=True)
    assert explained(await offer(peer, gateway)) == 403
    with pytest.raises(Refused, match="invite"):
        await create_share(gateway, peer)
    assert peer.requests("POST") == []
    await befriend(gateway, peer, ContactSource.DIRECT_ENTRY)
    assert explained(await offer(peer, gateway)) == 403
    await befriend(gateway, peer, ContactSource.INVITE)
    assert (await offer(peer, gateway)).status == 201
    assert (await create_share(gateway, peer)).state.value == "sent"


async def befriend(gateway, peer, source):
    contact = Contact(
        id=str(uuid.uuid4()),
        user="alice",
        user_id="einstein",
        provider=authority(peer.authority),
        name="Albert",
        email="",
        source=source,
        added_at=1,
    )
    await gateway.state.database.write(lambda connection: contacts.put(connection, contact))
