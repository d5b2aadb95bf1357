"""The address books of local users."""

import pytest

from gateway.errors import Malformed, NotFound
from gateway.model import ContactSource, ReceivedState, SentState
from gateway.ocm.invites import encode_invite, parse_invite
from tests.pair import eventually
from tests.peer import Answer, unsigned
from tests.sharing.stage import (
    address,
    create_share,
    receive_share,
    running,
    send_share,
    shares_of,
)

EINSTEIN = {"userID": "einstein", "email": "albert@example.org", "name": "Albert Einstein"}


async def test_an_address_can_be_entered_called_otherwise_and_forgotten(gateway):
    made = await gateway.contacts.add("alice", "Bob@Cloud.Example.org:8443", name="Bobby")
    assert made.address == "Bob@cloud.example.org:8443"
    assert made.source is ContactSource.DIRECT_ENTRY
    assert made.shown_as == "Bobby"
    renamed = await gateway.contacts.rename(made.id, "Robert", user="alice")
    assert renamed.shown_as == "Robert"
    assert (await gateway.contacts.rename(made.id, "")).shown_as == "Bob"
    await gateway.contacts.remove(made.id, user="alice")
    assert await gateway.contacts.all("alice") == []


async def test_the_same_address_is_entered_once(gateway):
    first = await gateway.contacts.add("alice", "bob@cloud.example.org", name="Bobby")
    again = await gateway.contacts.add("alice", "bob@CLOUD.example.org", email="b@x.example")
    assert (again.id, again.shown_as, again.email) == (first.id, "Bobby", "b@x.example")


@pytest.mark.parametrize("address", ["bob", "@cloud.example.org", "bob@", "bob@a b", ""])
async def test_what_is_no_ocm_address_is_refused(gateway, address):
    with pytest.raises(Malformed):
        await gateway.contacts.add("alice", address)


async def test_people_of_this_server_and_unknown_users_are_refused(gateway):
    with pytest.raises(Malformed):
        await gateway.contacts.add("alice", f"bob@{gateway.ours.authority}")
    with pytest.raises(NotFound):
        await gateway.contacts.add("nobody", "bob@cloud.example.org")
    with pytest.raises(Malformed):
        await gateway.contacts.add("alice", "bob@cloud.example.org", name="two\nlines")


@pytest.mark.conforms("OCM-19-02")
async def test_an_address_book_is_private(gateway):
    made = await gateway.contacts.add("alice", "bob@cloud.example.org")
    assert await gateway.contacts.all("carol") == []
    for verb in (gateway.contacts.by_id, gateway.contacts.remove):
        with pytest.raises(NotFound):
            await verb(made.id, user="carol")
    with pytest.raises(NotFound):
        await gateway.contacts.rename(made.id, "x", user="carol")


@pytest.mark.conforms("OCM-19-02")
async def test_contacts_are_found_by_name_and_address(gateway):
    await gateway.contacts.add("alice", "bob@cloud.example.org", name="Robert %")
    await gateway.contacts.add("alice", "carol@other.example.org", email="c@mail.example")

    async def found(text):
        return [one.user_id for one in await gateway.contacts.all("alice", text)]

    assert await found("ROBERT") == await found("b@cloud") == await found("%") == ["bob"]
    assert await found("mail.ex") == ["carol"]
    assert await found("example.org") == ["carol", "bob"]  # as Robert
    assert await found("nobody") == []


# Shares and contacts


async def invited(gateway, peer):
    """Einstein at the peer is a contact by invite."""
    peer.on("POST /ocm/invite-accepted", Answer(body=EINSTEIN))
    token = parse_invite(encode_invite("token", peer.authority))
    return await gateway.inviting.accept_invite("alice", token)


@pytest.mark.conforms(
    "OCM-4.4.1-01", "OCM-4.4.5-02", "OCM-4.4.7-01", "OCM-5.3-35", "OCM-6.2-07", "OCM-6.3-08"
)
async def test_only_contacts_may_share_where_an_invite_is_required(opened, peer, other):
    gateway = await opened(sharing={"require_invite": True})
    reply = await peer.post(shares_of(gateway), peer.share(address(gateway)))
    assert reply.status == 403
    assert await gateway.receiving.inbox() == []
    await gateway.contacts.add("bob", f"einstein@{peer.authority}")
    assert (await peer.post(shares_of(gateway), peer.share(address(gateway)))).status == 403
    contact = await invited(gateway, peer)
    await send_share(peer, gateway)
    for sender in (f"curie@{peer.authority}", f"Einstein@{peer.authority}"):
        body = peer.share(address(gateway), sender=sender)
        assert (await peer.post(shares_of(gateway), body)).status == 403
    assert (await other.post(shares_of(gateway), other.share(address(gateway)))).status == 403
    await gateway.contacts.remove(contact.id)
    assert (await peer.post(shares_of(gateway), peer.share(address(gateway)))).status == 403


async def test_whom_a_user_entered_may_share_and_whom_they_only_took_a_share_from_not(opened, peer):
    gateway = await opened()
    await receive_share(peer, gateway)
    [contact] = await gateway.contacts.all("alice")
    assert (contact.source, contact.user_id) == (ContactSource.SHARE, "einstein")
    strict = await opened(folder="strict", sharing={"require_invite": True})
    await strict.contacts.add("alice", f"einstein@{peer.authority}")
    await send_share(peer, strict)


async def test_who_is_entered_after_a_share_counts_as_entered(gateway, peer):
    await receive_share(peer, gateway)
    entered = await gateway.contacts.add("alice", f"einstein@{peer.authority}")
    assert entered.source is ContactSource.DIRECT_ENTRY
    await receive_share(peer, gateway, providerId="another")
    [contact] = await gateway.contacts.all("alice")
    assert contact.source is ContactSource.DIRECT_ENTRY


async def test_a_contact_of_a_share_alone_was_not_asked_for(opened, peer, tmp_path, storage):
    async with running(tmp_path / "same", storage.url) as gateway:
        await receive_share(peer, gateway)
    strict = await opened(folder="same", sharing={"require_invite": True})
    assert (await peer.post(shares_of(strict), peer.share(address(strict)))).status == 403
    await invited(strict, peer)
    await send_share(peer, strict)


async def test_the_criterion_is_published_in_both_spellings_when_it_holds(opened, peer):
    for wanted in (False, True):
        gateway = await opened(folder=str(wanted), sharing={"require_invite": wanted})
        document = await peer.send(unsigned("GET", f"{gateway.ours.origin}/.well-known/ocm"))
        assert ({"invite", "must-invite"} <= set(document.json()["criteria"])) is wanted


@pytest.mark.conforms("OCM-5.3-36")
@pytest.mark.parametrize("criterion", ["invite", "must-invite"])
async def test_to_a_server_that_wants_an_invite_only_contacts_by_invite_get_shares(
    gateway, peer, criterion
):
    peer.document["criteria"] = [criterion]
    for enter in (False, True):
        if enter:
            await gateway.contacts.add("alice", f"einstein@{peer.authority}")
        refused = await create_share(gateway, peer)
        assert (refused.state, "invite" in refused.reason) == (SentState.REFUSED, True)
    assert peer.requests("POST") == []
    await invited(gateway, peer)
    assert (await create_share(gateway, peer)).state is SentState.SENT


@pytest.mark.conforms("OCM-6.4-03")
async def test_what_a_trusted_contact_shares_is_accepted_without_asking(gateway, peer):
    contact = await invited(gateway, peer)
    await send_share(peer, gateway)
    assert (await gateway.contacts.trust(contact.id, True)).trusted
    body = await send_share(peer, gateway)
    assert (await peer.post(shares_of(gateway), body)).status == 201
    states = [share.state for share in await gateway.receiving.inbox("alice")]
    assert sorted(states) == [ReceivedState.ACCEPTED, ReceivedState.PENDING]
    [notice] = await eventually(lambda: peer.requests("POST /ocm/notifications"))
    assert notice.json()["notificationType"] == "SHARE_ACCEPTED"
    await gateway.contacts.trust(contact.id, False)
    await send_share(peer, gateway)
    states = [share.state for share in await gateway.receiving.inbox("alice")]
    assert states.count(ReceivedState.PENDING) == 2


async def test_accepting_a_share_keeps_what_is_known_of_its_sender(gateway, peer):
    known = await invited(gateway, peer)
    await receive_share(peer, gateway, senderDisplayName="somebody else")
    [contact] = await gateway.contacts.all("alice")
    assert (contact.id, contact.source) == (known.id, ContactSource.INVITE)
