"""Which dialect another OCM Server speaks: what the operator says, what it publishes, and what was
learnt from what it took and refused."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from gateway import config, metrics
from gateway.logs import event
from gateway.model import Authority, Lesson, SentShare
from gateway.ocm.address import authority
from gateway.ocm.dialects import Approach, Dialect, Form, by_name, forms, recognise
from gateway.ocm.discovery import Discovery
from gateway.store import dialects
from gateway.store.database import Database


@dataclass(frozen=True, slots=True)
class Speech:
    """How to speak to one server now.

    `source` is configuration or discovery. `forms` are in the order to try, the one that it was
    seen to take first. `approach` is the one that was seen to open its Shares, if another than the
    dialect's first.
    """

    dialect: Dialect
    source: str
    forms: tuple[Form, ...]
    approach: Approach | None = None


class Dialects:
    """The dialects of other servers."""

    def __init__(
        self,
        database: Database,
        settings: config.Dialects,
        clock: Callable[[], int],
        *,
        legacy_access: bool | str,
    ) -> None:
        """`legacy_access` is True, False or auto, for servers of which nothing else is said."""
        self._database = database
        self._known = [(_canonical(known.server), known) for known in settings.servers]
        self._clock = clock
        self._legacy_access = legacy_access

    async def speech(self, provider: Authority, document: Discovery) -> Speech:
        """How to speak to the server that publishes `document`."""
        known = self._configured(provider)
        named = known.dialect if known else None
        dialect = by_name(named) if named else recognise(document)
        lesson = await self.lesson(provider)
        order, approach = forms(dialect, document), None
        # What was learnt of software that has been replaced since is worth nothing.
        if lesson and lesson.dialect == dialect.name:
            learnt = Form(lesson.form) if lesson.form else None
            if learnt in order:
                order = (learnt, *(form for form in order if form is not learnt))
            approach = Approach(lesson.approach) if lesson.approach else None
        return Speech(dialect, "configuration" if named else "discovery", order, approach)

    async def lesson(self, provider: Authority) -> Lesson | None:
        """What was learnt of a server."""
        return await self._database.read(partial(dialects.find, provider=provider))

    async def lessons(self) -> list[Lesson]:
        """Everything learnt."""
        return await self._database.read(dialects.all_lessons)

    async def forget(self, provider: Authority) -> bool:
        """Forget what was learnt of a server; whether there was anything."""
        return await self._database.write(partial(dialects.forget, provider=provider))

    async def took(self, provider: Authority, speech: Speech, form: Form) -> None:
        """A server took a Share in that form."""
        metrics.dialects.labels(dialect=speech.dialect.name, use="share").inc()
        await self._learn(provider, speech, form=form)

    async def opened(
        self, provider: Authority, speech: Speech, approach: Approach, *, learnt: bool
    ) -> None:
        """A server opened one of its Shares for that approach; `learnt` when for no earlier one."""
        metrics.dialects.labels(dialect=speech.dialect.name, use="access").inc()
        if learnt:
            await self._learn(provider, speech, approach=approach)

    async def _learn(
        self, provider: Authority, speech: Speech, *, form: str = "", approach: str = ""
    ) -> None:
        before = await self.lesson(provider)
        if before is None or before.dialect != speech.dialect.name:
            before = Lesson(provider, speech.dialect.name, "", "", 0)
        after = replace(before, form=form or before.form, approach=approach or before.approach)
        if after == before and before.learnt_at:
            return
        await self._database.write(
            partial(dialects.keep, lesson=replace(after, learnt_at=self._clock()))
        )
        event(
            "dialect.learnt",
            server=provider,
            dialect=after.dialect,
            form=after.form,
            approach=after.approach,
        )

    def takes_legacy(self, provider: Authority) -> bool:
        """Whether a server may be sent Shares that it opens with the secret alone."""
        return self._legacy(provider) is not False

    def opens_for_secret(self, share: SentShare) -> bool:
        """Whether the secret of that Share opens it as a Basic user name (draft 03, 8 step 5).

        Never where the Share requires the exchange.
        """
        if share.must_exchange_token is not False:
            return False
        legacy = self._legacy(share.receiving_server)
        return share.at_root if legacy == "auto" else bool(legacy)

    @property
    def any_legacy(self) -> bool:
        """Whether any server at all may come with a secret as Basic user name."""
        return self._legacy_access is not False or any(
            known.legacy_access for _, known in self._known
        )

    @property
    def any_unsigned_exchange(self) -> bool:
        """Whether the operator takes token requests without a signature of any server."""
        return any(known.unsigned_exchange for _, known in self._known)

    @property
    def any(self) -> bool:
        """Whether the operator takes any server without signatures."""
        return any(known.unsigned for _, known in self._known)

    def covers(self, provider: Authority) -> bool:
        """Whether the operator takes that server without signatures."""
        known = self._configured(provider)
        return known is not None and known.unsigned

    def takes_unsigned_exchange(self, provider: Authority) -> bool:
        """Whether the operator takes token requests of that server without a signature."""
        known = self._configured(provider)
        return known is not None and known.unsigned_exchange

    def _legacy(self, provider: Authority) -> bool | str:
        known = self._configured(provider)
        if known is None or known.legacy_access is None:
            return self._legacy_access
        return known.legacy_access

    def _configured(self, provider: Authority) -> config.KnownServer | None:
        """The first entry that names the server."""
        return next((known for entry, known in self._known if _covers(entry, provider)), None)


def _canonical(entry: str) -> str:
    return "*." + authority(entry[2:]) if entry.startswith("*.") else authority(entry)


def _covers(entry: str, provider: Authority) -> bool:
    """A name alone stands for every port, `*.suffix` for what lies below it."""
    host, colon, port = provider.rpartition(":")
    host = host if colon and port.isdigit() else provider
    if entry.startswith("*."):
        return host.endswith(entry[1:])
    return entry in (provider, host)
