"""Addresses that servers from before OCM look for."""

from urllib.parse import urlencode

import pytest

from gateway.model import ReceivedState
from tests.peer import FORM, JSON, Answer, unsigned
from tests.sharing.stage import (
    create_share,
    leaves_no_trace,
    request,
    shares_of,
    visit,
)
from tests.sharing.test_dialects import speaks

OCS = "/ocs/v2.php/cloud/shares"
V1 = "/ocs/v1.php/cloud/shares"


def form(peer, **changes):
    fields = {
        "shareWith": "alice", "token": "secret", "name": "dir", "remoteId": "5", "owner": "carol",
        "ownerFederatedId": f"carol@{peer.origin}", "sharedBy": "carol",
        "sharedByFederatedId": "carol", "remote": f"{peer.origin}/",
    }  # fmt: skip
    return urlencode(fields | changes).encode()


async def share(peer, gateway, path=OCS, query="?format=json", **changes):
    url = f"{gateway.ours.origin}{path}{query}"
    return await peer.send(unsigned("POST", url, form(peer, **changes), content_type=FORM))


@pytest.fixture
async def lax(opened, peer):
    peer.on("GET /.well-known/jwks.json", Answer(404))
    return await opened(signatures={"required": False})


@pytest.mark.parametrize(("path", "code"), [(V1, 100), (OCS, 200)])
async def test_the_form_encoded_share_is_taken(lax, peer, path, code):
    for query in ("?format=json", ""):
        reply = await share(peer, lax, path, query)
        assert reply.status == 200
        assert reply.json()["ocs"]["meta"] == {"status": "ok", "statuscode": code, "message": None}
    [kept] = await lax.receiving.inbox("alice")
    assert (kept.sending_server, kept.provider_id, kept.uri) == (peer.authority, "5", "")
    assert kept.state is ReceivedState.PENDING


async def test_the_form_encoded_share_wants_a_signature_where_others_do(gateway, peer):
    reply = await share(peer, gateway)
    assert reply.status == 401
    assert reply.json()["ocs"]["meta"]["statuscode"] == 401
    await leaves_no_trace(gateway, peer)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"shareWith": "nobody"}, 400),
        ({"name": ""}, 400),
        ({"token": ""}, 400),
        ({"ownerFederatedId": "carol@evil.example"}, 403),
    ],
    ids=str,
)
async def test_one_defect_is_enough(opened, peer, changes, status):
    peer.on("GET /.well-known/jwks.json", Answer(404))
    policy = {"default": "allow", "deny": ["evil.example"]}
    lax = await opened(signatures={"required": False}, policy=policy)
    reply = await share(peer, lax, **changes)
    assert reply.status == reply.json()["ocs"]["meta"]["statuscode"] == status
    assert await lax.receiving.inbox() == []


async def test_only_forms_and_only_one_query_are_taken(lax, peer):
    url = f"{lax.ours.origin}{OCS}"
    for sent in (
        unsigned("POST", url, form(peer), content_type=JSON),
        unsigned("POST", f"{url}?format=xml", form(peer), content_type=FORM),
        unsigned("POST", f"{shares_of(lax)}?format=json", form(peer), content_type=JSON),
    ):
        assert (await peer.send(sent)).status == 400
    assert (await peer.send(request("GET", url, b"", {}))).status == 405


SIGNS_OF_LIFE = ("/status.php", "/ocs-provider", "/ocs-provider/", "/ocs-provider/index.php")


async def test_signs_of_life_are_given_only_where_they_are_wanted(opened, gateway, peer):
    async def get(gateway, path):
        return await peer.send(request("GET", gateway.ours.origin + path, b"", {}))

    for path in SIGNS_OF_LIFE:
        assert (await get(gateway, path)).status == 404
    wanted = {"status_php": True, "ocs_provider": True}
    alive = await opened(folder="alive", dialects=wanted)
    status = (await get(alive, "/status.php")).json()
    assert status["installed"]
    assert status["version"]
    for path in SIGNS_OF_LIFE[1:]:
        end_points = (await get(alive, path)).json()["services"]["FEDERATED_SHARING"]["endpoints"]
        assert end_points == {"share": OCS, "webdav": "/remote/dav/ocm/"}


async def test_how_addresses_are_wanted_is_published_only_where_that_is_set(opened, gateway, peer):
    async def protocols(gateway):
        url = f"{gateway.ours.origin}/.well-known/ocm"
        document = (await peer.send(request("GET", url, b"", {}))).json()
        return [entry["protocols"] for entry in document["resourceTypes"]]

    root = {"webdav": "/remote/dav/ocm/"}
    assert await protocols(gateway) == [root, root]
    saying = await opened(folder="saying", dialects={"webdav_receive": True})
    assert await protocols(saying) == [root | {"webdav-receive": {"uri": "relative"}}] * 2


# Token requests of servers that never sign


def reva(peer):
    speaks(
        peer, "/remote.php/dav/ocm/", apiVersion="1.3.0",
        capabilities=["protocol-object", "exchange-token"],
    )  # fmt: skip
    peer.on("GET /.well-known/jwks.json", Answer(404))


async def exchange(peer, gateway, body, content_type=FORM):
    url = gateway.ours.token_end_point
    return await peer.send(unsigned("POST", url, body, content_type=content_type))


async def test_a_server_that_cannot_sign_is_not_made_to_exchange(gateway, peer):
    reva(peer)
    share = await create_share(gateway, peer)
    assert share.must_exchange_token is False
    assert (await visit(gateway, peer, share.provider_id, share.shared_secret)).status == 207


async def test_an_unsigned_exchange_is_refused_unless_the_operator_takes_it(opened, peer, other):
    reva(peer)
    reva(other)
    lax = await opened(signatures={"required": False})
    share = await create_share(lax, peer, must_exchange_token=False)
    body = f"grant_type=ocm_share&code={share.shared_secret}".encode()
    assert (await exchange(peer, lax, body)).status == 400
    for one, status in ((peer, 200), (other, 400)):
        gateway = await opened(
            folder=f"for {status}",
            signatures={"required": False},
            dialects={"servers": [{"server": peer.authority, "unsigned_exchange": True}]},
        )
        share = await create_share(gateway, one)
        assert share.must_exchange_token is (one is peer)
        secret = share.shared_secret
        for body, kind in (
            (f"grant_type=ocm_share&code={secret}".encode(), FORM),
            (f"grant_type=authorization_code&client_id={one.origin}&code={secret}".encode(), FORM),
            ({"grant_type": "ocm_authorization_code", "code": secret}, JSON),
        ):
            reply = await exchange(one, gateway, body, kind)
            assert reply.status == status, reply.body
        if status == 200:
            token = reply.json()["access_token"]
            assert (await visit(gateway, one, share.provider_id, token)).status == 207
            for wrong in ("grant_type=ocm_share&code=x", "grant_type=password&code=x", "code=x"):
                assert (await exchange(one, gateway, wrong.encode())).status == 400
            elsewhere = f"grant_type=ocm_share&client_id=evil.example&code={secret}"
            assert (await exchange(one, gateway, elsewhere.encode())).status == 400


async def test_a_server_with_keys_signs_its_exchanges_whatever_is_configured(opened, peer):
    known = {"server": peer.authority, "unsigned_exchange": True}
    gateway = await opened(signatures={"required": False}, dialects={"servers": [known]})
    share = await create_share(gateway, peer)
    body = f"grant_type=authorization_code&client_id={peer.authority}&code={share.shared_secret}"
    reply = await exchange(peer, gateway, body.encode())
    assert reply.json()["error"] == "invalid_client"
