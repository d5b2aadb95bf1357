"""What the roles do and its entry in the audit trail: both or neither, on either engine."""

import asyncio
from functools import partial

import pytest

from gateway.errors import NotFound, Unavailable
from gateway.model import SentState, Standing
from gateway.ocm.address import authority
from gateway.providers import importing
from gateway.store import audit, facts
from gateway.store.audit import Wanted
from tests.pair import eventually
from tests.peer import Answer, ed25519_key
from tests.sharing.stage import (
    address,
    counts,
    create_share,
    leaves_no_trace,
    send_share,
    shares_of,
)


async def entries(gateway, what=""):
    return await gateway.state.database.read(partial(audit.entries, wanted=Wanted(what=what)))


async def begun(gateway):
    """Nothing is entered any more that begins with the gateway itself."""
    await eventually(lambda: entries(gateway, "policy.adopted"))


async def damage(gateway):
    """Somebody without the key has written where the trail ends."""
    await gateway.state.database.write(partial(facts.put, name="audit head", value="0:0:0"))


async def test_a_share_that_the_trail_does_not_take_is_not_taken(gateway, peer):
    await damage(gateway)
    reply = await peer.post(shares_of(gateway), peer.share(address(gateway)))
    assert reply.status == 503
    assert reply.headers["Retry-After"]
    assert await counts(gateway) == (0, 0, 0)


async def test_a_share_that_the_trail_does_not_take_is_not_made(gateway, peer):
    await damage(gateway)
    with pytest.raises(Unavailable, match="audit trail"):
        await create_share(gateway, peer)
    await leaves_no_trace(gateway, peer)


HOST = authority("north.example")
THUMBPRINT = "a" * 43
ENTRY = importing.Entry(authority("new.example"), Standing.BLOCKED)
ACTS = {
    "add": lambda desk, _: desk.add(ENTRY.authority, by="olga"),
    "block": lambda desk, _: desk.decide(HOST, Standing.BLOCKED, by="olga"),
    "import": lambda desk, _: desk.take_in([ENTRY], by="olga"),
    "pin": lambda desk, _: desk.pin(HOST, "b" * 43, by="olga"),
    "unpin": lambda desk, _: desk.unpin(HOST, THUMBPRINT, by="olga"),
    "reset": lambda desk, _: desk.reset(HOST, by="olga"),
    "remove": lambda desk, _: desk.remove(HOST, by="olga"),
    "stage": lambda desk, _: desk.stage("ed25519", by="olga"),
    "activate": lambda desk, staged: desk.activate(staged, by="olga"),
    "retire": lambda desk, staged: desk.retire(staged, by="olga"),
}


async def everything(gateway):
    """What an operator can change."""
    registry = gateway.others.registry
    await registry.load()
    await gateway.ring.load()
    servers = await registry.all()
    keys = [await registry.keys_of(one.authority) for one in servers]
    ours = [(one.key.kid, one.state) for one in gateway.ring.keys]
    return servers, keys, ours, await gateway.outbox.all(), await entries(gateway)


@pytest.mark.parametrize("act", ACTS)
async def test_what_the_trail_does_not_take_the_operator_has_not_done(gateway, act):
    await begun(gateway)
    await gateway.operating.add(HOST, by="olga", pins=(THUMBPRINT,))
    staged = await gateway.operating.stage("ed25519", by="olga")
    before = await everything(gateway)
    head = await gateway.state.database.read(partial(facts.find, name="audit head"))
    await damage(gateway)
    with pytest.raises(Unavailable, match="audit trail"):
        await ACTS[act](gateway.operating, staged.key.kid)
    assert await everything(gateway) == before
    await gateway.state.database.write(partial(facts.put, name="audit head", value=head))
    await ACTS[act](gateway.operating, staged.key.kid)
    *others, made = await entries(gateway)
    assert (others, made.deed.who) == (before[-1], "olga")


@pytest.mark.parametrize("act", ["retry", "drop"])
async def test_an_errand_that_was_given_up_stays_so_without_an_entry(gateway, peer, act):
    peer.on("POST /ocm/shares", Answer(403))
    share = await create_share(gateway, peer)
    [errand] = await gateway.outbox.all()
    await begun(gateway)
    before = await everything(gateway)
    await damage(gateway)
    with pytest.raises(Unavailable, match="audit trail"):
        await getattr(gateway.operating, act)(errand.id, by="olga")
    assert await everything(gateway) == before
    assert (await gateway.sending.by_id(share.provider_id)).state is SentState.REFUSED


async def test_an_act_on_nothing_is_no_entry(gateway):
    await begun(gateway)
    before = await entries(gateway)
    for act in ("pin", "unpin", "reset", "remove"):
        with pytest.raises(NotFound):
            await ACTS[act](gateway.operating, "")
    assert await entries(gateway) == before


async def test_an_entry_names_the_decision_that_let_it_happen(gateway, peer):
    await send_share(peer, gateway)
    await create_share(gateway, peer)
    [arrived] = await entries(gateway, "received.arrived")
    [created] = await entries(gateway, "sent.created")
    for entry, action in ((arrived, "share-in"), (created, "share-out")):
        decision = await gateway.ledger.by_id(entry.deed.decision)
        assert (decision.action, decision.provider) == (action, peer.authority)


async def test_a_share_that_comes_again_is_entered_once(gateway, peer):
    body = await send_share(peer, gateway)
    assert (await peer.post(shares_of(gateway), body)).status == 201
    assert len(await entries(gateway, "received.arrived")) == 1


async def test_shares_that_come_at_once_are_all_taken_and_entered(gateway, peer):
    bodies = [peer.share(address(gateway), providerId=f"at-once-{n}") for n in range(8)]
    replies = await asyncio.gather(*(peer.post(shares_of(gateway), body) for body in bodies))
    assert [reply.status for reply in replies] == [201] * 8
    assert len(await entries(gateway, "received.arrived")) == 8


# What is refused


async def test_a_denied_server_is_entered_once_with_the_decision_that_it_was_told(opened, peer):
    gateway = await opened(policy={"deny": [peer.authority]})
    told = set()
    for _ in range(5):
        refused = await peer.post(shares_of(gateway), peer.share(address(gateway)))
        assert refused.status == 403
        told.add(refused.json()["decision"])
    [entry] = await eventually(lambda: entries(gateway, "policy.share-in"))
    assert (entry.deed.outcome, entry.deed.provider) == ("deny", peer.authority)
    assert entry.deed.decision in told
    assert (await gateway.ledger.by_id(entry.deed.decision)).rule in entry.deed.reason


async def test_a_share_held_for_review_is_one_entry_that_says_so(opened, peer):
    rules = [{"id": "wait", "who": peer.authority, "then": "quarantine"}]
    gateway = await opened(policy={"default": "allow", "rules": rules})
    await send_share(peer, gateway)
    [entry] = await entries(gateway, "received.arrived")
    assert entry.deed.outcome == "quarantine"
    await gateway.audit.close()
    assert await entries(gateway, "policy.share-in") == []


async def test_refused_exchanges_are_entered_without_the_code(gateway, peer):
    for n in range(3):
        await peer.exchange(gateway.ours.token_end_point, f"guess-{n}")
    [first] = await eventually(lambda: entries(gateway, "token.refused"))
    assert (first.deed.outcome, first.deed.provider) == ("deny", peer.authority)
    await gateway.audit.close()
    _, count = await entries(gateway, "token.refused")
    assert count.deed.reason.startswith("2 more")
    assert "guess" not in repr(await entries(gateway))


async def test_what_comes_in_a_servers_name_unproven_is_entered(gateway, peer):
    await send_share(peer, gateway)
    genuine, peer.key = peer.key, ed25519_key(peer.key.kid)
    refused = await peer.post(shares_of(gateway), peer.share(address(gateway)))
    peer.key = genuine
    assert refused.status == 401
    [entry] = await eventually(lambda: entries(gateway, "signature.refused"))
    assert (entry.deed.outcome, entry.deed.provider) == ("deny", peer.authority)
