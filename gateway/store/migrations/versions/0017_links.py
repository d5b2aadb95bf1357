"""Public links of shares, and who asked by them."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "links",
        sa.Column("share", sa.String(), primary_key=True),
        sa.Column("token_fingerprint", sa.String(), nullable=False, unique=True),
        sa.Column("created_at", sa.Integer(), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
    )
    op.create_table(
        "link_visits",
        sa.Column("share", sa.String(), primary_key=True),
        sa.Column("share_with", sa.String(), primary_key=True),
        sa.Column("asked_at", sa.Integer(), nullable=False),
    )
