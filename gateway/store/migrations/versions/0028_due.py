"""The errands that are due, and those about one share, are found by index and in order."""

from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Make the indexes."""
    op.drop_index("outbox_due", "outbox")
    op.create_index("outbox_due", "outbox", ["dead", "next_attempt_at", "position"])
    op.create_index("outbox_by_share", "outbox", ["share", "position"])
