"""The pages of contacts and invites: what one does with them beside sharing."""

import io
import json

import aiohttp

from gateway.ocm.jscontact import MOST_BYTES
from tests.test_mail import smtp
from tests.web.browser import browser


async def test_one_is_trusted_and_no_longer(gateway, peer):
    made = await gateway.contacts.add("alice", f"galileo@{peer.authority}", name="Galileo")
    async with browser(gateway) as alice:
        await alice.login("alice")
        shown = await alice.submit("/contacts", id=made.id, do="trust")
        assert "What Galileo shares is accepted without asking." in shown.text
        assert (await gateway.contacts.by_id(made.id)).trusted
        await alice.submit("/contacts", id=made.id, do="distrust")
        assert not (await gateway.contacts.by_id(made.id)).trusted


async def test_one_is_removed_and_told_when_one_says_so(opened):
    here, there = await opened(folder="here"), await opened(folder="there")
    for name, tell in (("bob", "yes"), ("alice", "")):
        made = await here.contacts.add("alice", f"{name}@{there.ours.authority}")
        theirs = await there.contacts.add(name, str(here.ours.address("alice")))
        async with browser(here) as alice:
            await alice.login("alice")
            shown = await alice.submit("/contacts", id=made.id, do="remove", tell=tell)
            assert "was removed" in shown.text
        assert await here.contacts.all("alice") == []
        left = [one.id for one in await there.contacts.all(name)]
        assert left == ([] if tell else [theirs.id])


async def test_the_book_is_carried_over_as_a_file(gateway, peer):
    book, galileo = gateway.contacts, f"galileo@{peer.authority}"
    made = await book.add("alice", galileo, name="Galileo")
    await book.trust(made.id, True, user="alice")
    async with browser(gateway) as alice:
        await alice.login("alice")
        saved = await alice.get("/contacts/cards")
    assert saved.headers["Content-Disposition"] == 'attachment; filename="contacts.json"'
    cards = saved.text.encode()
    assert json.loads(cards) == await book.export("alice")
    async with browser(gateway) as bob:
        await bob.login("bob")

        async def take_in(content, csrf="", **fields):
            known = (await bob.get("/contacts")).fields("/contacts/cards")
            form = aiohttp.FormData({"csrf": csrf or known["csrf"], **fields})
            form.add_field("file", io.BytesIO(content), filename="contacts.json")
            shown = await bob.send("POST", "/contacts/cards", data=form)
            return shown, {one.shown_as: one.trusted for one in await book.all("bob")}

        shown, known = await take_in(cards, csrf="another's")
        assert (shown.status, known) == (403, {})
        for content, told in ((b"no cards", "JSON"), (bytes(MOST_BYTES + 1), "may have")):
            shown, known = await take_in(content)
            assert (told in shown.text, known) == (True, {})
        ours = str(gateway.ours.address("alice"))
        shown, known = await take_in(cards.replace(galileo.encode(), ours.encode()))
        assert ("1 was left out" in shown.text, known) == (True, {})
        shown, known = await take_in(cards)
        assert ("1 contact is in your book." in shown.text, known) == (True, {"Galileo": False})
        assert (await take_in(cards, trust="yes"))[1] == {"Galileo": True}


async def test_an_invite_is_mailed_from_its_page(opened):
    with smtp() as (box, port):
        mail = {"host": "127.0.0.1", "port": port, "security": "none", "sender": "ocm@x.example"}
        here = await opened(mail=mail)
        made = await here.inviting.create_invite("alice")
        async with browser(here) as alice:
            await alice.login("alice")
            shown = await alice.submit(
                f"/invites/invite?id={made.id}",
                "/invites",
                to="bob@x.example",
                message="Hi Bob",
                do="mail",
            )
            assert "The invite went to bob@x.example by mail." in shown.text
    [(_, _, letter)] = box.letters
    assert letter.rcpt_tos == ["bob@x.example"]
    assert b"> Hi Bob" in letter.content


async def test_without_a_mail_server_no_page_offers_mail(gateway):
    made = await gateway.inviting.create_invite("alice")
    async with browser(gateway) as alice:
        await alice.login("alice")
        shown = await alice.get(f"/invites/invite?id={made.id}")
        assert 'value="mail"' not in shown.text
