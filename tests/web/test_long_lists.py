"""Lists that have grown long are shown in parts, and searched."""

from dataclasses import replace

from sqlalchemy import insert

from gateway.model import Contact, ContactSource
from gateway.store import contacts
from gateway.store.tables import received_shares
from tests.sharing.stage import create_share, receive_share
from tests.web.browser import browser

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
        assert "folder-1999" in shown.text
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
        assert "thing-299" in shown.text
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
