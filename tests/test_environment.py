"""Settings from the environment: they win over the file, and every value tells where it is from."""

import json

import pytest
import yaml
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from gateway import settings
from gateway.cli.configuration import json_schema
from gateway.cli.main import app
from gateway.config import Misconfigured, load
from tests.test_config import LEAST, SAMPLE


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "gateway.yaml"
    file.write_text(yaml.safe_dump(LEAST | {"limits": {"provider_seconds": 7}}))
    return file


def by_name(config):
    return {one.name: one for one in settings.every(config)}


def test_the_environment_wins_over_the_file_and_the_file_over_the_defaults(file):
    found = load(file, {"OCM_GATEWAY__LIMITS__PROVIDER_SECONDS": "9"})
    assert found.limits.provider_seconds == 9
    assert load(file, {}).limits.provider_seconds == 7
    rows = by_name(found)
    assert rows["limits.provider_seconds"].origin == "OCM_GATEWAY__LIMITS__PROVIDER_SECONDS"
    assert rows["public.origin"].origin == str(file)
    assert rows["tokens.lifetime_seconds"].origin == "default"


def test_no_file_is_needed_where_the_environment_says_all(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = load(
        None,
        {
            "OCM_GATEWAY__PUBLIC__ORIGIN": "https://gw.example",
            "OCM_GATEWAY__STORAGE__URL": "http://127.0.0.1:9000",
            "OCM_GATEWAY__POLICY__DEFAULT": "deny",
        },
    )
    assert found.state.folder == tmp_path / "state"
    assert by_name(found)["policy.default"].origin == "OCM_GATEWAY__POLICY__DEFAULT"


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("POLICY__ALLOW", "[a.example, b.example]", "policy.allow", ["a.example", "b.example"]),
        ("policy__allow", "[a.example]", "policy.allow", ["a.example"]),
        ("STORAGE__CREDENTIALS__USERNAME", "0123", "storage.credentials.username", "0123"),
        ("AUDIT__ENABLED", "false", "audit.enabled", False),
        ("LIMITS__UPLOAD_BYTES", "null", "limits.upload_bytes", None),
        ("SHARING__LEGACY_ACCESS", "auto", "sharing.legacy_access", "auto"),
        ("PUBLIC__PATHS__PAGES", "", "public.paths.pages", None),
        ("LOGIN__MFA__ACR", "[high]", "login.mfa.acr", ["high"]),
    ],
)
def test_a_value_is_read_as_its_setting_wants_it(file, variable, text, name, value):
    assert by_name(load(file, {f"OCM_GATEWAY__{variable}": text}))[name].value == value


def test_a_secret_comes_from_a_file_that_the_environment_names(file, tmp_path):
    (tmp_path / "url").write_text("postgresql://gw:top-secret@db/ocm\n")
    (tmp_path / "password").write_text("top-secret\n")
    found = load(
        file,
        {
            "OCM_GATEWAY__STATE__DATABASE_FILE": str(tmp_path / "url"),
            "OCM_GATEWAY__STORAGE__CREDENTIALS__KIND": "basic",
            "OCM_GATEWAY__STORAGE__CREDENTIALS__USERNAME": "gw",
            "OCM_GATEWAY__STORAGE__CREDENTIALS__PASSWORD_FILE": str(tmp_path / "password"),
        },
    )
    assert found.state.database == "postgresql://gw:top-secret@db/ocm"
    assert found.storage.credentials.password_file == tmp_path / "password"
    assert tmp_path / "url" in settings.files(found)
    shown = by_name(found)
    assert shown["state.database"].value == "postgresql://gw:***@db/ocm"
    assert shown["state.database"].origin == "OCM_GATEWAY__STATE__DATABASE_FILE"
    assert "top-secret" not in json.dumps([one.value for one in shown.values()])


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"OCM_GATEWAY__PUBLIC__ORGIN": "x"}, "OCM_GATEWAY__PUBLIC__ORGIN: there is no such"),
        ({"OCM_GATEWAY__PUBLIC": "{}"}, "there is no such setting"),
        ({"OCM_GATEWAY__AUDIT__ENABLED": "[a"}, "is not YAML"),
        ({"OCM_GATEWAY__STATE__DATABASE_FILE": "/missing"}, "cannot be read"),
        ({"OCM_GATEWAY__STORAGE__URL": "ftp://x"}, "(from OCM_GATEWAY__STORAGE__URL)"),
        (
            {"OCM_GATEWAY__LOG__LEVEL": "info", "OCM_GATEWAY__LOG__level": "info"},
            "sets the same",
        ),
    ],
)
def test_a_wrong_variable_is_a_fault_that_names_it(file, variables, said):
    with pytest.raises(Misconfigured) as caught:
        load(file, variables)
    assert said in "\n".join(caught.value.faults)


def test_faults_of_file_and_environment_are_named_together(file):
    file.write_text(yaml.safe_dump(LEAST | {"tokens": {"lifetime_seconds": 0}}))
    with pytest.raises(Misconfigured) as caught:
        load(file, {"OCM_GATEWAY__NONSENSE": "1"})
    assert len(caught.value.faults) == 2


def test_no_password_is_shown(tmp_path):
    users = {"source": "list", "list": [{"name": "alice", "password": "top-secret"}]}
    storage = LEAST["storage"] | {
        "credentials": {"kind": "basic", "username": "u", "password": "top-secret"}
    }
    file = tmp_path / "gateway.yaml"
    file.write_text(yaml.safe_dump(LEAST | {"users": users, "storage": storage}))
    done = CliRunner().invoke(app, ["config", "show", "--origin", "--config", str(file)])
    assert done.exit_code == 0
    assert "top-secret" not in done.stdout
    assert "storage.credentials.password: ***" in done.stdout
    assert f"public.origin: https://gw.example  # {file}" in done.stdout
    only = CliRunner().invoke(app, ["config", "show", "--changed", "--json", "-c", str(file)])
    names = {one["name"] for one in json.loads(only.stdout)}
    assert "storage.url" in names
    assert "log.level" not in names


def test_the_schema_takes_the_sample_and_no_misspelt_setting():
    schema = Draft202012Validator(json_schema())
    Draft202012Validator.check_schema(json_schema())
    sample = yaml.safe_load(SAMPLE.read_text())
    assert list(schema.iter_errors(sample)) == []
    sample["policy"]["defualt"] = "deny"
    assert list(schema.iter_errors(sample))
    printed = CliRunner().invoke(app, ["config", "schema"])
    assert json.loads(printed.stdout) == json_schema()


def test_what_waits_for_a_restart_stays_as_it_was(file):
    running = load(file, {})
    wanted = load(
        file,
        {
            "OCM_GATEWAY__PUBLIC__LISTEN": "127.0.0.1:1",
            "OCM_GATEWAY__TOKENS__LIFETIME_SECONDS": "5",
        },
    )
    kept = settings.kept_until_restart(running, wanted)
    assert kept.public.listen == running.public.listen
    assert kept.tokens.lifetime_seconds == 5
    assert kept.file == file
    assert {now.name: now.live for _, now in settings.changed(running, wanted)} == {
        "public.listen": False,
        "tokens.lifetime_seconds": True,
    }
