"""The stage of these tests, on either engine of the database."""

import pytest

from tests.sharing.stage import gateway, opened, other, peer, storage

__all__ = ["gateway", "keeps", "opened", "other", "peer", "storage"]


@pytest.fixture
def keeps(keeps_in_both):
    """Each test once on SQLite and once on PostgreSQL."""
    return keeps_in_both
