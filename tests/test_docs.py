"""The documentation is complete: what is missing in it fails here."""

import re
from pathlib import Path

import pytest
import yaml
from prometheus_client import REGISTRY

from gateway import metrics  # noqa: F401 - registers every metric
from gateway.cli import console
from gateway.cli.main import COMMANDS, load
from gateway.errors import GatewayError
from gateway.httpsig.reasons import Reason

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def commands(command, words):
    if not hasattr(command, "commands"):
        yield " ".join(words)
        return
    for name, inner in command.commands.items():
        yield from commands(inner, (*words, name))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented(name):
    text = (DOCS / "commands.md").read_text()
    for command in commands(load(name), (name,)):
        assert f"`{command}" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_tells_what_each_tells_of_itself(name):
    assert load(name).help == COMMANDS[name]


def test_every_metric_is_documented():
    text = (DOCS / "metrics.md").read_text()
    ours = [family for family in REGISTRY.collect() if family.name.startswith("ocm_")]
    assert len(ours) > 10
    for family in ours:
        assert f"`{family.name}" in text, family.name
        for label in {name for sample in family.samples for name in sample.labels} - {"le"}:
            assert label in text


def test_every_exit_code_is_documented():
    text = (DOCS / "commands.md").read_text()
    codes = {
        value for name, value in vars(console).items() if name.isupper() and type(value) is int
    }
    assert codes == {int(code) for code in re.findall(r"^\| (\d) \|", text, re.MULTILINE)}


def rows(page, columns, heading=""):
    """The first cells of every row of a page's tables, without quotes."""
    text = (DOCS / page).read_text()
    if heading:
        text = text.split(f"## {heading}")[1]
    lines = [line for line in text.split("\n## ")[0].splitlines() if line.startswith("| `")]
    return [tuple(cell.strip(" `") for cell in line.split("|")[1 : columns + 1]) for line in lines]


def kinds(error=GatewayError):
    yield error
    for kind in error.__subclasses__():
        yield from kinds(kind)


def test_every_error_code_is_documented_with_its_status():
    raised = {(kind.code, str(kind.status)) for kind in kinds() if "gateway" in kind.__module__}
    sources = "\n".join(path.read_text() for path in (ROOT / "gateway/web").rglob("*.py"))
    written = set(re.findall(r'"code": "([A-Z_]+)"', sources))
    documented = rows("errors.md", 2)
    assert len(documented) == len(set(documented))
    assert raised <= set(documented)
    assert {code for code, _ in documented} == {code for code, _ in raised} | written


def test_every_reason_for_a_bad_signature_is_documented():
    found = {name for (name,) in rows("errors.md", 1, "Why a signature does not hold")}
    assert found == {reason.value for reason in Reason}


def test_every_alert_is_documented_with_its_severity():
    files = ROOT / "helm/ocm-gateway/files/alerts.yaml"
    rules = yaml.safe_load(files.read_text())["groups"][0]["rules"]
    wanted = [(rule["alert"], rule["labels"]["severity"]) for rule in rules]
    assert sorted(rows("alerts.md", 2)) == sorted(wanted)


def test_every_link_leads_somewhere():
    for page in [ROOT / "README.md", *DOCS.glob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_every_threat_names_tests_that_exist():
    text = (DOCS / "threat-model.md").read_text()
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = re.findall(r"`(test_[a-z0-9_]+)`", text)
    assert len(named) > 40
    missing = [name for name in named if f"def {name}(" not in tests]
    assert missing == []
    rows = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    assert all("`test_" in row or row.startswith("| threat") for row in rows)
