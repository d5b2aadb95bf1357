"""Requests for a share in a real browser: asked in one, answered in the other."""

import pytest

from tests.pages.conftest import DESKTOP, PHONE

WAYS = [
    pytest.param({"viewport": DESKTOP}, id="desktop"),
    pytest.param({"viewport": PHONE, "java_script_enabled": False}, id="phone-no-script"),
]


@pytest.mark.parametrize("way", WAYS)
async def test_somebody_asks_and_the_owner_agrees(two, desk, way):
    north, south = two
    await north.contacts.add("alice", f"bob@{south.ours.authority}", name="Bob")
    alice, bob = await desk(north, "alice", **way), await desk(south, "bob", **way)
    await bob.open("/requests")
    await bob.page.fill("#owner", f"alice@{north.ours.authority}")
    await bob.page.fill("#share", "/projects/telescope")
    await bob.press("Ask")
    assert "It is theirs to share" in await bob.text()
    await alice.open("/files")
    assert await alice.page.locator("nav .badge.waiting").count() == 1
    await alice.open("/requests")
    assert "for Bob" in await alice.text()
    await alice.page.get_by_label("change it too").check()
    await alice.page.locator("button[value=agree]").click()
    await alice.page.wait_for_selector("text=You agreed")
    assert await alice.page.locator("nav .badge.waiting").count() == 0
    await bob.open("/requests")
    assert "Shared with you since: telescope" in await bob.text()


async def test_a_button_pressed_twice_sends_its_form_once(two, desk):
    north, south = two
    alice = await desk(north, "alice")
    await alice.open("/share?path=notes.txt")
    await alice.page.fill("#with", f"bob@{south.ours.authority}")
    await alice.page.locator("button[value=share]").dblclick()
    await alice.page.wait_for_selector("text=notes.txt")
    await alice.page.wait_for_url("**/sent/share?id=*")
    assert len(await north.sending.all("alice")) == 1
