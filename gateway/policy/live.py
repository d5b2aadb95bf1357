"""The policy kept as it is written: files, the list in the database, the bundle, directories.

What changes in any of them holds within a second, in every process, all of it or nothing: rules
that cannot be used leave the old ones in force and raise an alarm.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from sqlalchemy import Connection

from gateway import metrics
from gateway.config import Config, Misconfigured
from gateway.errors import BadSignature, GatewayError, Malformed, ProviderFailed
from gateway.logs import event
from gateway.model import Authority
from gateway.policy import bundles, sources
from gateway.policy.audit import Audit
from gateway.policy.doorkeeper import Doorkeeper
from gateway.policy.language import CENTRAL, MOST_BYTES, BadPolicy, Document, Source, read_text
from gateway.policy.running import Running
from gateway.policy.sources import Mark, Written
from gateway.providers.directories import Directories, read_key
from gateway.store import policies
from gateway.store.database import Database
from gateway.store.policies import KeptBundle
from gateway.transport import Guarded, server_of

_LOOK_SECONDS = 0.2
_FETCH_SECONDS = 20
LIST = "list"
_Look = tuple[Config, Mark, tuple[tuple[str, int], ...]]


class Live:
    """Takes in what is written and gives it to the doorkeeper."""

    def __init__(
        self,
        settings: Config,
        keeper: Doorkeeper,
        database: Database,
        directories: Directories,
        anywhere: Guarded,
        audit: Audit,
        clock: Callable[[], int],
    ) -> None:
        """`anywhere` admits every host: a bundle may come from one that we do not federate with."""
        self._settings = settings
        self._wanted = settings
        self._told = asyncio.Event()
        self._keeper = keeper
        self._database = database
        self._directories = directories
        self._anywhere = anywhere
        self._audit = audit
        self._clock = clock
        self._entered = ""
        self._mark = self._seen = self._look()
        self._written: Written = _read(settings)
        self.running = Running()
        self._bundle_at = 0
        self.trouble: tuple[str, ...] = ()

    async def load(self) -> None:
        """Take in the database's part; called when it has changed. Keeps the old on faults."""
        try:
            await self._adopt(self._written)
        except BadPolicy as error:
            self._alarm(error)

    def follow(self, settings: Config) -> None:
        """Keep to the policy and the groups of changed settings, as soon as they are read."""
        self._wanted = settings
        self._seen = self._look()
        self._told.set()

    async def review(self) -> None:
        """The operator's decisions about servers changed: ask everything anew."""
        self._keeper.forget()
        await self.running.review()

    async def work(self) -> None:
        """Look for what has changed, until cancelled."""
        metrics.policy_good.set(0 if self.trouble else 1)
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), _LOOK_SECONDS)
            self._told.clear()
            try:
                await self._turn()
            except GatewayError as error:
                event("policy.stalled", level="error", error=error.explanation)

    async def _turn(self) -> None:
        mark = self._look()
        settled, self._seen = mark == self._seen, mark
        # A file that is being written is left alone until it has been still for one look.
        if mark != self._mark and settled:
            await self._reload()
            self._mark = mark
        await self._follow_bundle()
        await self._enter()

    async def _enter(self) -> None:
        """Have it in the audit trail which policy holds, once for all processes."""
        in_force = self._keeper.in_force
        if in_force.version == self._entered:
            return
        deed = self._audit.deed(
            "policy.adopted",
            about=in_force.version,
            reason=f"{len(in_force.policy.rules)} rules, default {in_force.policy.default.word}",
        )
        put = partial(policies.put_version, version=in_force.version)
        await self._audit.write(put, lambda changed: deed if changed else None)
        self._entered = in_force.version

    def _look(self) -> _Look:
        wanted = self._wanted
        policy = wanted.policy
        files = [*policy.files, *([policy.shadow] if policy.shadow else [])]
        return wanted, sources.marks(files), self._directories.marks()

    async def _reload(self) -> None:
        wanted = self._wanted
        try:
            written = await asyncio.to_thread(_read, wanted)
            await self._adopt(written)
        except BadPolicy as error:
            self._alarm(error)
        else:
            self._settings, self._written = wanted, written

    async def _adopt(self, written: Written) -> None:
        others = await self._others()
        in_force = await asyncio.to_thread(sources.assemble, written, others, self._members())
        changed = in_force.version != self._keeper.in_force.version
        if self.trouble:
            event("policy.recovered", version=in_force.version)
        self.trouble = ()
        metrics.policy_good.set(1)
        if not changed and written == self._written:
            return
        self._keeper.adopt(in_force)
        metrics.policy_reloads.labels(result="adopted").inc()
        event("policy.adopted", version=in_force.version, rules=len(in_force.policy.rules))
        await self.running.review()

    def _members(self) -> dict[str, frozenset[Authority]]:
        names = self._directories.names
        return {name: self._directories.authorities(name) for name in names}

    async def _others(self) -> list[Source]:
        """The list that commands change, and the last good bundle."""
        found: list[Source] = []
        listing = await self._database.read(policies.latest)
        if listing is not None:
            found.append(Source(LIST, read_text(listing.document, LIST)))
        kept = await self.bundle()
        if kept is not None and kept.document:
            try:
                bundle = bundles.read(kept.document, self._key())
            except (Malformed, BadSignature) as error:
                # Another key is pinned now: what the old one signed means nothing any more.
                event("bundle.unusable", level="error", error=error.explanation)
            else:
                found.append(Source("bundle", bundle.document, CENTRAL))
        return found

    async def admit_list(self, document: Document) -> None:
        """Return when that list could hold beside the rest. Raises BadPolicy."""
        others = [one for one in await self._others() if one.name != LIST]
        all_of_it = [*others, Source(LIST, document)]
        await asyncio.to_thread(sources.assemble, self._written, all_of_it, self._members())

    async def sources(self) -> tuple[Source, ...]:
        """Every document that the policy is made of."""
        return (*self._written.sources, *await self._others())

    async def bundle(self) -> KeptBundle | None:
        """What is kept of the bundle that is followed."""
        if self._settings.policy.bundle.url is None:
            return None
        url = self._settings.policy.bundle.url
        return await self._database.read(partial(policies.find_bundle, url=url))

    async def _follow_bundle(self) -> None:
        settings = self._settings.policy.bundle
        if settings.url is None:
            return
        now = self._clock()
        if now < self._bundle_at:
            return
        self._bundle_at = now + 1
        claim = partial(
            policies.claim_bundle, url=settings.url, now=now, pause_seconds=settings.poll_seconds
        )
        kept = await self.bundle()
        if kept is not None and kept.checked_at > now - settings.poll_seconds:
            return
        if await self._database.write(claim):
            await self.fetch_bundle()

    async def fetch_bundle(self) -> None:
        """Look for a newer bundle now; what goes wrong is recorded and raises an alarm."""
        url = self._settings.policy.bundle.url
        if url is None:
            return
        try:
            result = await self._fetch(url)
        except GatewayError as error:
            result = "refused" if isinstance(error, Malformed | BadSignature) else "failed"
            result = "refused" if isinstance(error, Misconfigured) else result
            event(f"bundle.{result}", level="error", error=error.explanation)
            await self._database.write(
                partial(policies.fail_bundle, url=url, error=error.explanation)
            )
        metrics.policy_bundles.labels(result=result).inc()
        kept = await self.bundle()
        if kept is not None:
            metrics.policy_bundle_time.set(kept.fetched_at)
            stale_at = kept.fetched_at + self._settings.policy.bundle.stale_hours * 3600
            metrics.policy_bundle_stale.set(1 if stale_at < self._clock() else 0)

    async def _fetch(self, url: str) -> str:
        kept = await self.bundle()
        headers = {"Accept": "application/jose, text/plain"}
        if kept is not None and kept.etag:
            headers["If-None-Match"] = kept.etag
        provider = server_of(url)
        async with self._anywhere.request(
            provider, "GET", url, headers=headers, total_seconds=_FETCH_SECONDS
        ) as answer:
            if answer.status == 304 and kept is not None:
                await self._database.write(
                    partial(policies.confirm_bundle, url=url, now=self._clock())
                )
                return "unchanged"
            if answer.status != 200:
                raise ProviderFailed(f"the bundle's server answered {answer.status}")
            text = (await answer.read(2 * MOST_BYTES)).decode("ascii", "replace")
            etag = answer.headers.get("ETag", "")
        return await self._take(url, text, etag, kept)

    async def _take(self, url: str, text: str, etag: str, kept: KeptBundle | None) -> str:
        bundle = bundles.read(text, self._key())
        if kept is not None and kept.document:
            if kept.version == bundle.version and kept.document == text:
                await self._database.write(
                    partial(policies.confirm_bundle, url=url, now=self._clock())
                )
                return "unchanged"
            if bundle.version <= kept.version:
                raise Malformed(
                    f"version {bundle.version} of the bundle is not newer than {kept.version}"
                )
        # Rules that cannot be used here are refused before they are kept.
        mine = [one for one in await self._others() if one.layer != CENTRAL]
        sources.assemble(self._written, [*mine, Source("bundle", bundle.document, CENTRAL)])

        def keep(connection: Connection) -> bool:
            return policies.keep_bundle(
                connection,
                url,
                version=bundle.version,
                etag=etag,
                document=text,
                now=self._clock(),
            )

        await self._database.write(keep)
        event("bundle.taken", version=bundle.version)
        await self.load()
        return "taken"

    def _key(self) -> bundles.Key:
        file = self._settings.policy.bundle.key_file
        if file is None:
            raise Malformed("no key is pinned for the bundle")
        return read_key(file)

    def _alarm(self, error: Misconfigured) -> None:
        self.trouble = tuple(error.faults)
        metrics.policy_good.set(0)
        metrics.policy_reloads.labels(result="refused").inc()
        event("policy.refused", level="error", faults=error.faults[:20])


def _read(settings: Config) -> Written:
    return sources.read(settings.policy, settings.users.groups)
