"""The language in which somebody is told."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Add the column."""
    op.add_column("wishes", sa.Column("language", sa.String(), nullable=False, server_default=""))
