"""Section 5: what we publish about ourselves, and what we make of others' documents."""

import pytest

from gateway.model import Permission, ReceivedState, SentState
from tests.peer import Answer, webdav
from tests.sharing.stage import (
    address,
    counts,
    create_share,
    leaves_no_trace,
    receive_share,
    request,
    shares_of,
    token_of,
    visit,
)


async def published(gateway, peer):
    url = f"{gateway.ours.origin}/.well-known/ocm"
    return (await peer.send(request("GET", url, b"", {}))).json()


@pytest.mark.conforms(
    "OCM-5.3-04", "OCM-5.3-07", "OCM-5.3-10", "OCM-5.3-14", "OCM-5.3-16", "OCM-5.3-18"
)
async def test_every_member_has_its_type_and_nothing_is_claimed_twice_or_in_vain(gateway, peer):
    found = await published(gateway, peer)
    assert found["enabled"] is True
    version = found["apiVersion"].split(".")
    assert len(version) == 3
    assert all(part.isdigit() for part in version)
    assert isinstance(found["provider"], str)
    names = [one["name"] for one in found["resourceTypes"]]
    assert len(names) == len(set(names))
    for one in found["resourceTypes"]:
        assert set(one["protocols"]) == {"webdav"}  # no web app and no ssh
    assert all(isinstance(one, str) for one in found["capabilities"] + found["criteria"])


@pytest.mark.conforms("OCM-5.3-11")
async def test_listed_share_types_are_taken_and_others_refused(gateway, peer):
    found = await published(gateway, peer)
    listed = found["resourceTypes"][0]["shareTypes"]
    assert "user" in listed
    taken = await peer.post(shares_of(gateway), peer.share(address(gateway), shareType="user"))
    assert taken.status == 201
    for other in {"group", "federation"} - set(listed):
        body = peer.share(address(gateway), shareType=other)
        assert (await peer.post(shares_of(gateway), body)).status == 501


@pytest.mark.conforms("OCM-5.3-13", "OCM-5.3-28")
async def test_a_share_is_reached_below_the_published_path(gateway, peer):
    found = await published(gateway, peer)
    assert "webdav-uri" in found["capabilities"]
    share = await create_share(gateway, peer)
    uri = peer.requests("POST /ocm/shares")[0].json()["protocol"]["webdav"]["uri"]
    url = gateway.ours.origin + found["resourceTypes"][0]["protocols"]["webdav"] + uri
    token = await token_of(gateway, peer, share)
    headers = {"Authorization": f"Bearer {token}", "Depth": "0"}
    assert (await peer.send(request("PROPFIND", url, b"", headers))).status == 207


@pytest.mark.conforms("OCM-5.3-17")
async def test_protocols_of_others_do_not_disturb(gateway, peer):
    peer.document["resourceTypes"][0]["protocols"] |= {"talk": "/apps/talk", "fly": {"a": []}}
    peer.document["resourceTypes"].append({"name": "x", "shareTypes": [], "protocols": {}})
    assert (await create_share(gateway, peer)).state is SentState.SENT
    assert (await receive_share(peer, gateway)).state is ReceivedState.ACCEPTED


@pytest.mark.conforms("OCM-5.2-05")
async def test_a_server_at_neither_place_gets_nothing_and_the_reason_is_kept(gateway, peer):
    for path in ("/.well-known/ocm", "/ocm-provider", "/ocm-provider/"):
        peer.on(f"GET {path}", Answer(404))
    share = await create_share(gateway, peer)
    assert peer.requests("POST") == []
    [entry] = await gateway.outbox.about(share.provider_id)
    assert "404" in entry.last_error
    assert share.state is SentState.PENDING
    assert share.reason == entry.last_error


@pytest.mark.conforms("OCM-5.2-07", "OCM-17.3-02")
async def test_a_server_named_without_a_user_is_found_at_its_port(gateway, peer):
    invite = await gateway.inviting.create_invite("alice")
    body = {
        "recipientProvider": peer.authority,
        "token": invite.token,
        "userID": "einstein",
        "email": "",
        "name": "",
    }
    reply = await peer.post(f"{gateway.ours.end_point}/invite-accepted", body)
    assert reply.status == 200
    assert peer.requests("GET /.well-known/jwks.json")


@pytest.mark.conforms("OCM-5.3-41", "OCM-6-03", "OCM-14.3-01", "OCM-RFC6749-02")
@pytest.mark.parametrize("path", ["shares", "notifications", "token", "invite-accepted"])
async def test_a_request_for_the_plain_address_is_not_taken_at_the_secure_one(opened, peer, path):
    gateway = await opened(public={"origin": "https://gw.example"})
    listen = gateway.settings.public.listen
    plain = f"http://{listen}/ocm/{path}"
    bodies = {
        "shares": peer.share("alice@gw.example"),
        "notifications": {"notificationType": "SHARE_UNSHARED", "providerId": "x"},
        "invite-accepted": {
            "recipientProvider": peer.authority,
            "token": (await gateway.inviting.create_invite("alice")).token,
            "userID": "e",
            "email": "",
            "name": "",
        },
    }
    if path == "token":
        share = await create_share(gateway, peer)
        reply = await peer.exchange(plain, share.shared_secret)
        assert reply.json()["error"] == "invalid_client"
        return
    reply = await peer.post(plain, bodies[path])
    assert 400 <= reply.status < 500
    assert await counts(gateway) == (0, 0, 0)
    assert await gateway.contacts.all() == []


@pytest.mark.conforms("OCM-5.3-42")
@pytest.mark.parametrize(
    "types",
    [
        [],
        [{"name": "calendar", "shareTypes": ["user"], "protocols": {"webdav": "/dav/"}}],
        [{"name": "file", "shareTypes": ["user"], "protocols": {"webapp": "/apps/"}}],
        [{"name": "file", "shareTypes": ["federation"], "protocols": {"webdav": "/dav/"}}],
    ],
    ids=str,
)
async def test_what_a_server_does_not_take_is_not_sent_to_it(gateway, peer, types):
    peer.document["resourceTypes"] = types
    share = await create_share(gateway, peer)
    assert share.state is not SentState.SENT
    assert peer.requests("POST") == []


@pytest.mark.conforms("OCM-5.3-36")
@pytest.mark.parametrize("criterion", ["http-request-signatures", "must-use-http-sig"])
async def test_a_server_that_wants_signatures_gets_them(gateway, peer, criterion):
    peer.document["criteria"] = [criterion]
    await create_share(gateway, peer)
    assert "Signature" in peer.requests("POST /ocm/shares")[0].headers


@pytest.mark.conforms("OCM-5.1-02", "OCM-6.1-44")
async def test_permissions_travel_as_the_owner_gave_them(gateway, peer):
    both = frozenset({Permission.READ, Permission.WRITE})
    await create_share(gateway, peer, permissions=both)
    said = peer.requests("POST /ocm/shares")[0].json()["protocol"]["webdav"]
    assert set(said["permissions"]) == {"read", "write"}


@pytest.mark.conforms("OCM-5.3-12", "OCM-8-15")
async def test_paths_below_a_share_are_served(gateway, peer):
    share = await create_share(gateway, peer)
    token = await token_of(gateway, peer, share)
    reply = await visit(gateway, peer, share.provider_id, token, "/day.txt", "GET")
    assert (reply.status, reply.body) == (200, b"sunny")


@pytest.mark.conforms("OCM-6.3-09")
async def test_a_share_of_a_web_app_alone_is_unsupported(gateway, peer):
    app = {"uri": "/apps/x", "viewMode": "read", "sharedSecret": "s"}
    body = peer.share(address(gateway), protocol={"name": "multi", "webapp": app})
    assert (await peer.post(shares_of(gateway), body)).status == 501
    await leaves_no_trace(gateway)
    beside = {"name": "multi", "webapp": app, "webdav": webdav()}
    body = peer.share(address(gateway), protocol=beside)
    assert (await peer.post(shares_of(gateway), body)).status == 201
