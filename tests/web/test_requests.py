"""The page of requests: an inbox, and what one asked for."""

import pytest

from gateway.model import Permission, RequestState
from gateway.sharing.sending import Offer
from tests.peer import Answer
from tests.web.browser import browser

ASKING = "POST /ocm/request-share"


@pytest.fixture
async def asked(gateway, peer):
    """A request by alice's contact galileo at the peer."""
    peer.on("POST /ocm/shares", Answer(201, body=b"{}"))
    await gateway.contacts.add("alice", f"galileo@{peer.authority}", name="Galileo")
    body = {
        "owner": str(gateway.ours.address("alice")),
        "shareWith": f"galileo@{peer.authority}",
        "share": "/trip",
    }
    reply = await peer.post(f"{gateway.ours.end_point}/request-share", body)
    assert reply.status == 201
    [request] = await gateway.requests.all("alice")
    return request


def badge(shown):
    return "badge waiting" in shown.text


async def test_the_owner_sees_it_in_the_menu_and_agrees_on_terms(gateway, peer, asked):
    async with browser(gateway) as alice:
        await alice.login("alice")
        shown = await alice.get("/requests")
        assert badge(shown)
        assert "/trip" in shown.text
        assert f"galileo@{peer.authority}" in shown.text
        assert "for Galileo" in shown.text
        done = await alice.submit(
            "/requests", "/requests", do="agree", rights="edit", more="", until="2999-01-31"
        )
        assert "/sent/share?id=" in done.url
        assert not badge(done)
        request = await gateway.requests.by_id(asked.id)
        made = await gateway.sending.by_id(request.share)
        assert made.permissions == {Permission.READ, Permission.WRITE}
        assert made.expiration_at is not None
        assert "Answered (1)" in (await alice.get("/requests")).text


async def test_declining_shares_nothing_and_twice_is_told(gateway, asked):
    async with browser(gateway) as alice:
        await alice.login("alice")
        before = (await alice.get("/requests")).fields("/requests")
        form = before | {"do": "decline"}
        shown = await alice.send("POST", "/requests", data=form)
        assert "You declined" in shown.text
        assert (await gateway.requests.by_id(asked.id)).state is RequestState.DECLINED
        again = await alice.send("POST", "/requests", data=form | {"do": "agree", "rights": "view"})
        assert again.status == 409
        assert "decided already" in again.text
        assert await gateway.sending.all() == []


async def test_a_date_in_the_past_brings_the_form_back_as_it_was(gateway, asked):
    async with browser(gateway) as alice:
        await alice.login("alice")
        shown = await alice.submit(
            "/requests", "/requests", do="agree", rights="edit", until="2001-01-31"
        )
        assert shown.status == 400
        assert "lies in the past" in shown.text
        assert 'value="2001-01-31"' in shown.text
        assert 'value="edit" checked' in shown.text
        assert (await gateway.requests.by_id(asked.id)).state is RequestState.OPEN


async def test_nobody_answers_for_another(gateway, asked):
    async with browser(gateway) as bob:
        await bob.login("bob")
        shown = await bob.get("/requests")
        assert not badge(shown)
        assert "Nobody is waiting" in shown.text
        form = shown.fields("/requests/ask") | {"id": asked.id, "rights": "view"}
        for do in ("agree", "decline"):
            assert (await bob.send("POST", "/requests", data=form | {"do": do})).status == 404
        assert (await gateway.requests.by_id(asked.id)).state is RequestState.OPEN


async def test_one_asks_and_sees_what_became_of_it(gateway, peer):
    peer.on(ASKING, Answer(201, b"{}"))
    owner = f"einstein@{peer.authority}"
    async with browser(gateway) as alice:
        await alice.login("alice")
        page = ("/requests", "/requests/ask")
        shown = await alice.submit(*page, owner=owner, share="/report", do="ask")
        assert "It is theirs to share" in shown.text
        shown = await alice.submit(*page, owner=owner, share="/report", do="ask")
        assert shown.status == 409
        assert "asked for that already" in shown.text
        assert f'value="{owner}"' in shown.text
        peer.on(ASKING, Answer(404, b'{"message": "<b>no such thing"}'))
        shown = await alice.submit(*page, owner=owner, share="/else", do="ask")
        assert "refused the request" in shown.text
        assert "&lt;b&gt;no such thing" in shown.text
        shown = await alice.submit(*page, owner="einstein", share="/else", do="ask")
        assert shown.status == 400


async def test_what_is_passed_on_offers_no_more_than_its_share(gateway, peer, other):
    permissions = frozenset({Permission.READ, Permission.SHARE})
    ends_at = gateway.clock() + 86_400
    offer = Offer("alice", "trip", f"einstein@{peer.authority}", permissions, ends_at)
    share = await gateway.sending.create_share(offer)
    body = {
        "notificationType": "REQUEST_RESHARE",
        "providerId": share.provider_id,
        "resourceType": "folder",
        "notification": {"shareWith": f"galileo@{other.authority}"},
    }
    assert (await peer.post(f"{gateway.ours.end_point}/notifications", body)).status == 201
    async with browser(gateway) as alice:
        await alice.login("alice")
        shown = await alice.get("/requests")
        assert "not among your contacts" in shown.text
        assert f"asked by {peer.authority}" in shown.text
        assert 'value="edit"' not in shown.text
        assert 'name="more"' not in shown.text
        assert "At the latest" in shown.text
        form = shown.fields("/requests") | {"do": "agree", "rights": "edit"}
        refused = await alice.send("POST", "/requests", data=form)
        assert refused.status == 403
        assert len(await gateway.sending.all()) == 1
