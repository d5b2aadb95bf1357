"""Changing a share that one gave: the form on its page, and the API."""

import pytest

from gateway.model import Permission
from gateway.sharing.sending import Offer
from gateway.web.pages.dates import date_of
from tests.sharing.test_changing import arrived
from tests.sharing.test_dialects import old_nextcloud
from tests.web.browser import browser
from tests.web.test_api import ask

READ = frozenset({Permission.READ})
FORM = "/sent/change"


@pytest.fixture
async def share(gateway, peer):
    ends_at = gateway.clock() + 5000
    offer = Offer("alice", "trip", f"einstein@{peer.authority}", READ, ends_at)
    return await arrived(gateway, await gateway.sending.create_share(offer))


async def test_the_form_changes_what_they_may_and_keeps_the_very_second(gateway, share):
    page = f"/sent/share?id={share.provider_id}"
    async with browser(gateway) as alice:
        await alice.login("alice")
        shown = await alice.submit(page, FORM, rights="edit", more="")
        assert "holds at once" in shown.text
        assert "may still end it" not in shown.text
        after = await gateway.sending.by_id(share.provider_id)
        assert after.permissions == READ | {Permission.WRITE}
        assert after.expiration_at == share.expiration_at
        shown = await alice.submit(page, FORM, rights="edit", more="")
        assert "Nothing was changed" in shown.text


async def test_a_later_end_is_given_with_a_word_of_warning(gateway, share):
    page = f"/sent/share?id={share.provider_id}"
    async with browser(gateway) as alice:
        await alice.login("alice")
        shown = await alice.submit(page, FORM, rights="view", more="", until="2999-01-31")
        assert "may still end it" in shown.text
        after = await gateway.sending.by_id(share.provider_id)
        assert date_of(after.expiration_at) == "2999-01-31"
        shown = await alice.submit(page, FORM, rights="view", more="", until="2001-01-31")
        assert "lies in the past" in shown.text
        await alice.submit(page, FORM, rights="view", more="", until="")
        assert (await gateway.sending.by_id(share.provider_id)).expiration_at is None


async def test_the_owner_reads_that_the_other_server_is_not_told(gateway, peer):
    old_nextcloud(peer)
    offer = Offer("alice", "trip", f"einstein@{peer.authority}")
    share = await arrived(gateway, await gateway.sending.create_share(offer))
    async with browser(gateway) as alice:
        await alice.login("alice")
        shown = await alice.submit(
            f"/sent/share?id={share.provider_id}", FORM, rights="edit", more=""
        )
        assert "Their server is not told" in shown.text


async def test_an_ended_share_has_no_form_and_refuses_one(gateway, share):
    page = f"/sent/share?id={share.provider_id}"
    async with browser(gateway) as alice:
        await alice.login("alice")
        form = (await alice.get(page)).fields(FORM)
        await gateway.sending.revoke(share.provider_id)
        shown = await alice.send("POST", FORM, data=form | {"rights": "edit"})
        assert "the share has ended" in shown.text
        assert FORM not in shown.text


async def test_nobody_changes_anothers(gateway, share):
    async with browser(gateway) as bob:
        await bob.login("bob")
        form = (await bob.get("/requests")).fields() | {"id": share.provider_id, "rights": "edit"}
        assert (await bob.send("POST", FORM, data=form)).status == 404
    status, _, _ = await ask(
        gateway, "PATCH", f"/shares/{share.provider_id}", {"permissions": ["read"]}, user="bob"
    )
    assert status == 404
    assert await gateway.sending.by_id(share.provider_id) == share


async def test_the_api_changes_what_is_named_and_null_ends_the_end(gateway, share):
    at = f"/shares/{share.provider_id}"
    status, changed, _ = await ask(gateway, "PATCH", at, {"permissions": ["read", "write"]})
    assert (status, changed["permissions"]) == (200, ["read", "write"])
    assert (changed["expiration"], changed["told"]) == (share.expiration_at, True)
    status, changed, _ = await ask(gateway, "PATCH", at, {"expiration": None})
    assert (changed["permissions"], changed["expiration"]) == (["read", "write"], None)
    for body in ({"permissions": []}, {"permissions": ["write"]}, {"expiration": 1}, {"x": 1}):
        assert (await ask(gateway, "PATCH", at, body))[0] == 400, body
    await gateway.sending.revoke(share.provider_id)
    assert (await ask(gateway, "PATCH", at, {"permissions": ["read"]}))[0] == 409
