"""Looking at another server as it is now: `federation check`, and the operator's tests."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext

from gateway.config import Config
from gateway.model import Authority
from gateway.probes import trust
from gateway.probes.finding import first_failure, skipped
from gateway.probes.server import Look, ServerProbe
from gateway.sharing.others import Others
from gateway.sharing.ours import Ours
from gateway.transport import Guarded, TestingHosts


class _Unwatched:
    """Nobody keeps count: an examination opens and closes no breaker."""

    def asking(self, provider: Authority) -> AbstractContextManager[None]:  # noqa: ARG002
        return nullcontext()


class Examiner:
    """Examines servers, in the name of one gateway."""

    def __init__(
        self, settings: Config, ours: Ours, others: Others, clock: Callable[[], int]
    ) -> None:
        self._settings = settings
        self._ours = ours
        self._others = others
        self._clock = clock

    @asynccontextmanager
    async def probe(self) -> AsyncIterator[ServerProbe]:
        """A probe that may go anywhere, also to our own name where that is a private address."""
        testing = frozenset(self._settings.testing.hosts)
        plain, own = TestingHosts(testing), TestingHosts(testing | {self._ours.authority})
        routes = self._others.guarded.routes
        guarded = Guarded(own, lambda _: None, _Unwatched(), routes)
        try:
            yield ServerProbe(
                guarded,
                self._clock,
                plain=lambda provider: provider in plain,
                skew_seconds=self._settings.signatures.skew_seconds,
            )
        finally:
            await guarded.close()

    async def federation(self, look: Look, *, signed: bool = True) -> None:
        """Whether that server and this one could federate; step by step into the look."""
        async with self.probe() as probe:
            await probe.look(look)
        approval = self._settings.trust.approval
        look.findings.append(trust.policy(look, self._others, approval=approval))
        if not signed:
            look.findings.append(skipped("signature", "not wanted"))
        elif broken := first_failure(look.findings):
            look.findings.append(skipped("signature", f"{broken.check} comes first"))
        else:
            look.findings.append(await trust.signature(look, self._others, self._ours))
