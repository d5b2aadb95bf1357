"""The dialog and the inbox, for a share with a group."""

from gateway.model import SentState, ShareType
from tests.pair import eventually
from tests.web.browser import browser


async def test_the_dialog_shares_with_a_group_and_each_member_reads_so(opened):
    here = await opened(folder="here")
    there = await opened(folder="there", users={"groups": {"staff": ["alice", "bob"]}})
    to = {"with": f"staff@{there.ours.authority}", "rights": "view", "do": "share", "more": ""}
    async with browser(here) as alice:
        await alice.login()
        offered = await alice.get(f"/share?path=trip&with={to['with']}")
        assert 'name="group"' not in offered.text  # before anybody has looked
        seen = await alice.get(f"/share/check?with={to['with']}")
        assert "this is a group" in seen.text
        await alice.submit("/share?path=trip", "/share", **to, group="1")
        [share] = await here.sending.all("alice")
        assert share.share_type is ShareType.GROUP

        async def delivered():
            return (await here.sending.by_id(share.provider_id)).state is SentState.SENT

        await eventually(delivered)
        shown = await alice.get(f"/sent/share?id={share.provider_id}")
        assert ">group</span>" in shown.text
    async with browser(there) as bob:
        await bob.login("bob")
        assert "for the group staff" in (await bob.get("/received")).text
        [received] = await there.receiving.inbox("bob")
        assert (
            "leaves it to the others" in (await bob.get(f"/received/share?id={received.id}")).text
        )


async def test_the_dialog_says_why_a_group_cannot_have_it(opened):
    here, there = await opened(folder="here"), await opened(folder="there")
    to = {"with": f"staff@{there.ours.authority}", "rights": "view", "do": "share", "more": ""}
    async with browser(here) as alice:
        await alice.login()
        shown = await alice.submit("/share?path=trip", "/share", **to, group="1")
        assert shown.status == 422
        assert "does not take shares with groups" in shown.text
        assert 'name="group"' not in shown.text  # nor is it offered
        assert to["with"] in shown.text
