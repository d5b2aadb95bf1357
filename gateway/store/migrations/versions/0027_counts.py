"""The indexes that order long lists hold what these are counted by: no row is read for that."""

from alembic import op

revision = "0027"
down_revision = "0026"

_INDEXES = {
    "sent_shares": ("by_owner", ["owner", "created_at", "state"]),
    "received_shares": (
        "by_recipient",
        ["recipient", "received_at", "state", "hidden", "expiration_at", "group"],
    ),
    "invites": ("by_sender", ["sender", "created_at", "state"]),
    "requests": ("by_owner", ["owner", "created_at", "state"]),
}


def upgrade() -> None:
    """Make them anew."""
    for table, (name, columns) in _INDEXES.items():
        op.drop_index(f"{table}_{name}", table)
        op.create_index(f"{table}_{name}", table, columns)
