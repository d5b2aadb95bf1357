"""Servers of every generation share with us: what they send, how we reach it, what they tell."""

import base64

import pytest

from gateway import metrics
from gateway.model import Permission, ReceivedState, ResourceType, SentState
from gateway.ocm import legacy
from tests.pair import eventually
from tests.peer import Answer, unsigned, webdav
from tests.sharing.stage import (
    Clock,
    address,
    browse,
    create_share,
    notifications_of,
    receive_share,
    shares_of,
)
from tests.sharing.test_dialects import basic, old_nextcloud, speaks

NOTICES = "POST /ocm/notifications"
LAX = {"signatures": {"required": False}}


@pytest.fixture
async def lax(opened):
    """A gateway that believes servers without keys."""
    return await opened(**LAX)


def keyless(peer):
    peer.on("GET /.well-known/jwks.json", Answer(404))


def options(secret="old+secret/=="):
    return {"name": "webdav", "options": {"sharedSecret": secret}}


async def send_old(peer, gateway, **changes):
    """A share as an old Nextcloud sends it."""
    keyless(peer)
    body = peer.share(
        address(gateway).replace("@", "@http://"),
        owner=f"einstein@{peer.origin}",
        sender=None,
        sharedBy=f"einstein@{peer.origin}/",
        resourceType="file",
        protocol=options(),
    )
    body |= changes
    return body, await peer.send(unsigned("POST", shares_of(gateway), body))


async def receive_old(peer, gateway, **changes):
    """The same, taken and accepted by alice."""
    _, reply = await send_old(peer, gateway, **changes)
    assert reply.status == 201, reply.body
    [share] = await gateway.receiving.inbox()
    return await gateway.receiving.accept(share.id)


async def state_of(gateway, share):
    return (await gateway.receiving.by_id(share.id)).state


# Shares


async def test_a_share_of_an_old_nextcloud_is_taken(lax, peer):
    old_nextcloud(peer)
    body, reply = await send_old(peer, lax, providerId=17)
    assert reply.status == 201
    [share] = await lax.receiving.inbox()
    assert (share.provider_id, share.sender) == ("17", f"einstein@{peer.authority}")
    assert share.shared_secret == body["protocol"]["options"]["sharedSecret"]


async def test_what_is_read_for_what_it_means_is_counted(lax, peer):
    def counted(form):
        return metrics.tolerated.labels(form=form)._value.get()

    old_nextcloud(peer)
    forms = (legacy.SHARED_BY, legacy.ADDRESS_AS_URL, legacy.OPTIONS, legacy.UNSIGNED_SECRET)
    before = {form: counted(form) for form in forms}
    share = await receive_old(peer, lax)
    body = notice(share, "SHARE_UNSHARED", sharedSecret=share.shared_secret)
    assert (await tell(peer, lax, body)).status == 201
    assert {form: counted(form) - before[form] for form in forms} == dict.fromkeys(forms, 1)


async def test_an_old_share_is_refused_where_signatures_are_required(gateway, peer):
    old_nextcloud(peer)
    _, reply = await send_old(peer, gateway)
    assert reply.status == 401
    assert await gateway.receiving.inbox() == []


async def test_a_server_with_keys_must_use_them_for_old_shares_too(lax, peer):
    body = peer.share(address(lax), protocol=options())
    assert (await peer.send(unsigned("POST", shares_of(lax), body))).status == 401


async def test_a_reshare_needs_both_servers_allowed(opened, peer):
    policy = {"default": "allow", "deny": ["evil.example"]}
    gateway = await opened(policy=policy, **LAX)
    _, reply = await send_old(peer, gateway, sharedBy="carol@evil.example")
    assert reply.status == 403
    _, reply = await send_old(peer, gateway, sharedBy="carol@good.example")
    assert reply.status == 201
    [share] = await gateway.receiving.inbox()
    assert (share.sending_server, share.sender) == (peer.authority, "carol@good.example")


async def test_nothing_of_the_sender_is_touched_before_it_is_answered(gateway, peer):
    body = peer.share(address(gateway))
    assert (await peer.post(shares_of(gateway), body)).status == 201
    asked = {f"{one.method} {one.path}" for one in peer.seen}
    assert asked == {"GET /.well-known/ocm", "GET /.well-known/jwks.json"}


# Access


async def test_a_folder_that_was_called_a_file_is_a_folder(lax, peer):
    speaks(peer, "/dav/")
    share = await receive_old(peer, lax)
    assert share.kind_unknown
    peer.on("GET /dav/a.txt", Answer(body=b"from afar", headers={"Content-Type": "text/plain"}))
    reply = await browse(lax, peer, f"{share.folder}/a.txt", method="GET")
    assert reply.body == b"from afar"
    looked = peer.dav[0]
    assert (looked.method, looked.path.rstrip("/")) == ("PROPFIND", "/dav")
    assert {one.authorization for one in peer.dav} == {basic("old+secret/==")}
    known = await lax.receiving.by_id(share.id)
    assert known.resource_type is ResourceType.FOLDER
    assert not known.kind_unknown


async def test_a_file_of_an_old_server_is_looked_at_by_itself(lax, peer):
    speaks(peer, "/dav/")
    share = await receive_old(peer, lax)

    async def known():
        return not (await lax.receiving.by_id(share.id)).kind_unknown

    await eventually(known)


ROOT, URI = "/dav", "/dav/the-id"


def refusing(*credentials):
    """A WebDAV server that takes none of these credentials."""

    async def answer(seen):
        if seen.authorization in credentials or seen.authorization.startswith(credentials):
            return Answer(401, headers={"WWW-Authenticate": "Basic"})
        body = (
            '<?xml version="1.0"?><D:multistatus xmlns:D="DAV:"><D:response>'
            f"<D:href>{seen.path}</D:href><D:propstat><D:prop><D:resourcetype><D:collection/>"
            "</D:resourcetype></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>"
            "</D:response></D:multistatus>"
        )
        return Answer(207, body.encode(), {"Content-Type": "application/xml"})

    return answer


def ways(peer):
    return [(one.path.rstrip("/"), one.authorization.partition(" ")[0]) for one in peer.dav]


async def test_a_root_that_takes_no_basic_is_shown_a_token_and_then_the_secret(gateway, peer):
    share = await receive_share(peer, gateway, protocol=options("s"))
    peer.on("DAV", refusing("Basic", "Bearer token"))
    assert (await browse(gateway, peer, share.folder)).status == 207
    assert ways(peer) == [(ROOT, "Basic"), (ROOT, "Bearer"), (ROOT, "Bearer"), (ROOT, "Bearer")]
    assert peer.dav[-1].authorization == "Bearer s"
    # And what opened is remembered, also for the server's other shares.
    before = len(peer.dav)
    assert (await browse(gateway, peer, share.folder)).status == 207
    assert [one.authorization for one in peer.dav[before:]] == ["Bearer s"]
    [lesson] = await gateway.others.dialects.lessons()
    assert lesson.approach == "root-bearer"


async def test_an_address_that_takes_no_bearer_secret_is_shown_basic(lax, peer):
    speaks(peer, "/dav/", apiVersion="1.2.0", capabilities=["notifications"])
    keyless(peer)
    access = webdav(uri="the-id", sharedSecret="s", requirements=None)
    protocol = {"name": "multi", "webdav": access}
    share = await receive_old(peer, lax, protocol=protocol, resourceType="folder")
    peer.on("DAV", refusing("Bearer"))
    assert (await browse(lax, peer, share.folder)).status == 207
    assert ways(peer)[-1] == (URI, "Basic")


async def test_a_share_that_demands_the_exchange_is_never_shown_the_secret(gateway, peer):
    share = await receive_share(peer, gateway)
    peer.on("DAV", refusing("Bearer", "Basic"))
    assert (await browse(gateway, peer, share.folder)).status == 502
    assert share.shared_secret not in str([one.authorization for one in peer.dav])
    encoded = base64.b64encode(f"{share.shared_secret}:".encode()).decode()
    assert encoded not in str([one.authorization for one in peer.dav])


async def test_an_address_at_our_own_host_means_the_senders(gateway, peer):
    uri = f"{gateway.ours.origin}/webdav/ocm/the-id"
    share = await receive_share(peer, gateway, webdav={"uri": uri})
    assert (await browse(gateway, peer, share.folder)).status == 207
    assert {one.path.rstrip("/") for one in peer.dav} == {URI}


# The end of a share


async def test_a_share_that_vanished_is_shown_as_such_and_comes_back(opened, peer):
    clock = Clock()
    gateway = await opened(clock)
    share = await receive_share(peer, gateway)
    clock.now += 61
    peer.on("DAV", Answer(404))
    assert (await browse(gateway, peer, share.folder)).status == 404
    assert await state_of(gateway, share) is ReceivedState.UNAVAILABLE
    del peer.answers["DAV"]
    assert (await browse(gateway, peer, share.folder)).status == 207
    assert await state_of(gateway, share) is ReceivedState.ACCEPTED


@pytest.mark.parametrize("answer", [Answer(500), Answer(503), Answer(hang_up=True)], ids=repr)
async def test_a_fault_of_a_server_is_no_verdict_on_its_share(opened, peer, answer):
    clock = Clock()
    gateway = await opened(clock)
    share = await receive_share(peer, gateway)
    clock.now += 61
    peer.on("DAV", answer)
    assert (await browse(gateway, peer, share.folder)).status >= 500
    assert await state_of(gateway, share) is ReceivedState.ACCEPTED


async def test_a_missing_file_is_no_verdict_on_its_share(opened, peer):
    clock = Clock()
    gateway = await opened(clock)
    share = await receive_share(peer, gateway)
    clock.now += 61
    assert (await browse(gateway, peer, f"{share.folder}/none", method="GET")).status == 404
    assert await state_of(gateway, share) is ReceivedState.ACCEPTED


async def test_a_share_is_not_lost_before_its_server_has_kept_it(gateway, peer):
    share = await receive_share(peer, gateway)
    peer.on("DAV", Answer(404))
    assert (await browse(gateway, peer, share.folder)).status == 404
    assert await state_of(gateway, share) is ReceivedState.ACCEPTED


async def test_servers_that_tell_nothing_are_asked_now_and_then(opened, peer):
    clock = Clock()
    gateway = await opened(clock, dialects={"probe_minutes": 10})
    speaks(peer, "/remote.php/dav/ocm/", apiVersion="1.2.0", capabilities=["webdav-uri"])
    access = webdav(uri=f"{peer.origin}/dav/the-id", requirements=None)
    share = await receive_share(peer, gateway, webdav={"uri": access["uri"], "requirements": []})
    await gateway.probing.run()
    assert peer.dav == []
    clock.now += 601
    peer.on("DAV", Answer(404))
    await gateway.probing.run()
    assert await state_of(gateway, share) is ReceivedState.UNAVAILABLE
    clock.now += 601
    del peer.answers["DAV"]
    await gateway.probing.run()
    assert await state_of(gateway, share) is ReceivedState.ACCEPTED


async def test_servers_that_tell_are_left_alone(opened, peer):
    clock = Clock()
    gateway = await opened(clock, dialects={"probe_minutes": 10})
    await receive_share(peer, gateway)
    clock.now += 601
    await gateway.probing.run()
    assert peer.dav == []


# Notifications to us


def notice(share, kind, **more):
    members = {"notificationType": kind, "providerId": share.provider_id, "resourceType": "file"}
    return members | ({"notification": more} if more else {})


async def tell(peer, gateway, body):
    return await peer.send(unsigned("POST", notifications_of(gateway), body))


async def test_an_unsigned_notice_is_proven_by_the_secret(lax, peer):
    old_nextcloud(peer)
    keyless(peer)
    share = await create_share(lax, peer)
    secret = share.shared_secret
    for said, status in (({}, 401), ({"sharedSecret": "x"}, 403), ({"sharedSecret": secret}, 201)):
        reply = await tell(peer, lax, notice(share, "SHARE_ACCEPTED", **said))
        assert reply.status == status
        state = (await lax.sending.by_id(share.provider_id)).state
        assert state is (SentState.ACCEPTED if status == 201 else SentState.SENT)


async def test_a_withdrawal_is_proven_by_the_secret_whatever_else_is_misspelt(lax, peer):
    old_nextcloud(peer)
    share = await receive_old(peer, lax)
    body = notice(share, "SHARE_UNSHARED", sharedSecret=share.shared_secret, messgage="gone")
    assert (await tell(peer, lax, body)).status == 201
    assert await state_of(lax, share) is ReceivedState.UNSHARED


async def test_the_secret_proves_nothing_where_signatures_are_required(gateway, peer):
    share = await receive_share(peer, gateway)
    body = notice(share, "SHARE_UNSHARED", sharedSecret=share.shared_secret)
    assert (await tell(peer, gateway, body)).status == 401
    assert await state_of(gateway, share) is ReceivedState.ACCEPTED


@pytest.mark.parametrize("kind", ["SHARE_UNSHARED", "SHARE_CHANGE_PERMISSION"])
async def test_a_notice_that_nothing_proves_is_a_hint_to_look(opened, peer, kind):
    clock = Clock()
    lax = await opened(clock, **LAX)
    keyless(peer)
    speaks(peer, "/dav/ocm/", apiVersion="1.1.0", capabilities=["/invite-accepted"])
    access = webdav(uri=f"{peer.origin}/dav/ocm/the-id", requirements=None)
    share = await receive_old(peer, lax, protocol={"name": "multi", "webdav": access})
    clock.now += 61
    for grantee, status in (("nobody", 401), ("alice", 201)):
        reply = await tell(peer, lax, notice(share, kind, grantee=grantee))
        assert reply.status == status
        assert await state_of(lax, share) is ReceivedState.ACCEPTED
    peer.on("DAV", Answer(404))

    async def lost():
        return await state_of(lax, share) is ReceivedState.UNAVAILABLE

    await eventually(lost)


@pytest.mark.parametrize("kind", ["REQUEST_RESHARE", "RESHARE_UNDO", "RESHARE_CHANGE_PERMISSION"])
async def test_what_is_asked_of_reshares_is_not_done(gateway, peer, kind):
    share = await create_share(gateway, peer)
    body = notice(share, kind, shareWith="x@y.example", permission=["read", "write"])
    assert (await peer.post(notifications_of(gateway), body)).status == 501
    assert (await gateway.sending.by_id(share.provider_id)) == share


async def test_a_request_to_reshare_is_handed_on_where_somebody_keeps_it(gateway, peer):
    asked = []

    async def keep(share, share_with):
        asked.append((share.provider_id, str(share_with)))

    gateway.sending.on_reshare_request(keep)
    closed = await create_share(gateway, peer)
    body = notice(closed, "REQUEST_RESHARE", shareWith="x@https://y.example/")
    assert (await peer.post(notifications_of(gateway), body)).status == 501
    share = await create_share(
        gateway, peer, permissions=frozenset({Permission.READ, Permission.SHARE})
    )
    body = notice(share, "REQUEST_RESHARE", shareWith="x@https://y.example/")
    assert (await peer.post(notifications_of(gateway), body)).status == 201
    assert asked == [(share.provider_id, "x@y.example")]


# Notifications from us


async def test_old_servers_are_told_with_the_secret(lax, peer):
    old_nextcloud(peer)
    share = await receive_old(peer, lax)
    [seen] = peer.requests(NOTICES)
    body = seen.json()
    assert body["notificationType"] == "SHARE_ACCEPTED"
    assert body["resourceType"] == "file"
    assert body["notification"]["sharedSecret"] == share.shared_secret
    sent = await create_share(lax, peer)
    await lax.sending.revoke(sent.provider_id)
    assert peer.requests(NOTICES)[-1].json()["notification"]["sharedSecret"] == sent.shared_secret


async def test_a_secret_that_is_to_be_exchanged_is_told_to_nobody_while_it_is_good(gateway, peer):
    speaks(peer, "/public.php/webdav/", capabilities=["exchange-token", "http-sig"])
    share = await receive_share(peer, gateway)
    assert len(peer.requests(NOTICES)) == 1
    assert share.shared_secret.encode() not in peer.requests(NOTICES)[0].body
    sent = await create_share(gateway, peer)
    assert sent.must_exchange_token
    await gateway.sending.revoke(sent.provider_id)
    # Nextcloud finds the share by it, and it opens nothing any more.
    assert peer.requests(NOTICES)[-1].json()["notification"]["sharedSecret"] == sent.shared_secret


async def test_ocis_is_told_of_withdrawals_alone_and_for_whom(gateway, peer):
    speaks(peer, "/dav/ocm/", apiVersion="1.1.0", capabilities=["/invite-accepted"])
    await receive_share(peer, gateway, webdav={"requirements": []})
    assert peer.requests(NOTICES) == []
    sent = await create_share(gateway, peer)
    await gateway.sending.revoke(sent.provider_id)
    [seen] = peer.requests(NOTICES)
    assert seen.json()["notification"] == {"grantee": "einstein"}


@pytest.mark.parametrize("status", [400, 401, 404])
async def test_a_server_that_has_not_kept_its_share_yet_is_told_again(opened, peer, status):
    clock = Clock()
    gateway = await opened(clock)
    peer.on(NOTICES, Answer(status), Answer(201, {}))
    await receive_share(peer, gateway)
    clock.now += 2
    gateway.outbox.heard(peer.authority)
    await eventually(lambda: len(peer.requests(NOTICES)) == 2)


async def test_a_no_that_stays_is_believed(opened, peer):
    clock = Clock()
    gateway = await opened(clock)
    peer.on(NOTICES, Answer(500), Answer(404))
    share = await receive_share(peer, gateway)
    clock.now += 61
    await eventually(lambda: len(peer.requests(NOTICES)) == 2)
    assert share.state is ReceivedState.ACCEPTED
