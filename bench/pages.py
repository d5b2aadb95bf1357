"""The gateway's own CPU for each page: `python -m bench.pages`, and `--many 10000` for somebody who
has so many shares, contacts, requests and invites.

Gateway and client share one process here, so a figure is an upper bound: it holds the client's part
too. What other processes do (the storage) is not in it. The fastest of several rounds counts.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

import structlog

from tests.pages import tour
from tests.pages.conftest import two_gateways
from tests.web.browser import browser

_ROUNDS = 5
_IN_A_ROUND = 10


async def measure(many: int) -> list[tuple[float, str]]:
    """Milliseconds of CPU and the name of each page, the dearest first."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        async with two_gateways(Path(folder), **tour.NORTH) as (north, south, files):
            tour.fill(*files)
            stops = await tour.furnish(north, south)
            await tour.crowd(north, many)
            async with browser(north) as alice, browser(north) as stranger:
                await alice.login()
                for stop in stops:
                    if stop.who == "operator":
                        url = f"http://{north.settings.management.listen}{stop.path}"
                    else:
                        url = north.ours.origin + stop.path
                    visitor = alice if stop.who == "alice" else stranger
                    found.append((await _cheapest(visitor, url), stop.name))
    return sorted(found, reverse=True)


async def _cheapest(visitor, url: str) -> float:
    rounds = []
    await visitor.get(url)
    for _ in range(_ROUNDS):
        began = time.process_time()
        for _ in range(_IN_A_ROUND):
            await visitor.get(url)
        rounds.append((time.process_time() - began) * 1000 / _IN_A_ROUND)
    return min(rounds)


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    parser = argparse.ArgumentParser(prog="python -m bench.pages", description=__doc__)
    parser.add_argument("--many", type=int, default=0, help="how many more of everything she has")
    for milliseconds, name in asyncio.run(measure(parser.parse_args().many)):
        print(f"{milliseconds:6.1f} ms  {name}")


if __name__ == "__main__":
    main()
