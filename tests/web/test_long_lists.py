"""Lists that have grown long are shown in parts, and searched."""

from dataclasses import replace

from sqlalchemy import insert

from gateway.model import Contact, ContactSource, Request, SentRequest
from gateway.store import asking, contacts, requests
from gateway.store.tables import received_shares
from tests.sharing.stage import create_share, receive_share
from tests.web.browser import browser
from tests.web.test_api import ask

MANY = 2_000


def links(shown):
    return shown.text.count("<li>")


async def test_thousands_of_shares_come_in_parts_and_are_found(gateway, peer):
    share = await receive_share(peer, gateway)
    await _many_received(gateway, share.shared_secret)
    async with browser(gateway) as alice:
        await alice.login()
        shown = await alice.get("/received")
        assert links(shown) < 70
        assert f"Part 1 of 41, {MANY + 1} in all" in shown.text
        shown = await alice.get("/received?page=41")
        assert "Part 41 of 41" in shown.text
        shown = await alice.get("/received?q=folder-1999")
        assert shown.text.count(">folder-1999</a>") == 1
        assert "folder-1998" not in shown.text
        for odd in ("0", "-1", "99999999999999999999", "x", "٣"):
            assert (await alice.get(f"/received?page={odd}")).status == 200


async def _many_received(gateway, secret):
    vault = gateway.state.vault

    def copy(connection):
        row = connection.execute(received_shares.select()).mappings().one()
        rows = [
            dict(row)
            | {
                "id": f"copy-{number}",
                "provider_id": f"copy-{number}",
                "folder": f"folder-{number}",
                "found_by": f"folder-{number}",
                "sealed_secret": vault.seal(secret, f"copy-{number}"),
            }
            for number in range(MANY)
        ]
        connection.execute(insert(received_shares), rows)

    await gateway.state.database.write(copy)


async def test_thousands_of_sent_shares_come_in_parts_and_are_found(gateway, peer):
    share = await create_share(gateway, peer)

    def copy(connection):
        for number in range(300):
            made = replace(
                share,
                provider_id=f"copy-{number}",
                resource=(f"thing-{number}",),
                shared_secret=f"secret-{number}",
            )
            gateway.state.sent.add(connection, made)

    await gateway.state.database.write(copy)
    async with browser(gateway) as alice:
        await alice.login()
        assert "Part 1 of 7, 301 in all" in (await alice.get("/sent")).text
        shown = await alice.get("/sent?q=thing-299")
        assert shown.text.count(">thing-299</a>") == 1
        assert "thing-298" not in shown.text
        assert "Nothing that you share is called that." in (await alice.get("/sent?q=zzz")).text


async def test_thousands_of_contacts_come_in_parts(gateway):
    def add(connection):
        for number in range(MANY):
            one = Contact(
                id=f"c{number}",
                user="alice",
                user_id=f"person-{number:04}",
                provider="far.example",
                name=f"Person {number:04}",
                email="",
                source=ContactSource.INVITE,
                added_at=1,
            )
            contacts.put(connection, one)

    await gateway.state.database.write(add)
    async with browser(gateway) as alice:
        await alice.login()
        shown = await alice.get("/contacts")
        assert f"Part 1 of 40, {MANY} in all" in shown.text
        assert "Person 0049" in shown.text
        assert "Person 0050" not in shown.text


async def test_a_page_opens_the_secrets_of_what_it_shows_and_no_others(gateway, peer, monkeypatch):
    share = await receive_share(peer, gateway)
    await _many_received(gateway, share.shared_secret)
    opened = []
    vault = type(gateway.state.vault)
    was = vault.open

    def count(self, sealed, place):
        opened.append(place)
        return was(self, sealed, place)

    async with browser(gateway) as alice:
        await alice.login()
        monkeypatch.setattr(vault, "open", count)
        for path in ("/received", "/received?page=9&q=folder", "/requests", "/share?path=trip"):
            opened.clear()
            assert (await alice.get(path)).status == 200
            assert len(opened) <= 51, path
        opened.clear()
        assert (await alice.get(f"/received/open?share={share.id}&path=")).status == 200
        assert len(opened) <= 5


async def test_requests_are_looked_up_together(gateway, peer):
    share = await create_share(gateway, peer)
    received = await receive_share(peer, gateway)
    address = f"einstein@{peer.authority}"

    def add(connection):
        for number in range(120):
            path = ("trip", f"day-{number}")
            one = Request(f"r{number}", "alice", address, peer.authority, path, "", number)
            requests.add(connection, replace(one, about=share.provider_id))
            mine = SentRequest(f"s{number}", "alice", received.sender, peer.authority, "/x", number)
            asking.add(connection, mine)

    await gateway.state.database.write(add)
    reads = []
    database = gateway.state.database
    was = database.read

    async def count(work):
        reads.append(work)
        return await was(work)

    database.read = count
    async with browser(gateway) as alice:
        await alice.login()
        reads.clear()
        shown = await alice.get("/requests")
        assert len(reads) < 20
    assert "Part 1 of 3, 120 in all" in shown.text
    assert "day-119" in shown.text
    assert "day-69" not in shown.text


async def test_a_script_gets_a_long_list_in_parts_too(gateway, peer):
    share = await receive_share(peer, gateway)
    await _many_received(gateway, share.shared_secret)
    status, found, headers = await ask(gateway, "GET", "/received")
    assert (status, len(found), headers["X-Total-Count"]) == (200, 1000, str(MANY + 1))
    seen, path = [], "/received?size=700"
    while path:
        _, found, headers = await ask(gateway, "GET", path)
        seen += [one["id"] for one in found]
        links = dict(one.strip("<").split(">; rel=")[::-1] for one in _links(headers))
        path = links.get('"next"', "").partition("/api/v1")[2]
    assert len(seen) == len(set(seen)) == MANY + 1
    _, found, headers = await ask(gateway, "GET", "/received?q=FOLDER-77&size=10")
    assert (len(found), headers["X-Total-Count"]) == (10, "11")
    assert "q=FOLDER-77" in headers["Link"]
    status, found, headers = await ask(gateway, "GET", "/received?page=9")
    assert (status, found) == (200, [])
    for wrong in ("page=0", "page=x", "size=1001", "size=-1", "page=\u0663", f"q={'x' * 201}"):
        status, said, _ = await ask(gateway, "GET", f"/received?{wrong}")
        assert status == 400, wrong
        assert said["validationErrors"], wrong
    for path in ("/shares", "/contacts", "/invites", "/requests", "/sent-requests"):
        status, _, headers = await ask(gateway, "GET", f"{path}?page=1&size=1")
        assert status == 200
        assert headers["X-Total-Count"].isdigit()


def _links(headers):
    return headers["Link"].split(", ") if "Link" in headers else []
