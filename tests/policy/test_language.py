"""The language: what is refused, and that all faults are named at once."""

import json

import pytest

from gateway.policy.language import BadPolicy, read_text
from gateway.policy.rules import judge
from tests.policy.text import facts, policy


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("allow: ['*']", "write everyone"),
        ("allow: ['*.com']", "all-below:com"),
        ("allow: ['*.ac.uk']", "all-below:ac.uk"),
        ("deny: ['*.*']", "too wide"),
        ("deny: ['cloud*.com']", "too wide"),
        ("allow: ['0.0.0.0/0']", "write everyone"),
        ("allow: ['192.0.2.1/24']", "no network"),
        ("allow: ['https://a.example.org']", "names no server"),
        ("allow: ['a b']", "names no server"),
        ("allow: ['*.example.org:8443']", "has a port"),
        ("allow: ['@nobody']", "there is no set @nobody"),
        ("rules: [{who: a.example.org}]", "then: is missing"),
        ("rules: [{then: allow}]", "who: is missing"),
        ("rules: [{who: [], then: allow}]", "is empty"),
        ("rules: [{who: a.example.org, then: allow, user: []}]", "is empty"),
        ("rules: [{who: a.example.org, then: allow, action: []}]", "is empty"),
        ("rules: [{who: a.example.org, then: perhaps}]", "then"),
        ("rules: [{who: a.example.org, then: allow, action: share}]", "action"),
        ("rules: [{who: a.example.org, then: allow, path: public}]", "slash"),
        ("rules: [{who: a.example.org, then: allow, hours: 8-18}]", "08:00-18:30"),
        ("rules: [{who: a.example.org, then: allow, days: someday}]", "no day"),
        ("rules: [{who: a.example.org, then: allow, size_over: big}]", "500MB"),
        ("rules: [{who: a.example.org, then: allow, whom: x}]", "there is no such key"),
        ("rules: [{who: a.example.org, then: deny, limits: {read_only: true}}]", "allow only"),
        ("rules: [{who: a.example.org, then: allow, limits: {max_expiration_days: 0}}]", "greater"),
        ("rules: [{id: x, who: a.example.org, then: allow}, {id: x, who: everyone, then: deny}]",
         "stands for two rules"),
        ("allow: [a.example.org]\nallow: [b.example.org]", "stands twice"),
        ("sets: {a: &x [a.example.org], b: *x}", "aliases"),
        ("- allow", "not a mapping"),
        ("allow: [", "not YAML"),
        ('{"allow": ["a.example.org"], "allow": []}', "stands twice"),
        ("!!python/object/apply:os.system ['true']", "not YAML"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_the_way_to_say_it(text, said):
    with pytest.raises(BadPolicy) as caught:
        policy(text)
    assert said in caught.value.message


def test_all_faults_are_named_at_once():
    with pytest.raises(BadPolicy) as caught:
        policy("allow: ['*', '*.com']\nrules: [{who: '@none', then: allow}]")
    assert len(caught.value.faults) == 3


@pytest.mark.parametrize(
    ("entry", "host"),
    [
        ("everyone", "a.example.org"),
        ("all-below:com", "a.com"),
        ("all-below:ac.uk", "a.b.ac.uk"),
        ("*.test", "a.test"),
        ("EVIL.example.org.", "evil.example.org"),
        ("*.Evil.example.org", "a.evil.example.org"),
        ("bücher.example.org", "xn--bcher-kva.example.org"),
        ("a?b*.example.org", "axbyy.example.org:8443"),
    ],
)
def test_what_is_meant_can_be_said(entry, host):
    found = policy(json.dumps({"allow": [entry]}))
    assert judge(facts("share-in", host), found).allowed


def test_an_empty_list_allows_nobody():
    assert not judge(facts("share-in", "a.example.org"), policy("allow: []")).allowed
    empty = policy("sets: {nobody: []}\nrules: [{who: '@nobody', then: allow}]")
    assert not judge(facts("share-in", "a.example.org"), empty).allowed


def test_a_directory_that_was_not_fetched_has_no_servers():
    found = policy("allow: ['dir:later']")
    assert not judge(facts("share-in", "a.example.org"), found).allowed


def test_a_text_of_megabytes_is_not_read():
    with pytest.raises(BadPolicy):
        read_text("#" * (5 << 20), "policy")


def test_comments_go_where_they_belong():
    found = judge(
        facts("share-in", "a.example.org"),
        policy(
            "rules: [{who: a.example.org, then: deny, comment: ticket 7, public_comment: see us}]"
        ),
    )
    assert "ticket 7" in found.reason
    assert found.told == "see us"
