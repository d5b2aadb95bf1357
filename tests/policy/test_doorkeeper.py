"""The doorkeeper: names are canonical, refusals say little, what is known is asked once."""

import pytest

from gateway import config
from gateway.errors import Refused, TooMany, Unsigned
from gateway.logs import ADDRESS
from gateway.ocm.address import authority
from gateway.policy import sources
from gateway.policy.doorkeeper import Doorkeeper
from gateway.policy.facts import Action
from tests.policy.text import facts
from tests.sharing.stage import Clock
from tests.test_rates import rates


def keeper(default="deny", clock=lambda: 60, counted=lambda *_: None, **policy):
    settings = config.Policy(default=default, **policy)
    return Doorkeeper(sources.from_config(settings), clock=clock, counted=counted)


@pytest.mark.conforms("OCM-GW-09")
@pytest.mark.parametrize("entry", ["EVIL.example", "evil.example.", "evil.example:443"])
@pytest.mark.parametrize("host", ["evil.example", "Evil.Example.", "evil.example:443"])
def test_a_denied_server_is_denied_in_every_spelling(entry, host):
    with pytest.raises(Refused) as caught:
        keeper("allow", deny=(entry,)).admit_provider(authority(host))
    assert "evil" not in caught.value.message
    assert "evil.example" in caught.value.detail
    assert len(caught.value.decision) == 16


@pytest.mark.parametrize("entry", ["*.EVIL.example", "*.evil.example."])
def test_a_denied_suffix_is_denied_in_every_spelling(entry):
    found = keeper("allow", deny=(entry,))
    assert not found.judge(authority("a.evil.example")).allowed
    assert found.judge(authority("evil.example")).allowed


def test_an_admitted_server_passes():
    keeper(allow=("a.example",)).admit_provider(authority("a.example"))


def test_the_same_refusal_keeps_its_id_for_a_while():
    now = 60
    found = keeper(clock=lambda: now)

    def refused():
        with pytest.raises(Refused) as caught:
            found.admit_provider(authority("a.example"), Action.SHARE_IN)
        return caught.value.decision

    first = refused()
    assert refused() == first
    now += 61
    assert refused() != first


def test_an_adopted_policy_holds_at_once():
    found = keeper(allow=("a.example",))
    found.admit_provider(authority("a.example"))
    found.adopt(sources.from_config(config.Policy(default="deny")))
    with pytest.raises(Refused):
        found.admit_provider(authority("a.example"))


def test_a_rule_by_network_asks_who_calls():
    found = keeper(rules=({"who": "192.0.2.0/24", "then": "allow"},))
    token = ADDRESS.set("192.0.2.9")
    try:
        found.admit_provider(authority("a.example"))
        ADDRESS.set("198.51.100.1")
        with pytest.raises(Refused):
            found.admit_provider(authority("a.example"))
    finally:
        ADDRESS.reset(token)


def test_a_rate_is_kept():
    clock = Clock(60)
    limited = {"who": "a.example", "then": "allow", "limits": {"rate_per_minute": 2}}
    found = keeper(clock=clock, counted=rates(clock).within, rules=(limited,))
    for _ in range(2):
        found.admit(facts("share-in", "a.example"))
    with pytest.raises(TooMany) as caught:
        found.admit(facts("share-in", "a.example"))
    assert caught.value.decision
    assert caught.value.retry_after == 30
    assert "2 of these a minute" in caught.value.message
    clock.now += 30
    found.admit(facts("share-in", "a.example"))


def test_who_must_sign_is_told_so():
    limited = {"who": "a.example", "then": "allow", "limits": {"must_be_signed": True}}
    found = keeper(rules=(limited,))
    with pytest.raises(Unsigned):
        found.admit(facts("share-in", "a.example", signed="none"))
    found.admit(facts("share-in", "a.example", signed="cavage"))


def test_the_groups_of_a_user_are_the_policys():
    rule = {"who": "everyone", "group": "staff", "action": "share-out", "then": "allow"}
    found = keeper(groups={"staff": ("alice",)}, rules=(rule,))
    found.admit(facts("share-out", "a.example", user="alice"))
    with pytest.raises(Refused):
        found.admit(facts("share-out", "a.example", user="bob"))


def test_shares_are_held_either_way_everything_else_waits_outside():
    found = keeper(rules=({"who": "a.example", "then": "quarantine"},))
    for action in (Action.SHARE_IN, Action.SHARE_OUT):
        found.admit_provider(authority("a.example"), action)
        assert found.admit(facts(action.value, "a.example")).held
    for action in (Action.INVITE, Action.REQUEST):
        with pytest.raises(Refused):
            found.admit(facts(action.value, "a.example"))
