"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make everything."""
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.String(), primary_key=True),
        sa.Column("sealed_seed", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Integer(), nullable=False),
    )
    op.create_table(
        "sent_shares",
        sa.Column("provider_id", sa.String(), primary_key=True),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("resource_type", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("share_with", sa.String(), nullable=False),
        sa.Column("receiving_server", sa.String(), nullable=False),
        sa.Column("permissions", sa.String(), nullable=False),
        sa.Column("must_exchange_token", sa.Boolean()),
        sa.Column("sealed_secret", sa.Text(), nullable=False),
        sa.Column("secret_fingerprint", sa.String(), nullable=False, unique=True),
        sa.Column("created_at", sa.Integer(), nullable=False),
        sa.Column("expiration_at", sa.Integer()),
        sa.Column("size", sa.Integer()),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
    )
    op.create_index("sent_shares_by_owner", "sent_shares", ["owner", "created_at"])
    op.create_table(
        "received_shares",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("sending_server", sa.String(), nullable=False),
        sa.Column("provider_id", sa.String(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("folder", sa.String(), nullable=False),
        sa.Column("resource_type", sa.String(), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("permissions", sa.String(), nullable=False),
        sa.Column("must_exchange_token", sa.Boolean(), nullable=False),
        sa.Column("sealed_secret", sa.Text(), nullable=False),
        sa.Column("received_at", sa.Integer(), nullable=False),
        sa.Column("expiration_at", sa.Integer()),
        sa.Column("size", sa.Integer()),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("sender_display_name", sa.Text(), nullable=False),
        sa.Column("owner_display_name", sa.Text(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.UniqueConstraint("sending_server", "provider_id"),
        sa.UniqueConstraint("recipient", "folder"),
    )
    op.create_index("received_shares_by_recipient", "received_shares", ["recipient", "received_at"])
    op.create_table(
        "outbox",
        sa.Column("position", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(), nullable=False, unique=True),
        sa.Column("errand", sa.String(), nullable=False),
        sa.Column("share", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("created_at", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("dead", sa.Boolean(), nullable=False),
        sa.Column("leased_by", sa.String()),
    )
    op.create_index("outbox_due", "outbox", ["dead", "next_attempt_at"])
    op.create_table(
        "replays",
        sa.Column("signature", sa.String(), primary_key=True),
        sa.Column("expires_at", sa.Integer(), nullable=False),
    )
    op.create_index("replays_by_expiry", "replays", ["expires_at"])
