"""The simulated servers do what the real ones were seen or read to do, and federate by themselves.

What is said of ownCloud was recorded between two real ones.
"""

import contextlib
import json
import subprocess
import sys
import urllib.request

import aiohttp
import pytest

from gateway.ocm import dialects, discovery
from gateway.simulate import acting
from gateway.simulate.peers import PEERS
from gateway.simulate.server import open_simulation

READERS = [name for name, peer in PEERS.items() if not peer.writes]


@pytest.fixture
async def owncloud():
    async with open_simulation("owncloud-10") as world, aiohttp.ClientSession() as http:
        world.http = http
        yield world


@contextlib.asynccontextmanager
async def two_of(name):
    # Seafile federates with Nextcloud, not with itself.
    first = "nextcloud-30" if name == "seafile" else name
    async with open_simulation(first) as one, open_simulation(name) as other:
        if one.peer.invites:
            status, contact = await acting.accept_invite(other, acting.create_invite(one))
            assert (status, contact) == (200, one.address)
        yield one, other


async def post(world, path, body):
    async with world.http.post(world.origin + path, json=body) as answer:
        return answer.status, answer.content_type, await answer.read()


def share_for(world, **changes):
    body = {
        "shareWith": f"einstein@{world.authority}",
        "name": "a.txt",
        "providerId": "1",
        "owner": "carol@http://127.0.0.1:9",
        "shareType": "user",
        "resourceType": "file",
        "protocol": {"name": "webdav", "options": {"sharedSecret": "s" * 15}},
    } | changes
    return {name: value for name, value in body.items() if value is not None}


def test_every_simulation_has_a_row_in_the_table_of_dialects():
    assert set(PEERS) <= set(dialects.NAMES)


@pytest.mark.parametrize("name", PEERS)
async def test_the_document_of_a_simulation_is_recognised_as_what_it_plays(name):
    async with open_simulation(name) as world:
        document = json.dumps(world.document("ocm-gateway")).encode()
        assert dialects.recognise(discovery.parse(document, world.origin)).name == name


@pytest.mark.parametrize("name", PEERS)
async def test_two_of_a_kind_federate(name):
    async with two_of(name) as (one, other):
        sent = await acting.share(one, other.address, "/letter.txt")
        assert sent.state == "sent", (sent.statuses, [seen.path for seen in other.seen])
        [received] = other.received.values()
        told = await acting.decide(other, received.id, accept=True)
        assert bool(told) == ("SHARE_ACCEPTED" in one.peer.tells)
        assert sent.state == ("accepted" if told else "sent")
        reply = await acting.open_share(other, received.id)
        assert (reply.status, reply.body) == (200, b"from afar\n")
        told = await acting.unshare(one, sent.provider_id)
        assert bool(told) == ("SHARE_UNSHARED" in one.peer.tells)
        assert received.state == ("unshared" if told else "accepted")
        assert (await acting.open_share(other, received.id)).status in (401, 404)


@pytest.mark.parametrize("name", sorted(set(PEERS) - {"opencloudmesh-go"}))
async def test_two_of_a_kind_share_a_folder(name):
    async with two_of(name) as (one, other):
        sent = await acting.share(one, other.address, "/trip")
        assert sent.state == "sent", sent.statuses
        [received] = other.received.values()
        listed = await acting.open_share(other, received.id, "PROPFIND")
        assert listed.status == 207
        assert b"/day.txt" in listed.body
        assert (await acting.open_share(other, received.id, path="day.txt")).body == b"sunny\n"
        wrote = await acting.open_share(other, received.id, "PUT", "new.txt", b"new")
        assert wrote.status == (201 if one.peer.serves_writes else 403)


async def test_owncloud_publishes_what_was_recorded(owncloud):
    for path in ("/ocm-provider", "/ocm-provider/", "/ocm-provider/index.php"):
        async with owncloud.http.get(owncloud.origin + path) as answer:
            document = await answer.json()
    assert document == {
        "enabled": True,
        "apiVersion": "1.0-proposal1",
        "endPoint": f"{owncloud.origin}/index.php/apps/federatedfilesharing",
        "shareTypes": [{"name": "file", "protocols": {"webdav": "/public.php/webdav/"}}],
    }
    async with owncloud.http.get(f"{owncloud.origin}/.well-known/ocm") as answer:
        assert answer.status == 404


async def test_owncloud_answers_a_login_page_to_what_it_does_not_know(owncloud):
    path = f"{owncloud.peer.end_point}/invite-accepted"
    assert (await post(owncloud, path, {}))[:2] == (200, "text/html")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 201),
        ({"sender": None, "description": None}, 201),
        ({"expiration": 1, "shareWith": "einstein@wherever.example"}, 201),
        ({"protocol": {"name": "webdav", "options": {"sharedSecret": "s"}, "webdav": {}}}, 201),
        ({"protocol": {"name": "multi", "webdav": {"sharedSecret": "s"}}}, 501),
        ({"protocol": {"name": "webdav", "webdav": {"sharedSecret": "s"}}}, 400),
        ({"resourceType": "folder"}, 501),
        ({"shareType": "group"}, 501),
        ({"shareWith": "nobody@127.0.0.1"}, 400),
        ({"name": "a/b"}, 400),
        ({"owner": None}, 400),
    ],
)
async def test_owncloud_takes_and_refuses_what_was_recorded(owncloud, changes, status):
    answered, _, body = await post(
        owncloud, f"{owncloud.peer.end_point}/shares", share_for(owncloud, **changes)
    )
    assert answered == status
    assert (body == b"[]") == (status == 201)
    assert len(owncloud.received) == (status == 201)


async def test_owncloud_sends_what_was_recorded(owncloud):
    async with open_simulation("owncloud-10") as other:
        sent = await acting.share(owncloud, other.address, "/trip")
        [posted] = [one for one in other.seen if one.method == "POST"]
        await acting.unshare(owncloud, sent.provider_id)
        notice = json.loads(other.seen[-1].body)
    assert json.loads(posted.body) == {
        "shareWith": other.address,
        "name": "trip",
        "providerId": "1",
        "owner": f"einstein@{owncloud.origin}",
        "ownerDisplayName": "einstein",
        "sender": f"einstein@{owncloud.origin}",
        "senderDisplayName": "einstein",
        "shareType": "user",
        "resourceType": "file",
        "protocol": {"name": "webdav", "options": {"sharedSecret": sent.secret}},
    }
    assert posted.headers["user-agent"] == "ownCloud Server Crawler"
    assert notice == {
        "notificationType": "SHARE_UNSHARED",
        "resourceType": "file",
        "providerId": "1",
        "notification": {"sharedSecret": sent.secret, "message": "File was unshared"},
    }


async def test_owncloud_answers_201_to_a_wrong_secret_and_changes_nothing(owncloud):
    await post(owncloud, f"{owncloud.peer.end_point}/shares", share_for(owncloud))
    notice = {
        "notificationType": "SHARE_UNSHARED",
        "resourceType": "file",
        "providerId": "1",
        "notification": {"sharedSecret": "wrong"},
    }
    answered = await post(owncloud, f"{owncloud.peer.end_point}/notifications", notice)
    assert answered[0] == 201
    assert [one.state for one in owncloud.received.values()] == ["pending"]


async def test_a_nextcloud_that_knows_a_server_to_sign_refuses_it_unsigned():
    async with open_simulation("nextcloud-34") as one, open_simulation("nextcloud-34") as other:
        await acting.share(one, other.address, "/letter.txt")
        async with aiohttp.ClientSession() as http:
            other.http = http
            body = share_for(other, owner=f"einstein@{one.authority}", providerId="9")
            assert (await post(other, "/index.php/ocm/shares", body))[0] == 400
            body |= {"owner": "carol@127.0.0.1:9"}
            assert (await post(other, "/index.php/ocm/shares", body))[0] == 201


async def test_opencloudmesh_go_knows_nobody_before_an_invite():
    async with two_of("opencloudmesh-go") as (one, other):
        other.contacts.clear()
        sent = await acting.share(one, other.address, "/letter.txt")
        assert (sent.state, sent.statuses) == ("refused", [403])


async def test_nobody_leaves_the_folder_of_a_simulation(owncloud):
    async with open_simulation("owncloud-10") as other:
        await acting.share(owncloud, other.address, "/trip")
        [received] = other.received.values()
        (owncloud.folder.parent / "outside.txt").touch()
        for path in ("../letter.txt", "..%2fletter.txt", "%2e%2e/letter.txt"):
            assert (await acting.open_share(other, received.id, path=path)).status != 200


def test_the_command_runs_one_and_its_user_obeys():
    command = [sys.executable, "-m", "gateway", "simulate", "--listen", "127.0.0.1:0", "--json"]
    with subprocess.Popen([*command, "seafile"], stdout=subprocess.PIPE, text=True) as process:
        try:
            facts = json.loads(process.stdout.readline())
            with urllib.request.urlopen(facts["control"]) as answer:
                described = json.load(answer)
            invalid = urllib.request.Request(f"{facts['control']}/accept", data=b'{"id": "none"}')
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(invalid)
            caught.value.close()
        finally:
            process.terminate()
    assert facts["simulation"] is described["simulation"] is True
    assert facts["address"] == described["address"]
    assert (described["sent"], described["received"]) == ([], [])
    assert caught.value.code == 404
