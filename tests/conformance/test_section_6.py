"""Section 6: what a share may say, in both directions."""

import pytest

from gateway.model import Permission, SentState
from tests.peer import Answer, unsigned, webdav
from tests.sharing.stage import (
    Clock,
    address,
    browse,
    counts,
    create_share,
    leaves_no_trace,
    receive_share,
    request,
    send_share,
    shares_of,
    token_of,
    visit,
)

WRITE = frozenset({Permission.READ, Permission.WRITE})


def multi(**changes):
    return {"protocol": {"name": "multi", "webdav": webdav(**changes)}}


@pytest.mark.conforms("OCM-6.1-05", "OCM-6.1-11", "OCM-6.1-12")
async def test_optional_texts_are_kept(gateway, peer):
    said = {"description": "a note", "ownerDisplayName": "O", "senderDisplayName": "S"}
    await send_share(peer, gateway, **said)
    [share] = await gateway.receiving.inbox("alice")
    assert (share.description, share.sender_display_name) == ("a note", "S")


@pytest.mark.conforms("OCM-6.1-05", "OCM-6.1-11", "OCM-6.1-12", "OCM-6.2-05")
@pytest.mark.parametrize("name", ["description", "ownerDisplayName", "senderDisplayName"])
@pytest.mark.parametrize("value", [1, True, [], {}])
async def test_optional_texts_are_texts(gateway, peer, name, value):
    body = peer.share(address(gateway), **{name: value})
    reply = await peer.post(shares_of(gateway), body)
    if reply.status == 201:  # passed over, never shown as something else
        [share] = await gateway.receiving.inbox("alice")
        assert share.sender_display_name == share.description == ""
    else:
        assert reply.status == 400
        await leaves_no_trace(gateway)


@pytest.mark.conforms("OCM-6.1-22")
async def test_a_share_without_an_end_lasts(opened, peer):
    clock = Clock()
    gateway = await opened(clock)
    sent = await create_share(gateway, peer)
    received = await receive_share(peer, gateway)
    assert sent.expiration_at is received.expiration_at is None
    clock.now += 366 * 86_400
    assert [one.id for one in await gateway.receiving.inbox("alice")] == [received.id]
    reply = await peer.exchange(gateway.ours.token_end_point, sent.shared_secret, created=clock.now)
    assert reply.status == 200
    token = reply.json()["access_token"]
    assert (await visit(gateway, peer, sent.provider_id, token)).status == 207


@pytest.mark.conforms("OCM-6.1-24")
async def test_what_has_expired_is_not_taken(opened, peer):
    clock = Clock()
    gateway = await opened(clock)
    for late in (0, 1, 1000):
        body = peer.share(address(gateway), expiration=clock.now - late)
        reply = await peer.post(shares_of(gateway), body, created=clock.now)
        assert reply.status == 400
        await leaves_no_trace(gateway)


@pytest.mark.conforms("OCM-6.1-32", "OCM-8-03")
async def test_of_several_protocols_webdav_is_used(gateway, peer):
    ssh = {"uri": "a@b:22/x", "accessTypes": ["remote"]}
    protocol = {"name": "multi", "ssh": ssh, "talk": {}, "webdav": webdav()}
    share = await receive_share(peer, gateway, protocol=protocol)
    assert (await browse(gateway, peer, share.folder)).status == 207
    assert len(peer.dav) == 1


@pytest.mark.conforms("OCM-6.1-34", "OCM-6.1-35", "OCM-6.1-62")
@pytest.mark.parametrize(
    ("access", "status"),
    [
        (None, 201),
        (["remote"], 201),
        (["remote", "datatx"], 201),
        (["remote", "fly"], 201),
        (["datatx"], 501),
        ("remote", 400),
        ({}, 400),
        ([1], 400),
    ],
    ids=str,
)
async def test_access_is_remote_unless_it_is_said_otherwise(gateway, peer, access, status):
    webdav_ = webdav() | ({} if access is None else {"accessTypes": access})
    body = peer.share(address(gateway), protocol={"name": "multi", "webdav": webdav_})
    assert (await peer.post(shares_of(gateway), body)).status == status
    if status != 201:
        await leaves_no_trace(gateway)
        return
    [share] = await gateway.receiving.inbox("alice")
    await gateway.receiving.accept(share.id)
    assert (await browse(gateway, peer, share.folder)).status == 207


@pytest.mark.conforms("OCM-6.1-62", "OCM-6.1-65", "OCM-6.2-03")
async def test_no_answer_has_keys_for_ssh(gateway, peer):
    ssh = {"uri": "alice@host.example:22/x"}
    body = peer.share(address(gateway), protocol={"name": "multi", "ssh": ssh})
    assert (await peer.post(shares_of(gateway), body)).status == 501
    await leaves_no_trace(gateway)
    reply = await peer.post(shares_of(gateway), peer.share(address(gateway)))
    assert set(reply.json()) == {"recipientDisplayName"}


@pytest.mark.conforms("OCM-6.1-46")
async def test_with_write_everything_in_the_share_can_be_changed(gateway, peer, storage):
    desk = storage.root / "alice" / "desk"
    desk.mkdir(exist_ok=True)
    share = await create_share(gateway, peer, "/desk", permissions=WRITE)
    token = await token_of(gateway, peer, share)
    here = f"{gateway.ours.origin}/remote/dav/ocm/{share.provider_id}"

    async def ask(method, path, body=b"", **headers):
        return await visit(gateway, peer, share.provider_id, token, path, method, body, **headers)

    assert (await ask("PUT", "/a", b"one")).status == 201
    assert (await ask("PUT", "/a", b"two")).status == 204
    assert (await ask("MKCOL", "/d")).status == 201
    assert (await ask("MOVE", "/a", Destination=f"{here}/d/b")).status == 201
    assert (await ask("GET", "/d/b")).body == b"two"
    assert (await ask("DELETE", "/d")).status == 204
    assert list(desk.iterdir()) == []


@pytest.mark.conforms("OCM-6.1-47", "OCM-12-03")
async def test_what_was_received_cannot_be_passed_on(gateway, peer, other):
    share = await receive_share(peer, gateway, webdav={"permissions": ["read", "write"]})
    paths = (share.folder, f"remote/dav/received/{share.folder}", f"../received/{share.folder}")
    for path in paths:
        with pytest.raises(Exception, match=r".") as caught:
            await create_share(gateway, other, f"/{path}")
        assert caught.value.status in (400, 403, 404)
    source = f"{gateway.ours.origin}/remote/dav/received/{share.folder}/a.txt"
    mine = await create_share(gateway, other, permissions=WRITE)
    for method in ("COPY", "MOVE"):
        into = {"Destination": f"{gateway.ours.origin}/remote/dav/ocm/{mine.provider_id}/x"}
        login = "Basic YWxpY2U6YWxpY2UtcGFzc3dvcmQ="
        reply = await peer.send(request(method, source, b"", {"Authorization": login} | into))
        assert reply.status in (403, 502)
    assert len(other.requests("POST /ocm/shares")) == 1


@pytest.mark.conforms("OCM-6.2-01")
async def test_every_answer_is_json(opened, gateway, peer, other):
    url, good = shares_of(gateway), peer.share(address(gateway))
    denying = await opened(folder="denying", policy={"deny": [peer.authority]})
    replies = [
        await peer.post(url, good),
        await peer.post(url, b"{"),
        await peer.post(url, good | {"shareType": "room"}),
        await peer.post(url, good | {"description": "x" * 70_000}),
        await peer.send(unsigned("POST", url, good)),
        await peer.post(shares_of(denying), peer.share(address(denying))),
        await peer.send(request("GET", url, b"", {})),
    ]
    assert [one.status for one in replies] == [201, 400, 501, 413, 401, 403, 405]
    for reply in replies:
        assert reply.headers["Content-Type"].startswith("application/json")
        assert isinstance(reply.json(), dict)


@pytest.mark.conforms("OCM-6.2-10")
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_what_passes_is_tried_again_and_its_secret_stays_the_same(gateway, peer, status):
    peer.on("POST /ocm/shares", Answer(status), Answer(201))
    share = await create_share(gateway, peer)
    assert share.state is SentState.PENDING
    [entry] = await gateway.outbox.about(share.provider_id)
    await gateway.outbox.attempt(entry.id)
    one, two = peer.requests("POST /ocm/shares")
    assert one.json() == two.json()
    assert await counts(gateway) == (1, 0, 0)
