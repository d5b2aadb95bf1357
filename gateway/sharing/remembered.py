"""What was read from the database, remembered until anything in it changes.

The data plane asks the database nothing: a share is read once and then held in memory. Each use
compares the database's version first, so a revocation by any process is seen by the next request.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from sqlalchemy import Connection

from gateway.store.state import State

Value = TypeVar("Value")

_MANY = 10_000


class Remembered(Generic[Value]):
    """Values by key, dropped all together at the first commit of anybody."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._version = state.changes.version()
        self._values: dict[str, Value] = {}

    def peek(self, key: str) -> Value | None:
        """The value of `key` where it is remembered and still true."""
        if self._state.changes.version() != self._version:
            return None
        return self._values.get(key)

    async def get(self, key: str, read: Callable[[Connection], Value]) -> Value:
        """The value of `key`, read from the database where it is not remembered."""
        version = self._state.changes.version()
        if version != self._version:
            self._values.clear()
            self._version = version
        if key in self._values:
            return self._values[key]
        value = await self._state.database.read(read)
        # Something may have been committed between the read and now; then it is not kept.
        if self._state.changes.version() == version == self._version:
            if len(self._values) >= _MANY:
                self._values.clear()
            self._values[key] = value
        return value
