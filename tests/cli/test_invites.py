"""Inviting and the address book by command."""

import json

import pytest

from gateway.cli import console
from tests.cli.test_commands import _own_log, command, configured, peer, said, storage
from tests.peer import Answer
from tests.test_mail import smtp

__all__ = ["_own_log", "command", "peer", "storage"]

EINSTEIN = {"userID": "einstein", "email": "albert@example.org", "name": "Albert Einstein"}


def test_an_invite_is_made_shown_renewed_and_withdrawn(command):
    made = command("invite", "create", "--user", "alice", "--note", "hello", "--expires", "+1d")
    assert made["state"] == "open"
    assert made["sender"] == "alice"
    assert made["expiration"] - made["createdAt"] in (86_399, 86_400, 86_401)
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


def test_an_invite_is_mailed_and_drawn(tmp_path, storage):
    with smtp() as (box, port):
        host = {"host": "127.0.0.1", "port": port, "security": "none", "sender": "ocm@x.example"}
        command = configured(tmp_path, storage, mail=host)
        words = ("invite", "create", "--user", "alice", "--mail-to", "bob@x.example")
        made = command(*words, "--message", "Hello")
        assert made["email"] == "bob@x.example"
        assert made["mailedAt"]
        said(command("invite", "resend", made["id"], code=console.TRY_AGAIN))
        drawn = tmp_path / "qr.svg"
        command("invite", "show", made["id"], "--qr", str(drawn))
        assert "<svg" in drawn.read_text()
        command("invite", "withdraw", made["id"])
        said(command("invite", "show", made["id"], "--qr", str(drawn), code=console.USAGE))
    assert len(box.letters) == 1


@pytest.mark.conforms("OCM-13.2-01", "OCM-13.3-01", "OCM-13.4-01")
def test_contacts_are_exported_and_imported_as_cards(command, tmp_path):
    command("contact", "add", "--user", "alice", "bob@cloud.example.org", "--name", "Bob")
    file = tmp_path / "cards.json"
    assert command("contact", "export", "--output", str(file))["contacts"] == 1
    [card] = json.loads(file.read_text())
    assert card["ietf.org:ocmAddresses"]["primary"]["source"] == "direct entry"
    address = card["ietf.org:ocmAddresses"]["primary"]
    address["trusted"] = True
    card["ietf.org:ocmAddresses"]["more"] = {"address": "carol@cloud.example.org"}
    card["ietf.org:ocmAddresses"]["odd"] = {"address": "nobody"}
    file.write_text(json.dumps(card))
    taken = command("contact", "import", "--user", "alice", str(file))
    assert [one["address"] for one in taken["contacts"]] == [
        "bob@cloud.example.org",
        "carol@cloud.example.org",
    ]
    assert [one["trusted"] for one in taken["contacts"]] == [False, False]
    assert len(taken["leftOut"]) == 1
    taken = command("contact", "import", "--user", "alice", str(file), "--keep-trust")
    assert [one["trusted"] for one in taken["contacts"]] == [True, False]
    assert len(command("contact", "list")) == 2
    assert len(command("contact", "export", "--user", "alice")) == 2
    said(command("contact", "import", "--user", "alice", str(tmp_path / "no"), code=console.USAGE))
    said(command("contact", "import", "--user", "nobody", str(file), code=console.NOT_FOUND))
    file.write_text("no cards")
    said(command("contact", "import", "--user", "alice", str(file), code=console.USAGE))
