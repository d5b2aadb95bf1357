"""What policy holds: nobody sees it, nothing goes out, until the operator has looked."""

import asyncio
import json
from functools import partial

import pytest
import structlog
from typer.testing import CliRunner

from gateway.cli import console
from gateway.cli.main import app
from gateway.model import SentState
from gateway.store import audit
from gateway.store.audit import Wanted
from tests.pair import eventually
from tests.sharing.stage import (
    ALICE,
    Clock,
    browse,
    create_share,
    gateway,
    opened,
    other,
    peer,
    request,
    send_share,
    storage,
    visit,
)

__all__ = ["gateway", "opened", "other", "peer", "storage"]

HOLD = {"policy": {"rules": [{"id": "new", "who": "everyone", "then": "quarantine"}]}}


@pytest.fixture(autouse=True)
def _own_log():
    yield
    structlog.reset_defaults()


@pytest.fixture
def command(tmp_path):
    """A command beside the running gateway; its JSON answer."""

    def run(*words, code=0):
        file = tmp_path / "gateway" / "gateway.yaml"
        done = CliRunner().invoke(app, [*words, "--json", "--config", str(file)])
        assert done.exit_code == code, f"{done.output} {done.exception!r}"
        return json.loads(done.stdout)

    async def beside(*words, code=0):
        return await asyncio.to_thread(run, *words, code=code)

    return beside


async def api(gateway, peer, method, path, body=None):
    """The answer of the API to alice."""
    sent = {"Authorization": ALICE, "Content-Type": "application/json"}
    data = json.dumps(body).encode() if body is not None else b""
    return await peer.send(request(method, f"{gateway.ours.origin}/api/v1{path}", data, sent))


async def arrived(gateway, peer, command):
    """A share that was held: its record."""
    await send_share(peer, gateway)
    [held] = (await command("review", "list"))["received"]
    assert (held["state"], held["recipient"]) == ("quarantined", "alice")
    return held


async def test_a_share_that_came_is_hidden_until_it_is_released(opened, peer, command):
    gateway = await opened(**HOLD)
    held = await arrived(gateway, peer, command)
    assert await command("received", "list") == []
    assert (await api(gateway, peer, "GET", "/received")).json() == []
    path = f"/received/{held['id']}"
    for method, end in (("GET", ""), ("POST", "/accept"), ("POST", "/decline")):
        assert (await api(gateway, peer, method, path + end)).status == 404, (method, end)
    assert (await browse(gateway, peer, held["folder"])).status == 404
    assert await gateway.newsroom.waiting() == []
    await command("received", "accept", held["id"], code=console.REFUSED)

    released = await command("review", "release", held["id"])
    assert (released["id"], released["state"]) == (held["id"], "pending")
    assert await command("review", "list") == {"received": [], "sent": []}
    [shown] = (await api(gateway, peer, "GET", "/received")).json()
    assert shown["id"] == held["id"]
    assert (await api(gateway, peer, "POST", f"{path}/accept")).status == 200
    assert (await browse(gateway, peer, f"{held['folder']}/a.txt", "GET")).body == b"from afar"
    await command("review", "release", held["id"], code=console.REFUSED)


async def test_a_share_that_came_is_refused_and_its_server_told(opened, peer, command):
    gateway = await opened(**HOLD)
    held = await arrived(gateway, peer, command)
    assert peer.requests("POST /ocm/notifications") == []
    assert (await command("review", "refuse", held["id"]))["state"] == "declined"
    assert await command("review", "list") == {"received": [], "sent": []}
    assert (await api(gateway, peer, "GET", "/received")).json() == []
    [told] = await eventually(partial(peer.requests, "POST /ocm/notifications"))
    assert told.json()["notificationType"] == "SHARE_DECLINED"
    await command("review", "release", held["id"], code=console.REFUSED)


async def test_the_same_share_again_stays_held(opened, peer, command):
    gateway = await opened(**HOLD)
    body = await send_share(peer, gateway)
    again = {name: value for name, value in body.items() if name != "protocol"}
    await send_share(peer, gateway, **again, webdav=body["protocol"]["webdav"])
    [held] = (await command("review", "list"))["received"]
    assert held["state"] == "quarantined"


async def test_a_share_that_was_withdrawn_meanwhile_is_not_held_any_more(opened, peer, command):
    clock = Clock()
    gateway = await opened(clock=clock, **HOLD)
    await send_share(peer, gateway, expiration=clock.now + 60)
    [held] = await gateway.receiving.held()
    clock.now += 61
    assert await gateway.receiving.held() == []
    assert (await command("review", "list"))["sent"] == []
    with pytest.raises(Exception, match="expired"):
        await gateway.receiving.release(held.id, by="operator")


async def offered(gateway, peer):
    """A share of alice's that is held, made through the API."""
    body = {"path": "/letter.txt", "shareWith": f"einstein@{peer.authority}"}
    made = await api(gateway, peer, "POST", "/shares", body)
    assert made.status == 201, made.body
    assert made.json()["state"] == "held"
    return made.json()["id"]


async def test_a_share_that_goes_is_told_to_nobody_until_it_is_released(opened, peer, command):
    gateway = await opened(**HOLD)
    share_id = await offered(gateway, peer)
    assert peer.seen == []
    assert await command("outbox", "list") == []
    [held] = (await command("review", "list"))["sent"]
    assert held["id"] == share_id
    secret = (await gateway.sending.by_id(share_id)).shared_secret
    assert (await visit(gateway, peer, share_id, secret)).status in (401, 404)
    assert (await peer.exchange(gateway.ours.token_end_point, secret)).status == 400

    assert (await command("review", "release", share_id))["state"] == "sent"
    [told] = peer.requests("POST /ocm/shares")
    assert told.json()["providerId"] == share_id
    reply = await peer.exchange(gateway.ours.token_end_point, secret)
    token = reply.json()["access_token"]
    assert (await visit(gateway, peer, share_id, token)).status == 207
    await command("review", "release", share_id, code=console.REFUSED)


async def test_a_share_that_goes_is_refused_and_nobody_else_hears_of_it(opened, peer, command):
    gateway = await opened(**HOLD)
    share_id = await offered(gateway, peer)
    refused = await command("review", "refuse", share_id)
    assert refused["state"] == "refused"
    assert "operator" in refused["reason"]
    assert (await api(gateway, peer, "GET", f"/shares/{share_id}")).json()["state"] == "refused"
    await command("review", "refuse", share_id, code=console.REFUSED)
    assert peer.seen == []


async def test_its_owner_withdraws_a_held_share_and_nobody_else_hears_of_it(opened, peer):
    gateway = await opened(**HOLD)
    share = await create_share(gateway, peer)
    assert (await gateway.sending.revoke(share.provider_id)).state.value == "revoked"
    with pytest.raises(Exception, match="not held"):
        await gateway.sending.release(share.provider_id, by="operator")
    assert peer.seen == []


async def test_a_held_share_has_not_ended_before_its_time_and_then_ends_unheard(opened, peer):
    clock = Clock()
    gateway = await opened(clock=clock, **HOLD, sharing={"keep_ended_days": 1})
    share = await create_share(gateway, peer, expiration_at=clock.now + 3 * 86_400)
    for _ in range(2):  # what has ended goes after a day
        clock.now += 86_400
        await gateway.sweeping.sweep()
        held = await gateway.sending.by_id(share.provider_id)
        assert (held.state, held.ended_at) == (SentState.HELD, None)
    clock.now += 86_400
    assert [one.provider_id for one in (await gateway.sweeping.sweep()).sent] == [share.provider_id]
    assert (await gateway.sending.by_id(share.provider_id)).state is SentState.EXPIRED
    assert await gateway.sending.held() == []
    assert peer.seen == []


async def test_a_held_share_is_in_the_trail_once_and_not_as_a_refusal(opened, peer):
    gateway = await opened(**HOLD)
    share = await create_share(gateway, peer)
    await gateway.audit.close()
    entries = await gateway.state.database.read(partial(audit.entries, wanted=Wanted()))
    found = [one.deed for one in entries if one.deed.provider == peer.authority]
    assert [(one.what, one.outcome) for one in found] == [("sent.created", "quarantine")]
    assert found[0].about == share.provider_id


async def test_what_is_not_there_is_not_found(opened, command):
    await opened(**HOLD)
    for verb in ("release", "refuse"):
        await command("review", verb, "no-such", code=console.NOT_FOUND)


async def test_a_review_stands_in_the_audit_trail(opened, peer, command):
    gateway = await opened(**HOLD)
    released = (await arrived(gateway, peer, command))["id"]
    await command("review", "release", released)
    refused = await offered(gateway, peer)
    await command("review", "refuse", refused)
    entries = await command("audit", "list")

    def said(share):
        told = [one for one in reversed(entries) if one["about"] == share]
        return [(one["what"], one["who"].partition(" ")[0]) for one in told]

    sender = f"einstein@{peer.authority}"
    assert said(released) == [("received.arrived", sender), ("review.released", "operator")]
    alice = str(gateway.ours.address("alice"))
    assert said(refused) == [("sent.created", alice), ("review.refused", "operator")]
