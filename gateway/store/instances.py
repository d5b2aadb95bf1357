"""Which of the processes that share the state are alive.

Each holds a lock on a file of its own for as long as it lives; the system lets go of it whatever
way the process ends, `kill -9` included.
"""

import fcntl
import os
import secrets
from abc import ABC, abstractmethod
from pathlib import Path

from sqlalchemy import Connection


class Instances(ABC):
    """This process, as the others see it, and the others."""

    name: str

    @abstractmethod
    def alive(self, connection: Connection, name: str) -> bool:
        """Whether the process of that name still runs, asked inside a transaction."""

    @abstractmethod
    async def close(self) -> None:
        """Let go: the others see us as gone."""


class FileInstances(Instances):
    """Processes of one machine, each with a locked file in a folder they share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "instances"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._sweep()
        self.name = f"{os.getpid()}-{secrets.token_hex(6)}"
        # Locked before it can be seen: nobody ever finds it without its lock.
        unseen = self._folder / f".{self.name}"
        self._handle = os.open(unseen, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        unseen.rename(self._folder / self.name)

    def alive(self, _: Connection, name: str) -> bool:
        """Whether the process of that name still runs."""
        return self._locked(name)

    async def close(self) -> None:
        """Let go."""
        (self._folder / self.name).unlink(missing_ok=True)
        os.close(self._handle)

    def _locked(self, name: str) -> bool:
        if name == self.name:
            return True
        try:
            handle = os.open(self._folder / Path(name).name, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            return False
        finally:
            os.close(handle)

    def _sweep(self) -> None:
        self.name = ""
        for file in self._folder.iterdir():
            if not file.name.startswith(".") and not self._locked(file.name):
                file.unlink(missing_ok=True)
