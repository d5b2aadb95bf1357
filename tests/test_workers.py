"""Several workers on one port answer as one gateway."""

import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests import servers
from tests.pair import Process, running


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def workers_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_two_workers_share_port_state_and_metrics(tmp_path):
    with (
        servers.wsgidav(tmp_path) as storage,
        running(tmp_path / "a", storage.url, public_workers=2) as gateway,
    ):
        workers = workers_of(gateway.process.pid)
        assert len(workers) == 2
        for _ in range(40):
            fetch(f"{gateway.origin}/.well-known/ocm")
        text = fetch(f"{gateway.management}/metrics")
        counted = re.search(r'route="ocm.discovery",status="200"\} (\d+)', text)
        assert counted
        assert int(counted[1]) == 40
        assert 'ocm_build_info{version="' in text


def test_two_workers_count_guesses_together(tmp_path):
    with (
        servers.wsgidav(tmp_path) as storage,
        running(
            tmp_path / "a",
            storage.url,
            public_workers=2,
            testing={"rate_limits": True},
            limits={"failed_logins_per_minute": 4},
        ) as gateway,
    ):
        url = f"{gateway.origin}/api/v1/shares"
        wrong = {"Authorization": "Basic YWxpY2U6d3Jvbmc="}  # alice:wrong
        statuses = [status(urllib.request.Request(url, headers=wrong)) for _ in range(14)]
        assert statuses == [401] * 4 + [429] * 10


def status(request: urllib.request.Request) -> int:
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_worker_that_dies_is_replaced_and_sigterm_ends_all(tmp_path):
    with (
        servers.wsgidav(tmp_path) as storage,
        running(tmp_path / "a", storage.url, public_workers=2) as gateway,
    ):
        process = gateway.process
        first = workers_of(process.pid)
        subprocess.run(["kill", "-9", str(first[0])], check=True)
        deadline = time.monotonic() + 15
        while len(set(workers_of(process.pid)) - set(first)) != 1:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        fetch(f"{gateway.origin}/.well-known/ocm")
        left = workers_of(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in left)


def test_a_gateway_that_follows_another_on_its_port_drops_no_request(tmp_path):
    """The restart of docs/upgrading.md: the new one is started beside the old one."""
    with (
        servers.wsgidav(tmp_path) as storage,
        running(tmp_path / "a", storage.url, public_workers=2) as old,
    ):
        new = Process(old.file)
        ended = threading.Event()
        statuses: list[object] = []

        def ask() -> None:
            while not ended.is_set():
                try:
                    statuses.append(status(urllib.request.Request(f"{old.origin}/.well-known/ocm")))
                except OSError as error:
                    statuses.append(error)

        asking = [threading.Thread(target=ask) for _ in range(4)]
        for thread in asking:
            thread.start()
        try:
            follow(new)
            before = len(statuses)
            old.stop()
            after = len(statuses)
            fetch(f"{new.origin}/.well-known/ocm")
        finally:
            ended.set()
            for thread in asking:
                thread.join()
            new.stop()
    assert after > before
    assert set(statuses) == {200}


def follow(new: Process) -> None:
    """Start a gateway beside the one that answers, and wait until both of its workers listen."""
    before = new.log.read_text().count("listening")
    new.start()
    deadline = time.monotonic() + 30
    while new.log.read_text().count("listening") < before + 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
