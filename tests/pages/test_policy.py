"""The operator tries the rules, lets a list hold and goes back, in a browser."""

import pytest

from tests.pages import tour
from tests.pages.conftest import two_gateways
from tests.pages.test_journeys import WAYS
from tests.pages.test_quality import look_at
from tests.pair import eventually
from tests.policy.test_live import denied


@pytest.mark.parametrize("way", WAYS)
async def test_a_list_is_seen_let_hold_and_taken_back(tmp_path, desk, way):
    async with two_gateways(tmp_path, **tour.NORTH) as (north, _, __):
        password = {"username": "olga", "password": "olga-password"}
        olga = await desk(north, http_credentials=password, **way)
        origin = f"http://{north.settings.management.listen}"
        await olga.page.goto(f"{origin}/policy/list")
        await olga.page.get_by_role("link", name="Log in").first.click()
        await olga.page.wait_for_url("**/policy")
        await olga.page.get_by_role("link", name="List", exact=True).first.click()
        await olga.page.fill("#text", "server,then\nevil.example.org,deny\n*.org,deny")
        await olga.page.fill("#note", "a wave of spam")
        await olga.press("See what it changes")
        assert "line 3: *.org,deny" in await olga.text()
        await olga.follow("Back")
        listed = {"name": "l.csv", "mimeType": "text/csv"}
        listed["buffer"] = b"server,then\nevil.example.org,deny\n"
        await olga.page.set_input_files("#file", listed)
        await olga.page.fill("#note", "a wave of spam")
        await olga.press("See what it changes")
        assert "deny evil.example.org" in await olga.text()
        assert not denied(north, "evil.example.org")
        await olga.page.get_by_role("button", name="Let it hold").dblclick()
        await olga.page.wait_for_selector("text=List 1 holds now.")
        await eventually(lambda: denied(north, "evil.example.org"), 5)
        await olga.page.get_by_role("link", name="Try the rules").click()
        await olga.page.fill("#server", "evil.example.org")
        await olga.press("Try")
        assert "evil.example.org is denied by deny@list" in await olga.text()
        await olga.page.goto(f"{origin}/policy/list")
        await olga.follow("Back to the list before")
        assert "deny evil.example.org" in await olga.text()
        await olga.press("Let it hold again")
        assert "List 2 holds now." in await olga.text()
        await eventually(lambda: not denied(north, "evil.example.org"), 5)
        assert [one.number for one in await north.lists.history()] == [2, 1]


async def test_what_a_list_changes_is_plain_to_see(tmp_path, desk):
    async with two_gateways(tmp_path, **tour.NORTH) as (north, _, __):
        olga = await desk(north, **tour.OLGA)
        origin = f"http://{north.settings.management.listen}"
        await olga.page.goto(f"{origin}/policy/list")
        await olga.page.fill("#text", "server,then\nevil.example.org,deny\n")
        await olga.press("See what it changes")
        await look_at(olga, olga.page.url, load=False)
