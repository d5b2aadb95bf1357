"""Shares that their recipients want out of sight."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add the column."""
    op.add_column(
        "received_shares",
        sa.Column("hidden", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
