"""The Shares of one Resource are found by index."""

import json

import sqlalchemy as sa
from alembic import op

from gateway.store.shares import resource_key

revision = "0030"
down_revision = "0029"

_AT_ONCE = 1000


def upgrade() -> None:
    """Add the column and the index, and fill it for what is there."""
    op.add_column(
        "sent_shares", sa.Column("resource_key", sa.String(), nullable=False, server_default="")
    )
    op.create_index("sent_shares_by_resource", "sent_shares", ["owner", "resource_key"])
    connection = op.get_bind()
    table = sa.table("sent_shares", *map(sa.column, ("provider_id", "resource", "resource_key")))
    key = table.c.provider_id
    put = (
        sa.update(table).where(key == sa.bindparam("this")).values(resource_key=sa.bindparam("to"))
    )
    after = ""
    while True:
        query = sa.select(key, table.c.resource).where(key > after).order_by(key).limit(_AT_ONCE)
        rows = connection.execute(query).all()
        if not rows:
            return
        connection.execute(
            put, [{"this": row[0], "to": resource_key(json.loads(row[1]))} for row in rows]
        )
        after = rows[-1][0]
