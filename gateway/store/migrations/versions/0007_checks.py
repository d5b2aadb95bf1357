"""When a received Share was last looked at."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """One column of received Shares."""
    op.add_column("received_shares", sa.Column("checked_at", sa.Integer()))
