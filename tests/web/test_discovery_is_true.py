"""What the discovery document says of this server is so: each word of it is tried out.

Several configurations, and for each word a proof that tells whether the server really does, or
really demands, what the word says. A word without a proof fails here.
"""

import pytest

from tests.peer import unsigned, verify, webdav
from tests.sharing.stage import create_share, notifications_of, request, shares_of

OTHER = {
    "users": {"source": "header"},
    "public": {"trusted_proxies": ["127.0.0.0/8"]},
    "login": {"mfa": {"header": "X-Mfa"}},
}
CONFIGURATIONS = {
    "as it comes": {},
    "everything demanded": {
        "sharing": {"require_exchange": True, "require_invite": True},
        "policy": {"default": "deny", "allow": ["127.0.0.1"], "deny": ["127.0.0.1:1"]},
    },
    "as little as may be": {
        "signatures": {"required": False, "cavage": False},
        "invites": {"enabled": False},
        "sharing": {"send": True},
    },
    "several factors": OTHER,
    "invites without a page": {"invites": {"wayf": False}},
}


async def _posted(gateway, peer, *, signed=True, **changes):
    """The status of a share with alice; the peer has a contact's standing only if it has one."""
    body = peer.share(str(gateway.ours.address("alice")), **changes)
    url = shares_of(gateway)
    if signed:
        return (await peer.post(url, body)).status
    return (await peer.send(unsigned("POST", url, body))).status


def _exchanged(**more):
    access = webdav(requirements=["must-exchange-token"], **more)
    return {"protocol": {"name": "multi", "webdav": access}}


async def exchanges(gateway, peer):
    share = await create_share(gateway, peer)
    reply = await peer.exchange(gateway.ours.token_end_point, share.shared_secret)
    return reply.status == 200


async def signs(gateway, peer):
    await create_share(gateway, peer)
    seen = peer.requests("POST /ocm/shares")[-1]
    keys = await peer.send(request("GET", f"{gateway.ours.origin}/.well-known/jwks.json", b"", {}))
    verify(seen, peer.origin, keys.json()["keys"][0])
    return True


async def takes_notifications(gateway, peer):
    share = await create_share(gateway, peer)
    notice = {
        "notificationType": "SHARE_ACCEPTED",
        "resourceType": "folder",
        "providerId": share.provider_id,
    }
    return (await peer.post(notifications_of(gateway), notice)).status == 201


async def sends_protocol_objects(gateway, peer):
    await create_share(gateway, peer)
    protocol = peer.requests("POST /ocm/shares")[-1].json()["protocol"]
    return protocol["name"] == "multi" and "sharedSecret" in protocol["webdav"]


async def sends_relative_uris(gateway, peer):
    await create_share(gateway, peer)
    uri = peer.requests("POST /ocm/shares")[-1].json()["protocol"]["webdav"]["uri"]
    return "://" not in uri and not uri.startswith("/")


async def takes_acceptances(gateway, peer):
    body = {
        "recipientProvider": peer.authority,
        "token": "unknown",
        "userID": "einstein",
        "email": "",
        "name": "",
    }
    reply = await peer.post(f"{gateway.ours.end_point}/invite-accepted", body)
    return reply.status != 501


async def has_a_wayf_page(gateway, peer):
    if not gateway.settings.invites.enabled:
        return False
    invite = await gateway.inviting.create_invite("alice")
    url = f"{gateway.ours.origin}/wayf?token={invite.token}"
    return (await peer.send(request("GET", url, b"", {}))).status == 200


async def keeps_several_factors(gateway, peer):
    access = webdav(requirements=["must-exchange-token", "must-use-mfa"])
    protocol = {"name": "multi", "webdav": access}
    return await _posted(gateway, peer, protocol=protocol) != 501


async def demands_signatures(gateway, peer):
    # A server that publishes keys is never believed unsigned; one without shows the difference.
    peer.document["capabilities"].remove("http-sig")
    peer.keys = []
    status = await _posted(gateway, peer, signed=False, **_exchanged())
    return status == 401


async def demands_exchange(gateway, peer):
    protocol = {"name": "multi", "webdav": webdav(requirements=None)}
    return await _known(gateway, peer, protocol) == 403


async def demands_invites(gateway, peer):
    return await _posted(gateway, peer, **_exchanged()) == 403


async def has_an_allowlist(gateway, _):
    judge = gateway.others.doorkeeper.judge
    return not judge("nobody-ever-named.example").allowed


async def has_a_denylist(gateway, _):
    return not gateway.others.doorkeeper.judge("127.0.0.1:1").allowed


async def _known(gateway, peer, protocol):
    """The status of a share by a contact."""
    share = peer.share(str(gateway.ours.address("alice")), protocol=protocol)
    await gateway.contacts.add("alice", share["sender"])
    return (await peer.post(shares_of(gateway), share)).status


PROOFS = {
    "exchange-token": exchanges,
    "http-sig": signs,
    "notifications": takes_notifications,
    "protocol-object": sends_protocol_objects,
    "webdav-uri": sends_relative_uris,
    "invites": takes_acceptances,
    "invite-wayf": has_a_wayf_page,
    "enforce-mfa": keeps_several_factors,
    "http-request-signatures": demands_signatures,
    "must-use-http-sig": demands_signatures,
    "token-exchange": demands_exchange,
    "must-exchange-token": demands_exchange,
    "invite": demands_invites,
    "must-invite": demands_invites,
    "allowlist": has_an_allowlist,
    "denylist": has_a_denylist,
}


async def words(gateway, peer):
    reply = await peer.send(request("GET", f"{gateway.ours.origin}/.well-known/ocm", b"", {}))
    document = reply.json()
    return set(document["capabilities"]) | set(document["criteria"])


@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize("word", PROOFS)
async def test_a_word_is_published_exactly_where_it_is_true(opened, peer, name, word):
    gateway = await opened(**CONFIGURATIONS[name])
    published = word in await words(gateway, peer)
    assert await PROOFS[word](gateway, peer) is published


@pytest.mark.parametrize("name", CONFIGURATIONS)
async def test_no_word_is_published_that_is_not_proven_here(opened, peer, name):
    gateway = await opened(**CONFIGURATIONS[name])
    assert await words(gateway, peer) <= set(PROOFS)


def test_every_configuration_is_another():
    assert len({str(one) for one in CONFIGURATIONS.values()}) == len(CONFIGURATIONS)
