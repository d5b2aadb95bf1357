"""Where a PostgreSQL database is.

Apart from `postgres.py`, so that a gateway with SQLite never loads what it does not use: the driver
and SQLAlchemy's asynchronous half take 9 MB.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.errors import Unavailable

STATEMENT_SECONDS = 15
_CONNECT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    """Where a PostgreSQL database is: a URL as libpq takes it, `postgresql://user@host/name`.

    The password comes from `password_file`, read for each new connection, or as libpq finds it.
    """

    url: str = field(repr=False)
    password_file: Path | None = None
    connections: int = 10

    async def connect(self) -> Any:
        """A new connection to it."""
        secret = {}
        if self.password_file is not None:
            try:
                secret["password"] = self.password_file.read_text(encoding="utf-8").strip()
            except (OSError, ValueError) as error:
                raise Unavailable(
                    "the database's password cannot be read", detail=str(error)
                ) from error
        import asyncpg

        return await asyncpg.connect(
            self.url,
            timeout=_CONNECT_SECONDS,
            command_timeout=STATEMENT_SECONDS + 5,
            server_settings={
                "application_name": "ocm-gateway",
                "statement_timeout": f"{STATEMENT_SECONDS}s",
                "idle_in_transaction_session_timeout": "60s",
            },
            **secret,
        )
