"""Who may federate: deny wins, names are canonical, the default is written down."""

import pytest

from gateway import config
from gateway.errors import Refused
from gateway.ocm.address import authority
from gateway.policy import doorkeeper
from gateway.policy.rules import compile_rules, judge


def verdict(host, default="deny", allow=(), deny=()):
    return judge(authority(host), compile_rules(default, allow, deny))


@pytest.mark.parametrize("default", ["allow", "deny"])
def test_what_is_on_no_list_gets_the_default(default):
    found = verdict("a.example", default)
    assert (found.allowed, found.rule) == (default == "allow", "default")
    assert default in found.reason


@pytest.mark.conforms("OCM-GW-10")
@pytest.mark.parametrize("default", ["allow", "deny"])
def test_deny_wins(default):
    found = verdict("a.example", default, allow=["a.example"], deny=["a.example"])
    assert (found.allowed, found.rule) == (False, "deny")


def test_an_empty_allow_list_allows_nobody_under_deny():
    assert not verdict("a.example").allowed


@pytest.mark.parametrize(
    ("entry", "host", "covered"),
    [
        ("a.example", "a.example", True),
        ("a.example", "a.example:8443", True),
        ("a.example", "b.a.example", False),
        ("a.example", "xa.example", False),
        ("a.example:8443", "a.example:8443", True),
        ("a.example:8443", "a.example", False),
        ("a.example:8443", "a.example:9443", False),
        ("*.example", "a.example", True),
        ("*.example", "b.a.example:8443", True),
        ("*.example", "example", False),
        ("*.example", "aexample", False),
        ("127.0.0.1", "127.0.0.1:8443", True),
        ("[::1]", "[::1]:8443", True),
        ("[::1]", "[::2]", False),
    ],
)
@pytest.mark.parametrize("kind", ["allow", "deny"])
def test_an_entry_covers_what_it_names(kind, entry, host, covered):
    default = "deny" if kind == "allow" else "allow"
    found = verdict(host, default, **{kind: [entry]})
    assert (found.rule == kind) == covered
    assert found.allowed == ((kind == "allow") == covered)


def test_an_allowed_suffix_may_have_a_denied_host():
    rules = {"allow": ["*.example"], "deny": ["evil.example", "*.evil.example"]}
    assert verdict("good.example", **rules).allowed
    assert not verdict("evil.example", **rules).allowed
    assert not verdict("very.evil.example", **rules).allowed


@pytest.mark.conforms("OCM-GW-09")
@pytest.mark.parametrize("entry", ["EVIL.example", "evil.example.", "evil.example:443"])
@pytest.mark.parametrize("host", ["evil.example", "Evil.Example.", "evil.example:443"])
def test_a_denied_server_is_denied_in_every_spelling(entry, host):
    keeper = doorkeeper.from_config(config.Policy(default="allow", deny=(entry,)))
    with pytest.raises(Refused) as caught:
        keeper.admit_provider(authority(host))
    assert "evil" not in caught.value.message
    assert "evil.example" in caught.value.detail


@pytest.mark.parametrize("entry", ["*.EVIL.example", "*.evil.example."])
def test_a_denied_suffix_is_denied_in_every_spelling(entry):
    keeper = doorkeeper.from_config(config.Policy(default="allow", deny=(entry,)))
    assert not keeper.judge(authority("a.evil.example")).allowed
    assert keeper.judge(authority("evil.example")).allowed


def test_an_admitted_server_passes():
    keeper = doorkeeper.from_config(config.Policy(default="deny", allow=("a.example",)))
    keeper.admit_provider(authority("a.example"))
