"""The registry of other servers: what the operator decides holds everywhere, and nothing else is
trusted."""

from functools import partial

import pytest

from gateway.errors import NotFound, Refused
from gateway.model import KeyStanding, ProviderSource, Scheme, Standing
from gateway.ocm.address import authority
from gateway.store import providers
from tests.pair import eventually
from tests.sharing.stage import address, leaves_no_trace, send_share, shares_of

HOST = authority("cloud.example")


async def test_a_blocked_server_is_refused_whatever_policy_says(gateway, peer):
    await gateway.others.registry.decide(authority(peer.authority), Standing.BLOCKED)
    reply = await peer.post(shares_of(gateway), peer.share(address(gateway)))
    assert reply.status == 403
    await leaves_no_trace(gateway, peer)
    with pytest.raises(Refused):
        await gateway.others.discoveries.discover(authority(peer.authority))


async def test_a_server_can_be_blocked_before_it_comes_and_approved_after(gateway):
    registry = gateway.others.registry
    blocked = await registry.decide(HOST, Standing.BLOCKED, "spam")
    assert (blocked.source, blocked.comment) == (ProviderSource.CONFIGURED, "spam")
    assert registry.standing(HOST) is Standing.BLOCKED
    assert (await registry.decide(HOST, Standing.APPROVED)).comment == "spam"
    assert registry.standing(HOST) is Standing.APPROVED
    await registry.remove(HOST)
    assert registry.standing(HOST) is Standing.KNOWN
    with pytest.raises(NotFound):
        await registry.by_authority(HOST)


async def test_what_another_process_decides_is_seen(gateway, opened):
    second = await opened(folder="gateway", listens=False)
    await second.others.registry.decide(HOST, Standing.BLOCKED)
    await eventually(lambda: gateway.others.registry.standing(HOST) is Standing.BLOCKED, 1)


async def test_a_pin_names_the_only_key(gateway):
    registry = gateway.others.registry
    await registry.add(HOST, "", ("a" * 43,))
    [key] = await registry.keys_of(HOST)
    assert (key.standing, key.last_seen_at) == (KeyStanding.PINNED, 0)


async def test_a_full_registry_forgets_who_was_not_seen_for_the_longest(gateway, monkeypatch):
    monkeypatch.setattr(providers, "MOST_PROVIDERS", 3)
    write, read = gateway.state.database.write, gateway.state.database.read
    await gateway.others.registry.add(authority("kept.example"), "")
    for number, name in enumerate(["one.example", "two.example", "three.example"]):
        note = partial(
            providers.note, provider=authority(name), source=ProviderSource.SEEN, now=number
        )
        await write(note)
    names = [one.authority for one in await read(providers.all_providers)]
    assert names == ["kept.example", "three.example", "two.example"]


@pytest.mark.conforms("OCM-2-10", "OCM-2-12", "OCM-2-13")
async def test_who_has_signed_once_is_known_with_its_key_and_where_it_came_from(gateway, peer):
    await send_share(peer, gateway)
    registry, host = gateway.others.registry, authority(peer.authority)
    await gateway.others.discoveries.discover(host, afresh=True)
    await registry.flush()
    known = await registry.by_authority(host)
    assert known.source is ProviderSource.SHARE
    assert known.scheme is Scheme.RFC9421
    assert [key.kid for key in await registry.keys_of(host)] == [peer.key.kid]
    assert set(peer.document["capabilities"]) <= set(known.capabilities)
