"""Contacts that are trusted, and removed ones of whom the other side has yet to be told."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns."""
    op.add_column(
        "contacts", sa.Column("trusted", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column("contacts", sa.Column("removed_at", sa.Integer()))
