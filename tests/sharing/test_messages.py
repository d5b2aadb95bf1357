"""Invite Messages: by mail, and as an image."""

import xml.etree.ElementTree as ElementTree
from email import message_from_bytes, policy

import pytest

from gateway.errors import Conflict, Malformed, NotFound, TooMany, Unavailable, Unsupported
from gateway.ocm.invites import parse_invite
from gateway.sharing import messages
from tests.servers import free_port
from tests.sharing.stage import Clock
from tests.test_mail import smtp

ALICE = {"name": "alice", "display_name": "Alice A", "email": "a@x.example", "password": "p"}
USERS = {"source": "list", "list": [ALICE]}


def configured(port):
    host = {"host": "127.0.0.1", "port": port, "security": "none", "sender": "ocm@x.example"}
    return {"mail": host, "users": USERS}


async def test_an_invite_is_mailed_with_its_string_link_and_time(opened):
    clock = Clock()
    with smtp() as (box, port):
        gateway = await opened(clock, **configured(port))
        invite = await gateway.inviting.create_invite("alice", note="my own note")
        mailed = await gateway.messages.mail(invite.id, "bob@example.org", text="Hi\nBob")
    assert (mailed.email, mailed.mailed_at) == ("bob@example.org", clock.now)
    [(_, _, envelope)] = box.letters
    message = message_from_bytes(envelope.content, policy=policy.default)
    assert message["Subject"] == "Alice A invites you to share files"
    assert message["Reply-To"] == "a@x.example"
    text = message.get_content().replace("\r\n", "\n")
    assert str(gateway.ours.address("alice")) in text
    assert "> Hi\n> Bob" in text
    assert "my own note" not in text
    string = gateway.inviting.string_of(invite)
    assert string in text
    assert parse_invite(string).token == invite.token


async def test_an_invite_is_mailed_in_the_language_of_who_invites(opened):
    clock = Clock(now=1_796_000_000)
    with smtp() as (box, port):
        gateway = await opened(clock, **configured(port))
        await gateway.newsroom.wish("alice", language="de")
        invite = await gateway.inviting.create_invite("alice")
        await gateway.messages.mail(invite.id, "bob@example.org", text="Hi\nBob")
    [(_, _, envelope)] = box.letters
    message = message_from_bytes(envelope.content, policy=policy.default)
    assert message["Subject"] == "Alice A lädt Sie ein, Dateien zu teilen"
    text = message.get_content().replace("\r\n", "\n")
    assert "> Hi\n> Bob" in text
    assert "Dezember 2026" in text
    said = text.replace(gateway.inviting.string_of(invite), "")
    assert not {"invite", "cloud.", "mail", "until"} & set(said.split())


async def test_the_same_invite_is_not_mailed_twice_in_a_minute(opened):
    clock = Clock()
    with smtp() as (box, port):
        gateway = await opened(clock, **configured(port))
        invite = await gateway.inviting.create_invite("alice")
        await gateway.messages.mail(invite.id, "bob@example.org")
        with pytest.raises(TooMany):
            await gateway.messages.mail(invite.id, "eve@example.org")
        clock.now += 60
        await gateway.messages.mail(invite.id, "")
    assert [one.rcpt_tos for _, _, one in box.letters] == [["bob@example.org"]] * 2


async def test_what_cannot_be_mailed_leaves_the_invite_as_it_was(opened):
    gateway = await opened(**configured(free_port()))
    invite = await gateway.inviting.create_invite("alice")
    for to, error in (("bob@example.org", Unavailable), ("bob", Malformed), ("", Malformed)):
        with pytest.raises(error):
            await gateway.messages.mail(invite.id, to)
    with pytest.raises(Malformed):
        await gateway.messages.mail(invite.id, "bob@example.org", text="x" * 2001)
    with pytest.raises(NotFound):
        await gateway.messages.mail(invite.id, "bob@example.org", sender="bob")
    assert await gateway.inviting.by_id(invite.id) == invite
    await gateway.inviting.withdraw(invite.id)
    with pytest.raises(Conflict):
        await gateway.messages.mail(invite.id, "bob@example.org")


async def test_without_a_mail_server_nothing_is_mailed(gateway):
    assert not gateway.messages.by_mail
    invite = await gateway.inviting.create_invite("alice")
    with pytest.raises(Unsupported):
        await gateway.messages.mail(invite.id, "bob@example.org")


def test_a_qr_code_is_an_svg_with_a_light_ground():
    document = ElementTree.fromstring(messages.qr("https://a.example/wayf?token=x"))
    assert document.tag == "{http://www.w3.org/2000/svg}svg"
    url = messages.qr_address("https://a.example/wayf?token=x")
    assert url.startswith("data:image/svg+xml")
    assert "fff" in url
