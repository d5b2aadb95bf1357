"""Has anybody changed the database? Asked on every WebDAV request, so it must cost nothing."""

import sqlite3
from abc import ABC, abstractmethod
from pathlib import Path
from time import monotonic

LOOK_SECONDS = 0.01
"""How long another process's commit may go unseen; our own are seen at once."""


class Changes(ABC):
    """Sees every commit, whichever process made it."""

    @abstractmethod
    def version(self) -> int:
        """A number that is another one after each commit."""

    @abstractmethod
    def seen(self) -> None:
        """Something was committed in this process."""

    @abstractmethod
    async def close(self) -> None:
        """Look no longer."""


class FileChanges(Changes):
    """A connection of its own to SQLite's file."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._cursor = self._connection.cursor()
        self._version = 0
        self._look_at = 0.0

    def version(self) -> int:
        """A number that is another one after each commit."""
        now = monotonic()
        if now >= self._look_at:
            self._version = self._cursor.execute("PRAGMA data_version").fetchone()[0]
            self._look_at = now + LOOK_SECONDS
        return self._version

    def seen(self) -> None:
        """Something was committed in this process."""
        self._look_at = 0.0

    async def close(self) -> None:
        """Close the connection."""
        self._connection.close()
