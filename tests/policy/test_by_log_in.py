"""The fact `mfa` is what the log-in of the local user proves, request by request."""

import json

import pytest

from gateway.errors import Refused
from tests.sharing.stage import (
    create_share,
    gateway,
    opened,
    other,
    peer,
    receive_share,
    request,
    storage,
)

__all__ = ["gateway", "opened", "other", "peer", "storage"]

HEADER = {
    "users": {"source": "header"},
    "public": {"trusted_proxies": ["127.0.0.1"]},
    "login": {"mfa": {"header": "X-Factors", "header_values": ["two"]}},
}


def rules(*wanted):
    return {"policy": {"default": "allow", "rules": list(wanted)}}


async def ask(gateway, peer, method, path, body=None, factors=""):
    """The answer to alice, who came with such factors."""
    sent = {"X-Remote-User": "alice", "Content-Type": "application/json"}
    if factors:
        sent["X-Factors"] = factors
    data = json.dumps(body).encode() if body is not None else b""
    return await peer.send(request(method, f"{gateway.ours.origin}{path}", data, sent))


async def share(gateway, peer, factors=""):
    body = {"path": "/letter.txt", "shareWith": f"einstein@{peer.authority}"}
    return await ask(gateway, peer, "POST", "/api/v1/shares", body, factors)


async def test_sharing_may_need_several_factors(opened, peer):
    rule = {"who": "everyone", "action": "share-out", "mfa": False, "then": "deny"}
    gateway = await opened(**HEADER, **rules(rule))
    for factors in ("", "one"):
        refused = await share(gateway, peer, factors)
        assert refused.status == 403
        assert refused.json()["decision"]
    assert peer.seen == []
    assert (await share(gateway, peer, "two")).status == 201
    assert (await share(gateway, peer)).status == 403


async def test_only_who_proved_several_factors_may_be_allowed(opened, peer):
    allow = {"who": "everyone", "action": "share-out", "mfa": True, "then": "allow"}
    gateway = await opened(**HEADER, policy={"default": "deny", "rules": [allow]})
    assert (await share(gateway, peer)).status == 403
    assert (await share(gateway, peer, "two")).status == 201
    with pytest.raises(Refused):  # a command or the outbox is nobody's session
        await create_share(gateway, peer)


async def test_opening_may_need_several_factors_each_time(opened, peer):
    rule = {"who": "everyone", "action": "transfer", "mfa": False, "then": "deny"}
    gateway = await opened(**HEADER, **rules(rule))
    received = await receive_share(peer, gateway)
    path = f"/remote/dav/received/{received.folder}/a.txt"
    for factors, status in (("", 403), ("two", 200), ("", 403), ("two", 200), ("one", 403)):
        answer = await ask(gateway, peer, "GET", path, factors=factors)
        assert answer.status == status, factors


async def test_the_explanation_tells_what_the_log_in_proved(opened, peer):
    rule = {"who": "everyone", "action": "share-out", "mfa": False, "then": "deny"}
    gateway = await opened(**HEADER, **rules(rule))
    refused = await share(gateway, peer, "one")
    await gateway.ledger.flush()
    found = await gateway.ledger.by_id(refused.json()["decision"])
    [told] = [step["said"] for step in json.loads(found.chain) if step["step"] == "facts"]
    assert told["mfa"] is False
