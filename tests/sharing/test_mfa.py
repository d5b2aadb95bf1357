"""The requirement must-use-mfa, in both roles (draft 03, 8 and 16)."""

import pytest

from gateway.errors import Refused
from gateway.model import SentState
from tests.peer import webdav
from tests.sharing.stage import (
    browse,
    counts,
    create_share,
    leaves_no_trace,
    receive_share,
    request,
    shares_of,
)

HEADER = {
    "users": {"source": "header"},
    "public": {"trusted_proxies": ["127.0.0.1"]},
    "login": {"mfa": {"header": "X-Remote-Factors", "header_values": ["two"]}},
}
SHARES = "POST /ocm/shares"


async def come(gateway, peer, path, method="PROPFIND", **headers):
    url = f"{gateway.ours.origin}/remote/dav/received/{path}"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await peer.send(request(method, url, b"", {"Depth": "0"} | named))


@pytest.mark.conforms("OCM-8-08", "OCM-16-03", "OCM-16-04")
@pytest.mark.parametrize("requirement", ["must-use-mfa", "mfa-enforced"])
async def test_a_share_that_needs_mfa_opens_only_after_such_a_login(opened, peer, requirement):
    gateway = await opened(**HEADER)
    share = await receive_share(peer, gateway, webdav={"requirements": [requirement]})
    assert share.must_use_mfa
    for method in ("PROPFIND", "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "MKCOL", "LOCK"):
        for path in (share.folder, f"{share.folder}/day.txt"):
            for factors in ({}, {"X_Remote_Factors": "one"}, {"X_Remote_Factors": ""}):
                reply = await come(gateway, peer, path, method, X_Remote_User="alice", **factors)
                assert reply.status == 403, (method, path, factors)
    assert peer.dav == []
    reply = await come(gateway, peer, share.folder, X_Remote_User="alice", X_Remote_Factors="two")
    assert reply.status == 207


@pytest.mark.conforms("OCM-16-04")
async def test_a_password_alone_opens_no_such_share(opened, peer):
    """Basic credentials prove one factor, whatever stands beside them."""
    oidc = {"issuer": "https://id.example", "client_id": "gateway"}
    gateway = await opened(login={"oidc": oidc, "mfa": {"header": ""}})
    share = await receive_share(peer, gateway, webdav={"requirements": ["must-use-mfa"]})
    assert (await browse(gateway, peer, share.folder)).status == 403
    assert b"more than one factor" in (await browse(gateway, peer, share.folder)).body
    assert peer.dav == []


@pytest.mark.conforms("OCM-16-05")
async def test_without_a_way_to_prove_mfa_such_a_share_is_not_taken(gateway, peer):
    access = webdav(requirements=["must-use-mfa"])
    body = peer.share(
        str(gateway.ours.address("alice")), protocol={"name": "multi", "webdav": access}
    )
    assert (await peer.post(shares_of(gateway), body)).status == 501
    assert (await counts(gateway))[1] == 0


@pytest.mark.conforms("OCM-5.3-20", "OCM-16-01")
@pytest.mark.parametrize(
    ("settings", "advertised"),
    [
        ({}, False),
        (HEADER, True),
        (HEADER | {"login": {}}, False),
        (HEADER | {"users": {"source": "storage"}}, False),
        (HEADER | {"sharing": {"receive": False}}, False),
        ({"login": {"oidc": {"issuer": "https://id.example", "client_id": "x"}}}, True),
    ],
    ids=str,
)
async def test_mfa_is_advertised_exactly_when_it_can_be_proven(opened, peer, settings, advertised):
    gateway = await opened(**settings)
    document = await peer.send(request("GET", f"{gateway.ours.origin}/.well-known/ocm", b"", {}))
    assert ("enforce-mfa" in document.json()["capabilities"]) is advertised


@pytest.mark.conforms("OCM-6.1-52", "OCM-16-02")
async def test_mfa_is_demanded_of_a_trusted_server_that_keeps_it(opened, peer):
    gateway = await opened(sharing={"mfa_trusted": ["127.0.0.1"]})
    peer.document["capabilities"] += ["enforce-mfa"]
    share = await create_share(gateway, peer, must_use_mfa=True)
    assert share.state is SentState.SENT
    [seen] = peer.requests(SHARES)
    said = seen.json()["protocol"]["webdav"]["requirements"]
    assert said == ["must-exchange-token", "must-use-mfa"]


@pytest.mark.conforms("OCM-6.1-52")
async def test_mfa_is_not_demanded_of_a_server_that_does_not_keep_it(opened, peer):
    gateway = await opened(sharing={"mfa_trusted": ["127.0.0.1"]})
    share = await create_share(gateway, peer, must_use_mfa=True)
    assert share.state is SentState.REFUSED
    assert "several factors" in share.reason
    assert peer.requests(SHARES) == []


@pytest.mark.conforms("OCM-16-02")
async def test_mfa_is_not_demanded_of_a_server_that_is_not_trusted_with_it(gateway, peer):
    peer.document["capabilities"] += ["enforce-mfa"]
    with pytest.raises(Refused, match="not trusted"):
        await create_share(gateway, peer, must_use_mfa=True)
    await leaves_no_trace(gateway, peer)
