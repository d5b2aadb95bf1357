"""The configuration: every setting is written down with its default, every fault is named."""

import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from gateway import config
from gateway.config import Config, Misconfigured, load, parse, warnings

SAMPLE = Path(__file__).parents[1] / "config/gateway.yaml"
LEAST = {
    "public": {"origin": "https://gw.example"},
    "storage": {"url": "http://127.0.0.1:9000/dav"},
    "policy": {"default": "deny"},
}


def with_(**sections):
    return {name: LEAST.get(name, {}) | sections.get(name, {}) for name in {**LEAST, **sections}}


def faults(data, **options):
    with pytest.raises(Misconfigured) as caught:
        parse(data, **options)
    return caught.value.faults


def settings(model=Config, path=()):
    """(path, field) of every setting."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from settings(inner, (*path, name))
        else:
            yield (*path, name), field


def plain(value):
    """A value as YAML would have it."""
    if isinstance(value, tuple):
        return [plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value


EVERY = list(settings())
IDS = [".".join(path) for path, _ in EVERY]


def test_the_sample_loads_and_warns_of_nothing():
    sample = load(SAMPLE)
    assert sample.public.origin == "https://gateway.example.org"
    assert warnings(sample) == []


@pytest.mark.parametrize(("path", "field"), EVERY, ids=IDS)
def test_every_setting_stands_in_the_sample_with_its_default(path, field):
    found = yaml.safe_load(SAMPLE.read_text())
    for name in path:
        assert name in found, f"{'.'.join(path)} is missing in the sample"
        found = found[name]
    if not field.is_required():
        assert found == plain(field.default)


def test_every_setting_in_the_sample_has_a_comment():
    bare = [
        line
        for line in SAMPLE.read_text().splitlines()
        if re.match(r"\s+\w+:", line) and "#" not in line
    ]
    assert bare == []


def test_the_least_is_enough():
    assert parse(LEAST).policy.default == "deny"


def test_all_faults_are_named_at_once():
    found = faults(
        {
            "public": {"listen": "nowhere"},
            "storage": {"url": "ftp://x"},
            "policy": {"default": "perhaps", "deny": ["not a domain"]},
            "tokens": {"lifetime_seconds": 0},
            "nonsense": {},
        },
    )
    text = "\n".join(found)
    for name in (
        "public.origin",
        "public.listen",
        "storage.url",
        "policy.default",
        "policy.deny.0",
        "tokens.lifetime_seconds",
        "nonsense",
    ):
        assert name in text


@pytest.mark.parametrize(
    ("section", "changes"),
    [
        ("public", {"origin": "gw.example"}),
        ("public", {"origin": "https://gw.example/path"}),
        ("public", {"origin": "https://user@gw.example"}),
        ("public", {"origin": "https://gw.example?x"}),
        ("public", {"listen": "8080"}),
        ("public", {"listen": "127.0.0.1:99999"}),
        ("public", {"trusted_proxies": ["everybody"]}),
        ("public", {"paths": {"ocm": "ocm"}}),
        ("public", {"paths": {"ocm": "/a/../b"}}),
        ("public", {"paths": {"ocm": "/dav", "shares": "/dav/out"}}),
        ("storage", {"url": "http://user:password@storage/dav"}),
        ("storage", {"path": "{user}"}),
        ("storage", {"path": "/../{user}"}),
        ("storage", {"path": "/{name}"}),
        ("storage", {"credentials": {"kind": "basic"}}),
        ("storage", {"credentials": {"kind": "bearer_file"}}),
        ("storage", {"credentials": {"kind": "per_user"}}),
        ("storage", {"credentials": {"password_file": "missing"}}),
        ("users", {"source": "list"}),
        ("users", {"source": "list", "list": [{"name": "a"}, {"name": "a"}]}),
        ("policy", {"deny": ["https://evil.example"]}),
        ("policy", {"deny": ["*"]}),
        ("policy", {"deny": ["*.evil.example:8443"]}),
        ("policy", {"deny": ["evil.example:0"]}),
        ("policy", {"deny": ["evil.example:99999"]}),
        ("policy", {"deny": "evil.example"}),
        ("limits", {"ocm_body_bytes": 10**9}),
        ("signatures", {"max_age_seconds": 0}),
        ("sharing", {"max_expiration_days": 0}),
        ("log", {"level": "loud"}),
        ("testing", {"unknown": 1}),
    ],
    ids=str,
)
def test_one_fault_is_found(section, changes):
    assert all(fault.startswith(section) for fault in faults(with_(**{section: changes})))


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"public": {"origin": "http://gw.example"}}, "testing.hosts"),
        (
            {"users": {"source": "header"}},
            "trusted_proxies",
        ),
        ({"storage": {"path": "/shared"}}, "storage.path"),
        (
            {
                "users": {"source": "header"},
                "public": {"trusted_proxies": ["10.0.0.1"]},
                "storage": {"path": "/shared"},
            },
            "users.list",
        ),
    ],
    ids=str,
)
def test_a_contradiction_is_found(sections, said):
    [fault] = faults(with_(**sections))
    assert said in fault


def test_contradictions_are_named_together():
    found = faults(with_(public={"origin": "http://gw.example"}, users={"source": "header"}))
    assert len(found) == 2
    assert "testing.hosts" in found[0]
    assert "trusted_proxies" in found[1]


@pytest.mark.parametrize(
    "host", ["300.1.1.1", "1.2", "*.evil.example:8443", "a..b", "bad host", "x:0", "[zz]"]
)
def test_a_host_that_can_never_match_is_a_fault(host):
    [fault] = faults(with_(policy={"default": "allow", "deny": [host]}))
    assert "policy.deny.0" in fault


@pytest.mark.parametrize("hosts", [["127.0.0.1"], ["127.0.0.1:8080"]])
def test_plain_http_is_for_testing(hosts):
    found = parse(with_(public={"origin": "http://127.0.0.1:8080"}, testing={"hosts": hosts}))
    assert any("testing.hosts" in warning for warning in warnings(found))


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"testing": {"rate_limits": False}}, "rate_limits"),
        ({"signatures": {"required": False}}, "signatures.required"),
        ({"policy": {"default": "allow"}}, "policy.default"),
        ({"storage": {"url": "http://storage.example/dav"}}, "plain http"),
        (
            {"storage": {"credentials": {"kind": "basic", "username": "u", "password": "p"}}},
            "password_file",
        ),
    ],
    ids=str,
)
def test_what_is_risky_draws_a_warning(sections, said):
    [warning] = warnings(parse(with_(**sections)))
    assert said in warning


def test_paths_count_from_the_folder_of_the_file(tmp_path, monkeypatch):
    (tmp_path / "etc").mkdir()
    file = tmp_path / "etc" / "gateway.yaml"
    file.write_text(yaml.safe_dump(with_(state={"folder": "state", "key_file": "/else/key"})))
    monkeypatch.chdir(tmp_path)
    found = load(Path("etc/gateway.yaml")).state
    assert found.folder == tmp_path / "etc/state"
    assert found.database_file == tmp_path / "etc/state/gateway.sqlite"
    assert found.key_path == Path("/else/key")
    file.write_text(yaml.safe_dump(LEAST))
    assert load(file).state.key_path == tmp_path / "etc/state/secret.key"


@pytest.mark.parametrize("text", ["", "- a", "a: [", "a: !!python/object:os.system {}", "\x00"])
def test_what_is_no_mapping_is_one_fault(tmp_path, text):
    file = tmp_path / "gateway.yaml"
    file.write_text(text)
    with pytest.raises(Misconfigured) as caught:
        load(file)
    assert len(caught.value.faults) == 1
    assert str(file) in caught.value.message


def test_a_missing_file_is_one_fault(tmp_path):
    with pytest.raises(Misconfigured) as caught:
        load(tmp_path / "missing.yaml")
    assert "cannot be read" in caught.value.message


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ({"staff": []}, "has no member"),
        ({"staff": ["alice", "alice"]}, "one twice"),
        ({"staff": ["alice", "bob"]}, "members not listed: bob"),
        ({"": ["alice"]}, "groups"),
        ({"staff": [""]}, "groups"),
    ],
)
def test_a_group_has_members_who_exist(groups, said):
    users = {"source": "list", "list": [{"name": "alice", "password": "x"}], "groups": groups}
    assert said in str(faults(with_(users=users)))
    fine = parse(with_(users=users | {"groups": {"staff": ["alice"]}}))
    assert fine.users.groups == {"staff": ("alice",)}


def test_a_password_is_in_no_repr_and_in_no_fault():
    credentials = {"kind": "basic", "username": "u", "password": "top-secret"}
    found = parse(with_(storage={"credentials": credentials}))
    assert "top-secret" not in repr(found)
    users = {"source": "list", "list": [{"name": "a", "password": "top-secret", "more": 1}]}
    assert "top-secret" not in str(faults(with_(users=users)))


def test_settings_cannot_be_changed():
    found = parse(LEAST)
    with pytest.raises(ValueError, match="frozen"):
        found.policy.default = "allow"
    assert isinstance(found, config.Section)


@pytest.mark.parametrize(
    ("operators", "fault"),
    [
        ([{"name": "olga"}], "management.operators: olga needs a password_file (or password)"),
        ([{"name": "a:b", "password": "x"}], "management.operators.0.name"),
        ([{"name": "olga", "password": "x"}] * 2, "management.operators: a name stands twice"),
    ],
)
def test_an_operator_has_a_name_and_a_password(operators, fault):
    [found] = faults(with_(management={"operators": operators}))
    assert found.startswith(fault)
