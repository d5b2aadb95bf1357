"""Public links: what a stranger with a link can do, and what not."""

import asyncio
import json
import re

import pytest

from gateway.errors import NotFound, Refused, Unsupported
from gateway.model import Permission
from gateway.sharing.sending import Offer
from tests.peer import Answer
from tests.web.browser import browser
from tests.web.test_api import ask as call

ON = {"public_links": True}


@pytest.fixture
async def linked(opened, peer, other):
    """A gateway with links switched on, a share of a folder with one, and its path."""
    for one in (peer, other):
        one.on("POST /ocm/shares", Answer(201, body=b"{}"))
    gateway = await opened(sharing=ON)
    offer = Offer(
        "alice",
        "trip",
        f"bob@{peer.authority}",
        permissions=frozenset({Permission.READ, Permission.WRITE}),
        expiration_at=gateway.clock() + 3600,
    )
    share = await gateway.sending.create_share(offer)
    link = await gateway.links.switch_on(share.provider_id, owner="alice")
    return gateway, share, link.removeprefix(gateway.ours.origin)


async def ask(gateway, link, address):
    async with browser(gateway) as visitor:
        return await visitor.submit(link, "/link", address=address)


async def shares_with(gateway, address):
    return [one for one in await gateway.sending.all("alice") if one.share_with == address]


@pytest.mark.conforms("OCM-4.2-01", "OCM-4.3-01")
async def test_a_stranger_names_an_address_and_is_sent_a_share_to_read(linked, other):
    gateway, share, link = linked
    eve = f"eve@{other.authority}"
    page = await ask(gateway, link, eve)
    assert page.status == 200
    assert "Thank you" in page.text
    [made] = await shares_with(gateway, eve)
    assert made.permissions == {Permission.READ}
    assert (made.resource, made.expiration_at) == (share.resource, share.expiration_at)
    [sent] = other.requests("POST /ocm/shares")
    assert json.loads(sent.body)["shareWith"] == eve
    assert [who for who, _ in await gateway.links.visits(share.provider_id)] == [eve]


@pytest.mark.conforms("OCM-4.2-01")
async def test_without_the_setting_there_is_no_page_and_no_link(gateway, peer):
    share = await gateway.sending.create_share(Offer("alice", "trip", f"bob@{peer.authority}"))
    with pytest.raises(Unsupported):
        await gateway.links.switch_on(share.provider_id)
    async with browser(gateway) as visitor:
        assert (await visitor.get("/link?token=x")).status == 404


async def test_asking_twice_sends_one_share_and_tells_nothing(linked, other):
    gateway, _, link = linked
    eve = f"eve@{other.authority}"
    first = await ask(gateway, link, eve)
    second = await ask(gateway, link, eve)
    assert (first.status, "Thank you" in second.text) == (second.status, True)
    assert len(other.requests("POST /ocm/shares")) == 1


async def test_a_refused_address_looks_like_one_that_was_taken(linked, other):
    gateway, _, link = linked
    other.on("POST /ocm/shares", Answer(404, body=b'{"message": "NO_SUCH_USER"}'))
    nobody = f"nobody@{other.authority}"
    page = await ask(gateway, link, nobody)
    assert page.status == 200
    assert "Thank you" in page.text
    assert "NO_SUCH_USER" not in page.text


@pytest.mark.conforms("OCM-4.3-01")
async def test_a_link_is_good_for_so_many_only(opened, peer, other):
    for one in (peer, other):
        one.on("POST /ocm/shares", Answer(201, body=b"{}"))
    gateway = await opened(sharing=ON | {"public_link_most": 2})
    share = await gateway.sending.create_share(Offer("alice", "trip", f"bob@{peer.authority}"))
    link = await gateway.links.switch_on(share.provider_id)
    link = link.removeprefix(gateway.ours.origin)
    for number in range(5):
        assert (await ask(gateway, link, f"u{number}@{other.authority}")).status == 200
    assert len(other.requests("POST /ocm/shares")) == 2


@pytest.mark.parametrize("address", ["", "eve", "@x", "eve@", "<b>@!"])
async def test_what_is_no_address_is_said_to_be_none(linked, other, address):
    gateway, _, link = linked
    page = await ask(gateway, link, address)
    assert page.status == 400
    assert "<b>@" not in page.text
    assert other.requests("POST /ocm/shares") == []


async def test_our_own_users_are_neither_found_nor_shared_with(linked):
    gateway, _, link = linked
    pages = [await ask(gateway, link, f"{who}@{gateway.ours.authority}") for who in ("bob", "zoe")]
    assert [page.status for page in pages] == [400, 400]
    assert len(await gateway.sending.all("alice")) == 1


async def test_a_link_ends_with_its_switch_its_successor_and_its_share(linked):
    gateway, share, link = linked
    renewed = await gateway.links.switch_on(share.provider_id)
    renewed = renewed.removeprefix(gateway.ours.origin)
    async with browser(gateway) as visitor:
        assert (await visitor.get(link)).status == 404
        assert (await visitor.get(renewed)).status == 200
        await gateway.links.switch_off(share.provider_id)
        assert (await visitor.get(renewed)).status == 404
        last = await gateway.links.switch_on(share.provider_id)
        await gateway.sending.revoke(share.provider_id)
        assert (await visitor.get(last.removeprefix(gateway.ours.origin))).status == 404
    with pytest.raises(Refused):
        await gateway.links.switch_on(share.provider_id)


async def test_a_form_of_another_site_shares_nothing(linked, other):
    gateway, _, link = linked
    token = link.partition("token=")[2]
    fields = {"token": token, "address": f"eve@{other.authority}"}
    async with browser(gateway) as visitor:
        assert (await visitor.send("POST", "/link", data=fields)).status == 403
    assert other.requests("POST /ocm/shares") == []


async def test_the_database_has_no_token(linked):
    gateway, _, link = linked
    token = link.partition("token=")[2].encode()
    folder = gateway.settings.state.folder
    assert not any(token in file.read_bytes() for file in folder.rglob("*") if file.is_file())


@pytest.mark.conforms("OCM-4.3-01")
async def test_one_network_address_asks_so_often_only(opened, peer, other):
    for one in (peer, other):
        one.on("POST /ocm/shares", Answer(201, body=b"{}"))
    gateway = await opened(
        sharing=ON,
        limits={"link_requests_per_minute": 2},
        testing={"hosts": ["127.0.0.1"], "rate_limits": True},
    )
    share = await gateway.sending.create_share(Offer("alice", "trip", f"bob@{peer.authority}"))
    link = (await gateway.links.switch_on(share.provider_id)).removeprefix(gateway.ours.origin)
    pages = [await ask(gateway, link, f"u{number}@{other.authority}") for number in range(5)]
    assert max(page.status for page in pages) == 429
    assert len(other.requests("POST /ocm/shares")) <= 4


async def test_fifty_who_ask_at_once_for_one_address_get_one_share(linked, other):
    gateway, _, link = linked
    token, eve = link.partition("token=")[2], f"eve@{other.authority}"
    await asyncio.gather(*(gateway.links.ask(token, eve) for _ in range(50)))
    assert len(await shares_with(gateway, eve)) == 1


async def test_another_user_can_neither_switch_a_link_nor_see_who_asked(linked):
    gateway, share, link = linked
    for do in (gateway.links.switch_on, gateway.links.switch_off, gateway.links.visits):
        with pytest.raises(NotFound):
            await do(share.provider_id, owner="bob")
    assert (await gateway.links.share_of(link.partition("token=")[2])) is not None


async def test_the_owner_makes_a_link_in_the_page_sees_who_asked_and_takes_it_away(linked, other):
    gateway, share, before = linked
    eve = f"eve@{other.authority}"
    at, form = f"/sent/share?id={share.provider_id}", "/sent/share"
    async with browser(gateway) as alice:
        await alice.login("alice")
        assert "/link?token=" not in (await alice.get(at)).text
        made = await alice.submit(at, form, do="link")
        [link] = re.findall(r'value="[^"]*(/link\?token=[^"]+)"', made.text)
        assert (await ask(gateway, link, eve)).status == 200
        assert eve in (await alice.get(at)).text
        assert (
            "The link opens nothing any more." in (await alice.submit(at, form, do="unlink")).text
        )
    async with browser(gateway) as visitor:
        assert [(await visitor.get(one)).status for one in (before, link)] == [404, 404]


async def test_the_owner_does_the_same_in_the_api(linked, other):
    gateway, share, before = linked
    eve, at = f"eve@{other.authority}", f"/shares/{share.provider_id}/link"
    status, made, _ = await call(gateway, "POST", at)
    assert (status, made["on"]) == (200, True)
    link = made["link"].removeprefix(gateway.ours.origin)
    assert link != before
    assert (await ask(gateway, link, eve)).status == 200
    _, shown, _ = await call(gateway, "GET", at)
    assert (shown["link"], [one["shareWith"] for one in shown["asked"]]) == (None, [eve])
    for method in ("GET", "POST", "DELETE"):
        assert (await call(gateway, method, at, user="bob"))[0] == 404
    assert (await call(gateway, "DELETE", at))[1]["on"] is False
    async with browser(gateway) as visitor:
        assert (await visitor.get(link)).status == 404


async def test_without_the_setting_no_page_offers_a_link_and_the_api_makes_none(gateway, peer):
    share = await gateway.sending.create_share(Offer("alice", "trip", f"bob@{peer.authority}"))
    async with browser(gateway) as alice:
        await alice.login("alice")
        shown = await alice.get(f"/sent/share?id={share.provider_id}")
        assert 'value="link"' not in shown.text
    assert (await call(gateway, "POST", f"/shares/{share.provider_id}/link"))[0] == 501
