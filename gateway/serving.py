"""Serve until told to stop, and take up changed settings meanwhile.

On SIGHUP, and when the configuration or a file that it is made of has changed, everything is read
anew and a second gateway is opened beside the first. Only when that stands does it take over,
between two requests; what cannot be read or opened changes nothing and raises an alarm. What still
runs is finished by the gateway that it began with, which is closed then. The policy alone is handed
to all of them at once.

The listeners' addresses, the number of workers and the place of the state stay as they were until
a restart; the log and `/configuration` say so.
"""

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

from gateway import config, logs, metrics, settings
from gateway.app import answering, attentive, open_gateway, running_errands, shift_of
from gateway.config import Config, Misconfigured
from gateway.errors import GatewayError
from gateway.logs import event
from gateway.policy.sources import Mark, marks
from gateway.settings import Reading
from gateway.web.front import Front, Shift

_LOOK_SECONDS = 0.2
_LONGEST_SECONDS = 3600
"""How long a gateway that was relieved is kept for requests that do not end."""
_MOST_FAULTS = 20


async def serve(wanted: Config, *, shared_port: bool = False) -> None:
    """Run a gateway until SIGTERM or SIGINT; transfers that run may finish first.

    `shared_port` makes it one of several workers.
    """
    stop, again = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, again.set)
    _warn(wanted)
    async with Serving(wanted) as serving:
        watch = asyncio.create_task(serving.watch(again))
        async with answering(wanted, serving.front, serving.reading, shared_port=shared_port):
            event(
                "listening",
                origin=wanted.public.origin,
                public=wanted.public.listen,
                management=wanted.management.listen,
            )
            await stop.wait()
            event("stopping")
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)


class Serving:
    """The gateway that is on, those that finish what they began, and what is written now."""

    def __init__(self, wanted: Config, load: Callable[[Config], Config] | None = None) -> None:
        self._settings = wanted
        self._load = load or (lambda now: config.load(now.file))
        self._mark = _look(wanted)
        self._relieved: dict[asyncio.Task[None], _Parts] = {}
        self.reading = Reading()

    async def __aenter__(self) -> "Serving":
        """Open the first gateway. Raises Unavailable."""
        self._parts, shift = await self._open(self._settings)
        self.front = Front(shift)
        self._tell_metrics()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the gateway, and those that were relieved: nothing runs any more."""
        for task in self._relieved:
            task.cancel()
        await asyncio.gather(*self._relieved, return_exceptions=True)
        await self._parts.close()

    async def watch(self, again: asyncio.Event) -> None:
        """Read anew when `again` is set or a file has changed and is still; until cancelled."""
        seen = self._mark
        while True:
            try:
                await asyncio.wait_for(again.wait(), _LOOK_SECONDS)
            except TimeoutError:
                mark = await asyncio.to_thread(_look, self._settings)
                settled, seen = mark == seen, mark
                if mark == self._mark or not settled:
                    continue
            again.clear()
            await self.reload()
            seen = self._mark

    async def reload(self) -> None:
        """Take up what is written now, all of it or nothing."""
        unread = self._mark = await asyncio.to_thread(_look, self._settings)
        try:
            written = await asyncio.to_thread(self._load, self._settings)
            wanted = settings.kept_until_restart(self._settings, written)
            mark = _as_read(unread, await asyncio.to_thread(_look, wanted))
            for one in (self._parts, *self._relieved.values()):
                one.follow(written)  # who is denied now need not wait for the rest
            parts, shift = await self._open(wanted)
        except (GatewayError, OSError, ValueError) as error:
            self._refuse(error)
            return
        changes = settings.changed(self._settings, written)
        logs.configure(wanted.log.level, wanted.log.format)
        before, self._settings = self._settings, wanted
        self._mark = mark
        await self._hand_over(parts, shift)
        self._tell(changes)
        if config.warnings(wanted) != config.warnings(before):
            _warn(wanted)

    async def _open(self, wanted: Config) -> "tuple[_Parts, Shift]":
        parts = _Parts()
        try:
            return parts, await parts.open(wanted, self.reading)
        except BaseException:
            await parts.close()
            raise

    async def _hand_over(self, parts: "_Parts", shift: Shift) -> None:
        relieved, self._parts = self._parts, parts
        over = self.front.hand_over(shift)
        await relieved.errands.aclose()
        task = asyncio.create_task(_finish(relieved, over))
        self._relieved[task] = relieved
        task.add_done_callback(self._relieved.pop)
        await asyncio.sleep(0)  # a task that is cancelled before it begins would close nothing

    def _tell(self, changes: list[tuple[settings.Setting, settings.Setting]]) -> None:
        self.reading.faults = ()
        self.reading.waiting = tuple(now.name for _, now in changes if not now.live)
        self._tell_metrics()
        metrics.config_reloads.labels(result="reloaded").inc()
        taken = {
            now.name: f"{settings.text(was.value)} -> {settings.text(now.value)}"
            for was, now in changes
            if now.live
        }
        event("configuration.reloaded", changes=taken)
        if self.reading.waiting:
            event("configuration.waits_for_restart", level="warning", settings=self.reading.waiting)

    def _tell_metrics(self) -> None:
        metrics.config_good.set(1)
        metrics.config_time.set(time.time())
        metrics.config_hash.set(settings.fingerprint(self._settings))

    def _refuse(self, error: Exception) -> None:
        if isinstance(error, Misconfigured):
            faults = tuple(error.faults)
        elif isinstance(error, GatewayError):
            faults = (error.explanation,)
        else:
            faults = (str(error),)
        self.reading.faults = faults
        metrics.config_good.set(0)
        metrics.config_reloads.labels(result="refused").inc()
        event("configuration.refused", level="error", faults=faults[:_MOST_FAULTS])


class _Parts:
    """One open gateway. Its errands end when it is relieved, the rest when nothing runs."""

    def __init__(self) -> None:
        self.errands = AsyncExitStack()
        self._all = AsyncExitStack()

    async def open(self, wanted: Config, reading: Reading) -> Shift:
        gateway = await self._all.enter_async_context(open_gateway(wanted))
        self._live = gateway.live
        shift = shift_of(gateway, reading)
        await self._all.enter_async_context(attentive(gateway))
        await self.errands.enter_async_context(running_errands(gateway, shift))
        return shift

    def follow(self, settings: Config) -> None:
        """Keep to the policy of those settings from now on."""
        self._live.follow(settings)

    async def close(self) -> None:
        await self.errands.aclose()
        await self._all.aclose()


async def _finish(parts: _Parts, shift: Shift) -> None:
    """Close a gateway that was relieved, once nothing runs that began with it."""
    try:
        await asyncio.wait_for(shift.done.wait(), _LONGEST_SECONDS)
    except TimeoutError:
        event("configuration.cut", level="warning", requests=shift.running)
    finally:
        await parts.close()


def _look(wanted: Config) -> Mark:
    return marks(settings.files(wanted))


def _as_read(unread: Mark, now: Mark) -> Mark:
    """The files of now, as they were before they were read: what changed since is yet to be."""
    known = {one[0]: one for one in unread}
    return tuple(known.get(one[0], one) for one in now)


def _warn(wanted: Config) -> None:
    for warning in config.warnings(wanted):
        event("configuration", level="warning", warning=warning)
