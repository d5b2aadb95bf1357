"""What Directory Services published last."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "directories",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("fetched_at", sa.Integer()),
        sa.Column("tried_at", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
    )
