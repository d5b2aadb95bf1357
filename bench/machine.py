"""The machine: which core does what, and what processes use of it."""

import os
import platform
import re
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

PROXY_CORE, LOAD_CORE = (sorted(os.sched_getaffinity(0)) * 2)[:2]
"""The proxy under test has a core for itself; the backend and the load share another."""

_PAGE = os.sysconf("SC_PAGE_SIZE")


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended while we looked
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """What processes have used so far, in user and kernel mode.

    The kernel's own clock of each process: the sum of /proc/PID/task/*/schedstat, with the threads
    that have ended and with the time slice that runs now.
    """
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


def resident_bytes(pids: Iterable[int]) -> int:
    """The memory that processes hold now (RSS)."""
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids) * _PAGE


def description() -> str:
    """The machine in a line."""
    cpus = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*:\s*(.+)$", cpus, re.MULTILINE)
    memory = os.sysconf("SC_PHYS_PAGES") * _PAGE / 1e9
    name = model[1] if model else platform.machine()
    return (
        f"{os.cpu_count()} cores of {name}, {memory:.0f} GB of memory, Linux {platform.release()}"
    )


def python_version(python: Path) -> str:
    """Which Python, how it was built, and the libraries that matter most here."""
    code = (
        "import os, platform, sys, sysconfig; from importlib.metadata import version as v;"
        # Debian optimises its builds without saying so where others do.
        "debian = sys.base_prefix == '/usr' and os.path.exists('/etc/debian_version');"
        "fast = '--enable-optimizations' in (sysconfig.get_config_var('CONFIG_ARGS') or '');"
        "built = 'Debian, optimised' if debian else 'optimised' if fast else 'NOT optimised';"
        "print(f'Python {platform.python_version()} ({built} build)',"
        " 'with aiohttp', v('aiohttp'), 'and uvloop', v('uvloop'))"
    )
    return _said([str(python), "-c", code])


def versions(nginx: str, haproxy: str, wrk: str) -> str:
    """The rivals and the load generator."""
    said = (
        re.search(r"nginx/([\d.]+)", _said([nginx, "-v"])),
        re.search(r"version ([\d.]+)", _said([haproxy, "-v"])),
        re.search(r"wrk (?:debian/)?([\d.]+)", _said([wrk, "-v"])),
    )
    names = ("nginx", "HAProxy", "wrk")
    pairs = zip(names, said, strict=True)
    return ", ".join(f"{name} {found[1] if found else '?'}" for name, found in pairs)


def _said(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return (done.stdout + done.stderr).strip()
