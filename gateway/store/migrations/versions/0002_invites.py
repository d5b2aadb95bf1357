"""Invites, and the contacts they make."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "invites",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("sealed_token", sa.Text(), nullable=False),
        sa.Column("token_fingerprint", sa.String(), nullable=False, unique=True),
        sa.Column("created_at", sa.Integer(), nullable=False),
        sa.Column("expiration_at", sa.Integer()),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("accepted_at", sa.Integer()),
        sa.Column("accepted_by", sa.String(), nullable=False),
    )
    op.create_index("invites_by_sender", "invites", ["sender", "created_at"])
    op.create_table(
        "acceptances",
        sa.Column("user", sa.String(), primary_key=True),
        sa.Column("provider", sa.String(), primary_key=True),
        sa.Column("token_fingerprint", sa.String(), primary_key=True),
        sa.Column("begun_at", sa.Integer(), nullable=False),
    )
    op.create_table(
        "contacts",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("added_at", sa.Integer(), nullable=False),
        sa.UniqueConstraint("user", "provider", "user_id"),
    )
