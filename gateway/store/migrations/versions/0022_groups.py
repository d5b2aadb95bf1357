"""Shares with groups: one row for each member."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"

_NAMES = {"uq": "%(table_name)s_%(column_0_N_name)s_key"}
_OLD = "received_shares_sending_server_provider_id_key"
_NEW = "received_shares_sending_server_provider_id_recipient_key"


def upgrade() -> None:
    """Add the columns; several recipients may have one share of a server."""
    op.add_column(
        "sent_shares",
        sa.Column("share_type", sa.String(), nullable=False, server_default="user"),
    )
    with op.batch_alter_table("received_shares", naming_convention=_NAMES) as table:
        table.add_column(sa.Column("group", sa.String(), nullable=False, server_default=""))
        table.drop_constraint(_OLD, type_="unique")
        table.create_unique_constraint(_NEW, ["sending_server", "provider_id", "recipient"])
