"""The page of a public link in a real browser."""

from gateway.sharing.sending import Offer
from tests.pages.conftest import two_gateways


async def test_a_stranger_asks_by_a_link(tmp_path, desk):
    async with two_gateways(tmp_path, sharing={"public_links": True}) as (north, south, _):
        bob = f"bob@{south.ours.authority}"
        share = await north.sending.create_share(Offer("alice", "/notes.txt", bob))
        link = await north.links.switch_on(share.provider_id)
        stranger = await desk(north)
        await stranger.page.goto(link)
        await stranger.page.get_by_label("Your address at your cloud").fill(bob)
        await stranger.page.get_by_role("button", name="Share it with me").click()
        assert "Thank you" in await stranger.page.get_by_role("status").inner_text()
