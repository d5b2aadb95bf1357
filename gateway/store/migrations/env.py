"""Alembic's entry: migrate over the connection that `store.database` hands in."""

from typing import Any

from alembic import context
from sqlalchemy import Column, Integer
from sqlalchemy.ext.compiler import compiles

from gateway.store.tables import metadata


@compiles(Integer, "postgresql")
def eight_bytes(*_: Any, type_expression: Any = None, **__: Any) -> str:
    """Sizes and times need 64 bits, which SQLite's integers have anyway."""
    return "BIGINT" if isinstance(type_expression, Column) else "INTEGER"


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=False,  # the caller holds the transaction
)
context.run_migrations()
