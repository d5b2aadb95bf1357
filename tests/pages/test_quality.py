"""Every page: no accessibility fault, no complaint of the browser, no wider than the screen."""

import pytest
from axe_playwright_python.async_playwright import Axe

from gateway.sharing.sending import Offer
from tests.pages.conftest import two_gateways

SCREENS = [
    pytest.param({"viewport": {"width": width, "height": 900}, "color_scheme": scheme}, id=name)
    for name, width, scheme in (
        ("320-light", 320, "light"),
        ("320-dark", 320, "dark"),
        ("1280-light", 1280, "light"),
        ("1280-dark", 1280, "dark"),
    )
]
PUBLIC = ("/", "/login", "/nothing-here")


async def pages_of(north, south):
    """The addresses of every page of somebody who has shared, received, met and invited."""
    bob = f"bob@{south.ours.authority}"
    sent = await north.sending.create_share(Offer("alice", "/projects", bob))
    back = await south.sending.create_share(Offer("bob", "/letter.txt", _alice(north)))
    folder = await south.sending.create_share(Offer("bob", "/plans", _alice(north)))
    inbox = {one.provider_id: one for one in await north.receiving.inbox("alice")}
    await north.receiving.accept(inbox[folder.provider_id].id)
    await north.contacts.add("alice", bob, name="Bob")
    invite = await north.inviting.create_invite("alice", note="for Carol")
    await south.asking.send("bob", _alice(north), sent.provider_id)
    await north.asking.send("alice", bob, "/nothing")
    opened = f"/received/open?share={inbox[folder.provider_id].id}&path="
    return (
        "/",
        "/files?path=",
        "/files?path=projects",
        "/files?path=notes.txt",
        "/share?path=projects",
        "/sent",
        f"/sent/share?id={sent.provider_id}",
        "/received",
        f"/received/share?id={inbox[back.provider_id].id}",
        f"/received/share?id={inbox[folder.provider_id].id}",
        opened,
        "/contacts",
        "/invites",
        f"/invites/invite?id={invite.id}",
        "/requests",
        "/sessions",
        "/nothing-here",
    )


def _alice(north):
    return f"alice@{north.ours.authority}"


@pytest.mark.parametrize("screen", SCREENS)
async def test_no_page_has_a_fault_that_axe_finds(tmp_path, desk, screen):
    async with two_gateways(tmp_path) as (north, south, files):
        (files[1].root / "bob" / "plans").mkdir()
        (files[1].root / "bob" / "plans" / "plan.txt").write_text("Tuesday")
        (files[1].root / "bob" / "letter.txt").write_text("Dear Alice")
        stranger = await desk(north, **screen)
        for path in PUBLIC:
            await look(stranger, path)
        alice = await desk(north, "alice", **screen)
        for path in await pages_of(north, south):
            await look(alice, path)


async def look(desk, path):
    await look_at(desk, desk.gateway.ours.origin + path)


async def look_at(desk, url):
    await desk.page.goto(url)
    results = await Axe().run(desk.page)
    assert results.response["violations"] == [], f"{url}: {results.generate_report()}"
    wide = await desk.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, f"{url} is {wide} pixels too wide"
    assert await desk.page.locator("h1").count() == 1, url


async def test_a_folder_of_ten_thousand_files_is_shown_in_parts(tmp_path, desk):
    async with two_gateways(tmp_path) as (north, _, files):
        many = files[0].root / "alice" / "many"
        many.mkdir()
        for number in range(10_000):
            (many / f"{number:05}.txt").touch()
        alice = await desk(north, "alice")
        alice.context.set_default_timeout(60_000)
        await alice.open("/files?path=many")
        assert "Part 1 of 50, 10000 in all" in await alice.text()
        await alice.follow("Next")
        assert "00200.txt" in await alice.text()
        await alice.page.fill("#q", "0999")
        await alice.press("Find")
        assert await alice.page.locator("tbody tr").count() == 11


async def test_what_others_wrote_runs_nothing_in_our_pages(tmp_path, desk):
    async with two_gateways(tmp_path) as (north, _, files):
        home = files[0].root / "alice"
        script = b"<script>document.title='taken'</script>"
        (home / "page.html").write_bytes(script)
        (home / "image.svg").write_bytes(
            b'<svg xmlns="http://www.w3.org/2000/svg">' + script + b"</svg>"
        )
        (home / "text.txt").write_bytes(script)
        (home / "<img src=x onerror=alert(1)>.txt").write_bytes(b"x")
        alice = await desk(north, "alice")
        await alice.open("/files?path=")
        assert "<img src=x onerror=alert(1)>.txt" in await alice.text()
        for name in ("page.html", "image.svg"):
            reply = await alice.context.request.get(
                f"{north.ours.origin}/files/content?path={name}&show=1"
            )
            assert reply.headers["content-disposition"].startswith("attachment")
            assert reply.headers["content-type"] == "application/octet-stream"
        await alice.open("/files/content?path=text.txt&show=1")
        assert await alice.page.title() != "taken"
        assert "<script>" in await alice.page.inner_text("body")
