"""The Sending Server toward a foreign server: what is sent, what is not, and what comes of it."""

import asyncio
import time

import pytest

from gateway.errors import (
    GatewayError,
    Malformed,
    NotFound,
    ProviderRefused,
    Refused,
    Unsupported,
)
from gateway.model import Errand, Permission, SentState
from gateway.ocm.address import authority
from gateway.ocm.invites import Invite
from gateway.sharing.sending import Offer
from gateway.store import outbox
from tests.pair import eventually
from tests.peer import Answer, verify
from tests.sharing.stage import counts, create_share, token_of, visit

SHARES = "POST /ocm/shares"


@pytest.mark.conforms("OCM-3-02", "OCM-5.1-03", "OCM-6-01")
async def test_a_share_is_announced_exactly_once(gateway, peer):
    share = await create_share(gateway, peer)
    assert share.state is SentState.SENT
    await asyncio.sleep(0.1)
    assert len(peer.requests("POST")) == 1
    assert [one.path for one in peer.seen] == ["/.well-known/ocm", "/ocm/shares"]


@pytest.mark.conforms(
    "OCM-4.1-01",
    "OCM-5.1-02",
    "OCM-6-02",
    "OCM-6.1-01",
    "OCM-6.1-02",
    "OCM-6.1-09",
    "OCM-6.1-10",
    "OCM-6.1-13",
    "OCM-6.1-19",
    "OCM-6.1-21",
    "OCM-6.1-30",
    "OCM-6.1-39",
    "OCM-6.1-49",
    "OCM-14.2-01",
)
async def test_the_announcement_says_everything(gateway, peer):
    expiration = int(time.time()) + 3600
    share = await create_share(gateway, peer, description="a note", expiration_at=expiration)
    [seen] = peer.requests(SHARES)
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.json() == {
        "shareWith": f"einstein@{peer.authority}",
        "name": "trip",
        "description": "a note",
        "providerId": share.provider_id,
        "owner": f"alice@{gateway.ours.authority}",
        "sender": f"alice@{gateway.ours.authority}",
        "shareType": "user",
        "resourceType": "folder",
        "expiration": expiration,
        "protocol": {
            "name": "multi",
            "webdav": {
                "uri": share.provider_id,
                "sharedSecret": share.shared_secret,
                "permissions": ["read"],
                "requirements": ["must-exchange-token"],
            },
        },
    }


@pytest.mark.conforms("OCM-6.1-04", "OCM-6.1-19", "OCM-6.1-55")
async def test_a_file_is_announced_as_a_file_with_its_size(gateway, peer):
    await create_share(gateway, peer, "/letter.txt")
    said = peer.requests(SHARES)[0].json()
    assert (said["resourceType"], said["name"]) == ("file", "letter.txt")
    assert said["protocol"]["webdav"]["size"] == 8


@pytest.mark.conforms("OCM-6.1-07", "OCM-6.1-42")
async def test_every_share_has_an_id_and_a_secret_of_its_own(gateway, peer):
    for _ in range(3):
        await create_share(gateway, peer)
    said = [one.json() for one in peer.requests(SHARES)]
    assert len({one["providerId"] for one in said}) == 3
    secrets = {one["protocol"]["webdav"]["sharedSecret"] for one in said}
    assert len(secrets) == 3
    assert all(len(secret) >= 32 for secret in secrets)


@pytest.mark.conforms(
    "OCM-6-04", "OCM-17.1-02", "OCM-17.2-01", "OCM-17.2-02", "OCM-17.2-03", "OCM-RFC9530-01"
)
async def test_an_independent_library_accepts_the_signature(gateway, peer):
    await create_share(gateway, peer)
    [seen] = peer.requests(SHARES)
    [key] = gateway.ring.jwks()["keys"]
    said = verify(seen, peer.origin, key)
    assert said["covered"] == {"@method", "@target-uri", "content-digest", "content-length", "date"}
    assert (said["label"], said["tag"], said["alg"]) == ("ocm", "ocm", "ed25519")
    assert said["keyid"] == key["kid"] == f"{gateway.ours.authority}#key1"
    assert abs(said["created"] - time.time()) < 5


async def test_many_shares_at_once_are_announced_once_each(gateway, peer):
    await asyncio.gather(*(create_share(gateway, peer) for _ in range(12)))
    said = [one.json()["providerId"] for one in peer.requests(SHARES)]
    assert len(said) == len(set(said)) == 12


@pytest.mark.conforms("OCM-6.1-43")
async def test_a_secret_stands_in_no_address(gateway, peer):
    share = await create_share(gateway, peer)
    assert not any(share.shared_secret in one.path for one in peer.seen)


@pytest.mark.conforms("OCM-3-01", "OCM-2.2.1-01")
async def test_the_share_works_before_its_announcement_is_answered(gateway, peer):
    results = []

    async def probe(seen):
        said = seen.json()
        secret = said["protocol"]["webdav"]["sharedSecret"]
        reply = await peer.exchange(gateway.ours.token_end_point, secret)
        token = reply.json()["access_token"]
        found = await visit(gateway, peer, said["providerId"], token)
        results.extend([reply.status, found.status])
        return Answer(201, {"recipientDisplayName": "Albert"})

    peer.on(SHARES, probe)
    share = await create_share(gateway, peer)
    assert results == [200, 207]
    assert share.state is SentState.SENT


async def test_an_acceptance_that_comes_before_the_answer_stays(gateway, peer):
    async def accept(seen):
        body = {"notificationType": "SHARE_ACCEPTED", "providerId": seen.json()["providerId"]}
        await peer.post(f"{gateway.ours.end_point}/notifications", body)
        return Answer(201)

    peer.on(SHARES, accept)
    assert (await create_share(gateway, peer)).state is SentState.ACCEPTED


@pytest.mark.conforms("OCM-6.2-11")
@pytest.mark.parametrize(
    "answer",
    [
        Answer(201),
        Answer(200, {}),
        Answer(204),
        Answer(201, b"<html>"),
        Answer(201, []),
        Answer(201, b"x" * 300_000),
    ],
)
async def test_any_success_is_a_success(gateway, peer, answer):
    peer.on(SHARES, answer)
    assert (await create_share(gateway, peer)).state is SentState.SENT


# When it fails


@pytest.mark.conforms("OCM-6.2-10", "OCM-RFC9421-14")
@pytest.mark.parametrize(
    "failure",
    [
        Answer(503),
        Answer(500),
        Answer(502),
        Answer(408),
        Answer(429),
        Answer(307, headers={"Location": "/elsewhere"}),
        Answer(hang_up=True),
    ],
    ids=lambda answer: str(answer.status),
)
async def test_a_passing_failure_is_tried_again_under_the_same_id(gateway, peer, failure):
    peer.on(SHARES, failure, Answer(201))
    share = await create_share(gateway, peer)
    assert (share.state, bool(share.reason)) == (SentState.PENDING, True)
    entry = await gateway.state.database.read(
        lambda connection: outbox.find(connection, share.provider_id, Errand.SHARE)
    )
    assert (entry.attempts, bool(entry.last_error)) == (1, True)
    await gateway.outbox.attempt(entry.id)
    assert (await gateway.sending.by_id(share.provider_id)).state is SentState.SENT
    one, two = peer.requests(SHARES)
    assert one.body == two.body
    assert one.headers["Signature"] != two.headers["Signature"]
    assert peer.requests("POST /elsewhere") == []


async def test_a_server_that_takes_too_long_is_tried_again(opened, peer):
    gateway = await opened(limits={"provider_seconds": 1})
    peer.on(SHARES, Answer(201, seconds=1.3), Answer(201))
    share = await create_share(gateway, peer)
    assert share.state is SentState.PENDING

    async def sent():
        return (await gateway.sending.by_id(share.provider_id)).state is SentState.SENT

    await eventually(sent)  # by the outbox itself
    assert len({one.body for one in peer.requests(SHARES)}) == 1


@pytest.mark.conforms("OCM-6.2-10")
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 501])
async def test_a_refusal_is_final_and_says_why(gateway, peer, status):
    peer.on(SHARES, Answer(status, {"message": "we do not want it"}))
    share = await create_share(gateway, peer)
    assert share.state is SentState.REFUSED
    assert str(status) in share.reason
    assert "we do not want it" in share.reason
    assert len(peer.requests(SHARES)) == 1
    reply = await peer.exchange(gateway.ours.token_end_point, share.shared_secret)
    assert reply.json()["error"] == "invalid_grant"
    assert (await visit(gateway, peer, share.provider_id, share.shared_secret)).status in (401, 404)


@pytest.mark.conforms("OCM-RFC9421-25")
async def test_a_redirect_is_never_followed_with_a_signed_request(gateway, peer, other):
    location = {"Location": f"{other.origin}/ocm/shares"}
    for status in (301, 302, 307, 308):
        peer.on(SHARES, Answer(status, headers=location))
        assert (await create_share(gateway, peer)).state is not SentState.SENT
    assert other.seen == []


# What the Receiving Server says beforehand


@pytest.mark.conforms("OCM-5.3-36")
@pytest.mark.parametrize("criterion", ["invite", "must-invite"])
async def test_a_server_that_wants_an_invite_is_not_posted_to(gateway, peer, criterion):
    peer.document["criteria"] = [criterion]
    share = await create_share(gateway, peer)
    assert share.state is SentState.REFUSED
    assert "invite" in share.reason
    assert peer.requests("POST") == []


@pytest.mark.conforms("OCM-5.3-36", "OCM-6.1-53")
@pytest.mark.parametrize("criterion", ["token-exchange", "must-exchange-token"])
async def test_a_server_that_wants_the_exchange_gets_the_requirement(gateway, peer, criterion):
    peer.document["criteria"] = [criterion]
    share = await create_share(gateway, peer, must_exchange_token=False)
    said = peer.requests(SHARES)[0].json()["protocol"]["webdav"]
    assert said["requirements"] == ["must-exchange-token"]
    assert share.must_exchange_token is True


async def test_a_server_that_wants_the_exchange_gets_it_though_it_hosts_none(gateway, peer):
    peer.document["criteria"] = ["token-exchange"]
    peer.document["capabilities"].remove("exchange-token")
    del peer.document["tokenEndPoint"]
    share = await create_share(gateway, peer)
    said = peer.requests(SHARES)[0].json()["protocol"]["webdav"]
    assert said["requirements"] == ["must-exchange-token"]
    assert share.must_exchange_token is True


async def test_the_owner_may_do_without_the_exchange(gateway, peer):
    await create_share(gateway, peer, must_exchange_token=False)
    assert "requirements" not in peer.requests(SHARES)[0].json()["protocol"]["webdav"]


@pytest.mark.conforms("OCM-6.1-53")
async def test_a_server_without_the_exchange_gets_no_requirement(gateway, peer):
    peer.document["capabilities"].remove("exchange-token")
    await create_share(gateway, peer)
    assert "requirements" not in peer.requests(SHARES)[0].json()["protocol"]["webdav"]


async def test_a_demanded_exchange_that_cannot_be_is_refused(gateway, peer):
    peer.document["capabilities"].remove("exchange-token")
    share = await create_share(gateway, peer, must_exchange_token=True)
    assert share.state is SentState.REFUSED
    assert peer.requests("POST") == []


@pytest.mark.conforms("OCM-5.1-03", "OCM-5.3-03")
async def test_a_server_that_is_switched_off_is_not_posted_to(gateway, peer):
    peer.document["enabled"] = False
    assert (await create_share(gateway, peer)).state is SentState.REFUSED
    assert peer.requests("POST") == []


@pytest.mark.conforms("OCM-5.3-42")
async def test_a_share_type_that_is_not_offered_is_not_sent(gateway, peer):
    peer.document["resourceTypes"][0]["shareTypes"] = ["group"]
    assert (await create_share(gateway, peer)).state is SentState.REFUSED
    assert peer.requests("POST") == []


@pytest.mark.conforms("OCM-5.2-08")
async def test_unknown_members_do_not_disturb(gateway, peer):
    peer.document |= {"new": {"a": [1]}, "capabilities": [*peer.document["capabilities"], "fly"]}
    peer.document["criteria"] = ["fly"]
    assert (await create_share(gateway, peer)).state is SentState.SENT


@pytest.mark.conforms("OCM-5.3-06")
async def test_the_end_point_is_taken_literally(gateway, peer):
    peer.document["endPoint"] = f"{peer.origin}/index.php/ocm/"
    peer.on("POST /index.php/ocm/shares", Answer(201))
    assert (await create_share(gateway, peer)).state is SentState.SENT


async def test_an_end_point_at_another_server_is_refused(gateway, peer, other):
    peer.document["endPoint"] = f"{other.origin}/ocm"
    share = await create_share(gateway, peer)
    assert share.state is SentState.REFUSED
    assert "another server" in share.reason
    assert peer.requests("POST") == []
    assert other.seen == []


# Policy


@pytest.mark.conforms("OCM-5.1-04")
async def test_a_denied_server_hears_nothing(opened, peer):
    gateway = await opened(policy={"default": "allow", "deny": [peer.authority]})
    with pytest.raises(Refused):
        await create_share(gateway, peer)
    assert peer.seen == []
    assert await counts(gateway) == (0, 0, 0)


async def test_sharing_can_be_switched_off(opened, peer):
    gateway = await opened(sharing={"send": False})
    with pytest.raises(Unsupported):
        await create_share(gateway, peer)
    assert peer.seen == []


@pytest.mark.conforms("OCM-5.1-01")
@pytest.mark.parametrize(
    ("offer", "error"),
    [
        ({"path": "/missing"}, NotFound),
        ({"path": "/../bob"}, Malformed),
        ({"permissions": frozenset()}, Malformed),
        ({"permissions": frozenset({Permission.WRITE})}, Malformed),
        ({"expiration_at": 1}, Malformed),
    ],
    ids=str,
)
async def test_what_cannot_be_shared_leaves_no_trace(gateway, peer, offer, error):
    with pytest.raises(error):
        await create_share(gateway, peer, **offer)
    assert await counts(gateway) == (0, 0, 0)
    assert peer.seen == []


async def test_a_user_of_this_server_needs_no_ocm(gateway):
    with pytest.raises(Malformed):
        await gateway.sending.create_share(
            Offer("alice", "/trip", str(gateway.ours.address("bob")))
        )


async def test_a_share_lasts_no_longer_than_the_operator_allows(opened, peer):
    gateway = await opened(sharing={"max_expiration_days": 2})
    share = await create_share(gateway, peer)
    assert abs(share.expiration_at - time.time() - 2 * 86_400) < 10
    with pytest.raises(Refused):
        await create_share(gateway, peer, expiration_at=int(time.time()) + 3 * 86_400)


# Withdrawing


@pytest.mark.conforms("OCM-3-04", "OCM-7-05", "OCM-7-07")
async def test_a_revoked_share_is_told_and_signed(gateway, peer):
    share = await create_share(gateway, peer)
    revoked = await gateway.sending.revoke(share.provider_id)
    assert revoked.state is SentState.REVOKED
    [seen] = peer.requests("POST /ocm/notifications")
    assert seen.json() == {
        "notificationType": "SHARE_UNSHARED",
        "providerId": share.provider_id,
        "resourceType": "folder",
    }
    verify(seen, peer.origin, gateway.ring.jwks()["keys"][0])


async def test_revoking_twice_tells_once(gateway, peer):
    share = await create_share(gateway, peer)
    for _ in range(2):
        await gateway.sending.revoke(share.provider_id)
    assert len(peer.requests("POST /ocm/notifications")) == 1


@pytest.mark.conforms("OCM-5.3-26")
async def test_a_server_without_notifications_is_told_nothing(gateway, peer):
    peer.document["capabilities"].remove("notifications")
    share = await create_share(gateway, peer)
    assert (await gateway.sending.revoke(share.provider_id)).state is SentState.REVOKED
    assert peer.requests("POST /ocm/notifications") == []


@pytest.mark.conforms("OCM-7-10")
async def test_a_failed_notice_does_not_undo_the_decision(gateway, peer):
    peer.on("POST /ocm/notifications", Answer(500))
    share = await create_share(gateway, peer)
    token = await token_of(gateway, peer, share)
    assert (await gateway.sending.revoke(share.provider_id)).state is SentState.REVOKED
    assert (await visit(gateway, peer, share.provider_id, token)).status == 404


async def test_a_stranger_cannot_withdraw_anothers_share(gateway, peer):
    share = await create_share(gateway, peer)
    with pytest.raises(NotFound):
        await gateway.sending.revoke(share.provider_id, owner="bob")
    assert (await gateway.sending.by_id(share.provider_id)).state is SentState.SENT


# The guard


class Trap:
    """A listener that counts who knocks."""

    def __init__(self):
        self.knocks = 0

    async def knock(self, reader, writer):
        self.knocks += 1
        writer.close()

    async def __aenter__(self):
        self.servers = [await asyncio.start_server(self.knock, "127.0.0.1", 0)]
        self.port = self.servers[0].sockets[0].getsockname()[1]
        self.servers.append(await asyncio.start_server(self.knock, "::1", self.port))
        return self

    async def __aexit__(self, *_):
        for server in self.servers:
            server.close()
            await server.wait_closed()


PRODUCTION = {
    "public": {"origin": "https://gw.example"},
    "testing": {"hosts": [], "rate_limits": True},
}


@pytest.mark.conforms("OCM-5.1-06", "OCM-GW-03")
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:{}",
        "localhost:{}",
        "ip6-localhost:{}",
        "[::1]:{}",
        "[::ffff:127.0.0.1]:{}",
        "169.254.169.254",
        "10.0.0.1:{}",
        "0.0.0.0:{}",
    ],
)
async def test_no_private_address_is_ever_reached(opened, host):
    async with Trap() as trap:
        gateway = await opened(**PRODUCTION)
        provider = host.format(trap.port)
        share = await gateway.sending.create_share(Offer("alice", "/trip", f"x@{provider}"))
        assert share.state in (SentState.PENDING, SentState.REFUSED)
        assert trap.knocks == 0


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "0177.0.0.1", "[fe80::1%25lo]"])
async def test_an_address_in_other_clothes_names_no_server(opened, host):
    gateway = await opened(**PRODUCTION)
    with pytest.raises(Malformed):
        await gateway.sending.create_share(Offer("alice", "/trip", f"x@{host}"))
    assert await counts(gateway) == (0, 0, 0)


@pytest.mark.conforms("OCM-5.2-06", "OCM-6-03", "OCM-14.3-01", "OCM-4.4.3-09")
async def test_plain_http_is_refused_in_production(opened, peer):
    gateway = await opened(**PRODUCTION)
    provider = authority(peer.authority)
    with pytest.raises(ProviderRefused):
        await gateway.others.client.post(
            provider, f"{peer.origin}/ocm/shares", b"{}", content_type="", purpose="share"
        )
    with pytest.raises(GatewayError):
        await gateway.inviting.accept_invite("alice", Invite("token", provider))
    await create_share(gateway, peer)
    assert peer.seen == []


async def test_a_server_at_a_private_address_is_refused_at_once_and_hears_nothing(opened, peer):
    gateway = await opened(testing={"hosts": ["127.0.0.1"]})
    port = peer.authority.partition(":")[2]
    for host in ("127.0.0.2", "localhost", "[::1]", "10.0.0.1", "169.254.169.254"):
        offer = Offer("alice", "/trip", f"einstein@{host}:{port}")
        share = await gateway.sending.create_share(offer)
        assert share.state is SentState.REFUSED
        assert "no address on the public internet" in share.reason
    assert peer.seen == []
