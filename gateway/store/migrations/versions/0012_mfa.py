"""Shares that only a log-in with several factors opens."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """One column in both tables of shares."""
    for table in ("sent_shares", "received_shares"):
        op.add_column(
            table,
            sa.Column("must_use_mfa", sa.Boolean(), nullable=False, server_default=sa.false()),
        )
