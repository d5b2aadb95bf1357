"""Keys of several kinds, and where each stands in its life."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Keys were of one kind, and signed."""
    with op.batch_alter_table("signing_keys") as table:
        table.alter_column("sealed_seed", new_column_name="sealed_private")
        table.add_column(
            sa.Column("algorithm", sa.String(), nullable=False, server_default="ed25519")
        )
        table.add_column(sa.Column("state", sa.String(), nullable=False, server_default="active"))
        table.add_column(sa.Column("changed_at", sa.Integer(), nullable=False, server_default="0"))
