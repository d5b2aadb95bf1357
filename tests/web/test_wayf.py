"""The WAYF Page: who may see it, what it lists, and where it sends people."""

import asyncio
import json
import re

import pytest

from gateway.model import Standing
from gateway.ocm.directory import parse_entries, sign_directory
from gateway.ocm.invites import parse_invite
from tests.pair import eventually
from tests.peer import Answer
from tests.providers.test_directories import KEY, PRIVATE
from tests.sharing.stage import Clock
from tests.web.browser import browser

DIALOG = "/accept?lang=de"


@pytest.fixture
async def directory(opened, peer, other, tmp_path):
    """A gateway whose directory lists two servers, one with a dialog, and one that is dead."""
    key = tmp_path / "key.pem"
    key.write_bytes(KEY.export_to_pem())
    peer.document["inviteAcceptDialog"] = DIALOG
    names = {peer.authority: "Peer <b>", other.authority: "Other", "127.0.0.1:9": "Dead"}
    servers = [{"url": f"http://{one}", "displayName": name} for one, name in names.items()]
    document = sign_directory(parse_entries("F", servers), PRIVATE, "flattened")
    peer.on("GET /list", Answer(body=document.encode()))
    service = {"name": "f", "url": f"{peer.origin}/list", "key_files": [str(key)]}
    gateway = await opened(directories={"services": [service]})
    await eventually(gateway.directories.servers)
    return gateway


async def link_of(gateway):
    invite = await gateway.inviting.create_invite("alice")
    return gateway.inviting.link_of(invite).removeprefix(gateway.ours.origin), invite


def asked(peer):
    return peer.requests("GET /.well-known/ocm") + peer.requests("GET /ocm-provider")


@pytest.mark.conforms(
    "OCM-2-14",
    "OCM-2.2.1-03",
    "OCM-4.4.2-04",
    "OCM-4.4.3-13",
    "OCM-4.4.3-14",
    "OCM-4.4.3-15",
    "OCM-4.4.6-05",
)
async def test_the_link_shows_every_server_of_the_lists_as_it_answers(directory, peer, other):
    link, _ = await link_of(directory)
    assert re.fullmatch(r"/wayf\?token=[\w-]+", link)
    async with browser(directory) as visitor:
        page = await visitor.get(link)
    assert page.status == 200
    rows = re.findall(r'<li class="place">(.*?)</li>', page.text, re.DOTALL)
    [dead] = [row for row in rows if "Dead" in row]
    [first] = [row for row in rows if peer.authority in row]
    [second] = [row for row in rows if other.authority in row]
    assert "does not answer" in dead
    assert "<a" not in dead
    assert "Peer &lt;b&gt;" in first
    assert "/wayf/go?" in first
    assert "by invite string" in second
    assert "alice" in page.text


@pytest.mark.conforms("OCM-5.3-40")
async def test_the_choice_leads_to_the_dialog_with_token_and_provider(directory, peer):
    link, invite = await link_of(directory)
    async with browser(directory) as visitor:
        page = await visitor.get(link)
        [way] = re.findall(
            rf'href="(/wayf/go[^"]*server={re.escape(peer.authority)})"', _plain(page)
        )
        gone = await visitor.get(way, follow=False)
    assert gone.status == 303
    provider = directory.ours.authority.replace(":", "%3A")
    expected = f"{peer.origin}/accept?lang=de&token={invite.token}&providerDomain={provider}"
    assert gone.headers["Location"] == expected
    assert "no-store" in gone.headers["Cache-Control"]


@pytest.mark.conforms("OCM-4.4.6-06")
async def test_a_server_without_a_dialog_gets_the_invite_string(directory, other):
    link, invite = await link_of(directory)
    async with browser(directory) as visitor:
        page = await visitor.get(link.replace("wayf?", "wayf/go?") + f"&server={other.authority}")
    assert page.status == 200
    [shown] = re.findall(r"<pre>(.*?)</pre>", page.text)
    assert parse_invite(shown).token == invite.token


async def test_the_choice_is_remembered_in_this_browser_only(directory, peer):
    link, _ = await link_of(directory)
    go = link.replace("wayf?", "wayf/go?") + f"&server={peer.authority}"
    async with browser(directory) as visitor:
        gone = await visitor.get(go, follow=False)
        cookie = gone.headers["Set-Cookie"]
        assert {"HttpOnly", "SameSite=Lax"} <= {part.strip() for part in cookie.split(";")}
        assert "Domain" not in cookie
        page = await visitor.get(link)
        assert "Your choice last time" in page.text
        assert page.text.count('class="place"') == 3
    async with browser(directory) as somebody:
        assert "Your choice last time" not in (await somebody.get(link)).text


@pytest.mark.parametrize("value", ["x y", "evil.example/", "127.0.0.1:9", "<b>", "a" * 5000])
async def test_a_made_up_cookie_does_no_harm(directory, value):
    link, _ = await link_of(directory)
    port = directory.ours.authority.rpartition(":")[2]
    async with browser(directory, Cookie=f"ocm-wayf-{port}={value}") as visitor:
        page = await visitor.get(link)
    assert page.status == 200
    assert "<b>" not in page.text


@pytest.mark.conforms("OCM-4.4.3-13")
@pytest.mark.parametrize("spelled", ["{}", "http://{}/index.php", "bob@{}", "  {} "])
async def test_a_typed_server_is_found_before_one_is_sent_there(gateway, peer, spelled):
    peer.document["inviteAcceptDialog"] = DIALOG
    link, _ = await link_of(gateway)
    async with browser(gateway) as visitor:
        first = await visitor.get(link)
        assert asked(peer) == []
        fields = first.fields("/wayf")
        assert fields["token"]
        page = await visitor.send(
            "GET", "/wayf", params=fields | {"server": spelled.format(peer.authority)}
        )
        assert page.status == 200
        assert "a foreign server" in page.text
        [way] = re.findall(r'href="(/wayf/go[^"]*)"', _plain(page))
        gone = await visitor.get(way, follow=False)
    assert gone.headers["Location"].startswith(f"{peer.origin}/accept?")


@pytest.mark.parametrize(
    ("server", "status", "says"),
    [
        ("no host", 400, "host"),
        ("127.0.0.1:9", 200, "does not answer"),
        ("127.0.0.1:9/wayf", 200, "does not answer"),
        ("ours", 400, "invited from"),
        ("denied.example", 403, "does not federate"),
    ],
)
async def test_what_cannot_be_gone_to_is_told_on_the_page(opened, server, status, says):
    gateway = await opened(policy={"deny": ["denied.example"]})
    link, _ = await link_of(gateway)
    server = gateway.ours.authority if server == "ours" else server
    async with browser(gateway) as visitor:
        page = await visitor.send("GET", link, params={"server": server})
    assert page.status == status
    assert says in page.text
    assert 'name="server"' in page.text


@pytest.mark.parametrize(
    "dialog",
    [
        "http://127.0.0.1:9/accept",
        "javascript:alert(1)",
        "//evil.example/",
        "http://x@127.0.0.1/",
        "https://evil.example/accept",
    ],
)
async def test_nobody_is_sent_to_another_address_than_a_server_s_own_dialog(gateway, peer, dialog):
    peer.document["inviteAcceptDialog"] = dialog
    link, _ = await link_of(gateway)
    async with browser(gateway) as visitor:
        go = link.replace("wayf?", "wayf/go?") + f"&server={peer.authority}"
        page = await visitor.get(go, follow=False)
    assert page.status == 200
    assert "Location" not in page.headers


@pytest.mark.parametrize("fate", ["made up", "withdrawn", "expired", "accepted"])
async def test_only_an_open_invite_opens_the_page(opened, peer, fate):
    clock = Clock()
    gateway = await opened(clock)
    link, invite = await link_of(gateway)
    match fate:
        case "made up":
            link = "/wayf?token=made-up"
        case "withdrawn":
            await gateway.inviting.withdraw(invite.id)
        case "expired":
            clock.now += 31 * 86_400
        case "accepted":
            body = {
                "recipientProvider": peer.authority,
                "token": invite.token,
                "userID": "x",
                "email": "",
                "name": "x",
            }
            reply = await peer.post(f"{gateway.ours.end_point}/invite-accepted", body)
            assert reply.status == 200
    peer.seen.clear()
    async with browser(gateway) as visitor:
        for path in (link, f"{link}&server={peer.authority}"):
            for page in (path, path.replace("wayf?", "wayf/go?")):
                shown = await visitor.get(page, follow=False)
                assert shown.status == 404
        assert (await visitor.get("/wayf")).status == 400
    assert peer.seen == []


async def test_the_page_tells_no_other_site_of_the_token(gateway):
    link, _ = await link_of(gateway)
    async with browser(gateway) as visitor:
        page = await visitor.get(link)
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert page.headers["Cache-Control"] == "no-store"
    assert "form-action 'self'" in page.headers["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]


async def test_a_token_in_the_address_is_not_in_the_log(gateway, capfd):
    link, invite = await link_of(gateway)
    async with browser(gateway) as visitor:
        await visitor.get(link)
        await visitor.get(link + "&server=127.0.0.1:9")
    logged = "".join(capfd.readouterr())
    assert "page.wayf" in logged
    assert invite.token not in logged


async def test_who_asks_too_often_waits(opened):
    gateway = await opened(limits={"wayf_requests_per_minute": 3}, testing={"rate_limits": True})
    link, _ = await link_of(gateway)
    async with browser(gateway) as visitor:
        statuses = [(await visitor.get(link)).status for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]


async def test_many_visits_ask_a_server_once(directory, peer, other):
    link, _ = await link_of(directory)
    async with browser(directory) as visitor:
        await asyncio.gather(*(visitor.get(link) for _ in range(20)))
    assert len(asked(peer)) == len(asked(other)) == 1


async def test_a_slow_server_does_not_hold_up_the_page(directory, other):
    other.on("GET /.well-known/ocm", Answer(body=other.document, seconds=4))
    link, _ = await link_of(directory)
    async with browser(directory) as visitor:
        page = await asyncio.wait_for(visitor.get(link), 3)
        assert "is being asked" in page.text
        assert "data-asked" in page.text
        await asyncio.sleep(3.5)
        page = await visitor.get(link)
        assert "data-asked" not in page.text
        assert "by invite string" in page.text


async def test_approved_servers_are_listed_and_denied_ones_are_not(opened, peer, other):
    gateway = await opened(policy={"deny": [other.authority]})
    await gateway.others.registry.decide(peer.authority, Standing.APPROVED)
    await gateway.others.registry.decide(other.authority, Standing.APPROVED)
    link, _ = await link_of(gateway)
    async with browser(gateway) as visitor:
        page = await visitor.get(link)
        assert peer.authority in page.text
        assert other.authority not in page.text
        await gateway.others.registry.decide(peer.authority, Standing.BLOCKED)
        assert peer.authority not in (await visitor.get(link)).text
    assert asked(other) == []


@pytest.mark.conforms("OCM-2.2.1-04", "OCM-4.4.3-13")
async def test_without_free_text_only_the_lists_are_offered(opened, peer):
    gateway = await opened(invites={"wayf_free_text": False})
    link, _ = await link_of(gateway)
    async with browser(gateway) as visitor:
        page = await visitor.get(link)
        assert 'name="server"' not in page.text
        refused = await visitor.get(f"{link}&server={peer.authority}")
        assert refused.status == 403
    assert peer.seen == []


@pytest.mark.conforms("OCM-5.3-27", "OCM-5.3-38")
async def test_discovery_says_what_is_on(opened, peer):
    for number, (invites, wanted) in enumerate(
        [
            ({}, (True, True, True)),
            ({"wayf": False}, (True, False, True)),
            ({"enabled": False}, (False, False, False)),
        ]
    ):
        gateway = await opened(folder=str(number), invites=invites)
        async with browser(gateway) as visitor:
            shown = await visitor.get("/.well-known/ocm")
            document = json.loads(shown.text)
            there = (
                "invites" in document["capabilities"],
                "invite-wayf" in document["capabilities"],
                "inviteAcceptDialog" in document,
            )
            assert there == wanted
            if document.get("inviteAcceptDialog"):
                dialog = f"{document['inviteAcceptDialog']}?token=x&providerDomain=a.example"
                page = await visitor.get(dialog, follow=False)
                assert page.status == 303
                assert page.headers["Location"].startswith("/login?next=%2Faccept-invite")
            status = (await visitor.get("/wayf?token=x")).status
            assert (await visitor.get("/accept-invite")).status == (200 if wanted[0] else 404)
        assert status == 404
        if wanted[0]:
            invite = await gateway.inviting.create_invite("alice")
            assert bool(gateway.inviting.link_of(invite)) is wanted[1]


def _plain(page):
    return page.text.replace("&amp;", "&").replace("%3A", ":")
