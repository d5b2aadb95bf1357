"""The stage of these tests."""

from tests.sharing.stage import gateway, opened, other, peer, storage

__all__ = ["gateway", "opened", "other", "peer", "storage"]
