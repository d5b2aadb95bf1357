"""Journeys at a desk, on a phone and without scripts, all between one pair of gateways.

What one test leaves behind does not disturb the next: each has files and notes of its own.
"""

from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
from playwright.async_api import async_playwright

from gateway.providers.registry import Standing
from gateway.sharing.messages import qr_address
from tests import servers
from tests.pages.conftest import DESKTOP, PHONE, launch, open_desk
from tests.pair import in_process
from tests.web.test_oidc import open_provider

pytestmark = pytest.mark.asyncio(loop_scope="module")

WAYS = {
    "desktop": {"viewport": DESKTOP},
    "phone": {"viewport": PHONE, "color_scheme": "dark"},
    "no-script": {"viewport": DESKTOP, "java_script_enabled": False},
}
ways = pytest.mark.parametrize("way", WAYS)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(tmp_path_factory):
    """north, south with an OpenID provider, their storages, and a browser for everybody."""
    folder = tmp_path_factory.mktemp("ways")
    for name in ("north-files", "south-files"):
        (folder / name).mkdir()
    async with AsyncExitStack() as stack:
        files = [
            stack.enter_context(servers.wsgidav(folder / f"{name}-files"))
            for name in ("north", "south")
        ]
        provider = await stack.enter_async_context(open_provider())
        provider.claims = {"preferred_username": "bob"}
        login = provider.settings() | {"mfa": {"amr": ["mfa"]}}
        slow = {"first_retry_seconds": 600}
        south = await stack.enter_async_context(
            in_process(folder / "south", files[1], login=login, outbox=slow)
        )
        trusted = {"mfa_trusted": [south.ours.authority]}
        north = await stack.enter_async_context(
            in_process(folder / "north", files[0], sharing=trusted, outbox=slow)
        )
        playwright = await stack.enter_async_context(async_playwright())
        browser = await launch(playwright)
        yield north, south, files, provider, browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module", name="desk")
async def _desk(world):
    async with open_desk(world[-1]) as desk:
        yield desk


async def fill_in(desk, path, address):
    """The share dialog, with somebody to share with who was looked at."""
    await desk.open(f"/share?path={path}")
    await desk.page.fill("#with", address)
    if await desk.page.get_by_role("button", name="Check this address").is_visible():
        await desk.press("Check this address")  # without scripts
    await desk.page.wait_for_selector(".verdict")


@ways
async def test_a_share_that_demands_several_factors_opens_after_the_step_up(world, desk, way):
    north, south, files, provider, _ = world
    folder = files[0].root / "alice" / f"secret-{way}"
    folder.mkdir()
    (folder / "plan.txt").write_text("Thursday")
    alice, bob = await desk(north, "alice", **WAYS[way]), await desk(south, **WAYS[way])
    await fill_in(alice, folder.name, f"bob@{south.ours.authority}")
    await alice.page.get_by_label("they log in with several factors").check()
    await alice.page.locator("button[value=share]").click()
    await alice.page.wait_for_selector("text=has been offered")

    provider.claims = {"preferred_username": "bob", "amr": ["pwd"]}
    await bob.open("/login/oidc?next=/received")
    await bob.press(f"Accept {folder.name}")
    await bob.follow(folder.name)
    assert "more than one factor" in await bob.text()
    provider.claims = {"preferred_username": "bob", "amr": ["pwd", "mfa"]}
    await bob.follow("Log in with a second factor")
    assert "plan.txt" in await bob.text()


@ways
async def test_a_delivery_that_failed_says_why_and_is_tried_again(world, desk, way):
    north, south, files, _, _ = world
    name = f"late-{way}.txt"
    (files[0].root / "alice" / name).write_text("late")
    alice = await desk(north, "alice", **WAYS[way])
    await alice.open(f"/share?path={name}")
    await alice.page.fill("#with", f"bob@{south.ours.authority}")
    files[1].stop()  # south cannot tell who lives there, and answers 503
    try:
        await alice.page.locator("button[value=share]").click()
        await alice.page.wait_for_selector("text=as soon as their server answers")
        assert "503" in await alice.text()
        await alice.press("Try again now")
        assert "failed" in await alice.text()
    finally:
        files[1].start()
    await alice.press("Try again now")
    assert "It arrived." in await alice.text()
    assert name in [one.name for one in await south.receiving.inbox("bob")]


@ways
async def test_the_operator_finds_out_why_a_share_was_refused(world, desk, way):
    north, south, files, _, _ = world
    name = f"refused-{way}.txt"
    (files[0].root / "alice" / name).write_text("no")
    alice, operator = await desk(north, "alice", **WAYS[way]), await desk(north, **WAYS[way])
    decide = north.others.registry.decide
    await decide(south.ours.authority, Standing.BLOCKED, "they spam")
    try:
        await alice.open(f"/share?path={name}")
        await alice.page.fill("#with", f"bob@{south.ours.authority}")
        await alice.page.locator("button[value=share]").click()
        await alice.page.wait_for_selector("#problem")
    finally:
        await decide(south.ours.authority, Standing.APPROVED, "")
    assert "spam" not in await alice.text()
    await operator.page.goto(f"http://{north.settings.management.listen}/")
    await operator.page.locator("main table a[href^='/decisions/']").first.click()
    await operator.page.wait_for_selector("h1")
    assert f"Why {south.ours.authority} was refused" in await operator.text()
    assert f"{south.ours.authority} is blocked" in await operator.text()


@ways
async def test_an_invite_goes_by_string_and_its_code_shows_the_link(world, desk, way):
    north, south, _, _, _ = world
    alice, bob = await desk(north, "alice", **WAYS[way]), await desk(south, "bob", **WAYS[way])
    await alice.open("/invites")
    await alice.page.fill("#note", f"for Bob ({way})")
    await alice.press("Make an invite")
    link = await alice.page.input_value("#link")
    assert await alice.page.get_attribute("img.qr", "src") == qr_address(link)
    string = await alice.page.input_value("#string")
    await bob.open("/invites")
    await bob.page.fill("#text", string)
    await bob.page.locator("button[value=accept]").click()
    await bob.page.wait_for_selector("text=is a contact now")
    await alice.open("/contacts")
    assert f"bob@{south.ours.authority}" in await alice.text()
    # The second time it is used up, and says so.
    await bob.open("/invites")
    await bob.page.fill("#text", string)
    await bob.page.locator("button[value=accept]").click()
    await bob.page.wait_for_selector(".said .failed")


async def test_sharing_and_accepting_need_no_mouse(world, desk):
    north, south, files, _, _ = world
    (files[0].root / "alice" / "keys").mkdir()
    (files[0].root / "alice" / "keys" / "door.txt").write_text("left")
    alice, bob = await desk(north), await desk(south)
    for one, name in ((alice, "alice"), (bob, "bob")):
        await one.open("/login")
        await tab_to(one, "#name")
        await one.page.keyboard.type(name)
        await tab_to(one, "#password")
        await one.page.keyboard.type(f"{name}-password")
        await enter(one)
    await alice.open("/files?path=")
    await tab_to(alice, "a[href$='share?path=keys']")
    await enter(alice)
    await tab_to(alice, "#with")
    await alice.page.keyboard.type(f"bob@{south.ours.authority}")
    await tab_to(alice, "[name=rights]")
    await alice.page.keyboard.press("ArrowDown")
    await tab_to(alice, "button[value=share]")
    await enter(alice)
    assert "has been offered keys" in await alice.text()
    [share] = [one for one in await south.receiving.inbox("bob") if one.name == "keys"]
    assert "write" in share.permissions
    await bob.open("/received")
    await tab_to(bob, f"form:has([value='{share.id}']) button[value=accept]")
    await enter(bob)
    await tab_to(bob, f"a.entry[href*='{share.id}']")
    await enter(bob)
    assert "door.txt" in await bob.text()


async def tab_to(desk, selector):
    """Press Tab until that is in focus, as somebody without a mouse does."""
    for _ in range(150):
        await desk.page.keyboard.press("Tab")
        if await desk.page.evaluate("s => document.activeElement.matches(s)", selector):
            return
    raise AssertionError(f"{selector} cannot be reached on {desk.path}")


async def enter(desk):
    async with desk.page.expect_navigation():
        await desk.page.keyboard.press("Enter")
