"""A refusal is explained to the operator, and a change can be tried before it holds."""

import asyncio
import json
import urllib.request

import pytest

from gateway.policy.language import Source, read_text
from gateway.policy.lint import lint
from tests import servers
from tests.pair import running
from tests.peer import open_peer
from tests.policy.text import policy


async def test_a_refusal_leads_by_its_id_to_command_api_and_log(tmp_path):
    rules = {"default": "allow", "deny": ["127.0.0.1"], "rules": []}
    with (
        servers.wsgidav(tmp_path) as storage,
        running(tmp_path / "a", storage.url, policy=rules) as gateway,
    ):
        async with open_peer() as peer:
            body = peer.share(f"alice@{gateway.authority}")
            request = peer.signed("POST", f"{gateway.origin}/ocm/shares", body)
            answer = await peer.send(request)
        assert answer.status == 403
        decision = answer.json()["decision"]
        assert answer.headers["X-Decision-Id"] == decision
        told = await asyncio.to_thread(fetch, f"{gateway.management}/policy/decisions/{decision}")
        assert told == gateway.run("policy", "explain", decision)
        assert told["provider"] == peer.authority
        [tried] = next(step for step in told["chain"] if step["step"] == "rules")["tried"]
        assert (tried["rule"], tried["then"], tried["counts"]) == ("deny", "deny", "yes")
        [line] = [line for line in gateway.log.read_text().splitlines() if decision in line][:1]
        assert told["reason"] in line
        assert gateway.run("policy", "explain", "0123456789abcdef", code=5)

        found = gateway.run("policy", "what-if", "share-in", "127.0.0.1", "--fact", "user=alice")
        assert (found["outcome"], found["rule"]) == ("deny", "deny")
        cases = tmp_path / "cases.yaml"
        cases.write_text(
            "- {action: share-in, server: 127.0.0.1, expect: deny, rule: deny}\n"
            "- {action: share-in, server: good.example.org, expect: allow}\n"
        )
        assert gateway.run("policy", "test", str(cases))["failed"] == 0
        cases.write_text("- {action: share-in, server: 127.0.0.1, expect: allow}\n")
        assert gateway.run("policy", "test", str(cases), code=4)["failed"] == 1
        assert gateway.run("policy", "show")["rules"][0]["id"] == "deny"
        assert gateway.run("policy", "lint") == []


def fetch(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)


@pytest.mark.parametrize(
    ("text", "odd"),
    [
        ("deny: ['*.example.org']\nallow: [a.example.org]", ("shadowed", "allow")),
        ("deny: [a.example.org]\nallow: [a.example.org]", ("contradictory", "allow")),
        ("sets: {s: [a.example.org]}", ("unused", "@s")),
        (
            "allow: ['*.example.org']\nrules: [{id: r, who: a.example.org, then: allow}]",
            ("unused", "r"),
        ),
        (
            "rules: [{id: r, who: everyone, before: 1970-01-02, then: deny}]",
            ("unused", "r"),
        ),
        ("deny: [a.example.org]\nallow: ['*.example.org']", None),
        (
            "rules: [{who: everyone, signed: none, then: deny}, {who: everyone, then: allow}]",
            None,
        ),
    ],
)
def test_what_never_counts_is_found_and_nothing_else(text, odd):
    found = lint(policy(text), [Source("policy", read_text(text, "policy"))], 10**9)
    assert [(one.kind, one.about) for one in found] == ([odd] if odd else [])
