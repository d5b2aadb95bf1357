"""Several worker processes on one port.

Each worker is a whole gateway that shares the port (SO_REUSEPORT) and the state with the others;
the system spreads the connections. The supervisor starts them, starts one again that died, and
passes signals on. Metrics go through files in a folder of their own, so that whichever worker is
asked answers for all.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from prometheus_client import multiprocess

from gateway.logs import event
from gateway.metrics import METRICS_FOLDER

_WORKER = "OCM_GATEWAY_WORKER"
_TOO_SOON_SECONDS = 5
_PAUSE_SECONDS = 1.0


def is_worker() -> bool:
    """Whether this process is one of several workers."""
    return _WORKER in os.environ


def supervise(config_file: Path | None, workers: int) -> int:
    """Run that many workers until SIGTERM or SIGINT; the exit code.

    A worker that fails right after its start ends them all: it would fail again.
    """
    with tempfile.TemporaryDirectory(prefix="ocm-gateway-metrics-") as folder:
        return _Supervisor(config_file, workers, folder).run()


class _Supervisor:
    def __init__(self, config_file: Path | None, workers: int, metrics_folder: str) -> None:
        named = ["--config", str(config_file)] if config_file else []
        self._command = [sys.executable, "-m", "gateway", "serve", *named]
        self._workers = workers
        self._environment = os.environ | {_WORKER: "1", METRICS_FOLDER: metrics_folder}
        self._running: dict[int, tuple[subprocess.Popen[bytes], float]] = {}
        self._stopping = False

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._pass_on)
        for _ in range(self._workers):
            self._start()
        code = 0
        while self._running:
            pid, status = os.wait()
            found = self._running.pop(pid, None)
            if found is None:
                continue
            multiprocess.mark_process_dead(  # type: ignore[no-untyped-call]
                pid, self._environment[METRICS_FOLDER]
            )
            ended = os.waitstatus_to_exitcode(status)
            if not self._stopping:
                code = self._replace(ended, time.monotonic() - found[1]) or code
        return code

    def _start(self) -> None:
        worker = subprocess.Popen(self._command, env=self._environment)  # noqa: S603
        self._running[worker.pid] = (worker, time.monotonic())

    def _replace(self, code: int, lived_seconds: float) -> int:
        """Start another worker for one that ended, or stop them all."""
        if lived_seconds < _TOO_SOON_SECONDS and code >= 0:
            self._stop(signal.SIGTERM, None)
            return code
        event("worker.died", level="error", code=code)
        time.sleep(_PAUSE_SECONDS)
        if not self._stopping:
            self._start()
        return 0

    def _stop(self, number: int, _: FrameType | None) -> None:
        self._stopping = True
        self._pass_on(number, None)

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        for worker, _started in self._running.values():
            worker.send_signal(number)
