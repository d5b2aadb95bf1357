"""One OCM Server from the outside in: DNS, TCP, TLS, HTTP, JSON, keys. What fails ends the way.

Anonymous GETs and nothing else, so it may be pointed at any server of the world.
"""

from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import partial

from yarl import URL

from gateway.errors import GatewayError, Malformed
from gateway.httpsig.keys import VerificationKey
from gateway.model import Authority, Scheme
from gateway.ocm import discovery
from gateway.ocm.discovery import Discovery
from gateway.probes import network
from gateway.probes.finding import Broken, Finding, failed, ok, skipped, warning
from gateway.providers.discovery import PATHS, REDIRECTS, Discoveries, Found, moved
from gateway.providers.keys import ProviderKeys
from gateway.transport import Answer, Guarded

STEPS = ("dns", "tcp", "tls", "http", "json", "keys")
_DOCUMENT_BYTES = 256 * 1024
_SECONDS = 20
_KEPT_SECONDS = 60
_SKEW_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Page:
    """What an address answered; `problem` is why it did not, or "". `date` is its clock, if told.
    `ours`: the answer bears the mark of a gateway like this one.
    """

    url: str
    status: int = 0
    kind: str = ""
    body: bytes = b""
    date: int | None = None
    problem: str = ""
    ours: bool = False

    @property
    def said(self) -> str:
        """In words."""
        return f"{self.url}: {self.problem or f'{self.status} {self.kind}'.strip()}"


@dataclass(slots=True)
class Look:
    """What was found of a server: the findings, and what the next questions need."""

    provider: Authority
    findings: list[Finding]
    origin: str = ""
    found: Found | None = None
    keys: tuple[VerificationKey, ...] = ()

    @property
    def document(self) -> Discovery | None:
        """Its discovery document."""
        return self.found.document if self.found else None


class ServerProbe:
    """Looks at servers, one after the other.

    `guarded` admits every host; `plain` says of which servers plain http is fine.
    """

    def __init__(
        self,
        guarded: Guarded,
        clock: Callable[[], int],
        *,
        plain: Callable[[Authority], bool],
        skew_seconds: int,
    ) -> None:
        self._guarded = guarded
        self._clock = clock
        self._plain = plain
        self._skew_seconds = skew_seconds

    async def look(self, look: Look) -> Look:
        """Walk the whole way, as far as it goes; what is found is added to the look at once."""
        try:
            look.origin = await self._reach(look)
            page = await self._http(look)
            look.found = Found(self._json(look, page), page.url, self._clock())
            await self._keys(look)
        except Broken as broken:
            look.findings.append(broken.finding)
            reached = {one.check for one in look.findings}
            why = f"{broken.finding.check} comes first"
            look.findings += [skipped(step, why) for step in STEPS if step not in reached]
        return look

    async def _reach(self, look: Look) -> str:
        """The origin at which the server speaks HTTP."""
        provider, plain = look.provider, self._plain(look.provider)
        url = URL(f"https://{provider}")
        host, port = str(url.host), url.port or 443
        dns, addresses = await network.resolve(
            host, port, reaches=partial(self._guarded.reaches, provider)
        )
        look.findings.append(dns)
        try:
            tcp, place = await network.connect(host, port, addresses)
        except Broken:
            if not plain or url.explicit_port:
                raise
            tcp, place = await network.connect(host, 80, addresses)
        look.findings.append(tcp)
        try:
            look.findings.append(await network.handshake(place))
        except Broken as broken:
            if not plain:
                raise
            look.findings.append(
                warning("tls", f"{broken.finding.message}; plain http", "For testing alone.")
            )
            return f"http://{provider}"
        return f"https://{provider}"

    async def _http(self, look: Look) -> Page:
        """The page with the discovery document, of whichever address has one."""
        pages = []
        for path in PATHS:
            pages.append(await self.fetch(look.provider, look.origin + path))
            if pages[-1].status == 200:
                break
        told = "; ".join(page.said for page in pages)
        if pages[-1].status != 200:
            raise Broken("http", told, _http_advice(pages))
        look.findings.append(
            ok("http", told)
            if len(pages) == 1
            else warning(
                "http",
                told,
                "Newer servers ask for /.well-known/ocm alone: it should be there, too.",
            )
        )
        look.findings.append(self._skew(pages[-1]))
        return pages[-1]

    async def fetch(self, provider: Authority, url: str, *, follow: bool = True) -> Page:
        """GET an address of a server; one redirect within it is followed."""
        ask = partial(self._guarded.request, provider, "GET")
        try:
            async with ask(
                url, headers={"Accept": "application/json"}, total_seconds=_SECONDS
            ) as answer:
                location = answer.headers.get("Location", "")
                if answer.status not in REDIRECTS or not location or not follow:
                    return await _page(url, answer)
            return await self.fetch(provider, moved(url, location), follow=False)
        except GatewayError as error:
            return Page(url, problem=error.explanation)

    def _skew(self, page: Page) -> Finding:
        if page.date is None:
            return skipped("clock", "its answer has no Date")
        off = page.date - self._clock()
        told = f"its clock and ours differ by {abs(off)} seconds"
        if abs(off) > self._skew_seconds:
            advice = "Signatures carry the time: one of the two machines needs NTP."
            return failed("clock", told, advice)
        return (
            ok("clock", told) if abs(off) <= _SKEW_SECONDS else warning("clock", told, "Use NTP.")
        )

    def _json(self, look: Look, page: Page) -> Discovery:
        try:
            found = discovery.parse(page.body, asked_at=str(URL(page.url).origin()))
        except Malformed as error:
            raise Broken(
                "json",
                f"{page.url} ({page.kind or 'no type'}) is no discovery document: {error.message}",
                "A log-in page, an error page or a proxy answers instead of OCM, or its document "
                "breaks the specification.",
            ) from error
        if not found.enabled:
            raise Broken(
                "json", "it says that OCM is switched off", "Its operator has to enable it."
            )
        able = " ".join(sorted(found.capabilities)) or "nothing more"
        told = f"{found.provider or 'no name'}, API {found.api_version}, {found.end_point}: {able}"
        look.findings.append(ok("json", told))
        return found

    async def _keys(self, look: Look) -> None:
        assert look.found is not None
        discoveries = Discoveries(
            self._guarded,
            self._clock,
            cache_seconds=_KEPT_SECONDS,
            failure_seconds=1,
            provider_seconds=_SECONDS,
        )
        discoveries.take(look.provider, look.found)
        keys = ProviderKeys(
            self._guarded,
            discoveries,
            self._clock,
            cache_seconds=_KEPT_SECONDS,
            failure_seconds=1,
            provider_seconds=_SECONDS,
        )
        try:
            look.keys = (await keys.of(look.provider)).keys
            if not look.keys:
                raise Malformed("its key set is empty, or none of its keys can be used")
        except GatewayError as error:
            look.findings.append(await self._older_keys(look, keys, error))
            return
        named = ", ".join(f"{key.kid} ({'/'.join(key.algorithms)})" for key in look.keys[:5])
        look.findings.append(ok("keys", named))

    async def _older_keys(self, look: Look, keys: ProviderKeys, why: GatewayError) -> Finding:
        assert look.document is not None
        try:
            look.keys = (await keys.of(look.provider, Scheme.CAVAGE)).keys
        except GatewayError:
            if look.document.signs:
                advice = (
                    "It says that it signs: what it sends will be refused until its keys are there."
                )
                return failed("keys", why.explanation, advice)
            told = f"it publishes no keys ({why.explanation})"
            advice = "It cannot prove who it is; see signatures.required and dialects.servers."
            return warning("keys", told, advice)
        return ok("keys", f"{look.keys[0].kid}, of draft-cavage, in its document")


async def _page(url: str, answer: Answer) -> Page:
    try:
        date = int(parsedate_to_datetime(answer.headers.get("Date", "")).timestamp())
    except (ValueError, TypeError, OverflowError):
        date = None
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip()[:100]
    body = await answer.read(_DOCUMENT_BYTES)
    return Page(url, answer.status, kind, body, date, ours="X-Request-Id" in answer.headers)


def _http_advice(pages: list[Page]) -> str:
    statuses = {page.status for page in pages}
    if statuses <= {0}:
        return (
            "It takes connections and does not speak HTTP, or breaks off: look at its web server."
        )
    if statuses & {401, 403}:
        return "A log-in or a filter stands before the document, which has to be public."
    if statuses & {500, 502, 503, 504}:
        return "Its web server runs and what is behind it does not."
    return (
        "It is a web server that does not speak OCM at this name: ask for the right name, or its "
        "web server must pass /.well-known/ocm on."
    )
