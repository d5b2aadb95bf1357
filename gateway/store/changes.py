"""Has anybody changed the database? Asked on every WebDAV request, so it must cost nothing."""

import sqlite3
from pathlib import Path


class Changes:
    """A connection of its own that sees every commit, whichever process made it."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._cursor = self._connection.cursor()

    def version(self) -> int:
        """A number that is another one after each commit of another connection (about 1 µs)."""
        return int(self._cursor.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
