"""Tests of another server at the operator's wish: what each finds is kept, as far as it has come.

A test runs beside whoever asked for it, for a minute at most, and one of a server at a time. What
it finds is written down step by step, so that every process can show it, also later.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from functools import partial

from sqlalchemy import Connection

from gateway.errors import GatewayError, Unavailable
from gateway.logs import event
from gateway.model import Authority
from gateway.policy.audit import Audit
from gateway.probes.finding import Finding, Result, failed, first_failure
from gateway.probes.server import Look
from gateway.store import facts
from gateway.store.database import Database

LONGEST_SECONDS = 60
_STEP_SECONDS = 0.5
_MOST = 8
"""How many may run at once in a process."""

Examine = Callable[[Look], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Trial:
    """One test. `ended_at` is 0 until it has ended; times in seconds since the epoch."""

    provider: Authority
    by: str
    began_at: int
    ended_at: int = 0
    findings: tuple[Finding, ...] = ()

    def runs(self, now: int) -> bool:
        """Whether it may still find something."""
        return not self.ended_at and 0 <= now - self.began_at <= LONGEST_SECONDS + 5

    @property
    def failed_at(self) -> str:
        """The first check that failed; "" for none."""
        broken = first_failure(self.findings)
        return broken.check if broken else ""


class Trials:
    """Runs them and remembers the last one of each server. Close it."""

    def __init__(
        self, database: Database, audit: Audit, examine: Examine, clock: Callable[[], int]
    ) -> None:
        """`examine` fills a Look, step by step."""
        self._database = database
        self._audit = audit
        self._examine = examine
        self._clock = clock
        self._running: set[asyncio.Task[Trial]] = set()

    async def last(self, provider: Authority) -> Trial | None:
        """The last test of a server, or the one that runs."""
        kept = await self._database.read(partial(facts.find, name=_name(provider)))
        return _read(kept) if kept else None

    async def begin(self, provider: Authority, *, by: str) -> bool:
        """Start a test; False when one of that server runs already. Raises Unavailable."""
        return await self._start(provider, by) is not None

    async def now(self, provider: Authority, *, by: str) -> Trial:
        """Test a server and wait for what is found; of one that runs, what it has found so far.

        Raises Unavailable.
        """
        task = await self._start(provider, by)
        if task is not None:
            return await asyncio.shield(task)
        found = await self.last(provider)
        assert found is not None
        return found

    async def close(self) -> None:
        """End what runs."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _start(self, provider: Authority, by: str) -> asyncio.Task[Trial] | None:
        if len(self._running) >= _MOST:
            raise Unavailable("too many tests run already", retry_after=LONGEST_SECONDS)
        trial = Trial(provider, by, self._clock())

        def reserve(connection: Connection) -> bool:
            kept = facts.find(connection, _name(provider))
            if kept and _read(kept).runs(trial.began_at):
                return False
            facts.put(connection, _name(provider), _text(trial))
            return True

        if not await self._database.write(reserve):
            return None
        task = asyncio.create_task(self._run(trial))
        self._running.add(task)
        task.add_done_callback(self._over)
        return task

    def _over(self, task: asyncio.Task[Trial]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()):
            event("trial.lost", level="error", error=str(error))

    async def _run(self, trial: Trial) -> Trial:
        look, known = Look(trial.provider, []), 0
        work = asyncio.ensure_future(self._examine(look))
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                while not work.done():
                    await asyncio.wait({work}, timeout=_STEP_SECONDS)
                    if len(look.findings) > known and not work.done():
                        known = len(look.findings)
                        so_far = replace(trial, findings=tuple(look.findings))
                        await self._database.write(_putting(so_far), on_disk=False)
            await work
        except TimeoutError:
            said = f"it was not done in {LONGEST_SECONDS} seconds"
            look.findings.append(failed("time", said, "Try again when the server is less busy."))
        except GatewayError as error:
            look.findings.append(failed("test", error.explanation, "The log tells more."))
        except Exception as error:  # a fault of ours must not look like a test that runs
            event("trial.fault", level="error", server=trial.provider, exc_info=error)
            look.findings.append(failed("test", "a fault of ours", "The log tells more."))
        finally:
            work.cancel()
        done = replace(trial, ended_at=self._clock(), findings=tuple(look.findings))
        outcome = f"failed at {done.failed_at}" if done.failed_at else "ok"
        deed = self._audit.deed("peer.tested", who=done.by, provider=done.provider, reason=outcome)
        await self._audit.write(_putting(done), lambda _: deed)
        return done


def _putting(trial: Trial) -> Callable[[Connection], None]:
    return partial(facts.put, name=_name(trial.provider), value=_text(trial))


def _name(provider: Authority) -> str:
    return f"trial of {provider}"


def _text(trial: Trial) -> str:
    return json.dumps(asdict(trial), ensure_ascii=False)


def _read(text: str) -> Trial:
    kept = json.loads(text)
    findings = tuple(
        Finding(one["check"], Result(one["result"]), one["message"], one["advice"])
        for one in kept.pop("findings")
    )
    return Trial(**kept, findings=findings)
