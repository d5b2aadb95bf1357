"""Which test proves what about which kind of server: the source of the table in docs/interop.md.

    @proves("we read")
    async def test_we_read_what_they_share(meet, peer): ...

runs the test with every kind of server of the table but those that WHY_NOT excuses for that cell.
"""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import pytest

from gateway.simulate import peers

PEERS = peers.PEERS
CELLS = (
    "discover",
    "send share",
    "they read",
    "they write",
    "receive share",
    "we read",
    "we write",
    "accept and decline notices",
    "unshare",
    "invites",
    "signatures",
)

_NO_INVITES = "has no invites"
_UNSIGNED = "neither signs nor verifies"
_UNSIGNING = ("nextcloud-30", "owncloud-10", "ocis", "opencloud", "reva", "seafile")
_SILENT = "tells nobody, and does nothing about what it is told"

WHY_NOT: Mapping[str, Mapping[str, str]] = {
    "they write": {"opencloudmesh-go": "takes and sends read-only shares alone"},
    "we write": {
        "opencloudmesh-go": "answers 501 to every write",
        "seafile": "shares read-only",
    },
    "accept and decline notices": {
        "ocis": "neither tells nor takes them",
        "opencloud": _SILENT,
        "reva": _SILENT,
    },
    "invites": {
        "nextcloud-30": _NO_INVITES,
        "owncloud-10": _NO_INVITES,
        "seafile": _NO_INVITES,
    },
    "signatures": dict.fromkeys(_UNSIGNING, _UNSIGNED),
}

_NO_SECRETS = "wants the secret in it, which is told to no server that exchanges tokens"
_LOOKED_AT = "is told nothing and tells nothing; the gateway looks at its shares now and then"

REMARKS: Mapping[str, Mapping[str, str]] = {
    "accept and decline notices": {"nextcloud-35": f"does not learn of ours: {_NO_SECRETS}"},
    "unshare": {
        "nextcloud-35": f"is not told: {_NO_SECRETS}",
        "opencloud": _LOOKED_AT,
        "reva": _LOOKED_AT,
    },
}
"""What is not quite as it should be, beside the tests."""

START = "<!-- made by the tests: begin -->"
END = "<!-- made by the tests: end -->"


def proves(cell: str) -> Callable[[Any], Any]:
    """Marks a test as the proof of a cell, for every kind of server that can do it."""
    assert cell in CELLS
    able = [name for name in PEERS if name not in WHY_NOT.get(cell, {})]

    def marked(test: Any) -> Any:
        over = [
            pytest.param(name, marks=pytest.mark.interop(peer=name, cell=cell)) for name in able
        ]
        return pytest.mark.parametrize("peer", over)(test)

    return marked


def proofs_in(module: ModuleType) -> dict[tuple[str, str], list[str]]:
    """The tests of a module by the cell that their markers name."""
    proofs: dict[tuple[str, str], list[str]] = {}
    for name, test in vars(module).items():
        if not name.startswith("test_"):
            continue
        for mark in getattr(test, "pytestmark", []):
            for param in mark.args[1]:
                for inner in getattr(param, "marks", ()):
                    cell = inner.kwargs["peer"], inner.kwargs["cell"]
                    proofs.setdefault(cell, []).append(name)
    return proofs


def table(proofs: Mapping[tuple[str, str], list[str]]) -> str:
    """The table, from the tests of each (peer, cell): what fits on a screen, then the names."""
    lines = [
        "| | " + " | ".join(PEERS) + " |",
        "| --- |" + " :-: |" * len(PEERS),
    ]
    for cell in CELLS:
        marks = ["yes" if (name, cell) in proofs else "-" for name in PEERS]
        lines.append(f"| {cell} | {' | '.join(marks)} |")
    for name, peer in PEERS.items():
        lines += [
            "",
            f"### {peer.title}",
            "",
            f"| `{name}` | proven by, or why not |",
            "| --- | --- |",
        ]
        for cell in CELLS:
            tests = ", ".join(f"`{test}`" for test in sorted(set(proofs.get((name, cell), []))))
            remark = REMARKS.get(cell, {}).get(name, "")
            said = "; ".join(filter(None, (tests or WHY_NOT[cell][name], remark)))
            lines.append(f"| {cell} | {said} |")
    return "\n".join(lines)


def with_table(page: str, made: str) -> str:
    """The page with its table exchanged."""
    before, rest = page.split(START)
    return f"{before}{START}\n\n{made}\n\n{rest[rest.index(END) :]}"
