"""A server that does not answer is left alone, tried by one, and asked again once it is back."""

import asyncio
import contextlib
from functools import partial

import pytest

from gateway.config import Breaker
from gateway.errors import ProviderFailed, Unavailable
from gateway.model import ProviderSource
from gateway.ocm.address import authority
from gateway.providers.health import Healths
from gateway.store import providers
from gateway.store.providers import Health
from tests.pair import eventually
from tests.peer import Answer
from tests.sharing.stage import Clock

HOST = authority("cloud.example")


@pytest.fixture
def clock():
    return Clock(1_000_000)


@pytest.fixture
def healths(clock):
    settings = Breaker(failures=3, first_pause_seconds=10, longest_pause_seconds=40)
    return Healths(settings, clock)


def fail(healths):
    """A request that is not answered, if it is made at all; whether it was."""
    made = False
    with contextlib.suppress(ProviderFailed), healths.asking(HOST):
        made = True
        raise ProviderFailed("no answer")
    return made


def wait(healths, clock, times):
    for _ in range(times):
        assert fail(healths)
        clock.now += 2


def paused(healths, clock):
    """The seconds left of the pause."""
    return healths.of(HOST).paused_until - clock.now


def test_failures_in_a_row_begin_a_pause(healths, clock):
    wait(healths, clock, 2)
    assert not healths.of(HOST).paused_until
    assert fail(healths)
    assert paused(healths, clock) == 10
    with pytest.raises(ProviderFailed) as refused, healths.asking(HOST):
        raise AssertionError("it was asked")
    assert refused.value.retry_after == 10


def test_an_answer_begins_the_count_anew(healths, clock):
    wait(healths, clock, 2)
    with healths.asking(HOST):
        pass
    wait(healths, clock, 2)
    assert healths.of(HOST).failures == 2


def test_each_trial_that_fails_doubles_the_pause_up_to_the_longest(healths, clock):
    wait(healths, clock, 2)
    found = []
    for _ in range(5):
        assert fail(healths)
        found.append(paused(healths, clock))
        clock.now += found[-1]
    assert found == [10, 20, 40, 40, 40]


def test_a_burst_counts_once_also_over_the_edge_of_a_second(healths, clock):
    for _ in range(5):
        fail(healths)
    clock.now += 1
    for _ in range(5):
        fail(healths)
    assert healths.of(HOST).failures == 1


def test_what_was_under_way_when_a_pause_began_does_not_lengthen_it(healths, clock):
    wait(healths, clock, 2)
    with contextlib.ExitStack() as under_way:
        under_way.enter_context(contextlib.suppress(ProviderFailed))
        under_way.enter_context(healths.asking(HOST))
        assert fail(healths)
        clock.now += 5
        raise ProviderFailed("late")
    assert (healths.of(HOST).failures, paused(healths, clock)) == (3, 5)


def test_one_may_try_and_the_others_wait_for_it_however_long_it_takes(healths, clock):
    wait(healths, clock, 3)
    clock.now += 10
    with healths.asking(HOST):
        assert not fail(healths)
        clock.now += 60
        assert not fail(healths)
        clock.now += 60  # longer than any connection is silent
        assert fail(healths)
    assert healths.of(HOST) == Health()


def test_a_trial_that_was_given_up_leaves_its_place_to_another(healths, clock):
    wait(healths, clock, 3)
    clock.now += 10
    with contextlib.suppress(asyncio.CancelledError), healths.asking(HOST):
        raise asyncio.CancelledError
    assert healths.of(HOST).failures == 3
    assert fail(healths)
    assert healths.of(HOST).failures == 4


@pytest.mark.parametrize("back", [41, 3_600, 400_000])
def test_a_clock_set_back_does_not_lengthen_a_pause(healths, clock, back):
    wait(healths, clock, 3)
    clock.now -= back
    assert fail(healths)
    assert 0 < paused(healths, clock) <= 40


def test_a_clock_set_back_loses_no_failure(healths, clock):
    fail(healths)
    clock.now -= 3_600
    fail(healths)
    assert healths.of(HOST).failures == 2


def test_a_clock_set_back_does_not_hold_the_place_of_a_trial(healths, clock):
    wait(healths, clock, 3)
    clock.now += 10
    with healths.asking(HOST):
        clock.now -= 3_600
        assert fail(healths)


def test_a_clock_set_ahead_ends_a_pause(healths, clock):
    wait(healths, clock, 3)
    clock.now += 400_000
    assert fail(healths)


def test_what_others_wrote_down_does_not_shorten_a_pause_of_ours(healths, clock):
    wait(healths, clock, 3)
    healths.changed.clear()
    healths.take_in({HOST: Health(1, clock.now, 0, "elsewhere")})
    assert (healths.of(HOST).failures, paused(healths, clock)) == (3, 8)


def test_what_others_wrote_down_does_not_undo_what_was_found_since(healths, clock):
    written = Health(3, clock.now, clock.now + 10, "elsewhere")
    healths.take_in({HOST: written})
    assert not fail(healths)
    healths.answered(HOST)
    healths.take_in({HOST: written})
    assert fail(healths)


def test_a_server_that_others_found_well_is_asked_again(healths, clock):
    healths.take_in({HOST: Health(3, clock.now, clock.now + 10, "elsewhere")})
    assert not fail(healths)
    healths.take_in({})
    assert fail(healths)


def test_another_trial_is_not_let_in_by_what_is_taken_in(healths, clock):
    wait(healths, clock, 3)
    healths.changed.clear()
    clock.now += 10
    with healths.asking(HOST):
        healths.take_in({HOST: Health(3, clock.now, clock.now, "elsewhere")})
        assert not fail(healths)


BREAKER = {"failures": 1, "first_pause_seconds": 10, "longest_pause_seconds": 10}
AWAY = Answer(hang_up=True), Answer(hang_up=True)  # a GET is repeated once


async def ask(gateway, peer):
    """Whether a discovery that is not remembered was answered."""
    url = f"{peer.origin}/.well-known/ocm"
    try:
        async with gateway.others.guarded.request(
            authority(peer.authority), "GET", url, total_seconds=5
        ) as answer:
            return answer.status
    except ProviderFailed:
        return None


async def fail_at(gateway):
    """A request to a server that has no address."""
    with pytest.raises(ProviderFailed):
        async with gateway.others.guarded.request(HOST, "GET", f"https://{HOST}/", total_seconds=5):
            pass


async def test_of_many_at_once_one_tries_a_server_that_was_away(opened, peer):
    clock = Clock()
    gateway = await opened(clock=clock, breaker=BREAKER)
    peer.on("GET /.well-known/ocm", *AWAY, Answer(seconds=0.1, body={}))
    assert await ask(gateway, peer) is None
    tried = len(peer.seen)
    assert await ask(gateway, peer) is None
    assert len(peer.seen) == tried
    clock.now += 10
    answers = await asyncio.gather(*(ask(gateway, peer) for _ in range(20)))
    assert sorted(filter(None, answers)) == [200]
    assert len(peer.seen) == tried + 1
    assert await ask(gateway, peer) == 200


async def test_a_pause_holds_at_every_replica_and_ends_at_every_one(opened, peer):
    host = authority(peer.authority)
    gateway = await opened(breaker=BREAKER)
    second = await opened(folder="gateway", breaker=BREAKER)
    await gateway.others.registry.add(host, "")
    peer.on("GET /.well-known/ocm", *AWAY, Answer(body={}))
    assert await ask(gateway, peer) is None
    await gateway.others.registry.flush()
    tried = len(peer.seen)
    healths = second.others.registry.health
    await eventually(lambda: healths(host).failures == 1)
    assert await ask(second, peer) is None
    assert len(peer.seen) == tried
    await second.others.registry.reset(host)
    await eventually(lambda: gateway.others.registry.health(host).failures == 0)
    assert await ask(gateway, peer) == 200


async def test_a_lesser_count_of_one_replica_does_not_end_the_pause_of_another(gateway):
    write, read = gateway.state.database.write, gateway.state.database.read
    await gateway.others.registry.add(HOST, "")

    async def kept(health):
        await write(partial(providers.keep_health, states={HOST: health}))
        return await read(providers.failing)

    worse = Health(5, 10, 1000, "away")
    assert await kept(worse) == {HOST: worse}
    assert await kept(Health(1, 20, 0, "away")) == {HOST: worse}
    assert await kept(Health()) == {}


async def test_what_cannot_be_written_down_now_is_written_later(opened, monkeypatch):
    gateway = await opened(listens=False)
    registry, database = gateway.others.registry, gateway.state.database
    await registry.add(HOST, "")
    await fail_at(gateway)

    async def gone(*_, **__):
        raise Unavailable("the database is away")

    with monkeypatch.context() as away:
        away.setattr(database, "write", gone)
        with pytest.raises(Unavailable):
            await registry.flush()
    assert await database.read(providers.failing) == {}
    await registry.flush()
    assert HOST in await database.read(providers.failing)


async def test_failures_from_before_a_server_was_written_down_are_not_lost(opened):
    gateway = await opened(listens=False)
    registry = gateway.others.registry
    await fail_at(gateway)
    await registry.flush()
    await registry.note(HOST, ProviderSource.SHARE)
    await registry.flush()
    assert HOST in await gateway.state.database.read(providers.failing)
