"""Which test proves which item of the specification: items.yaml and the tests' own marks.

A test that is marked `@pytest.mark.conforms("OCM-6.1-04")` proves that item; so does a mark on one
of its cases. The marks are read from the source, so that no test needs to run for it.

    python -m tests.conformance.checklist    writes docs/conformance.md
"""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "conformance.md"
RENEW = "make conformance"
LEVELS = ("MUST", "SHOULD", "MAY", "behaviour")

HEAD = f"""# Conformance

What [draft-ietf-ocm-open-cloud-mesh-03](https://datatracker.ietf.org/doc/draft-ietf-ocm-open-cloud-mesh/03/)
asks of an OCM Server, the RFCs it stands on, and what follows for a gateway (GW), item by item and
in our own words; each with the tests that prove it, or with the reason why it does not apply here.
*Level* is the specification's; *behaviour* is what it describes without such a word. *Role* is who
does it: the Sending Server, the Receiving Server, both, or the reader of a directory.

Made by `{RENEW}` from `tests/conformance/items.yaml` and the marks of the tests; a test fails when
this page is out of date, when a test names an item that there is not, or when an item has no test.
"""


@dataclass(frozen=True, slots=True)
class Item:
    """One demand; `excluded` says why it does not apply."""

    id: str
    level: str
    role: str
    statement: str
    excluded: str = ""

    @property
    def section(self) -> str:
        """`6.1` or `RFC9421` of OCM-6.1-04 and OCM-RFC9421-04."""
        return self.id.removeprefix("OCM-").rpartition("-")[0]


@dataclass(frozen=True, slots=True, order=True)
class Proof:
    """A test that proves an item."""

    file: str
    test: str


@cache
def items() -> tuple[Item, ...]:
    """Every item, in order."""
    read = yaml.load((Path(__file__).parent / "items.yaml").read_text(), _Loader)
    return tuple(Item(**one) for one in read)


@cache
def proofs() -> dict[str, list[Proof]]:
    """Id to the tests that are marked with it, sorted."""
    found: dict[str, set[Proof]] = {}
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        name = file.relative_to(ROOT).as_posix()
        for test, item in _marks(ast.parse(file.read_text())):
            found.setdefault(item, set()).add(Proof(name, test))
    return {item: sorted(tests) for item, tests in found.items()}


def _marks(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for function in tree.body:
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for decorator in function.decorator_list:
            for node in ast.walk(decorator):
                if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                    continue
                if node.func.attr == "conforms":
                    yield from ((function.name, ast.literal_eval(one)) for one in node.args)


def page() -> str:
    """docs/conformance.md."""
    lines = [HEAD, "## Counts", "", *_counts()]
    section = ""
    for item in items():
        if item.section != section:
            section = item.section
            lines += ["", f"## {_title(section)}", "", _row("ID", "Level", "Role", "Item", "Proof")]
            lines += [_row(*["---"] * 5)]
        lines += [_row(item.id, item.level, item.role, item.statement, _proof(item))]
    return "\n".join(lines) + "\n"


def _counts() -> Iterator[str]:
    yield _row("Level", "Items", "Proven", "Do not apply")
    yield _row(*["---"] * 4)
    every: Counter[str] = Counter()
    for level in LEVELS:
        counts = Counter(_fate(item) for item in items() if item.level == level)
        every += counts
        yield _row(level, counts.total(), counts["proven"], counts["excluded"])
    yield _row("all", every.total(), every["proven"], every["excluded"])
    tests = {proof for proven in proofs().values() for proof in proven}
    yield f"\n{len(tests)} tests prove them."


def _fate(item: Item) -> str:
    return "excluded" if item.excluded else "proven" if item.id in proofs() else "open"


def _proof(item: Item) -> str:
    if item.excluded:
        return f"Does not apply. {item.excluded}"
    found = proofs().get(item.id, [])
    return "<br>".join(f"[{proof.test}](../{proof.file})" for proof in found) or "none"


def _title(section: str) -> str:
    if section == "GW":
        return "What follows for a gateway"
    return f"RFC {section[3:]}" if section.startswith("RFC") else f"Section {section}"


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


class _Loader(yaml.SafeLoader):
    """YAML whose words are texts: an id is no number."""


_Loader.yaml_implicit_resolvers = {}


if __name__ == "__main__":
    PAGE.write_text(page())
