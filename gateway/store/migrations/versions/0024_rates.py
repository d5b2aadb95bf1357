"""How often somebody may ask, counted by all processes together."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Add the table of buckets."""
    op.create_table(
        "rates",
        sa.Column("bucket", sa.String(), primary_key=True),
        sa.Column("empty_at", sa.Double(), nullable=False),
    )
    op.create_index("rates_by_end", "rates", ["empty_at"])
