"""Find quickly which received Shares are to be looked at."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """One index."""
    op.create_index("received_shares_by_check", "received_shares", ["checked_at", "received_at"])
