"""A Share that was passed on names the one that grants it."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"

# Those that the recipient of a Share asked for themselves were not passed on.
_FILL = """
UPDATE sent_shares SET granted_by = coalesce((
  SELECT max(requests.about) FROM requests
  JOIN sent_shares AS granting ON granting.provider_id = requests.about
  WHERE requests.share = sent_shares.provider_id AND granting.share_with <> requests.share_with
), '') WHERE provider_id IN (SELECT share FROM requests WHERE about <> '' AND share <> '')
"""


def upgrade() -> None:
    """Add the column and the index, and fill it by the requests that were agreed to."""
    op.add_column(
        "sent_shares", sa.Column("granted_by", sa.String(), nullable=False, server_default="")
    )
    op.create_index("sent_shares_by_grant", "sent_shares", ["granted_by"])
    op.execute(_FILL)
