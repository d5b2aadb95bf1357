"""A server that takes connections and never answers holds up nobody at a page.

The gateways here would themselves wait for an hour, so what answers has stopped waiting.
"""

import asyncio
from contextlib import asynccontextmanager

import pytest

from gateway.ocm.invites import encode_invite
from gateway.sharing import accepting, outbox, recipients
from gateway.web.pages import files, wayf
from tests.pair import eventually
from tests.peer import Answer
from tests.sharing.stage import create_share, receive_share, send_share
from tests.web.browser import browser


@asynccontextmanager
async def silence():
    """A server that hears and says nothing; its authority."""
    held = []

    async def hold(reader, writer):
        held.append(writer)
        await reader.read()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    for writer in held:
        writer.close()


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(outbox, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(accepting, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(recipients, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(files, "LISTING_SECONDS", 0.3)
    monkeypatch.setattr(wayf, "_PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(wayf, "_ONE_SECONDS", 0.3)


SLOW = {"limits": {"provider_seconds": 3600}}


async def test_the_share_dialog_says_so_and_the_share_waits(opened):
    gateway = await opened(**SLOW)
    async with silence() as silent, browser(gateway) as alice:
        await alice.login()
        shown = await alice.get(f"/share/check?with=bob@{silent}")
        assert "took too long" in shown.text
        fields = {"with": f"bob@{silent}", "rights": "view", "do": "share"}
        shown = await alice.submit("/share?path=trip", "/share", **fields)
        assert "as soon as their server answers" in shown.text
        [share] = await gateway.sending.all("alice")
        shown = await alice.submit(
            f"/sent/share?id={share.provider_id}", "/sent/share", do="revoke"
        )
        assert shown.status == 200
        [share] = await gateway.sending.all("alice")
        assert share.state.value == "revoked"


async def test_a_page_is_not_held_up_by_a_server_that_fell_silent(opened, peer):
    gateway = await opened(**SLOW)
    taken, new = await receive_share(peer, gateway), await send_share(peer, gateway)
    await create_share(gateway, peer)
    for what in ("GET /.well-known/ocm", "POST /ocm/notifications", "POST /ocm/token", "DAV"):
        peer.on(what, Answer(seconds=3600))
    async with browser(gateway) as alice:
        await alice.login()
        for page in ("/received", "/sent", "/contacts", "/requests", "/"):
            assert (await alice.get(page)).status == 200
        shown = await alice.get(f"/received/open?share={taken.id}&path=")
        assert shown.status == 504
        inbox = await gateway.receiving.inbox("alice")
        [one] = [one for one in inbox if one.provider_id == new["providerId"]]
        shown = await alice.submit("/received", "/received", id=one.id, do="accept")
        assert shown.status == 200
        assert (await gateway.receiving.by_id(one.id)).state.value == "accepted"


async def test_the_page_of_an_invite_waits_for_no_silent_server(opened):
    gateway = await opened(**SLOW)
    async with silence() as silent, browser(gateway) as somebody:
        await gateway.others.registry.add(silent, "")
        invite = await gateway.inviting.create_invite("alice")
        shown = await somebody.get(f"/wayf?token={invite.token}")
        assert "is being asked" in shown.text
        shown = await somebody.get(f"/wayf?token={invite.token}&server={silent}")
        assert "does not answer" in shown.text


@pytest.mark.parametrize("page", ["invites", "dialog"])
async def test_whoever_accepts_an_invite_waits_for_no_silent_server(opened, page):
    gateway = await opened(**SLOW)
    async with silence() as silent, browser(gateway) as alice:
        await alice.login()
        if page == "dialog":
            path = f"/accept-invite?token=abc&providerDomain={silent}"
            shown = await alice.submit(path, "/accept-invite", do="accept")
        else:
            text = encode_invite("abc", silent)
            shown = await alice.submit("/invites", "/invites", do="accept", text=text)
        assert (shown.status, shown.url) == (200, f"{gateway.ours.origin}/contacts")
        assert f"{silent} has not answered yet" in shown.text
        assert await gateway.contacts.all() == []


async def test_an_invite_is_accepted_once_its_server_answers_at_last(opened, peer):
    gateway = await opened(**SLOW)
    einstein = {"userID": "einstein", "email": "", "name": "Albert"}
    peer.on("POST /ocm/invite-accepted", Answer(body=einstein, seconds=0.8))
    async with browser(gateway) as alice:
        await alice.login()
        path = f"/accept-invite?token=abc&providerDomain={peer.authority}"
        for _ in range(2):
            shown = await alice.submit(path, "/accept-invite", do="accept")
            assert "has not answered yet" in shown.text
        await eventually(gateway.contacts.all, 5)
        assert "Albert" in (await alice.get("/contacts")).text
    assert [one.path for one in peer.seen].count("/ocm/invite-accepted") == 1
