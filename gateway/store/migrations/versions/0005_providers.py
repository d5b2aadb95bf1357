"""Other OCM Servers, the keys they sign with, and counters by which processes see changes."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "providers",
        sa.Column("authority", sa.String(), primary_key=True),
        sa.Column("standing", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("first_seen_at", sa.Integer(), nullable=False),
        sa.Column("last_seen_at", sa.Integer(), nullable=False),
        sa.Column("scheme", sa.String(), nullable=False),
        sa.Column("our_scheme", sa.String(), nullable=False),
        sa.Column("dialect", sa.String(), nullable=False),
        sa.Column("api_version", sa.String(), nullable=False),
        sa.Column("capabilities", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since_at", sa.Integer(), nullable=False),
        sa.Column("paused_until", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
    )
    op.create_index("providers_by_last_seen", "providers", ["standing", "last_seen_at"])
    op.create_table(
        "provider_keys",
        sa.Column("provider", sa.String(), primary_key=True),
        sa.Column("thumbprint", sa.String(), primary_key=True),
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("algorithm", sa.String(), nullable=False),
        sa.Column("standing", sa.String(), nullable=False),
        sa.Column("first_seen_at", sa.Integer(), nullable=False),
        sa.Column("last_seen_at", sa.Integer(), nullable=False),
    )
    op.create_table(
        "revisions",
        sa.Column("topic", sa.String(), primary_key=True),
        sa.Column("number", sa.Integer(), nullable=False),
    )
