"""The share dialog: what is said of a recipient beforehand, and what may be demanded of them."""

import pytest

from tests.sharing.stage import create_share
from tests.web.browser import browser
from tests.web.test_api import ask

EINSTEIN = "einstein@{}"


async def look(gateway, address):
    async with browser(gateway) as alice:
        await alice.login()
        return await alice.submit("/share?path=trip", "/share", do="check", **{"with": address})


@pytest.mark.parametrize("trusted", [True, False])
async def test_several_factors_are_offered_where_the_other_side_keeps_them_and_is_trusted(
    opened, peer, trusted
):
    peer.document["capabilities"].append("enforce-mfa")
    sharing = {"mfa_trusted": [peer.authority] if trusted else []}
    gateway = await opened(sharing=sharing)
    shown = await look(gateway, EINSTEIN.format(peer.authority))
    assert ('name="mfa"' in shown.text) is trusted
    assert 'name="exchange"' in shown.text


async def test_nothing_is_offered_that_the_other_side_does_not_honour(opened, peer):
    peer.document["capabilities"].remove("exchange-token")
    gateway = await opened(sharing={"mfa_trusted": [peer.authority]})
    shown = await look(gateway, EINSTEIN.format(peer.authority))
    assert "can be reached and takes shares" in shown.text
    assert 'name="mfa"' not in shown.text
    assert 'name="exchange"' not in shown.text


async def test_what_is_demanded_goes_into_the_share(opened, peer):
    peer.document["capabilities"].append("enforce-mfa")
    gateway = await opened(sharing={"mfa_trusted": [peer.authority]})
    fields = {"with": EINSTEIN.format(peer.authority), "rights": "view", "do": "share"}
    async with browser(gateway) as alice:
        await alice.login()
        await alice.submit("/share?path=trip", "/share", mfa="1", exchange="1", **fields)
    [share] = await gateway.sending.all("alice")
    assert share.must_use_mfa
    assert share.must_exchange_token


async def test_policy_says_no_before_anybody_is_asked_and_says_why(opened, peer):
    gateway = await opened(policy={"default": "allow", "deny": [peer.authority]})
    shown = await look(gateway, EINSTEIN.format(peer.authority))
    assert "policy of this server does not allow sharing" in shown.text
    assert peer.seen == []


async def test_limits_of_policy_are_told_beforehand(opened, peer):
    limits = {"read_only": True, "max_expiration_days": 7}
    rule = {"who": peer.authority, "then": "allow", "limits": limits}
    gateway = await opened(policy={"default": "deny", "rules": [rule]})
    status, seen, _ = await ask(
        gateway, "GET", f"/recipient?address={EINSTEIN.format(peer.authority)}"
    )
    assert (status, seen["problem"]) == (200, "")
    assert (seen["readOnly"], seen["longestDays"]) == (True, 7)
    share = await create_share(gateway, peer)
    assert share.expiration_at is not None
