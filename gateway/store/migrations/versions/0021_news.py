"""What people are to be told, and whether they want to be."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "news",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("way", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("about", sa.String(), nullable=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.Integer(), nullable=False),
    )
    op.create_index("news_by_time", "news", ["next_attempt_at"])
    op.create_index("news_by_user", "news", ["user", "way"])
    op.create_table(
        "wishes",
        sa.Column("user", sa.String(), primary_key=True),
        sa.Column("by_mail", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("mailed_at", sa.Integer()),
    )
