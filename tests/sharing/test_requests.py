"""Being asked to share, and asking others (OCM-API 1.4 request-share, draft 03, 12)."""

import asyncio

import pytest

from gateway.errors import Conflict, Malformed, Refused
from gateway.model import Permission, RequestState, SentState
from gateway.sharing import requests as requests_
from tests.peer import unsigned
from tests.sharing.stage import Clock, create_share, notifications_of


def asking(gateway, peer, share, **changes):
    return {
        "owner": str(gateway.ours.address("alice")),
        "shareWith": f"galileo@{peer.authority}",
        "share": share,
    } | changes


async def ask(gateway, peer, share, **changes):
    url = f"{gateway.ours.end_point}/request-share"
    return await peer.post(url, asking(gateway, peer, share, **changes))


@pytest.mark.parametrize("form", ["{id}", "{origin}/remote/dav/ocm/{id}", "{id}/"])
async def test_a_request_lies_with_the_owner_until_they_agree(gateway, peer, form):
    share = await create_share(gateway, peer)
    named = form.format(id=share.provider_id, origin=gateway.ours.origin)
    reply = await ask(gateway, peer, named)
    assert reply.status == 201
    [request] = await gateway.requests.all("alice")
    assert request.share_with == f"galileo@{peer.authority}"
    assert request.resource == ("trip",)
    assert len(await gateway.sending.all()) == 1
    agreed = await gateway.requests.agree(request.id, owner="alice")
    assert agreed.state is RequestState.AGREED
    made = await gateway.sending.by_id(agreed.share)
    assert (made.share_with, made.state) == (request.share_with, SentState.SENT)
    with pytest.raises(Conflict):
        await gateway.requests.agree(request.id)


async def test_many_who_agree_at_once_make_one_share(gateway, peer):
    share = await create_share(gateway, peer)
    await ask(gateway, peer, share.provider_id)
    [request] = await gateway.requests.all("alice")
    before = len(await gateway.sending.all())
    agreeing = [gateway.requests.agree(request.id) for _ in range(10)]
    results = await asyncio.gather(*agreeing, return_exceptions=True)
    assert sum(isinstance(result, Conflict) for result in results) == 9
    assert len(await gateway.sending.all()) == before + 1


async def test_a_contact_may_ask_for_a_path_and_a_stranger_learns_nothing(gateway, peer):
    assert (await ask(gateway, peer, "/letter.txt")).status == 404
    assert (await ask(gateway, peer, "/nothing")).status == 404
    await gateway.contacts.add("alice", f"galileo@{peer.authority}")
    for path in ("/nothing", "/", "/../bob", "https://else.example/letter.txt"):
        assert (await ask(gateway, peer, path)).status == 404, path
    assert await gateway.requests.all() == []
    assert (await ask(gateway, peer, "/letter.txt")).status == 201
    [request] = await gateway.requests.all()
    assert request.resource == ("letter.txt",)


async def test_what_is_not_theirs_is_not_there(gateway, peer, other):
    share = await create_share(gateway, peer)
    assert (await ask(gateway, other, share.provider_id)).status == 404
    bob = str(gateway.ours.address("bob"))
    assert (await ask(gateway, peer, share.provider_id, owner=bob)).status == 404
    nobody = str(gateway.ours.address("nobody"))
    assert (await ask(gateway, peer, share.provider_id, owner=nobody)).status == 404
    assert await gateway.requests.all() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"owner": None},
        {"owner": "alice"},
        {"owner": "alice@elsewhere.example"},
        {"shareWith": 1},
        {"shareWith": "galileo"},
        {"share": ""},
        {"share": ["x"]},
        {"share": "x" * 3000},
        {"share": "a\x00b"},
    ],
    ids=str,
)
async def test_what_is_no_request_is_refused(gateway, peer, changes):
    assert (await ask(gateway, peer, **{"share": "x"} | changes)).status == 400
    assert await gateway.requests.all() == []


async def test_who_asks_has_to_prove_it(gateway, peer, other):
    share = await create_share(gateway, peer)
    url = f"{gateway.ours.end_point}/request-share"
    bare = unsigned("POST", url, asking(gateway, peer, share.provider_id))
    assert (await peer.send(bare)).status == 401
    lie = asking(gateway, peer, share.provider_id)
    assert (await other.post(url, lie)).status == 401
    assert await gateway.requests.all() == []


async def test_a_denied_server_asks_nothing(opened, peer):
    gateway = await opened(policy={"default": "deny"})
    assert (await ask(gateway, peer, "x")).status == 403
    assert peer.seen == []


async def test_requests_may_be_switched_off(opened, peer):
    gateway = await opened(sharing={"requests": False})
    share = await create_share(gateway, peer)
    assert (await ask(gateway, peer, share.provider_id)).status == 501


async def test_asking_often_counts_once_and_a_no_holds_for_a_week(opened, peer):
    clock = Clock()
    gateway = await opened(clock=clock)
    share = await create_share(gateway, peer)
    replies = await asyncio.gather(*(ask(gateway, peer, share.provider_id) for _ in range(5)))
    assert {reply.status for reply in replies} == {201}
    [request] = await gateway.requests.all()
    await gateway.requests.decline(request.id)
    assert (await ask(gateway, peer, share.provider_id)).status == 201
    assert len(await gateway.requests.all()) == 1
    clock.now += 8 * 86_400
    await gateway.requests._note("alice", *_of(peer, share))
    assert len(await gateway.requests.all()) == 2


def _of(peer, share):
    from gateway.ocm.address import parse_address

    return parse_address(f"galileo@{peer.authority}"), share.resource, share


async def test_one_server_fills_no_inbox(gateway, peer, monkeypatch):
    monkeypatch.setattr(requests_, "_MOST_OPEN_OF_ONE_SERVER", 3)
    share = await create_share(gateway, peer)
    statuses = [
        (await ask(gateway, peer, share.provider_id, shareWith=f"u{n}@{peer.authority}")).status
        for n in range(4)
    ]
    assert statuses == [201, 201, 201, 429]


async def test_agreeing_that_fails_leaves_the_request_open(gateway, peer):
    share = await create_share(gateway, peer)
    await ask(gateway, peer, share.provider_id)
    [request] = await gateway.requests.all()
    with pytest.raises(Refused, match="more than"):
        await gateway.requests.agree(request.id, permissions=frozenset({Permission.WRITE}))
    [request] = await gateway.requests.all()
    assert request.state is RequestState.OPEN


def reshare(peer, share, to):
    return {
        "notificationType": "REQUEST_RESHARE",
        "providerId": share.provider_id,
        "resourceType": "folder",
        "notification": {"shareWith": to, "senderId": f"einstein@{peer.authority}"},
    }


@pytest.mark.conforms("OCM-12-02")
async def test_a_reshare_is_only_asked_for(gateway, peer, other):
    share = await create_share(
        gateway, peer, permissions=frozenset({Permission.READ, Permission.SHARE})
    )
    to = f"galileo@{other.authority}"
    reply = await peer.post(notifications_of(gateway), reshare(peer, share, to))
    assert reply.status == 201
    assert len(await gateway.sending.all()) == 1
    assert other.seen == []
    [request] = await gateway.requests.all()
    with pytest.raises(Refused, match="more than"):
        await gateway.requests.agree(
            request.id, permissions=frozenset({Permission.READ, Permission.WRITE})
        )
    agreed = await gateway.requests.agree(request.id)
    assert (await gateway.sending.by_id(agreed.share)).share_with == to


@pytest.mark.conforms("OCM-12-03")
async def test_without_the_grant_a_reshare_is_not_even_asked_for(gateway, peer, other):
    share = await create_share(gateway, peer)
    to = f"galileo@{other.authority}"
    reply = await peer.post(notifications_of(gateway), reshare(peer, share, to))
    assert reply.status == 501
    assert await gateway.requests.all() == []


async def test_the_terms_are_the_owners_within_those_of_what_is_passed_on(opened, peer, other):
    clock = Clock()
    gateway = await opened(clock=clock)
    ends_at = clock.now + 3600
    share = await create_share(
        gateway,
        peer,
        permissions=frozenset({Permission.READ, Permission.SHARE}),
        expiration_at=ends_at,
    )
    to = f"galileo@{other.authority}"
    await peer.post(notifications_of(gateway), reshare(peer, share, to))
    [request] = await gateway.requests.all("alice")
    bounds = (await gateway.requests.bounds([request]))[request.id]
    assert (bounds.permissions, bounds.expiration_at) == ({Permission.READ}, ends_at)
    with pytest.raises(Refused, match="longer"):
        await gateway.requests.agree(request.id, expiration_at=ends_at + 1)
    agreed = await gateway.requests.agree(request.id, expiration_at=ends_at - 60)
    assert (await gateway.sending.by_id(agreed.share)).expiration_at == ends_at - 60


async def test_a_request_may_be_agreed_to_for_a_time(gateway, peer):
    await gateway.contacts.add("alice", f"galileo@{peer.authority}")
    await ask(gateway, peer, "/letter.txt")
    [request] = await gateway.requests.all("alice")
    with pytest.raises(Malformed, match="past"):
        await gateway.requests.agree(request.id, expiration_at=1)
    ends_at = gateway.clock() + 3600
    agreed = await gateway.requests.agree(
        request.id,
        permissions=frozenset({Permission.READ, Permission.WRITE}),
        expiration_at=ends_at,
    )
    made = await gateway.sending.by_id(agreed.share)
    assert (made.expiration_at, Permission.WRITE in made.permissions) == (ends_at, True)
