"""Contacts removed with a word to the other side, ours and theirs."""

import pytest

from gateway.errors import NotFound
from gateway.model import ReceivedState, SentState
from gateway.ocm.invites import encode_invite, parse_invite
from gateway.store import outbox
from tests.pair import eventually
from tests.peer import Answer, ed25519_key, unsigned
from tests.sharing.stage import (
    Clock,
    create_share,
    notifications_of,
    receive_share,
)

EINSTEIN = {"userID": "einstein", "email": "", "name": "Albert Einstein"}


async def befriended(gateway, peer, user_id="einstein", user="alice"):
    peer.on("POST /ocm/invite-accepted", Answer(body=EINSTEIN | {"userID": user_id}))
    token = parse_invite(encode_invite("token", peer.authority))
    return await gateway.inviting.accept_invite(user, token)


def removal(provider_id="einstein", **changes):
    body = {"notificationType": "USER_REMOVED", "resourceType": "user", "providerId": provider_id}
    return body | changes


def told(peer, kind="USER_REMOVED"):
    posted = [one.json() for one in peer.requests("POST /ocm/notifications")]
    return [one for one in posted if one["notificationType"] == kind]


# We remove


@pytest.mark.conforms("OCM-4.4.5-06")
async def test_a_contact_is_removed_without_a_word(gateway, peer):
    contact = await befriended(gateway, peer)
    share = await create_share(gateway, peer)
    before = len(peer.seen)
    await gateway.contacts.remove(contact.id)
    assert len(peer.seen) == before
    assert (await gateway.sending.by_id(share.provider_id)).state is SentState.SENT


@pytest.mark.conforms("OCM-7-06")
async def test_a_contact_is_removed_with_the_shares_both_ways_and_the_other_side_told(
    gateway, peer, other
):
    contact = await befriended(gateway, peer)
    sent = await create_share(gateway, peer)
    kept = await create_share(gateway, other)
    received = await receive_share(peer, gateway)
    await gateway.contacts.remove(contact.id, tell=True)
    assert await gateway.contacts.all("alice") == []
    assert (await gateway.sending.by_id(sent.provider_id)).state is SentState.REVOKED
    assert (await gateway.sending.by_id(kept.provider_id)).state is SentState.SENT
    assert (await gateway.receiving.by_id(received.id)).state is ReceivedState.DECLINED
    assert told(peer) == [removal("alice", notification={"contact": contact.address})]
    assert told(peer, "SHARE_UNSHARED")
    assert told(peer, "SHARE_DECLINED")
    assert told(other) == []
    with pytest.raises(NotFound):
        await gateway.contacts.remove(contact.id)


async def test_a_removal_that_cannot_be_told_is_told_later(opened, peer):
    clock = Clock()
    gateway = await opened(clock)
    contact = await befriended(gateway, peer)
    peer.on("POST /ocm/notifications", Answer(503), Answer(201, {}))
    await gateway.contacts.remove(contact.id, tell=True)
    assert await gateway.contacts.all() == []
    clock.now += 60
    await eventually(lambda: len(told(peer)) == 2)


async def test_who_is_a_contact_again_is_not_told_of_an_old_removal(opened, peer):
    clock = Clock()
    gateway = await opened(clock)
    contact = await befriended(gateway, peer)
    peer.on("POST /ocm/notifications", Answer(503), Answer(201, {}))
    await gateway.contacts.remove(contact.id, tell=True)
    await befriended(gateway, peer)
    clock.now += 60

    async def done():
        return not await gateway.state.database.read(outbox.all_entries)

    await eventually(done)
    assert len(told(peer)) == 1
    assert len(await gateway.contacts.all("alice")) == 1


# They remove


@pytest.mark.conforms("OCM-7-06")
async def test_a_removal_ends_the_contact_and_the_shares_that_go_with_it(gateway, peer):
    await befriended(gateway, peer)
    curie = await gateway.contacts.add("alice", f"curie@{peer.authority}")
    sent = await create_share(gateway, peer)
    received = await receive_share(peer, gateway)
    reply = await peer.post(notifications_of(gateway), removal())
    assert (reply.status, reply.json()) == (201, {})
    assert [one.id for one in await gateway.contacts.all()] == [curie.id]
    assert (await gateway.sending.by_id(sent.provider_id)).state is SentState.DECLINED
    assert (await gateway.receiving.by_id(received.id)).state is ReceivedState.UNSHARED
    again = await peer.post(notifications_of(gateway), removal())
    assert again.status == 400


async def test_our_user_s_id_is_understood_too_when_it_can_be_one_contact_only(gateway, peer):
    await befriended(gateway, peer)
    await gateway.contacts.add("alice", "stranger@elsewhere.example")
    assert (await peer.post(notifications_of(gateway), removal("alice"))).status == 201
    assert [one.user_id for one in await gateway.contacts.all()] == ["stranger"]


async def test_of_several_contacts_only_the_named_one_goes(gateway, peer):
    for user_id in ("einstein", "curie"):
        await befriended(gateway, peer, user_id)
    assert (await peer.post(notifications_of(gateway), removal("alice"))).status == 201
    assert len(await gateway.contacts.all()) == 2
    named = removal("alice", notification={"contact": f"curie@{peer.authority}"})
    assert (await peer.post(notifications_of(gateway), named)).status == 201
    assert [one.user_id for one in await gateway.contacts.all()] == ["einstein"]


async def test_a_removal_for_one_of_our_users_is_for_no_other(gateway, peer):
    await befriended(gateway, peer)
    body = removal(notification={"contact": f"bob@{gateway.ours.authority}"})
    assert (await peer.post(notifications_of(gateway), body)).status == 201
    assert len(await gateway.contacts.all()) == 1


@pytest.mark.conforms("OCM-7-06", "OCM-7-09")
async def test_another_server_removes_nobody(gateway, peer, other):
    await befriended(gateway, peer)
    assert (await other.post(notifications_of(gateway), removal())).status == 400
    stranger = ed25519_key(peer.key.kid)
    reply = await peer.post(notifications_of(gateway), removal(), key=stranger)
    assert reply.status == 401
    reply = await peer.send(unsigned("POST", notifications_of(gateway), removal()))
    assert reply.status == 401
    assert len(await gateway.contacts.all()) == 1


async def test_a_removal_of_something_else_than_a_user_is_refused(gateway, peer):
    await befriended(gateway, peer)
    body = removal(resourceType="file")
    assert (await peer.post(notifications_of(gateway), body)).status == 400
    assert len(await gateway.contacts.all()) == 1


async def test_two_gateways_part_and_meet_again(opened):
    one, other = await opened(folder="one"), await opened(folder="two")

    async def meet():
        text = one.inviting.string_of(await one.inviting.create_invite("alice"))
        return await other.inviting.accept_invite("alice", parse_invite(text))

    contact = await meet()
    await other.contacts.remove(contact.id, tell=True)
    assert await one.contacts.all() == await other.contacts.all() == []
    await meet()
    assert [len(await gateway.contacts.all("alice")) for gateway in (one, other)] == [1, 1]
