"""When shares ended, how often one was not found, and who sweeps; what is over is found quickly."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Add the columns and indexes, and the table of leases."""
    for table in ("sent_shares", "received_shares"):
        op.add_column(table, sa.Column("ended_at", sa.Integer()))
        op.create_index(f"{table}_by_end", table, ["ended_at"])
        op.create_index(f"{table}_by_expiration", table, ["expiration_at"])
    op.add_column(
        "received_shares", sa.Column("misses", sa.Integer(), nullable=False, server_default="0")
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("held_by", sa.String(), nullable=False),
        sa.Column("held_at", sa.Integer(), nullable=False),
    )
