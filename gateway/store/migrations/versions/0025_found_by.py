"""What a search looks through stands in a column of its own; folders are compared by a key."""

from collections.abc import Callable
from json import loads
from typing import Any

import sqlalchemy as sa
from alembic import op

from gateway.store.parts import folded

revision = "0025"
down_revision = "0024"

_AT_ONCE = 1000


def upgrade() -> None:
    """Add the columns and the index, and fill them for what is there."""
    for table in ("sent_shares", "received_shares", "contacts"):
        op.add_column(table, sa.Column("found_by", sa.Text(), nullable=False, server_default=""))
    op.add_column(
        "received_shares", sa.Column("folder_key", sa.String(), nullable=False, server_default="")
    )
    op.create_index("received_shares_by_folder_key", "received_shares", ["recipient", "folder_key"])
    _fill("sent_shares", "provider_id", ("resource", "owner", "share_with"), _sent)
    _fill("received_shares", "id", ("folder", "sender_display_name", "sender"), _received)
    _fill("contacts", "id", ("label", "name", "email", "user_id", "provider"), _contact)


def _sent(row: Any) -> dict[str, str]:
    name = (loads(row.resource) or [row.owner])[-1]
    return {"found_by": folded(name, row.share_with)}


def _received(row: Any) -> dict[str, str]:
    found_by = folded(row.folder, row.sender_display_name, row.sender)
    return {"found_by": found_by, "folder_key": folded(row.folder)}


def _contact(row: Any) -> dict[str, str]:
    shown_as = row.label or row.name or row.user_id
    address = f"{row.user_id}@{row.provider}"
    return {"found_by": folded(shown_as, row.name, row.email, address)}


def _fill(
    name: str, key: str, read: tuple[str, ...], make: Callable[[Any], dict[str, str]]
) -> None:
    connection = op.get_bind()
    written = ("found_by", "folder_key") if name == "received_shares" else ("found_by",)
    table = sa.table(name, *(sa.column(one) for one in (key, *read, *written)))
    after = ""
    while True:
        query = sa.select(*(table.c[one] for one in (key, *read))).where(table.c[key] > after)
        rows = connection.execute(query.order_by(table.c[key]).limit(_AT_ONCE)).all()
        if not rows:
            return
        put = (
            sa.update(table)
            .where(table.c[key] == sa.bindparam("this"))
            .values({one: sa.bindparam(f"to_{one}") for one in written})
        )
        values = [(row, make(row)) for row in rows]
        connection.execute(
            put,
            [
                {"this": row[0]} | {f"to_{one}": text for one, text in made.items()}
                for row, made in values
            ],
        )
        after = rows[-1][0]
