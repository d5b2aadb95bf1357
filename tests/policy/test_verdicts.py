"""What policy says, case by case: facts on the left, the verdict on the right."""

from datetime import UTC, datetime

import pytest

from gateway.policy.facts import Action
from gateway.policy.rules import judge
from tests.policy.text import facts, policy

POLICY = """
allow: [friend.example.org, "*.uni.example.org", port.example.org:8443]
deny: [evil.example.org, "*.evil.example.org", old.uni.example.org]
sets:
  partners: [p1.example.net, "*.p2.example.net", "node-??.p3.example.net"]
rules:
  - {id: partners, who: "@partners", action: [share-in, share-out], then: allow,
     limits: {read_only: true, max_expiration_days: 30}}
  - {id: partners-signed, who: "@partners", action: share-in, signed: none, then: deny,
     public_comment: sign your requests}
  - {id: campus, who: 192.0.2.0/24, except: 192.0.2.66/32, action: [invite, share-in], then: allow}
  - {id: campus6, who: "2001:db8::/32", action: share-in, then: allow}
  - {id: federation, who: "dir:national", action: [share-in], then: allow,
     limits: {must_exchange: true, must_be_signed: true}}
  - {id: new, who: "*.new.example.org", then: quarantine}
  - {id: staff, who: everyone, action: share-out, group: staff, path: /public, then: allow}
  - {id: bob, who: everyone, action: share-out, user: bob, permissions: read,
     type: file, size_under: 1MB, then: allow}
  - {id: secret, who: everyone, action: share-out, path: ["/secret", "/*/private"], then: deny}
  - {id: writers, who: "*.w.example.org", action: share-in, permissions: [write, share],
     then: quarantine}
  - {id: readers, who: "*.w.example.org", action: share-in, then: allow}
  - {id: known, who: "*.inv.example.org", action: share-in, then: allow,
     limits: {must_be_invited: true, max_size: 1GiB}}
  - {id: mfa, who: "*.mfa.example.org", mfa: true, then: allow}
  - {id: able, who: "*.cap.example.org", action: share-out,
     capability: [exchange-token, http-sig], then: allow}
  - {id: pins, who: "*.pin.example.org", pinned: true, then: allow}
  - {id: modern, who: "*.sig.example.org", action: share-in, signed: rfc9421, then: allow}
  - {id: dav, who: "*.dav.example.org", action: share-in, protocol: webdav, then: allow}
  - {id: nossh, who: "*.dav.example.org", action: share-in, protocol: ssh, then: deny}
  - {id: office, who: "*.time.example.org", days: mon-fri, hours: "08:00-18:00", then: allow}
  - {id: night, who: "*.night.example.org", hours: "22:00-06:00", then: allow}
  - {id: summer, who: "*.date.example.org", after: 2026-06-01, before: 2026-09-01, then: allow}
  - {id: asking, who: "*.ask.example.org", action: request, then: allow}
  - {id: whole, who: "all-below:island", then: allow}
"""
LIVE = policy(POLICY, directories={"national": ["d1.example.com", "d2.example.com:8443"]})
MONDAY_NOON = int(datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp())
SUNDAY_NOON = MONDAY_NOON - 86_400
MONDAY_NIGHT = MONDAY_NOON + 11 * 3600
SIGNED = {"signed": "rfc9421"}
FREE = {"user": "bob", "permissions": ["read"], "resource_type": "file", "size": 10, "path": "/x"}

everything = [action.value for action in Action]
NAMES = [
    ("friend.example.org", "allow", "allow"),
    ("friend.example.org:8443", "allow", "allow"),
    ("FRIEND.example.org.", "allow", "allow"),
    ("a.friend.example.org", "deny", "default"),
    ("friend.example.org.net", "deny", "default"),
    ("a.uni.example.org", "allow", "allow"),
    ("b.a.uni.example.org", "allow", "allow"),
    ("uni.example.org", "deny", "default"),
    ("auni.example.org", "deny", "default"),
    ("old.uni.example.org", "deny", "deny"),
    ("port.example.org:8443", "allow", "allow"),
    ("port.example.org", "deny", "default"),
    ("evil.example.org", "deny", "deny"),
    ("evil.example.org:444", "deny", "deny"),
    ("very.evil.example.org", "deny", "deny"),
    ("stranger.example.org", "deny", "default"),
    ("a.island", "allow", "whole"),
]
BY_NAME = [
    (action, host, {}, outcome, rule) for host, outcome, rule in NAMES for action in everything
]
FINER = [
    ("share-in", "p1.example.net", SIGNED, "allow", "partners"),
    ("share-out", "p1.example.net", {}, "allow", "partners"),
    ("share-in", "x.p2.example.net", SIGNED, "allow", "partners"),
    ("share-in", "p2.example.net", SIGNED, "deny", "default"),
    ("share-in", "node-01.p3.example.net", SIGNED, "allow", "partners"),
    ("share-in", "node-001.p3.example.net", SIGNED, "deny", "default"),
    ("share-in", "node-0.1.p3.example.net", SIGNED, "deny", "default"),
    ("share-in", "p1.example.net", {"signed": "cavage"}, "allow", "partners"),
    ("share-in", "p1.example.net", {"signed": "none"}, "deny", "partners-signed"),
    ("share-in", "p1.example.net", {}, "deny", "partners-signed"),
    ("invite", "p1.example.net", SIGNED, "deny", "default"),
    ("request", "p1.example.net", SIGNED, "deny", "default"),
    ("token", "p1.example.net", {}, "allow", "partners"),
    ("access", "p1.example.net", {}, "allow", "partners"),
    ("transfer", "p1.example.net", {}, "allow", "partners"),
    ("notification", "p1.example.net", {}, "allow", "partners"),
    ("discover", "p1.example.net", {}, "allow", "partners"),
    ("share-in", "c.example.org", {"address": "192.0.2.7"}, "allow", "campus"),
    ("invite", "c.example.org", {"address": "192.0.2.7"}, "allow", "campus"),
    ("share-in", "c.example.org", {"address": "::ffff:192.0.2.7"}, "allow", "campus"),
    ("share-in", "c.example.org", {"address": "192.0.2.66"}, "deny", "default"),
    ("share-in", "c.example.org", {"address": "192.0.3.7"}, "deny", "default"),
    ("share-in", "c.example.org", {}, "deny", "default"),
    ("share-out", "c.example.org", {"address": "192.0.2.7"}, "deny", "default"),
    ("share-in", "192.0.2.9", {}, "allow", "campus"),
    ("share-in", "192.0.2.66:8443", {}, "deny", "default"),
    ("share-in", "[2001:db8::1]", {}, "allow", "campus6"),
    ("share-in", "[2001:db9::1]", {}, "deny", "default"),
    ("share-in", "c.example.org", {"address": "2001:db8:1::1"}, "allow", "campus6"),
    ("share-in", "d1.example.com", SIGNED | {"exchanges": True}, "allow", "federation"),
    ("share-in", "d1.example.com", {"exchanges": True}, "deny", "federation"),
    ("share-in", "d1.example.com", SIGNED, "deny", "federation"),
    ("share-in", "d2.example.com:8443", SIGNED | {"exchanges": True}, "allow", "federation"),
    ("share-in", "d2.example.com", SIGNED | {"exchanges": True}, "deny", "default"),
    ("share-in", "d3.example.com", SIGNED | {"exchanges": True}, "deny", "default"),
    ("share-in", "a.new.example.org", {}, "quarantine", "new"),
    ("share-out", "a.new.example.org", {}, "quarantine", "new"),
    ("invite", "a.new.example.org", {}, "quarantine", "new"),
    ("request", "a.new.example.org", {}, "quarantine", "new"),
    ("discover", "a.new.example.org", {}, "allow", "new"),
    ("notification", "a.new.example.org", {}, "allow", "new"),
    ("access", "a.new.example.org", {}, "allow", "new"),
    ("transfer", "a.new.example.org", {}, "allow", "new"),
    ("share-out", "x.example.com", {"groups": ["staff"], "path": "/public"}, "allow", "staff"),
    ("share-out", "x.example.com", {"groups": ["staff"], "path": "/public/a/b"}, "allow", "staff"),
    ("share-out", "x.example.com", {"groups": ["staff"], "path": "/publicity"}, "deny", "default"),
    ("share-out", "x.example.com", {"groups": ["guests"], "path": "/public"}, "deny", "default"),
    ("share-out", "x.example.com", {"groups": ["staff"]}, "deny", "default"),
    ("share-in", "x.example.com", {"groups": ["staff"], "path": "/public"}, "deny", "default"),
    ("share-out", "x.example.com", FREE, "allow", "bob"),
    ("share-out", "x.example.com", FREE | {"user": "bobby"}, "deny", "default"),
    ("share-out", "x.example.com", FREE | {"permissions": ["write"]}, "deny", "default"),
    ("share-out", "x.example.com", FREE | {"permissions": ["read", "write"]}, "allow", "bob"),
    ("share-out", "x.example.com", FREE | {"resource_type": "folder"}, "deny", "default"),
    ("share-out", "x.example.com", FREE | {"size": 999_999}, "allow", "bob"),
    ("share-out", "x.example.com", FREE | {"size": 1_000_000}, "deny", "default"),
    ("share-out", "x.example.com", FREE | {"size": None}, "deny", "default"),
    ("share-out", "x.example.com", FREE | {"path": "/secret"}, "deny", "secret"),
    ("share-out", "x.example.com", FREE | {"path": "/secret/plan"}, "deny", "secret"),
    ("share-out", "x.example.com", FREE | {"path": "/secretary"}, "allow", "bob"),
    ("share-out", "x.example.com", FREE | {"path": "/a/private/b"}, "deny", "secret"),
    ("share-out", "x.example.com", FREE | {"path": "/a/b/private"}, "allow", "bob"),
    ("share-out", "friend.example.org", {"path": "/secret"}, "deny", "secret"),
    ("token", "x.example.com", FREE | {"size": 10**9}, "allow", "bob"),
    ("share-in", "a.w.example.org", {"permissions": ["read"]}, "allow", "readers"),
    ("share-in", "a.w.example.org", {"permissions": ["write"]}, "quarantine", "writers"),
    ("share-in", "a.w.example.org", {"permissions": ["read", "share"]}, "quarantine", "writers"),
    ("share-in", "a.inv.example.org", {"invited": True, "size": 5}, "allow", "known"),
    ("share-in", "a.inv.example.org", {"invited": False}, "deny", "known"),
    ("share-in", "a.inv.example.org", {}, "deny", "known"),
    ("share-in", "a.inv.example.org", {"invited": True, "size": 1 << 31}, "deny", "known"),
    ("share-in", "a.inv.example.org", {"invited": True, "size": 1 << 30}, "allow", "known"),
    ("share-out", "a.mfa.example.org", {"mfa": True}, "allow", "mfa"),
    ("share-out", "a.mfa.example.org", {"mfa": False}, "deny", "default"),
    ("share-out", "a.mfa.example.org", {}, "deny", "default"),
    ("share-out", "a.cap.example.org", {"capabilities": ["exchange-token"]}, "deny", "default"),
    (
        "share-out",
        "a.cap.example.org",
        {"capabilities": ["exchange-token", "http-sig"]},
        "allow",
        "able",
    ),
    ("share-out", "a.cap.example.org", {}, "deny", "default"),
    ("share-in", "a.pin.example.org", {"pinned": True}, "allow", "pins"),
    ("share-in", "a.pin.example.org", {"pinned": False}, "deny", "default"),
    ("share-in", "a.sig.example.org", SIGNED, "allow", "modern"),
    ("share-in", "a.sig.example.org", {"signed": "cavage"}, "deny", "default"),
    ("share-in", "a.sig.example.org", {"signed": "none"}, "deny", "default"),
    ("share-in", "a.dav.example.org", {"protocols": ["webdav"]}, "allow", "dav"),
    ("share-in", "a.dav.example.org", {"protocols": ["webdav", "ssh"]}, "deny", "nossh"),
    ("share-in", "a.dav.example.org", {"protocols": ["webapp"]}, "deny", "default"),
    ("share-in", "a.time.example.org", {"at": MONDAY_NOON}, "allow", "office"),
    ("share-in", "a.time.example.org", {"at": SUNDAY_NOON}, "deny", "default"),
    ("share-in", "a.time.example.org", {"at": MONDAY_NIGHT}, "deny", "default"),
    ("share-in", "a.time.example.org", {"at": MONDAY_NOON + 6 * 3600 - 1}, "allow", "office"),
    ("share-in", "a.time.example.org", {"at": MONDAY_NOON + 6 * 3600}, "deny", "default"),
    ("access", "a.night.example.org", {"at": MONDAY_NIGHT}, "allow", "night"),
    ("access", "a.night.example.org", {"at": MONDAY_NIGHT + 4 * 3600}, "allow", "night"),
    ("access", "a.night.example.org", {"at": MONDAY_NOON}, "deny", "default"),
    ("share-in", "a.date.example.org", {"at": MONDAY_NOON}, "allow", "summer"),
    ("share-in", "a.date.example.org", {"at": SUNDAY_NOON}, "deny", "default"),
    ("share-in", "a.date.example.org", {"at": MONDAY_NOON + 92 * 86_400}, "deny", "default"),
    ("request", "a.ask.example.org", {}, "allow", "asking"),
    ("notification", "a.ask.example.org", {}, "allow", "asking"),
    ("share-in", "a.ask.example.org", {}, "deny", "default"),
]


def test_there_are_at_least_two_hundred_cases():
    assert len(BY_NAME) + len(FINER) >= 200


@pytest.mark.parametrize(("action", "host", "known", "outcome", "rule"), BY_NAME + FINER)
def test_facts_lead_to_a_verdict(action, host, known, outcome, rule):
    found = judge(facts(action, host, **known), LIVE)
    assert (found.outcome.word, found.rule) == (outcome, rule), found.reason


@pytest.mark.parametrize(
    ("action", "host", "known", "outcome"),
    [
        ("share-in", "p1.example.net", {}, "allow"),  # it may yet prove to be signed
        ("share-in", "p1.example.net", {"signed": "none"}, "deny"),
        ("share-in", "d1.example.com", {}, "allow"),
        ("share-in", "a.inv.example.org", {}, "allow"),
        ("share-in", "a.inv.example.org", {"size": 1 << 40}, "deny"),
        ("share-out", "x.example.com", {}, "allow"),  # it may yet be bob's
        ("share-out", "x.example.com", {"user": "carol"}, "deny"),
        ("share-in", "x.example.com", {}, "deny"),
        ("share-in", "evil.example.org", {}, "deny"),
        ("share-in", "a.w.example.org", {}, "allow"),
        ("access", "a.mfa.example.org", {}, "allow"),
        ("share-in", "a.new.example.org", {}, "quarantine"),
    ],
)
def test_a_first_look_refuses_only_what_nothing_can_save(action, host, known, outcome):
    found = judge(facts(action, host, settled=False, **known), LIVE)
    assert found.outcome.word == outcome, found.reason


def test_limits_of_all_that_allow_add_up():
    found = judge(
        facts("share-in", "a.example.net", signed="rfc9421"),
        policy("""
            rules:
              - {who: a.example.net, then: allow, limits: {max_expiration_days: 30, max_size: 5}}
              - {who: "*.example.net", then: allow, limits: {max_expiration_days: 7}}
              - {who: everyone, action: share-in, then: allow, limits: {read_only: true}}
              - {who: everyone, action: share-out, then: allow, limits: {must_exchange: true}}
        """),
    )
    assert found.limits.described() == {
        "read_only": True,
        "max_expiration_seconds": 7 * 86_400,
        "max_size": 5,
    }


@pytest.mark.parametrize(
    ("local", "central", "outcome"),
    [
        ("allow", "allow", "allow"),
        ("allow", "quarantine", "allow"),
        ("quarantine", "allow", "quarantine"),
        ("allow", "deny", "deny"),
        ("deny", "allow", "deny"),
    ],
)
def test_a_local_rule_sets_central_ones_aside_but_for_a_deny(local, central, outcome):
    rule = "rules: [{{who: a.example.net, then: {}}}]"
    found = policy(rule.format(local), central=rule.format(central))
    assert judge(facts("share-in", "a.example.net"), found).outcome.word == outcome


def test_a_central_limit_is_lifted_by_a_local_allow():
    central = "rules: [{who: '*.example.net', then: allow, limits: {read_only: true}}]"
    assert judge(facts("access", "a.example.net"), policy("{}", central=central)).limits.read_only
    local = policy("allow: [a.example.net]", central=central)
    assert not judge(facts("access", "a.example.net"), local).limits.read_only
