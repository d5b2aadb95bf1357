"""The page about conformance is true: every item is proven or excluded, and nothing is made up."""

import pytest

from tests.conformance.checklist import LEVELS, PAGE, RENEW, Item, items, page, proofs

ROLES = ("sender", "receiver", "both", "directory")


def test_every_item_has_one_id_and_known_words():
    assert len({item.id for item in items()}) == len(items()) == 449
    assert {item.level for item in items()} == set(LEVELS)
    assert {item.role for item in items()} == set(ROLES)
    assert all(item.statement for item in items())


def test_no_test_proves_what_is_not_asked():
    assert set(proofs()) - {item.id for item in items()} == set()


def test_what_does_not_apply_has_no_test():
    assert [item.id for item in items() if item.excluded and item.id in proofs()] == []


def test_the_page_is_up_to_date():
    assert PAGE.read_text() == page(), f"renew it with `{RENEW}`"


@pytest.mark.parametrize("level", LEVELS)
def test_every_item_is_proven_or_does_not_apply(level):
    unproven = [item.id for item in items() if item.level == level and not accounted(item)]
    assert unproven == []


def accounted(item: Item) -> bool:
    return bool(item.excluded or proofs().get(item.id))
