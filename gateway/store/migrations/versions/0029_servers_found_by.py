"""Servers and errands are searched in a column of their own."""

import sqlalchemy as sa
from alembic import op

from gateway.store.parts import folded

revision = "0029"
down_revision = "0028"

_READ = {
    "providers": ("authority", ("authority", "comment", "dialect")),
    "outbox": ("id", ("provider", "share")),
}


def upgrade() -> None:
    """Add the column, and fill it for what is there."""
    connection = op.get_bind()
    for name, (key, read) in _READ.items():
        op.add_column(name, sa.Column("found_by", sa.Text(), nullable=False, server_default=""))
        columns: dict[str, sa.ColumnClause[str]] = {
            one: sa.column(one) for one in {key, *read, "found_by"}
        }
        table = sa.table(name, *columns.values())
        for row in connection.execute(sa.select(table)).mappings().all():
            connection.execute(
                sa.update(table)
                .where(columns[key] == row[key])
                .values(found_by=folded(*(row[one] for one in read)))
            )
