"""How each server is spoken to, and how each Share was announced."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Lessons, and two columns of sent Shares."""
    op.create_table(
        "lessons",
        sa.Column("provider", sa.String(), primary_key=True),
        sa.Column("dialect", sa.String(), nullable=False),
        sa.Column("form", sa.String(), nullable=False),
        sa.Column("approach", sa.String(), nullable=False),
        sa.Column("learnt_at", sa.Integer(), nullable=False),
    )
    op.add_column("sent_shares", sa.Column("form", sa.String(), nullable=False, server_default=""))
    op.add_column(
        "sent_shares",
        sa.Column("at_root", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
