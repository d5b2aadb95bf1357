"""The one place where the parts meet: everything is opened, joined and closed here."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aiohttp import web, web_response

from gateway import __version__, config, metrics, telemetry
from gateway.addresses import PRIVATE, PrivateRoute, PrivateRoutes
from gateway.config import Config
from gateway.dav.locks import LockSeal
from gateway.dav.target import split_url
from gateway.errors import GatewayError, Unavailable
from gateway.gauges import Gauges
from gateway.logs import event
from gateway.mail import Mail
from gateway.model import Authority, Decision, User
from gateway.ocm.address import authority
from gateway.policy import sources
from gateway.policy.audit import DENY, Audit
from gateway.policy.doorkeeper import Doorkeeper
from gateway.policy.ledger import Ledger
from gateway.policy.lists import Lists
from gateway.policy.live import Live
from gateway.policy.refusals import refusal
from gateway.policy.streaming import STDOUT, Stream
from gateway.probes.examiner import Examiner
from gateway.probes.trials import Trials
from gateway.providers.client import ProviderClient
from gateway.providers.dialects import Dialects
from gateway.providers.directories import Directories
from gateway.providers.discovery import Discoveries
from gateway.providers.health import Healths
from gateway.providers.identity import Identity
from gateway.providers.keys import ProviderKeys
from gateway.providers.registry import Registry
from gateway.providers.ring import Names, Ring, read_keys
from gateway.rates import Rates
from gateway.settings import Reading
from gateway.sharing import ours as ours_
from gateway.sharing.accepting import Accepting
from gateway.sharing.access import Access
from gateway.sharing.accesses import Accesses
from gateway.sharing.admission import Admission
from gateway.sharing.asking import Asking
from gateway.sharing.changing import Changing
from gateway.sharing.contacts import Contacts
from gateway.sharing.files import Files
from gateway.sharing.inviting import Inviting, Terms
from gateway.sharing.leaving import Leaving
from gateway.sharing.links import LINK_PATH, Links
from gateway.sharing.membership import Membership
from gateway.sharing.messages import Messages
from gateway.sharing.news import Newsroom
from gateway.sharing.operating import Operating
from gateway.sharing.others import Others
from gateway.sharing.ours import Ours
from gateway.sharing.outbox import Outbox
from gateway.sharing.parties import Parties
from gateway.sharing.probing import Probing
from gateway.sharing.receiving import Receiving
from gateway.sharing.recipients import Recipients
from gateway.sharing.requests import Requests
from gateway.sharing.reviewing import Reviewing
from gateway.sharing.rotating import Rotating
from gateway.sharing.sending import Sending
from gateway.sharing.storage import Storage
from gateway.sharing.sweeping import Sweeping
from gateway.sharing.visiting import Visiting
from gateway.sharing.wayf import Wayf
from gateway.store import rates as store_rates
from gateway.store import replays, revisions, sessions
from gateway.store.following import follow
from gateway.store.place import PostgresAddress
from gateway.store.state import State, open_state
from gateway.telemetry import Spans, Wanted
from gateway.transport import Guarded, TestingHosts, server_of
from gateway.upstream.pool import Pool
from gateway.upstream.redirects import DataServers, Redirected
from gateway.upstream.traced import Traced
from gateway.upstream.way import Way
from gateway.web import named
from gateway.web.accepting import OpenSite
from gateway.web.api import api
from gateway.web.bodies import Bodies
from gateway.web.federation import Federation
from gateway.web.front import Desk, Front, Shift
from gateway.web.lane import Lane
from gateway.web.languages import languages
from gateway.web.letters import Letters
from gateway.web.listener import Listener
from gateway.web.login import Login
from gateway.web.management import management_app
from gateway.web.managing import managing
from gateway.web.middleware import SERVER, Handler, Manner, around
from gateway.web.oidc import Oidc
from gateway.web.old import OldAddresses
from gateway.web.operations import Operation, Table
from gateway.web.operators import Operators
from gateway.web.pages.acceptance import acceptance
from gateway.web.pages.change import change
from gateway.web.pages.contacts import contacts
from gateway.web.pages.files import files
from gateway.web.pages.frame import Frame, OperatorPage
from gateway.web.pages.home import home
from gateway.web.pages.invites import invites
from gateway.web.pages.link import link
from gateway.web.pages.operator import configuration, overview
from gateway.web.pages.operator_audit import decisions, trail
from gateway.web.pages.operator_keys import keys as keys_page
from gateway.web.pages.operator_outbox import outbox as outbox_page
from gateway.web.pages.operator_review import review
from gateway.web.pages.operator_servers import servers
from gateway.web.pages.policy import PolicyPages
from gateway.web.pages.received import received
from gateway.web.pages.requests import requests
from gateway.web.pages.sent import sent
from gateway.web.pages.settings import settings as settings_page
from gateway.web.pages.share import share
from gateway.web.pages.wayf import WayfPages
from gateway.web.passthrough import PassThrough
from gateway.web.policy_api import policy as policy_operations
from gateway.web.routes import DoorWay, Routes, dispatcher
from gateway.web.sessions import Sessions
from gateway.web.trail import Trail
from gateway.web.turnstile import Turnstile
from gateway.web.views import Pages
from gateway.web.webdav import Doors

Clock = Callable[[], int]

_SWEEP_SECONDS = 600
_DRAIN_SECONDS = 30
_REST_SECONDS = 1.0
_LINGER_SECONDS = 2.0
"""How long an upload that was refused is still read, so that its client sees why."""
_IDLE_SECONDS = 150
"""How long a connection may wait for a whole request head. Proxies in front of us keep one that
idles for less (nginx 60 s, Traefik 90 s, Caddy 120 s), so that they never meet a closed one."""
_BACKLOG = 2048
"""Connections that wait to be taken in; on top of that the kernel resets some."""
_LINE_BYTES = 16 * 1024


def _now() -> int:
    return int(time.time())


@dataclass(frozen=True, slots=True)
class Gateway:
    """All the parts of one gateway, open. The command line uses the same ones beside a server."""

    settings: Config
    ours: Ours
    state: State
    ring: Ring
    others: Others
    ledger: Ledger
    live: Live
    lists: Lists
    storage: Storage
    parties: Parties
    access: Access
    accesses: Accesses
    outbox: Outbox
    newsroom: Newsroom
    sending: Sending
    receiving: Receiving
    visiting: Visiting
    probing: Probing
    inviting: Inviting
    contacts: Contacts
    leaving: Leaving
    requests: Requests
    recipients: Recipients
    asking: Asking
    changing: Changing
    links: Links
    sweeping: Sweeping
    operating: Operating
    rotating: Rotating
    reviewing: Reviewing
    examiner: Examiner
    trials: Trials
    anywhere: Guarded
    accepting: Accepting
    messages: Messages
    wayf: Wayf
    directories: Directories
    audit: Audit
    stream: Stream
    rates: Rates
    spans: Spans
    clock: Clock


async def _open_state(settings: Config) -> State:
    return await open_state(
        settings.state.folder, place_of(settings.state), settings.state.key_path
    )


@asynccontextmanager
async def open_gateway(settings: Config, clock: Clock = _now) -> AsyncIterator[Gateway]:
    """Everything but the listeners. Raises Unavailable when the state cannot be opened."""
    state = await _open_state(settings)
    try:
        ours = ours_.from_config(settings)
        names = Names(ours.authority, ours.end_point, cavage=settings.signatures.cavage)
        ring = Ring(state.database, state.vault, names, clock)
        given = await asyncio.to_thread(read_keys, settings.keys.files)
        await ring.complete(given)
        spans = telemetry.opened(_telemetry(settings.telemetry))
        healths = Healths(settings.breaker, clock)
        registry = Registry(state.database, settings.trust, healths, clock)
        await registry.load()
        testing = TestingHosts(frozenset(authority(host) for host in settings.testing.hosts))
        routes = _routes(settings)
        anywhere = Guarded(
            testing, lambda _: None, healths, _routes(settings, _private(settings)), spans
        )
        stream = Stream(settings.audit, state, anywhere, clock)
        audit = Audit(
            state.database,
            state.vault,
            clock,
            stream.written,
            on=settings.audit.enabled,
            refusals_per_hour=settings.audit.refusals_per_hour,
        )
        told = partial(_enter, audit, ours.authority)
        ledger = Ledger(state.database, clock, told, **dict(settings.policy.decisions))
        rates = Rates(settings, state if _several(settings) else None)
        written = sources.from_config(settings.policy, settings.users.groups)
        keeper = Doorkeeper(written, registry, ledger, clock, rates.within)
        guarded = Guarded(testing, keeper.admit_provider, healths, routes, spans)
        way = _way_to_storage(settings, spans)
        try:
            outbox = Outbox(state, settings.outbox, clock, spans)
            others = _others(
                settings, guarded, keeper, registry, ring, state, outbox, audit, rates, clock
            )
            directories = Directories(settings.directories, anywhere, state.database, clock)
            await directories.load()
            live = Live(settings, keeper, state.database, directories, anywhere, audit, clock)
            await live.load()
            operating = Operating(registry, ring, outbox, audit)
            await operating.adopt(given, by="keys.files")
            yield _joined(
                settings,
                ours,
                state,
                ring,
                others,
                ledger,
                live,
                directories,
                anywhere,
                way,
                outbox,
                operating,
                rates,
                stream,
                spans,
                clock,
            )
        finally:
            with suppress(Unavailable):
                await registry.flush()
            await ledger.close()
            await guarded.close()
            await anywhere.close()
            await way.close()
            await audit.close()
            await spans.close()
    finally:
        await state.close()


def _enter(audit: Audit, ours: Authority, decision: Decision) -> None:
    """Have a decision that refuses entered in the trail."""
    deed = refusal(decision, ours)
    if deed is not None:
        audit.refuse(deed, decision.rule)


def _enter_unproven(audit: Audit, claimed: Authority, error: GatewayError) -> None:
    """Have a message entered that came in a server's name and was not proven to be its."""
    deed = audit.deed("signature.refused", outcome=DENY, provider=claimed, reason=error.explanation)
    audit.refuse(deed, error.message)


def place_of(state: config.State) -> Path | PostgresAddress:
    """Where the database is."""
    if not state.shared:
        return state.database_file
    return PostgresAddress(state.database, state.database_password_file, state.connections)


def _several(settings: Config) -> bool:
    """Whether other processes may answer the same callers."""
    return settings.state.shared or settings.public.workers > 1


def _routes(settings: Config, private: Iterable[Authority] = ()) -> PrivateRoutes:
    """Servers that are reached at private addresses; the `private` ones at any."""
    written = [
        PrivateRoute(authority(f"{one.host}:{one.port}"), one.network)
        for one in settings.outbound.routes
    ]
    return PrivateRoutes(
        [*written, *(PrivateRoute(one, network) for one in private for network in PRIVATE)]
    )


def _private(settings: Config) -> list[Authority]:
    """Servers of the operator's own that may have private addresses."""
    oidc, news, trail = settings.login.oidc, settings.news, settings.audit
    named = (
        oidc.issuer if oidc.private else None,
        news.webhook if news.webhook_private else None,
        trail.stream if trail.stream_private and trail.stream != STDOUT else None,
    )
    return [server_of(url) for url in named if url]


def _telemetry(settings: config.Telemetry) -> Wanted | None:
    """Where spans go, if anywhere. Raises Unavailable when the token cannot be read."""
    if settings.endpoint is None:
        return None
    token = ""
    if settings.token_file is not None:
        try:
            token = settings.token_file.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise Unavailable("telemetry.token_file cannot be read", detail=str(error)) from error
    return Wanted(settings.endpoint, settings.service, settings.sample, token)


def _oidc(gateway: Gateway, pages: Pages) -> Oidc | None:
    """Logging in at an OpenID provider, where one is configured."""
    if gateway.settings.login.oidc.issuer is None:
        return None
    back = gateway.ours.origin + pages.url("/login/oidc/back")
    login, vault = gateway.settings.login, gateway.state.vault
    return Oidc(login, gateway.anywhere, vault, back, gateway.clock)


def _way_to_storage(settings: Config, spans: Spans) -> Way:
    idle, redirects = settings.limits.storage_idle_seconds, settings.storage.redirects
    if redirects.hosts:
        servers = DataServers(
            settings.storage.url, redirects.hosts, credentials=redirects.credentials
        )
        way: Way = Redirected(servers, idle_seconds=idle)
    else:
        way = Pool(idle_seconds=idle)
    return Traced(way, spans) if spans.on else way


def _others(
    settings: Config,
    guarded: Guarded,
    keeper: Doorkeeper,
    registry: Registry,
    ring: Ring,
    state: State,
    outbox: Outbox,
    audit: Audit,
    rates: Rates,
    clock: Clock,
) -> Others:
    seconds = settings.limits.provider_seconds
    discoveries = Discoveries(
        guarded,
        clock,
        cache_seconds=settings.discovery.cache_seconds,
        failure_seconds=settings.discovery.failure_seconds,
        provider_seconds=seconds,
        learnt=registry.learn,
    )
    keys = ProviderKeys(
        guarded,
        discoveries,
        clock,
        cache_seconds=settings.discovery.cache_seconds,
        failure_seconds=settings.discovery.failure_seconds,
        provider_seconds=seconds,
    )
    client = ProviderClient(guarded, discoveries, registry, ring, clock, provider_seconds=seconds)
    dialects = Dialects(
        state.database,
        settings.dialects,
        clock,
        legacy_access=settings.sharing.legacy_access,
    )
    identity = Identity(
        keys,
        registry,
        state.database,
        clock,
        settings.signatures,
        excused=dialects,
        counted=partial(rates.count, "provider"),
        heard=outbox.heard,
        refused=partial(_enter_unproven, audit),
    )
    return Others(keeper, discoveries, identity, client, guarded, dialects, registry, audit)


def _joined(
    settings: Config,
    ours: Ours,
    state: State,
    ring: Ring,
    others: Others,
    ledger: Ledger,
    live: Live,
    directories: Directories,
    anywhere: Guarded,
    way: Way,
    outbox: Outbox,
    operating: Operating,
    rates: Rates,
    stream: Stream,
    spans: Spans,
    clock: Clock,
) -> Gateway:
    storage = Storage(settings.storage, way, ours.origin)
    parties = Parties(settings.users, storage, per_user=settings.storage.per_user)
    access = Access(
        ours,
        state,
        ring,
        others.doorkeeper,
        others.dialects,
        storage,
        clock,
        lifetime_seconds=(
            settings.testing.token_lifetime_seconds or settings.tokens.lifetime_seconds
        ),
    )
    accesses = Accesses(state.database, state.sent, clock, keep=settings.sharing.access_log_lines)
    mail = Mail(settings.mail)
    pages = f"{ours.origin}{settings.pages_path}"
    letters = Letters(languages(settings.pages), ours.provider, pages)
    newsroom = Newsroom(settings.news, ours, state, parties, mail, anywhere, clock, letters)
    sending = Sending(ours, state, others, storage, access, outbox, newsroom, clock)
    admission = Admission(ours, state, others, newsroom)
    receiving = Receiving(ours, state, others, parties, admission, outbox, newsroom, clock)
    inviting = Inviting(ours, state, others, parties, _terms(settings), newsroom, clock)
    leaving = Leaving(ours, state, others, sending, receiving, outbox, clock)
    visiting = Visiting(ours, state, others, clock)
    examiner = Examiner(settings, ours, others, clock)
    contacts_ = Contacts(ours, state, parties, leaving, clock)
    return Gateway(
        settings=settings,
        ours=ours,
        state=state,
        ring=ring,
        others=others,
        ledger=ledger,
        live=live,
        lists=Lists(state.database, state.vault, live, others.audit, clock),
        storage=storage,
        parties=parties,
        access=access,
        accesses=accesses,
        outbox=outbox,
        newsroom=newsroom,
        sending=sending,
        receiving=receiving,
        visiting=visiting,
        probing=Probing(
            state,
            others,
            visiting,
            clock,
            every_seconds=settings.dialects.probe_minutes * 60,
        ),
        inviting=inviting,
        accepting=Accepting(inviting),
        messages=Messages(ours, state, parties, inviting, newsroom, mail, clock, letters),
        wayf=Wayf(
            ours,
            others,
            directories,
            inviting,
            parties,
            free_text=settings.invites.wayf_free_text,
        ),
        contacts=contacts_,
        recipients=Recipients(ours, state, others),
        leaving=leaving,
        requests=Requests(ours, state, others, parties, storage, sending, newsroom, clock),
        asking=Asking(ours, state, others, parties, outbox, clock),
        changing=Changing(ours, state, others, sending, outbox, clock),
        links=Links(
            ours,
            state,
            parties,
            sending,
            clock,
            page=f"{pages}{LINK_PATH}",
            most=settings.sharing.public_link_most,
            enabled=settings.sharing.public_links,
        ),
        sweeping=Sweeping(
            state,
            sending,
            receiving,
            Membership(ours, state, others, admission, clock),
            clock,
            keep_seconds=(settings.sharing.keep_ended_days or 0) * 86_400 or None,
        ),
        operating=operating,
        rotating=Rotating(settings.keys, ring, operating, state, clock),
        reviewing=Reviewing(state.database, receiving, sending),
        examiner=examiner,
        trials=Trials(state.database, others.audit, examiner.federation, clock),
        directories=directories,
        audit=others.audit,
        stream=stream,
        anywhere=anywhere,
        rates=rates,
        spans=spans,
        clock=clock,
    )


def _terms(settings: Config) -> Terms:
    """How our users may invite."""
    days = settings.invites.lifetime_days
    return Terms(settings.invites.enabled, days and days * 86_400, settings.invites.most_open)


def _public_handler(gateway: Gateway, turnstile: Turnstile) -> Handler:
    """What answers the public listener: discovery, the OCM API, the WebDAV doors, the pages."""
    settings, ours, rates = gateway.settings, gateway.ours, gateway.rates
    federation = Federation(
        ours,
        gateway.ring,
        gateway.sending,
        gateway.receiving,
        gateway.inviting,
        gateway.leaving,
        gateway.requests,
        rates,
        body_bytes=settings.limits.ocm_body_bytes,
    )
    bodies = Bodies(gateway.live.running, on=settings.public.zero_copy)
    doors = Doors(
        settings,
        gateway.access,
        gateway.accesses,
        gateway.visiting,
        gateway.parties,
        gateway.storage,
        rates,
        Trail(gateway.audit, ours),
        LockSeal(gateway.state.vault.lock_key),
        bodies,
    )
    old = OldAddresses(settings.dialects, ours, gateway.receiving, federation.message)
    sessions = Sessions(settings, gateway.state, gateway.clock, named.from_config(settings))
    pages = Pages(settings, ours, gateway.state.vault, sessions, rates)
    routes = federation.routes() | old.routes() | _pages(gateway, pages, bodies)
    rest = PassThrough(settings, gateway.storage.send) if settings.storage.pass_through else None
    dispatch = dispatcher(
        routes,
        (
            DoorWay("dav.shares", ours.shares, doors.shares),
            DoorWay("dav.received", ours.received, doors.received),
            DoorWay("api", _api_path(settings), _api(gateway, doors, sessions).door, Manner.JSON),
        ),
        lane=Lane(
            f"/{'/'.join(ours.shares)}/",
            gateway.access,
            gateway.accesses,
            gateway.storage.way,
            bodies,
        )
        if settings.public.fast_lane
        else None,
        rest=rest,
        lost=pages.lost,
        authorities=(split_url(f"{ours.origin}/")[0],),
    )
    return around(settings, dispatch, turnstile, gateway.spans)


def _public_server(front: Front) -> web.Server:
    """The public listener."""
    # What aiohttp refuses by itself, such as malformed HTTP, need not tell its version.
    setattr(web_response, "SERVER_SOFTWARE", SERVER)  # noqa: B010 - not exported
    return Listener(
        front.answer,
        access_log=None,
        auto_decompress=False,
        max_line_size=_LINE_BYTES,
        max_field_size=_LINE_BYTES,
        lingering_time=_LINGER_SECONDS,
        keepalive_timeout=_IDLE_SECONDS,
    )


def _api_path(settings: Config) -> tuple[str, ...]:
    return (*(part for part in settings.pages_path.split("/") if part), "api", "v1")


def _api(gateway: Gateway, doors: Doors, sessions: Sessions) -> Table:
    """The API for scripts."""
    return api(
        doors.whoever,
        gateway.sending,
        gateway.changing,
        gateway.accesses,
        gateway.receiving,
        gateway.contacts,
        gateway.inviting,
        gateway.messages,
        gateway.requests,
        gateway.asking,
        gateway.outbox,
        gateway.newsroom,
        gateway.recipients,
        gateway.links,
        sessions,
        Trail(gateway.audit, gateway.ours),
        gateway.rates,
        origin=gateway.ours.origin,
        server=f"{gateway.ours.origin}/{'/'.join(_api_path(gateway.settings))}",
    )


def _operator_pages(gateway: Gateway, frame: Frame, reading: Reading) -> tuple[OperatorPage, ...]:
    """The operator's pages."""
    state, ledger, clock = gateway.state, gateway.ledger, gateway.clock
    registry, operating, reviewing = gateway.others.registry, gateway.operating, gateway.reviewing
    return (
        *overview(frame, state, registry, gateway.live, ledger, reviewing, reading),
        *servers(frame, registry, ledger, operating, gateway.trials, clock),
        *review(frame, reviewing, ledger),
        *decisions(frame, state, ledger),
        *outbox_page(frame, gateway.outbox, operating),
        *trail(frame, state),
        *keys_page(frame, gateway.ring, operating, clock),
        *configuration(frame, gateway.settings, reading),
    )


def _operator_api(gateway: Gateway, operators: Operators, reading: Reading) -> Table:
    """What operators do, for scripts."""

    async def somebody(request: web.BaseRequest, operation: Operation) -> User:
        looks = operation.method == "GET"
        return User(await (operators.find(request) if looks else operators.expect(request)))

    operations = (
        *policy_operations(
            gateway.others.doorkeeper, gateway.live, gateway.ledger, gateway.lists, gateway.clock
        ),
        *managing(
            gateway.state,
            gateway.others.registry,
            gateway.ring,
            gateway.ledger,
            gateway.operating,
            gateway.outbox,
            gateway.reviewing,
            gateway.trials,
            gateway.directories,
            gateway.settings,
            reading,
        ),
    )
    summary = "What operators see and do, as their pages and commands."
    return Table(operations, somebody, server="/api/v1", summary=summary, open_to_read=True)


def _pages(gateway: Gateway, pages: Pages, bodies: Bodies) -> Routes:
    """The pages for people."""
    settings, ours, rates = gateway.settings, gateway.ours, gateway.rates
    store = Files(gateway.storage, gateway.visiting, LockSeal(gateway.state.vault.lock_key))
    upload_bytes = settings.limits.upload_bytes
    tree = f"{ours.origin}/{'/'.join(ours.received)}/"
    routes = (
        pages.static_routes()
        | home(pages)
        | files(pages, store, bodies, upload_bytes)
        | received(
            pages,
            gateway.receiving,
            gateway.visiting,
            store,
            bodies,
            upload_bytes,
            tree,
            gateway.contacts,
            gateway.others.registry,
        )
        | share(
            pages,
            store,
            gateway.sending,
            gateway.contacts,
            gateway.recipients,
        )
        | sent(pages, gateway.sending, gateway.outbox, gateway.accesses, gateway.links)
        | change(pages, gateway.changing, gateway.sending)
        | contacts(pages, gateway.contacts)
        | invites(pages, gateway.inviting, gateway.accepting, gateway.messages)
        | requests(
            pages,
            gateway.requests,
            gateway.asking,
            gateway.receiving,
            gateway.contacts,
            gateway.outbox,
        )
        | Login(
            settings,
            pages,
            gateway.parties,
            rates,
            Trail(gateway.audit, ours),
            gateway.newsroom,
            _oidc(gateway, pages),
        ).routes()
    )
    if ours.accept_dialog:
        routes |= acceptance(pages, ours, gateway.accepting, gateway.parties, gateway.wayf)
    if ours.wayf:
        routes |= WayfPages(pages, ours, gateway.wayf, gateway.inviting, rates).routes()
    if gateway.newsroom.by_mail:
        routes |= settings_page(pages, gateway.newsroom)
    if settings.sharing.public_links:
        routes |= link(pages, gateway.links, rates)
    return routes


def shift_of(gateway: Gateway, reading: Reading) -> Shift:
    """The parts of a gateway that answer."""
    settings = gateway.settings
    operators = Operators(settings.management, gateway.rates, gateway.audit, gateway.state.vault)
    frame = Frame(settings, gateway.ours, operators, gateway.state, gateway.clock)
    policy = PolicyPages(
        frame,
        gateway.others.doorkeeper,
        gateway.live,
        gateway.ledger,
        gateway.lists,
        gateway.clock,
    )
    desk = Desk(
        gateway.state,
        gateway.storage,
        gateway.live,
        gateway.ledger,
        frame,
        {page.path: page for page in _operator_pages(gateway, frame, reading)},
        policy,
        _operator_api(gateway, operators, reading),
    )
    turnstile = Turnstile(settings)
    return Shift(_public_handler(gateway, turnstile), desk, turnstile)


@asynccontextmanager
async def running_errands(gateway: Gateway, shift: Shift) -> AsyncIterator[None]:
    """What is done unasked, in the name of the present settings."""
    gauges = Gauges(gateway.settings, gateway.state, gateway.ring, gateway.storage, gateway.clock)
    async with _tasks(
        gateway.outbox.work,
        gateway.newsroom.work,
        gateway.stream.work,
        gateway.directories.work,
        gateway.probing.work,
        gateway.sweeping.work,
        gateway.rotating.work,
        partial(_sweep, gateway),
        shift.turnstile.watch,
        *gauges.works,
    ):
        yield


@asynccontextmanager
async def attentive(gateway: Gateway) -> AsyncIterator[None]:
    """What has to go on as long as any request is answered with these parts."""
    try:
        async with _tasks(
            gateway.ledger.work,
            gateway.accesses.work,
            gateway.outbox.tend,
            gateway.live.work,
            gateway.live.running.work,
            gateway.rates.work,
            partial(_follow, gateway),
            gateway.others.registry.work,
        ):
            yield
    finally:
        await gateway.accesses.close()
        await gateway.trials.close()
        await gateway.wayf.close()
        await gateway.accepting.close()


@asynccontextmanager
async def _tasks(*works: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(_lasting(work)) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def answering(
    settings: Config, front: Front, reading: Reading, *, shared_port: bool = False
) -> AsyncIterator[None]:
    """Both listeners open; a `shared_port` is shared with other workers."""
    runners: list[web.BaseRunner] = []
    metrics.build.labels(version=__version__).set(1)
    try:
        public = web.ServerRunner(_public_server(front), shutdown_timeout=_DRAIN_SECONDS)
        management = web.AppRunner(
            management_app(front, reading), access_log=None, shutdown_timeout=1
        )
        both: tuple[tuple[web.BaseRunner, str], ...] = (
            (public, settings.public.listen),
            (management, settings.management.listen),
        )
        for runner, address in both:
            runners.append(runner)
            await runner.setup()
            host, _, port = address.rpartition(":")
            site = OpenSite(
                runner,
                host.strip("[]"),
                int(port),
                backlog=_BACKLOG,
                reuse_address=True,
                reuse_port=shared_port,
            )
            await site.start()
        yield
    finally:
        front.leaving.set()  # the public listener closes first; readiness is asked until the end
        for runner in runners:
            await runner.cleanup()


@asynccontextmanager
async def listening(gateway: Gateway, *, shared_port: bool = False) -> AsyncIterator[None]:
    """A gateway at work whose settings stay as they are."""
    reading = Reading()
    front = Front(shift_of(gateway, reading))
    async with (
        attentive(gateway),
        running_errands(gateway, front.shift),
        answering(gateway.settings, front, reading, shared_port=shared_port),
    ):
        yield


async def _lasting(work: Callable[[], Awaitable[None]]) -> None:
    """Work in the background: a fault of ours in it is told, and it begins anew."""
    while True:
        try:
            return await work()
        except Exception as error:
            event("work.fault", level="error", exc_info=error)
        await asyncio.sleep(_REST_SECONDS)


async def _follow(gateway: Gateway) -> None:
    """Take in what other processes change."""

    async def servers() -> None:
        await gateway.others.registry.load()
        await gateway.live.review()

    topics = {
        revisions.PROVIDERS: servers,
        revisions.POLICY: gateway.live.load,
        revisions.KEYS: gateway.ring.load,
        revisions.ENDED_SHARES: gateway.live.running.review,
    }
    await follow(gateway.state.database, gateway.state.changes, topics)


async def _sweep(gateway: Gateway) -> None:
    """Forget, now and then, what has expired."""
    idle_seconds = gateway.settings.login.idle_minutes * 60
    while True:
        old = partial(sessions.sweep, now=gateway.clock(), idle_seconds=idle_seconds)
        try:
            await gateway.state.database.write(partial(replays.sweep, now=_now()))
            await gateway.state.database.write(old)
            await gateway.state.database.write(store_rates.sweep)
            gateway.audit.settle()
            await gateway.audit.retire(gateway.settings.audit.retention_days)
        except Unavailable as error:
            event("sweep.stalled", level="warning", error=error.explanation)
        await asyncio.sleep(_SWEEP_SECONDS)


async def prepare(settings: Config) -> None:
    """Make the state and bring its tables to their newest form. Raises Unavailable."""
    await (await _open_state(settings)).close()
