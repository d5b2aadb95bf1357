"""Programs that run beside us: started, pinned to a core, and ended again."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.machine import cpu_seconds, family, resident_bytes

START_SECONDS = 20
STOP_SECONDS = 10


class Unusable(Exception):
    """What was measured is no measurement; the message says why."""


@dataclass(frozen=True, slots=True)
class Program:
    """A server on 127.0.0.1 that runs."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pids(self) -> list[int]:
        return family(self.process.pid)

    def cpu(self) -> float:
        """Seconds of CPU used so far, children included."""
        return cpu_seconds(self.pids)

    def said(self) -> str:
        """The end of what it wrote to its log."""
        return self.log.read_text(errors="replace")[-3000:].strip()

    def memory(self) -> int:
        """Bytes resident now, children included."""
        return resident_bytes(self.pids)


@contextlib.contextmanager
def running(
    name: str,
    port: int,
    command: list[str],
    *,
    core: int,
    log: Path,
    folder: Path | None = None,
    environment: dict[str, str] | None = None,
) -> Iterator[Program]:
    """A program that listens on `port`, on one core. It does not outlive us, however we end."""
    bound = [require("taskset"), "-c", str(core), require("setpriv"), "--pdeathsig", "TERM"]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*bound, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            env=os.environ | (environment or {}),
        )
    program = Program(name, port, process, log)
    try:
        _await(program)
        yield program
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            for pid in program.pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()


def require(program: str) -> str:
    """The path of a program that the benchmarks cannot do without."""
    path = os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"
    found = shutil.which(program, path=path)
    if found is None:
        raise Unusable(f"{program} is not installed; `sh bench/setup.sh` installs it")
    return found


def free_port() -> int:
    """A port nobody listens on, below those the kernel gives to outgoing connections."""
    for port in random.sample(range(20_000, 32_000), 50):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise Unusable("no free port on 127.0.0.1")


def _await(program: Program) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and program.process.poll() is None:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", program.port), timeout=1),
        ):
            return
        time.sleep(0.05)
    raise Unusable(f"{program.name} did not start:\n{program.said()}")
