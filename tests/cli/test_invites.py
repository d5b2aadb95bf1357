"""Inviting and the address book by command."""

from gateway.cli import console
from tests.cli.test_commands import _own_log, command, peer, said, storage
from tests.peer import Answer

__all__ = ["_own_log", "command", "peer", "storage"]

EINSTEIN = {"userID": "einstein", "email": "albert@example.org", "name": "Albert Einstein"}


def test_an_invite_is_made_shown_renewed_and_withdrawn(command):
    made = command("invite", "create", "--user", "alice", "--note", "hello", "--expires", "+1d")
    assert made["state"] == "open"
    assert made["sender"] == "alice"
    assert made["expiration"] == made["createdAt"] + 86_400
    assert command("invite", "show", made["id"]) == made
    assert command("invite", "list", "--user", "alice") == [made]
    assert command("invite", "list", "--user", "bob") == []
    renewed = command("invite", "resend", made["id"])
    assert renewed["inviteString"] == made["inviteString"]
    assert renewed["expiration"] > made["expiration"]
    withdrawn = command("invite", "withdraw", made["id"])
    assert (withdrawn["state"], withdrawn["inviteString"]) == ("withdrawn", "")
    said(command("invite", "resend", made["id"], code=console.REFUSED))
    said(command("invite", "show", "none", code=console.NOT_FOUND))
    said(command("invite", "create", "--user", "nobody", code=console.NOT_FOUND))
    said(command("invite", "create", "--user", "alice", "--expires", "soon", code=console.USAGE))


def test_an_invite_is_accepted_and_its_sender_becomes_a_contact(command, peer):
    peer.on("POST /ocm/invite-accepted", Answer(body=EINSTEIN), Answer(409, {"message": "taken"}))
    link = f"http://{peer.authority}/wayf?token=abc"
    contact = command("invite", "accept", "--user", "alice", link)
    assert contact["address"] == f"einstein@{peer.authority}"
    assert contact["name"] == "Albert Einstein"
    assert contact["source"] == "invite"
    assert command("contact", "list", "--user", "alice") == [contact]
    error = said(command("invite", "accept", "--user", "alice", link, code=console.REFUSED))
    assert "409: taken" in error["message"]
    said(command("invite", "accept", "--user", "alice", "no invite", code=console.USAGE))
    assert command("contact", "remove", contact["id"]) == contact
    assert command("contact", "list") == []


def test_an_address_is_entered_and_found(command):
    added = command("contact", "add", "--user", "alice", "bob@cloud.example.org", "--name", "Bob")
    assert (added["source"], added["label"]) == ("direct entry", "Bob")
    assert command("contact", "list", "--search", "BOB") == [added]
    assert command("contact", "rename", added["id"], "Robert")["label"] == "Robert"
    said(command("contact", "add", "--user", "alice", "bob", code=console.USAGE))
