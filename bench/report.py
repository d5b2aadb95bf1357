"""The table: on the screen, and in docs/performance.md.

A run of some works only replaces their rows: the others are kept in build/bench/results.json.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import machine
from bench.field import python
from bench.ours import ROOT
from bench.programs import require
from bench.rounds import Row, Spread, Work

RESULTS = ROOT / "build/bench/results.json"
DOCUMENT = ROOT / "docs/performance.md"

_TEXT = """# Performance

What a unit of work costs the gateway, beside proxies that are known to be fast. This page is
written by `make bench`, which installs the rivals from Debian and takes some ten minutes;
`python -m bench big-get` repeats a row, `python -m bench --help` says the rest.

{table}

## Where the time goes, where a goal is missed

- **GET of 1 KiB** (sampled with py-spy): about half is what nginx pays as well, two sends and the
  event loop with its two reads. The rest is Python: aiohttp's parser, request object and task an
  eighth; writing, checking and parsing the heads of the storage's connection a fifth; deciding
  (token, share, policy, target) a twelfth; the allow-lists of headers and the head of the answer a
  tenth; counting a twentieth. At 500 a second the same work runs on cold caches.

## What was compared

CPU time for each unit of work, in user and kernel mode, of the proxy alone: not requests a second,
which on a shared machine say more about the neighbours. Everybody gets the same request (an access
token of the gateway, ten header fields) for the same file, and does for it what the gateway has to
do at the least: look at the token, put the storage's own credentials in its place, replace the
front of the path.

- **gateway**: one process, `ocm-gateway serve`, configured as usual; it writes no line for each
  request, as the others do not.
- **nginx**: one worker, tuned. `auth_request` answered from `proxy_cache`, the Authorization header
  replaced, 16 x 256k proxy buffers, a body buffer of 1 MB, uploads not buffered, 64 kept
  connections to the storage. With nginx's own default buffers the gateway would look better.
- **HAProxy**: one thread, the token compared, the header replaced; `option splice-auto` and, since
  that alone still copied half of a fast transfer and took twice the CPU, `splice-request` and
  `splice-response`.

The gateway does more than they do: it keeps shares, expiry and permissions in view of every
request, counts, and rewrites WebDAV answers.

## How it was measured

- The proxy under test has one core for itself; storage, peer and load share another. All on
  loopback, without TLS. Loopback figures do not carry over to network cards one to one.
- The storage is nginx with DAV, its files on tmpfs. The gateway's state is on a disk, and commits
  wait for it.
- CPU is read from the kernel's clock of each process, children included, before and after.
- Rounds alternate (A to Z, Z to A) after one that does not count. A ratio is taken within a round.
  The table has the median of the rounds [lowest-highest], and the medians behind a ratio.
- 1 KiB to 1 MiB: wrk, closed loop. 500 a second: an open loop on 32 connections, latencies counted
  from when a request was due; the client's own jitter is in them. 1 GiB: one client that throws the
  bytes away in the kernel (GET) or sends them with sendfile (PUT).
- PROPFIND: Depth 1, six properties; hrefs rewritten, `oc:permissions` and others merged in.
- Token exchange and new shares: signed with Ed25519 by a peer, 4 connections, each with a nonce.
- Memory: resident size of a fresh process; sockets and pipes in the kernel are not in it.
- Two workers run on the same core as the one they are compared with, so this shows what a second
  worker costs, not what it brings.
- Figures in microseconds and milliseconds are of the machine as well; what nginx takes for 1 KiB in
  the first row says how fast it was. On the one of 2026-11-28 nginx took four times as long as on
  that of 2026-11-21, where tokens (1.04 ms), new shares (2.45 ms) and PROPFIND (19.2 us) met
  their goals.
- A wrong status or a missing byte anywhere voids the run.

## Where

{where}
"""


def line(row: Row) -> str:
    """A row for the screen."""
    goal = f"goal {row.goal:g}: {row.verdict.upper()}"
    return f"  {row.work}: {row.measured} {row.unit}, {goal}" + (
        f"\n      {row.behind}" if row.behind else ""
    )


def keep(work: Work, rows: Sequence[Row], rounds: int) -> None:
    """Remember what a work gave, in place of what it gave before."""
    results = _results()
    today = datetime.now(UTC).date().isoformat()
    results[work.name] = {
        "date": today,
        "rounds": rounds,
        "where": _where(),
        "rows": [asdict(row) for row in rows],
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1))


def write(works: Sequence[Work]) -> None:
    """Write docs/performance.md from what is remembered."""
    results = _results()
    known = [results[work.name] for work in works if work.name in results]
    lines = [
        "| work | measured | goal, at most | | behind it (CPU) | rounds, date |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for result in known:
        for fields in result["rows"]:
            row = Row(**fields | {"measured": Spread(**fields["measured"])})
            lines.append(
                f"| {row.work} | {row.measured} {row.unit} | {row.goal:g} | {row.verdict} "
                f"| {row.behind} | {result['rounds']}, {result['date']} |"
            )
    where = dict.fromkeys(result["where"] for result in known)
    text = _TEXT.format(table="\n".join(lines), where="\n".join(f"- {one}" for one in where))
    DOCUMENT.write_text(text)


def _results() -> dict[str, Any]:
    return dict(json.loads(RESULTS.read_text())) if RESULTS.exists() else {}


def _where() -> str:
    rivals = machine.versions(require("nginx"), require("haproxy"), require("wrk"))
    return f"{machine.description()}; {machine.python_version(Path(python()))}; {rivals}."
