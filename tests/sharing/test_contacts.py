"""The address books of local users."""

import pytest

from gateway.errors import Malformed, NotFound
from gateway.model import ContactSource


async def test_an_address_can_be_entered_called_otherwise_and_forgotten(gateway):
    made = await gateway.contacts.add("alice", "Bob@Cloud.Example.org:8443", name="Bobby")
    assert made.address == "Bob@cloud.example.org:8443"
    assert made.source is ContactSource.DIRECT_ENTRY
    assert made.shown_as == "Bobby"
    renamed = await gateway.contacts.rename(made.id, "Robert", user="alice")
    assert renamed.shown_as == "Robert"
    assert (await gateway.contacts.rename(made.id, "")).shown_as == "Bob"
    await gateway.contacts.remove(made.id, user="alice")
    assert await gateway.contacts.all("alice") == []


async def test_the_same_address_is_entered_once(gateway):
    first = await gateway.contacts.add("alice", "bob@cloud.example.org", name="Bobby")
    again = await gateway.contacts.add("alice", "bob@CLOUD.example.org", email="b@x.example")
    assert (again.id, again.shown_as, again.email) == (first.id, "Bobby", "b@x.example")


@pytest.mark.parametrize("address", ["bob", "@cloud.example.org", "bob@", "bob@a b", ""])
async def test_what_is_no_ocm_address_is_refused(gateway, address):
    with pytest.raises(Malformed):
        await gateway.contacts.add("alice", address)


async def test_people_of_this_server_and_unknown_users_are_refused(gateway):
    with pytest.raises(Malformed):
        await gateway.contacts.add("alice", f"bob@{gateway.ours.authority}")
    with pytest.raises(NotFound):
        await gateway.contacts.add("nobody", "bob@cloud.example.org")
    with pytest.raises(Malformed):
        await gateway.contacts.add("alice", "bob@cloud.example.org", name="two\nlines")


async def test_an_address_book_is_private(gateway):
    made = await gateway.contacts.add("alice", "bob@cloud.example.org")
    assert await gateway.contacts.all("carol") == []
    for verb in (gateway.contacts.by_id, gateway.contacts.remove):
        with pytest.raises(NotFound):
            await verb(made.id, user="carol")
    with pytest.raises(NotFound):
        await gateway.contacts.rename(made.id, "x", user="carol")


async def test_contacts_are_found_by_name_and_address(gateway):
    await gateway.contacts.add("alice", "bob@cloud.example.org", name="Robert %")
    await gateway.contacts.add("alice", "carol@other.example.org", email="c@mail.example")

    async def found(text):
        return [one.user_id for one in await gateway.contacts.all("alice", text)]

    assert await found("ROBERT") == await found("b@cloud") == await found("%") == ["bob"]
    assert await found("mail.ex") == ["carol"]
    assert await found("example.org") == ["bob", "carol"]
    assert await found("nobody") == []
