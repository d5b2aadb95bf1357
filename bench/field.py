"""The field: storage, peer, gateway and rivals, all running, all serving the same files.

Files and temporary files lie on tmpfs, the state of the gateway on a disk.
"""

import contextlib
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import load, peer, rivals
from bench.machine import LOAD_CORE
from bench.ours import DOOR, FOLDER, ROOT, USER, Installation
from bench.peer import Peer
from bench.programs import Program, free_port
from bench.rivals import Way

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
ENTRIES = 1000
PYTHON = ROOT / "build/bench-venv/bin/python"


@dataclass(frozen=True, slots=True)
class Field:
    """Everything a work needs. `quick`: shorter and smaller, to see that it runs."""

    rounds: int
    quick: bool
    home: Path
    installation: Installation
    peer: Peer
    share_id: str
    secret: str
    token: str
    gateway: Program
    nginx: Program
    haproxy: Program

    @property
    def headers(self) -> load.Headers:
        return load.usual_headers(self.token)

    @property
    def big(self) -> int:
        """Bytes of the big file."""
        return 128 * MIB if self.quick else GIB

    @property
    def big_file(self) -> Path:
        return self.home / "tree/dav" / USER / FOLDER / "big"

    def path(self, name: str) -> str:
        """Where a file of the share lies, at whichever proxy."""
        return f"{DOOR}/{self.share_id}/{name}"

    def seconds(self, full: int) -> int:
        """How long a measurement takes."""
        return 1 if self.quick else full


@contextlib.contextmanager
def opened(
    rounds: int, *, quick: bool, tree: Path = ROOT, profile: Path | None = None
) -> Iterator[Field]:
    """All of it, and nothing is left of it afterwards. The gateway's code is that of `tree`."""
    os.sched_setaffinity(0, {LOAD_CORE})
    with contextlib.ExitStack() as stack:
        stack.enter_context(_alone())
        home = stack.enter_context(_folder(_tmpfs()))
        state = stack.enter_context(_folder(ROOT / "build/bench"))
        _fill(home, 128 * MIB if quick else GIB)
        storage = stack.enter_context(rivals.storage(home))
        other = stack.enter_context(peer.listening())
        installation = Installation(tree, python(), home, state, storage.port, free_port())
        gateway = stack.enter_context(installation.serving(port=installation.port, profile=profile))
        share_id, secret = installation.share(other)
        token = installation.token(other, secret)
        way = Way(token, f"{DOOR}/{share_id}/", storage.port, f"/dav/{USER}/{FOLDER}/")
        yield Field(
            rounds=rounds,
            quick=quick,
            home=home,
            installation=installation,
            peer=other,
            share_id=share_id,
            secret=secret,
            token=token,
            gateway=gateway,
            nginx=stack.enter_context(rivals.nginx(home, way)),
            haproxy=stack.enter_context(rivals.haproxy(home, way)),
        )


def python() -> Path:
    """What runs the gateway: the environment that bench/setup.sh made, else our own."""
    return PYTHON if PYTHON.exists() else Path(sys.executable)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One benchmark at a time on a machine: two would measure each other."""
    with (Path(tempfile.gettempdir()) / "ocm-gateway-bench.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another benchmark runs; waiting for its end.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _tmpfs() -> Path:
    shared = Path("/dev/shm")
    return shared if shared.is_dir() else Path(tempfile.gettempdir())


@contextlib.contextmanager
def _folder(parent: Path) -> Iterator[Path]:
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="ocm-bench-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fill(home: Path, big: int) -> None:
    """The files that are shared."""
    folder = home / "tree/dav" / USER / FOLDER
    (folder / "many").mkdir(parents=True)
    (folder / "incoming").mkdir()
    noise = os.urandom(MIB)
    for name, size in (("1k", KIB), ("300k", 300 * KIB), ("1m", MIB)):
        (folder / name).write_bytes(noise[:size])
    with (folder / "big").open("wb") as file:
        for _ in range(big // MIB):
            file.write(noise)
    for number in range(ENTRIES):
        (folder / "many" / f"Report {number:04} (final).txt").write_bytes(noise[: number + 1])
