"""The pages of contacts and invites: what one does with them beside sharing."""

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
