"""An invite by link, from the inviter's page over the WAYF Page to the dialog of another server."""

from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe

from tests.pages.conftest import DESKTOP, PHONE
from tests.pages.test_journeys import WAYS
from tests.peer import Answer
from tests.sharing.stage import peer

__all__ = ["peer"]

SHOTS: Path | None = None


async def invited(north, desk, way):
    """Alice makes an invite on her page; its link."""
    alice = await desk(north, "alice", **way)
    await alice.open("/invites")
    await alice.page.fill("#note", "for Bob")
    await alice.press("Make an invite")
    assert await alice.page.locator("img.qr").count() == 1
    return alice, await alice.page.input_value("#link")


async def friends(north, south):
    """Both know each other."""
    [at_north], [at_south] = await north.contacts.all("alice"), await south.contacts.all("bob")
    return (at_north.address, at_south.address) == (
        str(south.ours.address("bob")),
        str(north.ours.address("alice")),
    )


@pytest.mark.parametrize("way", WAYS)
async def test_an_invite_by_link_from_server_to_server(two, desk, way):
    north, south = two
    await north.others.registry.add(south.ours.authority, "a partner")
    alice, link = await invited(north, desk, way)
    bob = await desk(south, "", **way)

    await bob.page.goto(link)
    assert "alice invites you" in await bob.text()
    await bob.follow("south")
    assert bob.path.startswith("/login?next=")
    await bob.page.fill("#name", "bob")
    await bob.page.fill("#password", "bob-password")
    await bob.press("Log in")
    assert north.ours.authority in await bob.text()
    assert await south.contacts.all() == []
    await bob.press("Accept")
    assert "alice is a contact now." in await bob.text()
    assert await friends(north, south)

    await alice.open("/contacts")
    assert str(south.ours.address("bob")) in await alice.text()
    await bob.page.goto(link)
    assert "accepted already" in await bob.text()


@pytest.mark.parametrize("way", WAYS)
async def test_a_server_that_is_on_no_list_is_typed(two, desk, way):
    north, south = two
    _, link = await invited(north, desk, way)
    bob = await desk(south, "bob", **way)
    await bob.page.goto(link)
    await bob.page.fill("#server", f"https://{south.ours.authority}/files")
    await bob.press("Look for it")
    await bob.follow("Go on")
    assert bob.path.startswith("/accept-invite?token=")
    await bob.press("Accept")
    assert await friends(north, south)


@pytest.mark.parametrize("way", WAYS)
async def test_an_invite_is_declined(two, desk, way):
    north, south = two
    _, link = await invited(north, desk, way)
    bob = await desk(south, "bob", **way)
    await bob.page.goto(f"{link}&server={south.ours.authority}")
    await bob.follow("Go on")
    await bob.press("Decline")
    assert "declined" in await bob.text()
    assert await south.contacts.all() == []
    [invite] = await north.inviting.all("alice")
    assert invite.state.value == "open"


async def test_no_other_site_learns_the_token_from_the_way(two, desk):
    north, south = two
    await north.others.registry.add(south.ours.authority, "")
    _, link = await invited(north, desk, {})
    bob = await desk(south, "bob")
    sent = []

    def note(request):
        sent.append(request)

    bob.page.on("request", note)
    await bob.page.goto(link)
    await bob.follow("south")
    across = [one for one in sent if one.url.startswith(south.ours.origin)]
    assert across
    for one in across:
        headers = await one.all_headers()
        assert not headers.get("referer", "").startswith(north.ours.origin)


async def test_the_list_fills_as_servers_answer(two, desk, peer):
    north, _ = two
    await north.others.registry.add(peer.authority, "")
    peer.on("GET /.well-known/ocm", Answer(body=peer.document, seconds=3))
    _, link = await invited(north, desk, {})
    somebody = await desk(north, "")
    await somebody.page.goto(link)
    assert "is being asked" in await somebody.text()
    await somebody.page.wait_for_selector("text=by invite string")
    assert await somebody.page.locator("[data-asked]").count() == 0


@pytest.mark.parametrize("way", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everybody_can_use_the_pages(two, desk, peer, way, scheme):
    north, south = two
    options = {"viewport": way, "color_scheme": scheme}
    peer.document["provider"] = "Universität mit einem langen Namen, Institut für Astronomie"
    for known in (south.ours.authority, peer.authority, "127.0.0.1:9"):
        await north.others.registry.add(known, "")
    alice, link = await invited(north, desk, options)
    bob = await desk(south, "bob", **options)
    go = f"{link.replace('/wayf?', '/wayf/go?')}&server={south.ours.authority}"
    pages = {
        "invite": (alice, alice.page.url),
        "wayf": (bob, link),
        "typed": (bob, f"{link}&server={south.ours.authority}"),
        "string": (bob, f"{link}&server={peer.authority}"),
        "dialog": (bob, go),
    }
    for name, (visitor, url) in pages.items():
        await visitor.page.goto(url)
        if SHOTS:
            file = SHOTS / f"{name}-{way['width']}-{scheme}.png"
            await visitor.page.screenshot(path=file, full_page=True)
        found = await Axe().run(visitor.page)
        assert found.response["violations"] == [], (name, found.generate_report())
        wide = await visitor.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= way["width"], name
