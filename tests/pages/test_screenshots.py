"""The pictures of docs/: taken by `make screenshots`, since each run draws them a little anew."""

import os
from pathlib import Path

import pytest

from tests.pages import tour
from tests.pages.conftest import PHONE, two_gateways
from tests.pages.test_quality import PICTURES, address_of

DESK = {"width": 800, "height": 600}
ON_THE_PHONE = (
    "files",
    "received",
    "share",
    "sent-share",
    "operator-overview",
    "operator-policy",
    "operator-server",
)
RENAME = """([from, to]) => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) walker.currentNode.data = walker.currentNode.data.replaceAll(from, to);
}"""
"""The pictures show where a gateway would keep its files, not where this test does."""

pytestmark = pytest.mark.skipif(
    "SCREENSHOTS" not in os.environ, reason="`make screenshots` takes them"
)


@pytest.mark.timeout(400)
async def test_every_page_is_drawn(tmp_path, desk):
    folder = Path(os.environ["SCREENSHOTS"] or PICTURES)
    folder.mkdir(exist_ok=True)
    async with two_gateways(tmp_path, **tour.NORTH) as (north, south, files):
        tour.fill(*files)
        stops = await tour.furnish(north, south)
        for end, options in (
            ("", {"viewport": DESK}),
            ("-phone", {"viewport": PHONE, "color_scheme": "dark"}),
        ):
            desks = {who: await desk(north, **options) for who in ("stranger", "alice")}
            desks["operator"] = await desk(north, **options, **tour.OLGA)
            await desks["alice"].login("alice")
            for stop in stops:
                if end and stop.name not in ON_THE_PHONE:
                    continue
                page = desks[stop.who].page
                await page.goto(address_of(north, stop))
                if stop.name == "share":
                    await page.fill("#with", f"bob@{south.ours.authority}")
                    await page.wait_for_selector(".verdict")
                await page.evaluate(RENAME, [str(tmp_path / "north"), "/etc/ocm-gateway"])
                await page.screenshot(path=folder / f"{stop.name}{end}.png")
