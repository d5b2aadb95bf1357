"""What one is told of a share before one accepts it: who sent it, and what vouches for them."""

import pytest

from tests.sharing.stage import send_share
from tests.web.browser import browser
from tests.web.test_api import ask

STRANGE = "not among your contacts"


async def strange(alice, at):
    return [STRANGE in (await alice.get(page)).text for page in ("/received", at)]


@pytest.mark.conforms("OCM-4.4.1-02")
async def test_a_strangers_share_says_so_until_they_are_a_contact(gateway, peer):
    body = await send_share(peer, gateway)
    [share] = await gateway.receiving.inbox("alice")
    at = f"/received/share?id={share.id}"
    async with browser(gateway) as alice:
        await alice.login()
        assert await strange(alice, at) == [True, True]
        assert (await ask(gateway, "GET", "/received"))[1][0]["senderIsContact"] is False
        assert (await ask(gateway, "GET", f"/received/{share.id}"))[1]["senderIsContact"] is False
        await gateway.contacts.add("alice", body["sender"])
        assert [STRANGE in (await alice.get(page)).text for page in ("/received", at)] == [
            False
        ] * 2
        assert (await ask(gateway, "GET", "/received"))[1][0]["senderIsContact"] is True


async def test_what_is_known_of_their_server_is_said(gateway, peer):
    await send_share(peer, gateway)
    [share] = await gateway.receiving.inbox("alice")
    at = f"/received/share?id={share.id}"
    async with browser(gateway) as alice:
        await alice.login()
        shown = await alice.get(at)
        assert "known here since" in shown.text
        assert "it signs its messages" in shown.text
        await gateway.operating.add(peer.authority, by="olga", comment="")
        assert "the operators here approved it" in (await alice.get(at)).text
