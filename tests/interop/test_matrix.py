"""docs/interop.md says what the tests prove, no more and no less. It is made here."""

from pathlib import Path

import pytest

from tests.interop import matrix, test_dialects
from tests.interop.matrix import PEERS

PAGE = Path(__file__).parents[2] / "docs" / "interop.md"
PROOFS = matrix.proofs_in(test_dialects)


@pytest.mark.parametrize("cell", matrix.CELLS)
@pytest.mark.parametrize("peer", PEERS)
def test_a_cell_has_a_proof_or_a_reason(peer, cell):
    assert ((peer, cell) in PROOFS) != (peer in matrix.WHY_NOT.get(cell, {}))


def test_nothing_on_the_page_failed_in_this_run(outcomes):
    assert {cell for cell, seen in outcomes.items() if seen != {"passed"}} == set()


def test_the_page_says_what_the_tests_prove():
    before = PAGE.read_text()
    made = matrix.with_table(before, matrix.table(PROOFS))
    if made != before:
        PAGE.write_text(made)
    assert made == before, "docs/interop.md was out of date; it has been made anew, commit it"
