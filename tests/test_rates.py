"""The counting: who has used up a minute's worth waits, and nobody's address costs memory."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import pytest

from gateway import config
from gateway.errors import TooMany, Unauthorized
from gateway.rates import MOST, Rates, network_of
from gateway.store import rates as store
from gateway.store.place import PostgresAddress
from gateway.store.state import open_state
from tests.pair import eventually
from tests.sharing.stage import Clock

SETTINGS = {
    "public": {"origin": "https://a.example"},
    "storage": {"url": "http://127.0.0.1:1"},
    "policy": {"default": "deny"},
    "limits": {"ocm_requests_per_minute": 3, "failed_logins_per_minute": 2},
}


def rates(clock=None, **changes):
    return Rates(config.parse(SETTINGS | changes), clock=clock or Clock())


def refused(found, scope, who):
    with pytest.raises(TooMany) as caught:
        found.count(scope, who)
    return caught.value.retry_after


def test_a_minutes_worth_may_come_at_once_and_comes_back_evenly():
    clock = Clock(1000)
    found = rates(clock)
    for _ in range(3):
        found.count("ocm", "a")
    assert refused(found, "ocm", "a") == 20
    clock.now += 19
    assert refused(found, "ocm", "a") == 1
    clock.now += 1
    found.count("ocm", "a")
    assert refused(found, "ocm", "a") == 20
    clock.now += 60
    for _ in range(3):
        found.count("ocm", "a")


def test_what_was_refused_costs_nothing():
    clock = Clock(1000)
    found = rates(clock)
    for _ in range(3):
        found.count("ocm", "a")
    for _ in range(50):
        refused(found, "ocm", "a")
    clock.now += 20
    found.count("ocm", "a")


def test_each_is_counted_alone_and_in_each_scope():
    found = rates()
    for _ in range(3):
        found.count("ocm", "a")
    found.count("ocm", "b")
    found.count("wayf", "a")
    refused(found, "ocm", "a")


async def test_guesses_that_came_at_once_are_all_owed():
    clock = Clock(1000)
    found = rates(clock)
    for _ in range(10):
        await found.guessed(("login", "a"))
    with pytest.raises(TooMany) as caught:
        await found.check(("login", "a"))
    assert caught.value.retry_after == 9 * 30
    for _ in range(10_000):
        await found.guessed(("login", "a"))
    clock.now += 3600
    await found.check(("login", "a"))


async def test_a_name_is_closed_to_many_strangers_and_not_to_one():
    found = rates()

    async def guess(who):
        async with found.guessing("login", who, Unauthorized, name="alice"):
            raise Unauthorized("wrong", challenges=())

    for _ in range(2):
        with pytest.raises(Unauthorized):
            await guess("first")
    with pytest.raises(TooMany):
        await guess("first")
    async with found.guessing("login", "second", Unauthorized, name="alice"):
        pass  # alice herself comes in
    for who in range(8):
        with pytest.raises(Unauthorized):
            await guess(str(who))
    with pytest.raises(TooMany):
        await guess("yet another")


def test_a_flood_of_addresses_costs_no_memory():
    found = rates()
    for number in range(MOST + 5000):
        found.count("ocm", f"address {number}")
    assert len(found._empty_at["ocm"]) == MOST
    found.count("ocm", f"address {MOST}")


async def test_switched_off_nobody_is_counted_but_what_a_rule_limits():
    found = rates(testing={"rate_limits": False})
    for _ in range(50):
        found.count("ocm", "a")
        await found.guessed(("login", "a"))
    await found.check(("login", "a"))
    found.within(1, "a")
    with pytest.raises(TooMany):
        found.within(1, "a")


@pytest.fixture(params=["sqlite", "postgres"])
async def states(request, tmp_path):
    """What two processes share, as each of them has it."""
    shared = request.param == "postgres"
    place = PostgresAddress(request.getfixturevalue("postgres")) if shared else tmp_path / "db"
    async with AsyncExitStack() as stack:
        found = []
        for _ in range(2):
            found.append(await open_state(tmp_path, place, tmp_path / "key"))
            stack.push_async_callback(found[-1].close)
        yield found


@asynccontextmanager
async def working(*several):
    tasks = [asyncio.create_task(one.work()) for one in several]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def processes(states):
    return [Rates(config.parse(SETTINGS), state) for state in states]


def held(found, scope, who):
    """How many seconds a process believes to be in a bucket."""
    return found._left(found._bucket(scope, who), found._clock())


async def full(found, scope, who):
    try:
        await found.check((scope, who))
    except TooMany:
        return True
    return False


async def test_a_guess_at_one_process_is_known_at_the_other_before_it_is_answered(states):
    one, two = processes(states)
    await one.guessed(("login", "a"), ("name", "alice"))
    await two.guessed(("login", "a"), ("name", "alice"))
    for found in (one, two):
        with pytest.raises(TooMany) as caught:
            await found.check(("login", "a"), ("name", "alice"))
        assert 25 <= caught.value.retry_after <= 30
        await found.check(("login", "b"), ("name", "alice"))
    for number in range(4):
        await (one, two)[number % 2].guessed(("login", str(number)), ("name", "alice"))
    for number in range(4):
        await (one, two)[number % 2].guessed(("login", str(number + 4)), ("name", "alice"))
    assert await full(one, "name", "alice")
    assert await full(two, "name", "alice")


async def test_guesses_at_many_processes_at_once_are_all_owed(states):
    one, two = processes(states)
    await asyncio.gather(*(found.guessed(("login", "a")) for found in (one, two) * 10))
    assert await full(one, "login", "a")
    assert await full(two, "login", "a")
    [owed] = (await states[0].database.read(partial(store.fullest, least=0, most=9))).values()
    assert 20 * 30 - 60 <= owed <= 20 * 30


async def test_what_is_known_to_be_right_asks_nobody(states):
    one, two = processes(states)
    for _ in range(2):
        await one.guessed(("login", "a"))
    async with two.guessing("login", "a", Unauthorized, known=True):
        pass
    with pytest.raises(TooMany):
        async with two.guessing("login", "a", Unauthorized):
            pass


async def test_what_is_counted_is_soon_known_and_what_was_too_much_is_owed(states):
    one, two = processes(states)
    for _ in range(3):
        one.count("ocm", "a")
        two.count("ocm", "a")
    two.within(1, "b")
    two.count("ocm", "c")
    async with working(one, two):
        await eventually(lambda: refused(one, "ocm", "a") > 60)
        await eventually(lambda: refused(two, "ocm", "a") > 60)
        await eventually(lambda: held(one, "policy", "b") > 30)
        with pytest.raises(TooMany):
            one.within(1, "b")
    for _ in range(2):
        one.count("ocm", "c")
    one.count("ocm", "d")


async def test_a_database_that_is_gone_neither_opens_nor_closes(tmp_path):
    async with AsyncExitStack() as stack:
        states = []
        for _ in range(2):
            states.append(await open_state(tmp_path, tmp_path / "db", tmp_path / "key"))
            stack.push_async_callback(states[-1].close)
        one, two = processes(states)
        await one.check(("login", "z"))
        (tmp_path / "db").rename(tmp_path / "elsewhere")
        for _ in range(2):
            await one.check(("login", "a"))
            await one.guessed(("login", "a"))
            one.count("ocm", "a")
        assert await full(one, "login", "a")
        assert not await full(one, "login", "b")
        assert not await full(two, "login", "a")
        (tmp_path / "elsewhere").rename(tmp_path / "db")
        async with working(one, two):

            async def told():
                return await full(two, "login", "a")

            await eventually(told)
            await eventually(lambda: held(two, "ocm", "a") > 30)


async def test_empty_buckets_are_swept_and_no_name_is_kept(states):
    one, _ = processes(states)
    await one.guessed(("login", "192.0.2.7"), ("name", "alice"))
    database = states[0].database
    await database.write(store.sweep)
    kept = await database.read(partial(store.fullest, least=0, most=9))
    assert sorted(bucket.split()[0] for bucket in kept) == ["login", "name"]
    assert not any("alice" in bucket or "192.0.2.7" in bucket for bucket in kept)
    gone = dict.fromkeys(kept, -3600.0)
    await database.write(lambda connection: store.pour(connection, gone, 60))
    await database.write(store.sweep)
    assert await database.read(lambda connection: store.fullest(connection, -7200, 9)) == {}


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("2001:DB8:1:3::9", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("no:address", "no:address"),
        ("", ""),
    ],
)
def test_an_ipv6_address_stands_for_its_network(address, network):
    assert network_of(address) == network
