"""A round through every page of a gateway in use, for the tests that look at all of them.

Whoever adds a page adds it here: `test_every_page_is_on_the_tour` fails until then.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from gateway.app import Gateway
from gateway.model import (
    Authority,
    Contact,
    ContactSource,
    Errand,
    OutboxEntry,
    ReceivedState,
    Request,
    RequestState,
    SentInvite,
    SentRequest,
    SentRequestState,
)
from gateway.ocm.invites import parse_invite
from gateway.providers.registry import Standing
from gateway.sharing.credentials import basic
from gateway.sharing.sending import Offer
from gateway.store import asking, contacts, outbox, requests
from tests.pair import eventually
from tests.servers import Storage

NORTH: dict[str, Any] = {
    "sharing": {"public_links": True},
    "mail": {"host": "127.0.0.1", "port": 9, "security": "none", "sender": "ocm@north.example"},
    "news": {"address": "{user}@north.example"},
    "outbox": {"first_retry_seconds": 600},
    "management": {"operators": [{"name": "olga", "password": "olga-password"}]},
    "policy": {
        "rules": [
            {
                "id": "drafts",
                "who": "everyone",
                "action": "share-in",
                "path": "/draft.txt",
                "then": "quarantine",
            },
        ]
    },
}
"""What has to be switched on for every page to be there."""
OLGA = {"extra_http_headers": {"Authorization": basic("olga", "olga-password")}}
"""An operator who is logged in."""

NO_PAGES = {
    "/files/content": "a file",
    "/contacts/cards": "a file",
    "/files/archive": "a file",
    "/received/open/content": "a file",
    "/received/open/archive": "a file",
    "/language": "leads back",
    "/login/oidc": "leads to the OpenID provider",
    "/login/oidc/back": "comes from there",
    "/share/check": "a piece of /share",
    "/wayf/go": "leads to another server",
}


@dataclass(frozen=True)
class Stop:
    """A page: its name for files, who goes there (stranger, alice or operator), and its address."""

    name: str
    who: str
    path: str


def fill(north: Storage, south: Storage) -> None:
    """What lies in the storages."""
    alice, bob = north.root / "alice", south.root / "bob"
    for name in ("letters", "photos", "projects/telescope", "projects/garden"):
        (alice / name).mkdir(parents=True, exist_ok=True)
    _write(alice / "projects" / "plan.md", "Telescope first.\n")
    _write(alice / "notes.txt", "Buy a tripod.\n")
    _write(alice / "budget 2027.csv", "item,price\n" * 90)
    for name in ("plans", "holiday photos", "minutes"):
        (bob / name).mkdir(parents=True, exist_ok=True)
    _write(bob / "plans" / "plan.txt", "Tuesday\n")
    _write(bob / "plans" / "sketch.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>")
    _write(bob / "letter.txt", "Dear Alice\n")
    _write(bob / "draft.txt", "Dear All\n")


def _write(file: Path, text: str) -> None:
    file.write_text(text)


async def furnish(north: Gateway, south: Gateway) -> tuple[Stop, ...]:
    """Alice at north and bob at south have shared, asked, invited; every page of hers."""
    alice, bob = f"alice@{north.ours.authority}", f"bob@{south.ours.authority}"
    await north.others.registry.add(south.ours.authority, "South Observatory")
    await _meet(north, south)
    sent = await north.sending.create_share(Offer("alice", "/projects/telescope", bob))
    await _accept(south, "bob", sent.provider_id)
    for method, path, size in (("PROPFIND", "", 0), ("GET", "budget.csv", 2048)):
        north.accesses.note(sent.provider_id, method, path, size)
    await north.sending.create_share(Offer("alice", "/notes.txt", bob, description="As promised."))
    ended = await north.sending.create_share(Offer("alice", "/letters", bob))
    await north.sending.revoke(ended.provider_id, owner="alice")
    note = "The sketch and the dates."
    back = await south.sending.create_share(Offer("bob", "/letter.txt", alice, description=note))
    taken = await south.sending.create_share(Offer("bob", "/plans", alice))
    hidden = await south.sending.create_share(Offer("bob", "/minutes", alice))
    await _accept(north, "alice", taken.provider_id)
    inbox = {one.provider_id: one.id for one in await north.receiving.inbox("alice")}
    await north.receiving.hide(inbox[hidden.provider_id], hidden=True)
    invite = await north.inviting.create_invite("alice", note="for Carol")
    theirs = await south.inviting.create_invite("bob", note="for Alice")
    await south.asking.send("bob", alice, sent.provider_id)
    await north.asking.send("alice", bob, "/minutes")
    link = await north.links.switch_on(sent.provider_id)
    return (
        *(Stop(name, who, path) for who, name, path in _public(link, north, invite)),
        *(Stop(name, "alice", path) for name, path in _own(sent, inbox, back, taken)),
        Stop("invite", "alice", f"/invites/invite?id={invite.id}"),
        Stop("accept-invite", "alice", _dialog(theirs.token, south)),
        *(Stop(name, "operator", path) for name, path in await _operator(north, south)),
    )


async def crowd(north: Gateway, many: int) -> None:
    """Alice has so many more shares in both directions, contacts, requests and invites."""
    state, far = north.state, Authority("far.example")

    def add(connection: Any) -> None:
        a_share = state.sent.all(connection, "alice")[0]
        received = state.received.all(connection, "alice")[0]
        for number in range(many):
            at, name = 1_700_000_000 + number, f"{number:05}"
            sent = replace(a_share, provider_id=f"s{name}", shared_secret=f"s{name}")
            share_with = f"person-{name}@{far}"
            sent = replace(sent, created_at=at, resource=("crowd", name), share_with=share_with)
            state.sent.add(connection, sent)
            mine = replace(received, id=f"r{name}", provider_id=f"r{name}", received_at=at)
            mine = replace(mine, folder=f"crowd-{name}", state=ReceivedState.ACCEPTED)
            state.received.add(connection, mine)
            known = f"Person {name}", "", ContactSource.INVITE, at
            contacts.put(connection, Contact(f"c{name}", "alice", f"person-{name}", far, *known))
            path = ("crowd", name)
            asked = Request(f"q{name}", "alice", share_with, far, path, sent.provider_id, at)
            decided = RequestState.OPEN if number < 100 else RequestState.DECLINED
            requests.add(connection, replace(asked, state=decided))
            sent_request = SentRequest(f"a{name}", "alice", share_with, far, name, at)
            asking.add(connection, replace(sent_request, state=SentRequestState.SENT))
            state.invites.add(connection, SentInvite(f"i{name}", "alice", f"token-{name}", at))

    await state.database.write(add)


def _public(link: str, north: Gateway, invite: Any) -> tuple[tuple[str, str, str], ...]:
    wayf = f"/wayf?token={invite.token}"
    return (
        ("stranger", "welcome", "/"),
        ("stranger", "login", "/login"),
        ("stranger", "nothing-here", "/nothing-here"),
        ("stranger", "wayf", wayf),
        ("stranger", "link", link.removeprefix(north.ours.origin)),
    )


def _own(sent: Any, inbox: dict[str, str], back: Any, taken: Any) -> tuple[tuple[str, str], ...]:
    return (
        ("home", "/"),
        ("files", "/files?path="),
        ("file", "/files?path=notes.txt"),
        ("share", "/share?path=projects/telescope"),
        ("sent", "/sent"),
        ("sent-share", f"/sent/share?id={sent.provider_id}"),
        ("received", "/received"),
        ("received-new", f"/received/share?id={inbox[back.provider_id]}"),
        ("received-share", f"/received/share?id={inbox[taken.provider_id]}"),
        ("received-open", f"/received/open?share={inbox[taken.provider_id]}&path="),
        ("contacts", "/contacts"),
        ("invites", "/invites"),
        ("requests", "/requests"),
        ("settings", "/settings"),
        ("sessions", "/sessions"),
    )


async def _operator(north: Gateway, south: Gateway) -> tuple[tuple[str, str], ...]:
    registry = north.others.registry
    for text, note in (("spam.example,deny", "a wave of spam"), ("*.spam.example,deny", "again")):
        await north.lists.apply(f"server,then\n{text}\n", "list.csv", by="operator olga", note=note)
    rules = north.others.doorkeeper
    await eventually(lambda: rules.in_force.policy.rules, 5)
    await registry.decide("spam.example", Standing.BLOCKED, "they spam")
    alice = f"alice@{north.ours.authority}"
    await south.sending.create_share(Offer("bob", "/draft.txt", alice))
    [held] = await north.receiving.held()
    lost = OutboxEntry(
        id="lost",
        errand=Errand.SHARE_UNSHARED,
        share=held.id,
        provider="gone.example",
        created_at=north.clock() - 90_000,
        next_attempt_at=north.clock(),
        attempts=12,
        last_error="the other server cannot be reached",
        dead=True,
    )
    await north.state.database.write(partial(outbox.add, entry=lost))
    await north.trials.now(south.ours.authority, by="operator olga")
    refused = ""
    try:
        await north.sending.create_share(Offer("alice", "/notes.txt", "x@spam.example"))
    except Exception as error:
        refused = error.decision
    assert refused
    return (
        ("operator-overview", "/"),
        ("operator-servers", "/servers"),
        ("operator-server", f"/servers/{south.ours.authority}"),
        ("operator-policy", "/policy"),
        ("operator-policy-test", "/policy/test?action=share-in&server=x.spam.example&user=alice"),
        ("operator-policy-list", "/policy/list"),
        ("operator-policy-version", "/policy/list/1"),
        ("operator-review", "/review"),
        ("operator-review-share", f"/review/{held.id}"),
        ("operator-decisions", "/decisions"),
        ("operator-decision", f"/decisions/{refused}"),
        ("operator-outbox", "/outbox"),
        ("operator-audit", "/audit"),
        ("operator-keys", "/keys"),
        ("operator-configuration", "/configuration?all"),
    )


def _dialog(token: str, south: Gateway) -> str:
    return f"/accept-invite?token={token}&providerDomain={south.ours.authority}"


async def _meet(north: Gateway, south: Gateway) -> None:
    invite = await north.inviting.create_invite("alice", note="for Bob")
    await south.inviting.accept_invite("bob", parse_invite(north.inviting.string_of(invite)))


async def _accept(gateway: Gateway, user: str, provider_id: str) -> None:
    for one in await gateway.receiving.inbox(user):
        if one.provider_id == provider_id:
            await gateway.receiving.accept(one.id)
