"""The counting: who has used up a minute's worth waits, and nobody's address costs memory."""

import pytest

from gateway import config
from gateway.errors import TooMany, Unauthorized
from gateway.rates import MOST, Rates, network_of
from tests.sharing.stage import Clock

SETTINGS = {
    "public": {"origin": "https://a.example"},
    "storage": {"url": "http://127.0.0.1:1"},
    "policy": {"default": "deny"},
    "limits": {"ocm_requests_per_minute": 3, "failed_logins_per_minute": 2},
}


def rates(clock=None, **changes):
    return Rates(config.parse(SETTINGS | changes), clock or Clock())


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


def test_guesses_that_came_at_once_are_all_owed():
    clock = Clock(1000)
    found = rates(clock)
    for _ in range(10):
        found.guessed("login", "a")
    with pytest.raises(TooMany) as caught:
        found.check("login", "a")
    assert caught.value.retry_after == 9 * 30
    for _ in range(10_000):
        found.guessed("login", "a")
    clock.now += 3600
    found.check("login", "a")


def test_a_name_is_closed_to_many_strangers_and_not_to_one():
    found = rates()

    def guess(who):
        with found.guessing("login", who, Unauthorized, name="alice"):
            raise Unauthorized("wrong", challenges=())

    for _ in range(2):
        with pytest.raises(Unauthorized):
            guess("first")
    with pytest.raises(TooMany):
        guess("first")
    with found.guessing("login", "second", Unauthorized, name="alice"):
        pass  # alice herself comes in
    for who in range(8):
        with pytest.raises(Unauthorized):
            guess(str(who))
    with pytest.raises(TooMany):
        guess("yet another")


def test_a_flood_of_addresses_costs_no_memory():
    found = rates()
    for number in range(MOST + 5000):
        found.count("ocm", f"address {number}")
    assert len(found._empty_at["ocm"]) == MOST
    found.count("ocm", f"address {MOST}")


def test_switched_off_nobody_is_counted():
    found = rates(testing={"rate_limits": False})
    for _ in range(50):
        found.count("ocm", "a")
        found.guessed("login", "a")
    found.check("login", "a")


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
