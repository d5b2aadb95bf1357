"""When an invite was mailed."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the column."""
    op.add_column("invites", sa.Column("mailed_at", sa.Integer()))
