"""POST /ocm/invite-accepted as a foreign server meets it: one defect, its status, no trace."""

import asyncio

import pytest

from gateway.model import ContactSource, InviteState
from tests.peer import ed25519_key, unsigned
from tests.sharing.stage import Clock, create_share, send_share


def acceptance(peer, token, /, **changes):
    """An Invite Acceptance Request; None takes a member away."""
    body = {
        "recipientProvider": peer.authority,
        "token": token,
        "userID": "einstein",
        "email": "albert@example.org",
        "name": "Albert Einstein",
    } | changes
    return {name: value for name, value in body.items() if value is not None}


def url_of(gateway):
    return f"{gateway.ours.end_point}/invite-accepted"


@pytest.fixture
async def invite(gateway):
    return await gateway.inviting.create_invite("alice", note="from the conference")


async def unused(gateway, invite):
    """Nothing was used up, nobody became a contact."""
    assert (await gateway.inviting.by_id(invite.id)).state is InviteState.OPEN
    assert await gateway.contacts.all() == []


@pytest.mark.conforms(
    "OCM-4.4.4-01",
    "OCM-4.4.4-02",
    "OCM-4.4.4-03",
    "OCM-4.4.4-04",
    "OCM-4.4.4-05",
    "OCM-5.3-25",
    "OCM-19-06",
    "OCM-19-07",
)
async def test_an_acceptance_makes_a_contact_and_says_who_invited(gateway, peer, invite):
    reply = await peer.post(url_of(gateway), acceptance(peer, invite.token))
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("application/json")
    assert reply.json() == {"userID": "alice", "email": "", "name": "alice"}
    [contact] = await gateway.contacts.all("alice")
    assert contact.address == f"einstein@{peer.authority}"
    assert (contact.name, contact.email) == ("Albert Einstein", "albert@example.org")
    assert contact.source is ContactSource.INVITE
    accepted = await gateway.inviting.by_id(invite.id)
    assert accepted.state is InviteState.ACCEPTED
    assert accepted.accepted_by == contact.address
    assert accepted.accepted_at


@pytest.mark.conforms("OCM-4.4.3-05")
async def test_the_token_alone_tells_who_had_invited(gateway, peer):
    invites = {user: await gateway.inviting.create_invite(user) for user in ("bob", "alice")}
    for user, invite in invites.items():
        reply = await peer.post(
            url_of(gateway), acceptance(peer, invite.token, userID=f"of-{user}")
        )
        assert reply.json()["userID"] == user
        [contact] = await gateway.contacts.all(user)
        assert contact.user_id == f"of-{user}"


@pytest.mark.conforms("OCM-4.4.5-03", "OCM-4.4.5-04")
async def test_an_invite_lets_in_who_accepted_it_and_nobody_with_their_email(opened, peer):
    gateway = await opened(sharing={"require_invite": True})
    invite = await gateway.inviting.create_invite("alice")
    body = acceptance(peer, invite.token, email=f"curie@{peer.authority}")
    assert (await peer.post(url_of(gateway), body)).status == 200
    url, alice = f"{gateway.ours.end_point}/shares", str(gateway.ours.address("alice"))
    for sender, status in (("curie", 403), ("einstein", 201)):
        share = peer.share(alice, sender=f"{sender}@{peer.authority}")
        assert (await peer.post(url, share)).status == status


@pytest.mark.conforms("OCM-4.4.3-12", "OCM-4.4.4-02", "OCM-4.4.5-05")
async def test_the_users_of_an_invite_have_one_identifier_everywhere(gateway, peer, invite):
    reply = await peer.post(url_of(gateway), acceptance(peer, invite.token))
    user_id = reply.json()["userID"]
    await send_share(peer, gateway, shareWith=f"{user_id}@{gateway.ours.authority}")
    await create_share(gateway, peer)
    [sent] = peer.requests("POST /ocm/shares")
    assert sent.json()["sender"] == sent.json()["owner"] == f"{user_id}@{gateway.ours.authority}"


@pytest.mark.conforms(
    "OCM-4.4.3-03", "OCM-4.4.3-04", "OCM-4.4.3-06", "OCM-4.4.3-07", "OCM-4.4.3-08"
)
@pytest.mark.parametrize("name", ["recipientProvider", "token", "userID", "email", "name"])
@pytest.mark.parametrize("value", [None, 7, ["x"], {}, True])
async def test_each_member_is_required_and_text(gateway, peer, invite, name, value):
    body = acceptance(peer, invite.token, **{name: value})
    reply = await peer.post(url_of(gateway), body)
    assert reply.status == 400
    assert [fault["name"] for fault in reply.json()["validationErrors"]] == [name]
    assert invite.token.encode() not in reply.body
    await unused(gateway, invite)


@pytest.mark.parametrize(
    "changes",
    [
        {"userID": ""}, {"userID": "a\nb"}, {"userID": "a" * 1025}, {"email": "a\0"},
        {"name": "a" * 1025}, {"token": ""}, {"token": "a" * 5000},
        {"recipientProvider": ""}, {"recipientProvider": "https://a.example"},
        {"recipientProvider": "a.example/ocm"}, {"recipientProvider": "u@a.example"},
    ],
)  # fmt: skip
async def test_odd_members_are_refused(gateway, peer, invite, changes):
    reply = await peer.post(url_of(gateway), acceptance(peer, invite.token, **changes))
    assert reply.status == 400
    await unused(gateway, invite)


@pytest.mark.conforms("OCM-4.4.3-07")
async def test_empty_email_and_name_are_fine_and_email_may_be_anywhere(gateway, peer, invite):
    body = acceptance(peer, invite.token, email="", name="", more={"is": "ignored"})
    assert (await peer.post(url_of(gateway), body)).status == 200
    [contact] = await gateway.contacts.all("alice")
    assert contact.shown_as == "einstein"


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"token":"a","token":"b"}'])
async def test_what_is_no_json_object_is_refused(gateway, peer, body):
    assert (await peer.post(url_of(gateway), body)).status == 400


async def test_another_content_type_is_refused(gateway, peer, invite):
    body = acceptance(peer, invite.token)
    reply = await peer.post(url_of(gateway), body, content_type="text/plain")
    assert reply.status == 400
    await unused(gateway, invite)


async def test_other_methods_are_told_what_there_is(gateway, peer):
    reply = await peer.send(unsigned("GET", url_of(gateway)))
    assert (reply.status, reply.headers["Allow"]) == (405, "POST")


@pytest.mark.conforms("OCM-4.4.4-06", "OCM-4.4.7-02")
async def test_an_unknown_token_is_refused_before_anything_is_fetched(gateway, peer, other):
    body = acceptance(other, "made-up")
    assert (await peer.post(url_of(gateway), body)).status == 400
    assert peer.seen == []
    assert other.seen == []


@pytest.mark.conforms("OCM-4.4.4-06")
async def test_a_withdrawn_invite_is_as_unknown(gateway, peer, invite):
    await gateway.inviting.withdraw(invite.id)
    assert (await peer.post(url_of(gateway), acceptance(peer, invite.token))).status == 400
    assert await gateway.contacts.all() == []


@pytest.mark.conforms("OCM-4.4.4-06")
async def test_an_expired_invite_is_as_unknown(opened, peer):
    clock = Clock()
    gateway = await opened(clock)
    invite = await gateway.inviting.create_invite("alice", expiration_at=clock.now + 60)
    clock.now += 60
    assert (await peer.post(url_of(gateway), acceptance(peer, invite.token))).status == 400
    renewed = await gateway.inviting.renew(invite.id)
    assert renewed.expiration_at == clock.now + 30 * 86_400
    assert renewed.token == invite.token


@pytest.mark.conforms("OCM-4.4.4-09", "OCM-5.3-31")
async def test_unsigned_is_403_and_leaves_the_token_good(gateway, peer, invite):
    body = acceptance(peer, invite.token)
    assert (await peer.send(unsigned("POST", url_of(gateway), body))).status == 403
    await unused(gateway, invite)
    assert (await peer.post(url_of(gateway), body)).status == 200


@pytest.mark.conforms("OCM-4.4.4-09")
async def test_a_bad_signature_is_403_and_leaves_the_token_good(gateway, peer, invite):
    body = acceptance(peer, invite.token)
    stranger = ed25519_key(peer.key.kid)
    assert (await peer.post(url_of(gateway), body, key=stranger)).status == 403
    await unused(gateway, invite)
    assert (await peer.post(url_of(gateway), body)).status == 200


@pytest.mark.conforms("OCM-4.4.4-10", "OCM-17.3-05")
async def test_a_server_cannot_accept_in_the_name_of_another(gateway, peer, other, invite):
    body = acceptance(other, invite.token)
    assert (await peer.post(url_of(gateway), body)).status == 403
    await unused(gateway, invite)


@pytest.mark.conforms("OCM-4.4.4-07")
async def test_a_denied_server_is_403_before_anything_is_fetched(opened, peer, other):
    gateway = await opened(policy={"deny": [peer.authority]})
    invite = await gateway.inviting.create_invite("alice")
    assert (await peer.post(url_of(gateway), acceptance(peer, invite.token))).status == 403
    assert peer.seen == []
    await unused(gateway, invite)
    assert (await other.post(url_of(gateway), acceptance(other, invite.token))).status == 200


async def test_nobody_invites_somebody_of_the_same_server(gateway, peer, invite):
    body = acceptance(peer, invite.token, recipientProvider=gateway.ours.authority)
    assert (await peer.post(url_of(gateway), body)).status == 403
    await unused(gateway, invite)


@pytest.mark.conforms("OCM-4.4.4-08")
async def test_the_second_acceptance_is_409_and_there_is_one_contact(gateway, peer, invite):
    body = acceptance(peer, invite.token)
    assert (await peer.post(url_of(gateway), body)).status == 200
    again = await peer.post(url_of(gateway), body)
    assert again.status == 409
    assert again.json()["code"] == "CONFLICT"
    assert again.json()["message"]
    assert len(await gateway.contacts.all()) == 1


async def test_only_who_has_accepted_is_told_again_who_invited(gateway, peer, other, invite):
    assert (await peer.post(url_of(gateway), acceptance(peer, invite.token))).status == 200
    again = await peer.post(url_of(gateway), acceptance(peer, invite.token))
    assert again.json()["userID"] == "alice"
    late = await other.post(url_of(gateway), acceptance(other, invite.token))
    assert late.status == 409
    assert "userID" not in late.json()
    forged = await other.post(url_of(gateway), acceptance(peer, invite.token))
    assert forged.status == 403


@pytest.mark.conforms("OCM-4.4.4-12")
async def test_fifty_acceptances_at_once_are_one_200_and_49_times_409(opened, keeps_in_both, peer):
    gateway = await opened(**keeps_in_both("gateway"))
    invite = await gateway.inviting.create_invite("alice")
    replies = await asyncio.gather(
        *(
            peer.post(url_of(gateway), acceptance(peer, invite.token, userID=f"guest{number}"))
            for number in range(50)
        )
    )
    assert sorted(reply.status for reply in replies) == [200] + [409] * 49
    [contact] = await gateway.contacts.all()
    assert (await gateway.inviting.by_id(invite.id)).accepted_by == contact.address


async def test_one_guest_accepts_twenty_invites_at_once_and_is_one_contact(
    opened, keeps_in_both, peer
):
    gateway = await opened(**keeps_in_both("gateway"))
    invites = [await gateway.inviting.create_invite("alice") for _ in range(20)]
    replies = await asyncio.gather(
        *(peer.post(url_of(gateway), acceptance(peer, invite.token)) for invite in invites)
    )
    assert [reply.status for reply in replies] == [200] * 20
    assert len(await gateway.contacts.all()) == 1


async def test_a_reva_that_writes_its_host_into_the_user_id_is_understood(gateway, peer, invite):
    body = acceptance(peer, invite.token, userID=f"einstein@https://{peer.authority}")
    assert (await peer.post(url_of(gateway), body)).status == 200
    [contact] = await gateway.contacts.all()
    assert contact.user_id == "einstein"


async def test_an_identifier_may_hold_an_at_sign(gateway, peer, invite):
    body = acceptance(peer, invite.token, userID="b64@idp.example")
    assert (await peer.post(url_of(gateway), body)).status == 200
    [contact] = await gateway.contacts.all()
    assert contact.address == f"b64@idp.example@{peer.authority}"


@pytest.mark.conforms("OCM-5.3-25")
async def test_invites_that_are_off_are_neither_taken_nor_advertised(opened, peer):
    gateway = await opened(invites={"enabled": False})
    assert (await peer.post(url_of(gateway), acceptance(peer, "any"))).status == 501
    reply = await peer.send(unsigned("GET", f"{gateway.ours.origin}/.well-known/ocm"))
    assert "invites" not in reply.json()["capabilities"]


async def test_invites_that_are_on_are_advertised(gateway, peer):
    reply = await peer.send(unsigned("GET", f"{gateway.ours.origin}/.well-known/ocm"))
    assert "invites" in reply.json()["capabilities"]


async def test_a_token_is_never_in_the_log(gateway, peer, invite, capfd):
    for _ in range(2):
        await peer.post(url_of(gateway), acceptance(peer, invite.token))
    await peer.post(url_of(gateway), acceptance(peer, "made-up-secret"))
    logged = "".join(capfd.readouterr())
    assert "invite.accepted" in logged
    assert invite.token not in logged
    assert "made-up-secret" not in logged
