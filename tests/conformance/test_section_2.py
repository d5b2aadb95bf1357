"""Sections 2 to 4: addresses, known servers, both roles."""

import pytest

from gateway.errors import Malformed
from gateway.model import ReceivedState, SentState
from gateway.sharing.sending import Offer
from tests.sharing.stage import (
    address,
    counts,
    create_share,
    receive_share,
    request,
    send_share,
    shares_of,
)


@pytest.mark.conforms("OCM-2-01", "OCM-2-02")
async def test_the_addresses_that_we_give_away_lead_to_our_discovery_document(gateway, peer):
    await create_share(gateway, peer)
    said = peer.requests("POST /ocm/shares")[0].json()
    for given in (said["owner"], said["sender"]):
        host = given.rpartition("@")[2]
        assert not set("/?#") & set(host)
        url = f"http://{host}/.well-known/ocm"
        document = (await peer.send(request("GET", url, b"", {}))).json()
        assert document["enabled"] is True
        assert (await peer.post(f"{document['endPoint']}/shares", b"{}")).status == 400


@pytest.mark.conforms("OCM-2-02")
@pytest.mark.parametrize("path", ["/x", "/", "?x", "#x"])
async def test_an_address_with_a_path_is_refused(gateway, peer, path):
    reply = await peer.post(shares_of(gateway), peer.share(address(gateway) + path))
    assert reply.status == 400
    assert await counts(gateway) == (0, 0, 0)


@pytest.mark.conforms("OCM-2-05")
@pytest.mark.parametrize("port", [80, 443])
async def test_the_host_of_an_address_has_no_case(opened, peer, port):
    gateway = await opened(
        public={"origin": f"https://GW.example{':443' if port == 443 else ''}"},
        users={"source": "list", "list": [{"name": "alice", "password": "p"}]},
    )
    assert str(gateway.ours.address("alice")) == "alice@gw.example"


@pytest.mark.conforms("OCM-2-06")
async def test_a_port_tells_one_server_from_another(opened, peer, other):
    gateway = await opened(policy={"deny": [other.authority]})
    share = await create_share(gateway, peer)
    assert share.receiving_server == peer.authority
    assert peer.requests("GET /.well-known/ocm")
    refused = await other.post(shares_of(gateway), other.share(address(gateway)))
    assert refused.status == 403
    assert other.seen == []
    await send_share(peer, gateway)


@pytest.mark.conforms("OCM-2.2-01", "OCM-3-02")
async def test_one_gateway_sends_and_receives(gateway, peer):
    assert (await create_share(gateway, peer)).state is SentState.SENT
    assert (await receive_share(peer, gateway)).state is ReceivedState.ACCEPTED
    assert len(peer.requests("POST /ocm/shares")) == 1


@pytest.mark.conforms("OCM-2.1-01")
@pytest.mark.parametrize("path", ["/directory", "/.well-known/ocm-directory", "/ocm/directory"])
async def test_no_directory_is_published_unasked(gateway, peer, path):
    url = gateway.ours.origin + path
    assert (await peer.send(request("GET", url, b"", {}))).status == 404


@pytest.mark.conforms("OCM-4-01", "OCM-5.1-01")
@pytest.mark.parametrize("whom", ["", "bob", "@{}", "bob@", "bob@{}/x", "bob @", "bob@{}:0"])
async def test_nothing_is_sent_before_the_address_is_whole(gateway, peer, whom):
    with pytest.raises(Malformed):
        await gateway.sending.create_share(Offer("alice", "/trip", whom.format(peer.authority)))
    assert await counts(gateway) == (0, 0, 0)
    assert peer.seen == []


@pytest.mark.conforms("OCM-3-03")
async def test_the_sender_hears_of_an_acceptance_once_there_is_one(gateway, peer):
    await send_share(peer, gateway)
    assert peer.requests("POST /ocm/notifications") == []
    [share] = await gateway.receiving.inbox("alice")
    await gateway.receiving.accept(share.id)
    [told] = peer.requests("POST /ocm/notifications")
    assert told.json()["notificationType"] == "SHARE_ACCEPTED"
