"""The dialog to accept an invite in: it asks, and does nothing until one says so."""

import pytest

from tests.peer import Answer
from tests.web.browser import browser

EINSTEIN = {"userID": "einstein", "email": "", "name": "Albert <b>Einstein</b>"}
ACCEPTED = "POST /ocm/invite-accepted"


def dialog(peer, token="tok-1"):
    return f"/accept-invite?token={token}&providerDomain={peer.authority}"


async def test_one_logs_in_and_comes_back_with_token_and_provider(gateway, peer):
    async with browser(gateway) as visitor:
        page = await visitor.get(dialog(peer))
        assert page.url.startswith(f"{gateway.ours.origin}/login")
        fields = page.fields("/login") | {"name": "alice", "password": "alice-password"}
        back = await visitor.send("POST", "/login", data=fields)
    assert back.url == gateway.ours.origin + dialog(peer)
    assert peer.authority in back.text


@pytest.mark.conforms("OCM-5.3-39", "OCM-4.4.7-03")
async def test_loading_the_dialog_does_nothing(gateway, peer):
    async with browser(gateway) as visitor:
        await visitor.login()
        page = await visitor.get(dialog(peer))
        assert page.status == 200
        await visitor.send("HEAD", dialog(peer))
        await visitor.get(dialog(peer) + "&do=accept")
    assert peer.seen == []
    assert await gateway.contacts.all() == []
    assert peer.authority in page.text
    assert str(gateway.ours.address("alice")) in page.text
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert page.headers["Cache-Control"] == "no-store"


@pytest.mark.conforms("OCM-5.3-39")
async def test_accepting_makes_a_contact(gateway, peer):
    peer.on(ACCEPTED, Answer(body=EINSTEIN))
    async with browser(gateway) as visitor:
        await visitor.login()
        page = await visitor.submit(dialog(peer), "/accept-invite", do="accept")
    assert page.status == 200
    assert "Albert &lt;b&gt;Einstein&lt;/b&gt; is a contact now." in page.text
    [contact] = await gateway.contacts.all("alice")
    assert contact.user_id == "einstein"
    [posted] = peer.requests(ACCEPTED)
    assert posted.json()["token"] == "tok-1"


async def test_declining_tells_nobody(gateway, peer):
    async with browser(gateway) as visitor:
        await visitor.login()
        page = await visitor.submit(dialog(peer), "/accept-invite", do="decline")
    assert "declined" in page.text
    assert peer.seen == []
    assert await gateway.contacts.all() == []


async def test_a_form_that_is_not_ours_is_refused(gateway, peer):
    async with browser(gateway) as visitor:
        await visitor.login()
        fields = (await visitor.get(dialog(peer))).fields("/accept-invite") | {"do": "accept"}
        for data, headers in (
            (fields | {"csrf": "x"}, {}),
            (fields, {"Origin": "https://evil.example"}),
            (fields, {"Sec-Fetch-Site": "cross-site"}),
        ):
            page = await visitor.send("POST", "/accept-invite", data=data, headers=headers)
            assert page.status == 403
    assert peer.seen == []


@pytest.mark.parametrize(
    ("answer", "status"), [(Answer(400), 404), (Answer(403), 403), (Answer(409), 409)]
)
async def test_a_no_of_the_other_server_is_told_on_the_dialog(gateway, peer, answer, status):
    peer.on(ACCEPTED, answer)
    async with browser(gateway) as visitor:
        await visitor.login()
        page = await visitor.submit(dialog(peer), "/accept-invite", do="accept")
    assert page.status == status
    assert f"answered {answer.status}" in page.text
    assert await gateway.contacts.all() == []


async def test_a_denied_server_cannot_be_accepted(opened, peer):
    gateway = await opened(policy={"deny": [peer.authority]})
    async with browser(gateway) as visitor:
        await visitor.login()
        page = await visitor.get(dialog(peer))
        assert 'value="accept"' not in page.text
        assert (await visitor.submit(dialog(peer), "/accept-invite", do="accept")).status == 403
    assert peer.seen == []


@pytest.mark.conforms("OCM-4.4.7-03")
async def test_a_server_on_no_list_is_warned_of(gateway, peer):
    async with browser(gateway) as visitor:
        await visitor.login()
        assert "none of the lists" in (await visitor.get(dialog(peer))).text
        await gateway.others.registry.add(peer.authority, "")
        page = await visitor.get(dialog(peer))
        assert "none of the lists" not in page.text
        assert "on a list of this server" in page.text


@pytest.mark.parametrize(
    "query", ["", "?token=x", "?providerDomain=a.example", "?token=%00&providerDomain=a.example",
              "?token=x&providerDomain=https%3A%2F%2Fa.example", "?token=x&providerDomain=a/b"],
)  # fmt: skip
async def test_half_an_invite_is_none(gateway, query):
    async with browser(gateway) as visitor:
        await visitor.login()
        assert (await visitor.get(f"/accept-invite{query}")).status == 400
