"""What holds of every policy there could be."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.policy.conditions import Fit
from gateway.policy.facts import HELD, Action, Outcome
from gateway.policy.language import Source, build, read_data
from gateway.policy.rules import in_order, judge
from tests.policy.text import facts

HOSTS = [
    "a.one.example",
    "b.one.example:8443",
    "one.example",
    "c.two.example",
    "x.c.two.example:99",
    "192.0.2.7",
]
WHO = ["everyone", *HOSTS, "*.one.example", "*-?.two.example", "192.0.2.0/24", "b.one.example"]

rules = st.fixed_dictionaries(
    {
        "who": st.lists(st.sampled_from(WHO), min_size=1, max_size=3),
        "then": st.sampled_from(["allow", "quarantine", "deny"]),
    },
    optional={
        "except": st.lists(st.sampled_from(WHO[1:]), min_size=1, max_size=2),
        "action": st.lists(st.sampled_from([one.value for one in Action]), min_size=1, max_size=3),
        "user": st.sampled_from(["alice", "bob", "a*"]),
        "type": st.sampled_from(["file", "folder"]),
        "signed": st.booleans(),
        "invited": st.booleans(),
        "size_over": st.integers(0, 20),
        "path": st.sampled_from(["/a", "/a/*/c"]),
    },
)
situations = st.builds(
    facts,
    st.sampled_from([one.value for one in Action]),
    st.sampled_from(HOSTS),
    settled=st.booleans(),
    user=st.sampled_from(["", "alice", "bob"]),
    resource_type=st.sampled_from(["", "file", "folder"]),
    signed=st.sampled_from([None, "none", "rfc9421"]),
    invited=st.sampled_from([None, True, False]),
    size=st.sampled_from([None, 5, 50]),
    path=st.sampled_from([None, "/a", "/a/b/c"]),
)
defaults = st.sampled_from([Outcome.ALLOW, Outcome.DENY])


def made(default, texts):
    numbered = [{"id": f"r{number}"} | text for number, text in texts]
    return build(default, [Source("policy", read_data({"rules": numbered}, "policy"))])


def numbered(texts):
    return list(enumerate(texts))


@pytest.mark.conforms("OCM-GW-10")
@given(st.lists(rules, max_size=8), situations, defaults)
def test_deny_always_wins(texts, situation, default):
    denying = [
        text
        for text in texts
        if text["then"] == "deny"
        and judge(situation, made(Outcome.ALLOW, numbered([text]))).outcome is Outcome.DENY
    ]
    found = judge(situation, made(default, numbered(texts)))
    if denying:
        assert found.outcome is Outcome.DENY


@given(st.lists(rules, max_size=8), rules, situations, defaults)
def test_adding_a_deny_never_allows(texts, another, situation, default):
    before = judge(situation, made(default, numbered(texts)))
    after = judge(situation, made(default, numbered([*texts, another | {"then": "deny"}])))
    assert after.outcome >= before.outcome


@given(st.lists(rules, max_size=6), situations, defaults, st.randoms(use_true_random=False))
def test_the_order_of_rules_does_not_matter(texts, situation, default, chance):
    shuffled = numbered(texts)
    chance.shuffle(shuffled)
    assert judge(situation, made(default, numbered(texts))) == judge(
        situation, made(default, shuffled)
    )


@given(st.lists(rules, max_size=8), situations, defaults)
@settings(max_examples=200)
def test_the_index_finds_every_rule_that_means_the_server(texts, situation, default):
    policy = made(default, numbered(texts))
    asked = {
        number
        for number, one in enumerate(policy.rules)
        if one.fit(situation) and one.rule.covers(situation.provider)
    }
    likely, candidates = policy.index.likely(situation), policy.candidates(situation)
    assert asked <= likely <= candidates


@given(st.lists(rules, max_size=8), situations)
@settings(max_examples=200)
def test_the_index_finds_every_rule_that_nearly_means_the_server(texts, situation):
    policy = made(Outcome.DENY, numbered(texts))
    meant = policy.candidates(situation)
    near = {
        number
        for number, one in enumerate(policy.rules)
        if any(names.near(situation.provider) for names in one.rule.who)
        and not any(names.everyone for names in one.rule.who)
    }
    assert policy.index.nearly(situation.provider) - meant == near - meant


new = st.builds(
    lambda situation, action: situation._replace(action=action, settled=True),
    situations,
    st.sampled_from(sorted(HELD)),
)
"""Situations in which a quarantine holds what is asked for."""


@given(st.lists(rules, max_size=8), new)
@settings(max_examples=500)
def test_of_the_rules_that_count_the_first_decides(texts, situation):
    policy = made(Outcome.DENY, numbered(texts))
    counts = [
        one.rule.id
        for one in in_order(policy)
        if one.rule.covers(situation.provider) and one.fit(situation) is Fit.YES
    ]
    assert judge(situation, policy).rule == [*counts, "default"][0]
