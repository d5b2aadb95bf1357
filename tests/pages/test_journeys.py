"""What people come to do, done in a browser between two gateways on two storages."""

import pytest

from tests.pages.conftest import DESKTOP, PHONE

WAYS = [
    pytest.param({"viewport": DESKTOP}, id="desktop"),
    pytest.param({"viewport": PHONE, "color_scheme": "dark"}, id="phone"),
    pytest.param({"viewport": DESKTOP, "java_script_enabled": False}, id="no-script"),
]


@pytest.mark.parametrize("way", WAYS)
async def test_share_notice_accept_open_edit_and_revoke(two, desk, way):
    north, south = two
    alice, bob = await desk(north, "alice", **way), await desk(south, "bob", **way)

    await alice.open("/files?path=projects")
    await alice.page.get_by_role("link", name="Share telescope").click()
    await alice.page.fill("#with", f"bob@{south.ours.authority}")
    if way.get("java_script_enabled", True):
        await alice.page.wait_for_selector(".verdict.good")
    else:
        await alice.press("Check this address")
        assert "can be reached" in await alice.text()
    await alice.page.get_by_label("change it too").check()
    await alice.page.fill("#note", "The numbers for Friday.")
    await alice.page.locator("button[value=share]").click()
    await alice.page.wait_for_selector("text=has been offered telescope")
    assert "not answered yet" in await alice.text()

    await bob.open("/received")
    assert "1 new share" in await bob.text()
    assert "The numbers for Friday." in await bob.text()
    assert "look at it, download and change it" in await bob.text()
    await bob.press("Accept telescope")
    await bob.follow("telescope")
    await bob.follow("budget.csv")
    async with bob.page.expect_download() as downloading:
        await bob.page.get_by_role("link", name="Download").click()
    downloaded = await downloading.value
    assert downloaded.suggested_filename == "budget.csv"
    assert (await downloaded.path()).read_text() == "item,price\nmirror,900\n"

    await bob.page.go_back()
    upload = {"name": "answer.txt", "mimeType": "text/plain", "buffer": b"Friday it is."}
    await bob.page.set_input_files("#file", upload)
    await bob.press("Upload")
    assert "answer.txt was uploaded" in await bob.text()

    await alice.open("/files?path=projects/telescope/answer.txt")
    assert "13 B" in await alice.text()
    await alice.open("/sent")
    assert "accepted" in await alice.text()
    await alice.follow("telescope")
    await alice.press("Withdraw the share")
    assert "Nobody gets in any more" in await alice.text()
    await bob.open("/received")
    assert "telescope" not in await bob.text()


async def test_a_refused_share_says_why_and_keeps_the_form(two, desk):
    north, south = two
    alice = await desk(north, "alice")
    await alice.open("/share?path=notes.txt")
    await alice.page.fill("#with", f"nobody@{south.ours.authority}")
    await alice.page.fill("#note", "Hello")
    await alice.page.locator("button[value=share]").click()
    await alice.page.wait_for_selector("#problem")
    assert "is not a user of this server" in await alice.text()
    assert await alice.page.input_value("#with") == f"nobody@{south.ours.authority}"
    assert await alice.page.input_value("#note") == "Hello"


async def test_files_are_made_renamed_and_deleted_by_keyboard_alone(two, desk):
    north, _ = two
    alice = await desk(north, "alice")
    page = alice.page
    await alice.open("/files?path=")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.className") == "skip"
    await page.keyboard.press("Enter")
    for _ in range(12):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.id") == "folder":
            break
    await page.keyboard.type("summer")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("text=The folder summer was made")
    await alice.follow("summer")
    await page.locator("summary").focus()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Control+a")
    await page.keyboard.type("winter")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("text=It is called winter now")
    await alice.follow("winter")
    await page.locator("summary").click()
    await alice.press("Delete winter")
    assert "winter was deleted" in await alice.text()
