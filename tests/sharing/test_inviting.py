"""Our users invite, and accept invites of other servers."""

import asyncio
import base64

import pytest
from sqlalchemy import select

from gateway.errors import (
    Conflict,
    Malformed,
    NotFound,
    ProviderFailed,
    ProviderRefused,
    Refused,
    TooMany,
    Unsupported,
)
from gateway.model import ContactSource, InviteState
from gateway.ocm.invites import Invite, encode_invite, parse_invite
from gateway.store.tables import invites
from tests.peer import Answer, verify
from tests.sharing.stage import Clock

EINSTEIN = {"userID": "einstein", "email": "albert@example.org", "name": "Albert Einstein"}
ACCEPTED = "POST /ocm/invite-accepted"


def invite_of(peer, token="a@b+c/d"):
    return parse_invite(encode_invite(token, peer.authority))


# Inviting


@pytest.mark.conforms("OCM-2-09", "OCM-2.2.1-02", "OCM-4.4.2-01")
async def test_each_invite_has_a_token_of_its_own(gateway):
    tokens = {(await gateway.inviting.create_invite("alice")).token for _ in range(20)}
    assert len(tokens) == 20
    assert min(map(len, tokens)) >= 40


@pytest.mark.conforms("OCM-4.4.6-03", "OCM-4.4.6-04")
async def test_an_invite_string_is_the_same_in_every_alphabet(gateway):
    invite = await gateway.inviting.create_invite("alice")
    text = gateway.inviting.string_of(invite)
    spelled = f"{invite.token}@{gateway.ours.authority}".encode()
    assert text == base64.b64encode(spelled).decode() == base64.urlsafe_b64encode(spelled).decode()
    assert base64.b64decode(text, validate=True) == spelled
    assert parse_invite(text) == Invite(invite.token, gateway.ours.authority)


async def test_only_users_invite(gateway):
    with pytest.raises(NotFound):
        await gateway.inviting.create_invite("nobody")


async def test_the_operator_bounds_time_and_number(opened):
    clock = Clock()
    gateway = await opened(clock, invites={"lifetime_days": 2, "most_open": 2})
    first = await gateway.inviting.create_invite("alice")
    assert first.expiration_at == clock.now + 2 * 86_400
    with pytest.raises(Refused):
        await gateway.inviting.create_invite("alice", expiration_at=clock.now + 3 * 86_400)
    with pytest.raises(Malformed):
        await gateway.inviting.create_invite("alice", expiration_at=clock.now)
    with pytest.raises(Malformed):
        await gateway.inviting.create_invite("alice", note="x" * 2001)
    await gateway.inviting.create_invite("alice", expiration_at=clock.now + 60)
    with pytest.raises(TooMany):
        await gateway.inviting.create_invite("alice")
    clock.now += 60
    await gateway.inviting.create_invite("alice")
    await gateway.inviting.withdraw(first.id)
    await gateway.inviting.create_invite("alice")
    with pytest.raises(TooMany):
        await gateway.inviting.create_invite("alice")


@pytest.mark.conforms("OCM-19-03")
async def test_users_see_their_own_invites_only(gateway):
    invite = await gateway.inviting.create_invite("alice")
    assert [one.id for one in await gateway.inviting.all("alice")] == [invite.id]
    assert await gateway.inviting.all("bob") == []
    for verb in (gateway.inviting.by_id, gateway.inviting.withdraw, gateway.inviting.renew):
        with pytest.raises(NotFound):
            await verb(invite.id, sender="bob")


async def test_a_token_that_is_of_no_use_any_more_is_kept_as_a_hash_only(gateway):
    invite = await gateway.inviting.create_invite("alice")

    async def dump():
        rows = select(invites)
        return await gateway.state.database.read(lambda one: repr(one.execute(rows).all()))

    assert invite.token not in await dump()
    withdrawn = await gateway.inviting.withdraw(invite.id)
    assert withdrawn.state is InviteState.WITHDRAWN
    assert withdrawn.token == ""
    assert gateway.inviting.string_of(withdrawn) == ""
    assert (await gateway.inviting.withdraw(invite.id)).state is InviteState.WITHDRAWN
    with pytest.raises(Conflict):
        await gateway.inviting.renew(invite.id)


async def test_invites_that_are_off_are_off(opened, peer):
    gateway = await opened(invites={"enabled": False})
    with pytest.raises(Unsupported):
        await gateway.inviting.create_invite("alice")
    with pytest.raises(Unsupported):
        await gateway.inviting.accept_invite("alice", invite_of(peer))
    assert peer.seen == []


# Accepting


@pytest.mark.conforms(
    "OCM-4.4.2-02",
    "OCM-4.4.2-03",
    "OCM-4.4.3-02",
    "OCM-4.4.3-03",
    "OCM-4.4.3-04",
    "OCM-4.4.3-06",
    "OCM-4.4.3-07",
    "OCM-4.4.3-08",
    "OCM-4.4.3-10",
    "OCM-4.4.6-01",
)
async def test_accepting_discovers_and_posts_once_signed_with_all_members(gateway, peer):
    peer.on(ACCEPTED, Answer(body=EINSTEIN))
    contact = await gateway.inviting.accept_invite("alice", invite_of(peer))
    assert contact.address == f"einstein@{peer.authority}"
    assert contact.source is ContactSource.INVITE
    assert await gateway.contacts.all("alice") == [contact]
    assert [f"{one.method} {one.path}" for one in peer.seen] == ["GET /.well-known/ocm", ACCEPTED]
    [posted] = peer.requests(ACCEPTED)
    assert posted.headers["Content-Type"] == "application/json"
    assert posted.json() == {
        "recipientProvider": gateway.ours.authority,
        "token": "a@b+c/d",
        "userID": "alice",
        "email": "",
        "name": "alice",
    }
    assert verify(posted, peer.origin, gateway.ring.jwks()["keys"][0])["label"] == "ocm"


@pytest.mark.conforms("OCM-4.4.3-01")
@pytest.mark.parametrize("end", ["/x/ocm", "/x/ocm/"])
async def test_the_request_goes_below_the_end_point(gateway, peer, end):
    peer.document["endPoint"] = peer.origin + end
    peer.on("POST /x/ocm/invite-accepted", Answer(body=EINSTEIN))
    await gateway.inviting.accept_invite("alice", invite_of(peer))


async def test_a_configured_email_and_name_introduce_the_user(opened, peer):
    user = {"name": "alice", "display_name": "Alice A", "email": "a@x.example", "password": "p"}
    gateway = await opened(users={"source": "list", "list": [user]})
    peer.on(ACCEPTED, Answer(body=EINSTEIN))
    await gateway.inviting.accept_invite("alice", invite_of(peer))
    [posted] = peer.requests(ACCEPTED)
    assert (posted.json()["email"], posted.json()["name"]) == ("a@x.example", "Alice A")


@pytest.mark.conforms("OCM-4.4.4-11")
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(400, {"message": "no such token"}), NotFound),
        (Answer(404), NotFound),
        (Answer(401), Refused),
        (Answer(403), Refused),
        (Answer(409, {"message": "taken"}), Conflict),
        (Answer(409, EINSTEIN), Conflict),
        (Answer(500), ProviderFailed),
        (Answer(503), ProviderFailed),
        (Answer(302, headers={"Location": "/elsewhere"}), ProviderFailed),
        (Answer(201, EINSTEIN), ProviderFailed),
        (Answer(200, b"not JSON"), ProviderRefused),
        (Answer(200, {}), ProviderRefused),
        (Answer(200, {"userID": "", "email": "", "name": ""}), ProviderRefused),
        (Answer(200, {"userID": "x", "email": "", "name": 7}), ProviderRefused),
        (Answer(200, {"email": "", "name": "x"}), ProviderRefused),
        (Answer(200, {"userID": "x", "name": "x"}), ProviderRefused),
    ],
)
async def test_only_200_with_all_members_makes_a_contact(gateway, peer, answer, error):
    peer.on(ACCEPTED, answer)
    with pytest.raises(error):
        await gateway.inviting.accept_invite("alice", invite_of(peer))
    assert await gateway.contacts.all() == []


@pytest.mark.conforms("OCM-4.4.2-03")
async def test_a_second_acceptance_asks_again_and_makes_no_second_contact(gateway, peer):
    peer.on(ACCEPTED, Answer(body=EINSTEIN), Answer(409, {"message": "taken"} | EINSTEIN))
    await gateway.inviting.accept_invite("alice", invite_of(peer))
    with pytest.raises(Conflict, match="409: taken"):
        await gateway.inviting.accept_invite("alice", invite_of(peer))
    assert len(await gateway.contacts.all()) == 1


async def test_accepting_the_same_invite_ten_times_at_once_makes_one_contact(
    opened, keeps_in_both, peer
):
    gateway = await opened(**keeps_in_both("gateway"))
    peer.on(ACCEPTED, Answer(body=EINSTEIN), Answer(409, {"message": "taken"}))
    outcomes = await asyncio.gather(
        *(gateway.inviting.accept_invite("alice", invite_of(peer)) for _ in range(10)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, Conflict) for one in outcomes) == 9
    assert len(await gateway.contacts.all()) == 1


async def test_a_lost_answer_is_caught_up_by_the_409_that_repeats_it(gateway, peer):
    peer.on(ACCEPTED, Answer(hang_up=True), Answer(409, {"message": "taken"} | EINSTEIN))
    with pytest.raises(ProviderFailed):
        await gateway.inviting.accept_invite("alice", invite_of(peer))
    contact = await gateway.inviting.accept_invite("alice", invite_of(peer))
    assert contact.user_id == "einstein"


async def test_a_lost_answer_of_a_user_is_nobody_else_s(gateway, peer):
    peer.on(ACCEPTED, Answer(hang_up=True), Answer(409, EINSTEIN))
    with pytest.raises(ProviderFailed):
        await gateway.inviting.accept_invite("alice", invite_of(peer))
    with pytest.raises(Conflict):
        await gateway.inviting.accept_invite("alice", invite_of(peer, "another"))


@pytest.mark.conforms("OCM-4.4.3-11")
async def test_a_denied_server_is_not_even_discovered(opened, peer):
    gateway = await opened(policy={"deny": [peer.authority]})
    with pytest.raises(Refused):
        await gateway.inviting.accept_invite("alice", invite_of(peer))
    assert peer.seen == []


async def test_nobody_accepts_an_invite_of_their_own_server(gateway):
    invite = await gateway.inviting.create_invite("alice")
    own = parse_invite(gateway.inviting.string_of(invite))
    for user in ("alice", "bob"):
        with pytest.raises((Malformed, NotFound)):
            await gateway.inviting.accept_invite(user, own)
    assert (await gateway.inviting.by_id(invite.id)).state is InviteState.OPEN


async def test_unknown_users_accept_nothing(gateway, peer):
    with pytest.raises(NotFound):
        await gateway.inviting.accept_invite("nobody", invite_of(peer))
    assert peer.seen == []


# Two gateways


@pytest.fixture
async def two(opened):
    return await opened(folder="one"), await opened(folder="two")


async def invited(one, two):
    invite = await one.inviting.create_invite("alice")
    return await two.inviting.accept_invite("alice", parse_invite(one.inviting.string_of(invite)))


@pytest.mark.conforms("OCM-4.4.5-01", "OCM-2.2.2-02")
async def test_two_gateways_make_contacts_on_both_sides(two):
    one, other = two
    contact = await invited(one, other)
    assert contact.address == str(one.ours.address("alice"))
    [back] = await one.contacts.all("alice")
    assert back.address == str(other.ours.address("alice"))


async def test_a_second_invite_after_a_deletion_works_in_every_order(two):
    one, other = two
    for gateways in ((one,), (other,), (one, other), ()):
        contact = await invited(one, other)
        assert contact.source is ContactSource.INVITE
        assert [len(await gateway.contacts.all("alice")) for gateway in two] == [1, 1]
        for gateway in gateways:
            [known] = await gateway.contacts.all("alice")
            await gateway.contacts.remove(known.id)
        await invited(other, one)
        assert [len(await gateway.contacts.all("alice")) for gateway in two] == [1, 1]


async def test_one_of_two_gateways_that_accept_at_once_wins(opened, two):
    one, other = two
    third = await opened(folder="three")
    invite = await one.inviting.create_invite("alice")
    parsed = parse_invite(one.inviting.string_of(invite))
    outcomes = await asyncio.gather(
        *(gateway.inviting.accept_invite("alice", parsed) for gateway in (other, third)),
        return_exceptions=True,
    )
    assert sorted(isinstance(one, Conflict) for one in outcomes) == [False, True]
