"""A received share out of its recipient's sight."""

import pytest

from gateway.errors import NotFound
from gateway.model import ReceivedState
from tests.sharing.stage import browse, receive_share, send_share
from tests.web.browser import browser
from tests.web.test_api import ask


async def test_a_hidden_share_is_below_the_fold_opens_as_before_and_nobody_is_told(gateway, peer):
    share = await receive_share(peer, gateway)
    told = [one.path for one in peer.seen]
    async with browser(gateway) as alice:
        await alice.login()
        page = f"/received/share?id={share.id}"
        data = (await alice.get(page)).fields("/received") | {"do": "hide"}
        shown = await alice.send("POST", "/received", data=data)
        assert "Hidden (1)" in shown.text
        assert "What you accepted</h2>" not in shown.text
        assert [one.path for one in peer.seen] == told
        assert (await browse(gateway, peer, f"{share.folder}/")).status == 207
        shown = await alice.submit("/received", "/received", do="unhide")
        assert "Hidden (" not in shown.text
        assert "What you accepted</h2>" in shown.text
    assert (await gateway.receiving.by_id(share.id)).state is ReceivedState.ACCEPTED


async def test_an_unanswered_share_can_be_hidden_by_the_api_and_by_its_recipient_alone(
    gateway, peer
):
    await send_share(peer, gateway)
    [share] = await gateway.receiving.inbox("alice")
    with pytest.raises(NotFound):
        await gateway.receiving.hide(share.id, hidden=True, recipient="bob")
    status, hidden, _ = await ask(gateway, "POST", f"/received/{share.id}/hide")
    assert (status, hidden["hidden"], hidden["state"]) == (200, True, "pending")
    status, [listed], _ = await ask(gateway, "GET", "/received")
    assert listed["hidden"]
    status, back, _ = await ask(gateway, "POST", f"/received/{share.id}/unhide")
    assert (status, back["hidden"]) == (200, False)
    assert [one.method for one in peer.seen if one.method == "POST"] == []
