"""What people do in the pages, as JSON for scripts: below /api/v1.

One is who one is at the WebDAV doors: by HTTP Basic, or by the header of a proxy in front. Cookies
of ours count for nothing here; but a browser adds a password that it knows, and the cookie of the
proxy, to whatever another site makes it send, so nothing is done that comes from one.
"""

from collections.abc import Awaitable, Callable
from json import dumps
from typing import Any, Literal

from aiohttp import web
from pydantic import Field

from gateway.errors import NotFound
from gateway.model import Permission, ShareType, User
from gateway.ocm.invites import parse_invite
from gateway.ocm.jscontact import MOST_BYTES, MOST_CARDS
from gateway.rates import Rates
from gateway.sharing.accesses import Accesses
from gateway.sharing.asking import Asking
from gateway.sharing.changing import Change, Changing
from gateway.sharing.contacts import Contacts
from gateway.sharing.inviting import Inviting
from gateway.sharing.links import Links
from gateway.sharing.messages import Messages
from gateway.sharing.news import Newsroom
from gateway.sharing.outbox import Outbox
from gateway.sharing.receiving import Receiving
from gateway.sharing.recipients import Recipients
from gateway.sharing.requests import Requests
from gateway.sharing.sending import Offer, Sending
from gateway.web import records
from gateway.web.operations import Call, Operation, Table, Taken, fault, turn_of
from gateway.web.requests import expect_own_site
from gateway.web.sessions import Sessions
from gateway.web.trail import Trail


class NewShare(Taken):
    """What to share, with whom and how. `expiration` in seconds since the epoch."""

    path: str = Field(max_length=8192)
    share_with: str = Field(alias="shareWith", max_length=1500)
    share_type: Literal["user", "group"] = Field(default="user", alias="shareType")
    permissions: list[str] = Field(default=["read"], max_length=3)
    expiration: int | None = Field(default=None, ge=0, le=1 << 53)
    must_exchange_token: bool | None = Field(default=None, alias="mustExchangeToken")
    must_use_mfa: bool = Field(default=False, alias="mustUseMfa")
    description: str = Field(default="", max_length=2000)


class ShareChange(Taken):
    """Other terms for a share; what is left out stays. `expiration` null takes the end away."""

    permissions: list[str] | None = Field(default=None, max_length=3)
    expiration: int | None = Field(default=None, ge=0, le=1 << 53)


class NewContact(Taken):
    """Somebody at another server."""

    address: str = Field(max_length=1500)
    name: str = Field(default="", max_length=255)


class ContactChange(Taken):
    """What to call a contact, "" for their own name, and whether to accept what they share without
    asking; what is left out stays."""

    name: str | None = Field(default=None, max_length=255)
    trusted: bool | None = None


class Cards(Taken):
    """JSContact cards (RFC 9553); whom they call trusted is trusted only with `keepTrust`."""

    cards: list[dict[str, Any]] = Field(max_length=MOST_CARDS)
    keep_trust: bool = Field(default=False, alias="keepTrust")


class Settings(Taken):
    """How one wants to be told. `language` is a code such as `de`, "" for that of this server; left
    out it stays."""

    byMail: bool  # noqa: N815 - the name in JSON
    language: str | None = Field(default=None, max_length=35)


class NewInvite(Taken):
    """An invite to make. `expiration` in seconds since the epoch."""

    note: str = Field(default="", max_length=2000)
    expiration: int | None = Field(default=None, ge=0, le=1 << 53)


class InviteMail(Taken):
    """Where to mail an invite, left out to where it went before, and a few words for that mail."""

    to: str = Field(default="", max_length=320)
    message: str = Field(default="", max_length=2000)


class AcceptedInvite(Taken):
    """An invite string or link that one was sent."""

    invite: str = Field(max_length=4000)


class Agreement(Taken):
    """On what terms a request is agreed to. `expiration` in seconds since the epoch."""

    permissions: list[str] = Field(default=["read"], max_length=3)
    expiration: int | None = Field(default=None, ge=0, le=1 << 53)


class NewRequest(Taken):
    """Whom to ask, and for what: an identifier or URL of the resource."""

    owner: str = Field(max_length=1500)
    share: str = Field(max_length=2048)


def api(
    whoever: Callable[[web.BaseRequest], Awaitable[User]],
    sending: Sending,
    changing: Changing,
    accesses: Accesses,
    receiving: Receiving,
    contacts: Contacts,
    inviting: Inviting,
    messages: Messages,
    requests: Requests,
    asking: Asking,
    outbox: Outbox,
    newsroom: Newsroom,
    recipients: Recipients,
    links: Links,
    sessions: Sessions,
    trail: Trail,
    rates: Rates,
    *,
    origin: str,
    server: str,
) -> Table:
    """The API. `whoever` says who asks, or raises Unauthorized. `server` is its address, `origin`
    that of our pages."""

    async def somebody(request: web.BaseRequest, operation: Operation) -> User:
        if operation.method != "GET":
            expect_own_site(request, origin)
        user = await whoever(request)
        rates.count("user", user.name)
        return user

    operations = (
        *_shares(sending, changing, accesses, outbox, recipients),
        *_links(links),
        *_received(receiving, contacts),
        *_contacts(contacts),
        *_invites(inviting, messages),
        *_requests(requests, asking, outbox),
        *_settings(newsroom),
        *_sessions(sessions, trail),
    )
    summary = "Share, receive and invite, as the pages and commands do."
    return Table(operations, somebody, server=server, summary=summary)


def _shares(
    sending: Sending,
    changing: Changing,
    accesses: Accesses,
    outbox: Outbox,
    recipients: Recipients,
) -> tuple[Operation, ...]:
    async def every(call: Call) -> object:
        part = await sending.part(turn_of(call), call.name, search=call.query.get("q", ""))
        return part.made(records.sent)

    async def one(call: Call) -> object:
        share = await sending.by_id(call.path["id"], owner=call.name)
        waiting = await outbox.about(share.provider_id)
        return records.sent(share) | {"errands": [records.errand(entry) for entry in waiting]}

    async def create(call: Call) -> object:
        return records.sent(await sending.create_share(_offer(call)))

    async def change(call: Call) -> object:
        body: ShareChange = call.body
        given = body.model_fields_set
        wanted = Change(
            permissions=None if body.permissions is None else _permissions(body.permissions),
            expiration_at=body.expiration,
            endless="expiration" in given and body.expiration is None,
        )
        changed = await changing.change(call.path["id"], wanted, owner=call.name)
        return records.sent(changed.share) | {"told": changed.told}

    async def revoke(call: Call) -> object:
        return records.sent(await sending.revoke(call.path["id"], owner=call.name))

    async def visits(call: Call) -> object:
        share = await sending.by_id(call.path["id"], owner=call.name)
        return [records.access(one) for one in await accesses.of(share.provider_id)]

    async def retry(call: Call) -> object:
        share = await sending.by_id(call.path["id"], owner=call.name)
        await outbox.retry_about(share.provider_id)
        return await one(call)

    async def look(call: Call) -> object:
        seen = await recipients.look(call.name, call.query["address"])
        return records.recipient(seen)

    return (
        _list("/shares", "listShares", "What you share.", every, "q"),
        Operation(
            "POST", "/shares", "createShare", "Share something.", create, NewShare, status=201
        ),
        Operation("GET", "/shares/{id}", "showShare", "One share of yours.", one),
        Operation(
            "PATCH", "/shares/{id}", "changeShare", "Give it other terms.", change, ShareChange
        ),
        Operation("DELETE", "/shares/{id}", "revokeShare", "Withdraw a share.", revoke),
        Operation(
            "GET",
            "/shares/{id}/accesses",
            "listAccesses",
            "Who came to a share of yours.",
            visits,
            many=True,
        ),
        Operation("POST", "/shares/{id}/retry", "retryShare", "Deliver it now.", retry),
        Operation(
            "GET",
            "/recipient",
            "lookAtRecipient",
            "What can be said of an address before you share with it.",
            look,
            asks=("address",),
        ),
    )


def _links(links: Links) -> tuple[Operation, ...]:
    async def shown(call: Call, url: str | None = None) -> object:
        share = call.path["id"]
        return records.public_link(share, url, on=await links.has(share, owner=call.name)) | {
            "asked": [records.visit(*one) for one in await links.visits(share, owner=call.name)]
        }

    async def make(call: Call) -> object:
        return await shown(call, await links.switch_on(call.path["id"], owner=call.name))

    async def remove(call: Call) -> object:
        await links.switch_off(call.path["id"], owner=call.name)
        return await shown(call)

    at = "/shares/{id}/link"
    return (
        Operation("GET", at, "showLink", "Whether it has a public link, and who asked.", shown),
        Operation(
            "POST", at, "makeLink", "Make one in place of the last; it is told only now.", make
        ),
        Operation("DELETE", at, "removeLink", "Take the link away.", remove),
    )


def _received(receiving: Receiving, contacts: Contacts) -> tuple[Operation, ...]:
    async def every(call: Call) -> object:
        part = await receiving.part(turn_of(call), call.name, search=call.query.get("q", ""))
        known = await contacts.known_as(call.name, {share.sender for share in part.items})
        return part.made(lambda share: records.offered(share, known=share.sender in known))

    async def one(call: Call) -> object:
        share = await receiving.by_id(call.path["id"], recipient=call.name)
        known = await contacts.known_as(call.name, {share.sender})
        return records.offered(share, known=bool(known))

    async def accept(call: Call) -> object:
        return records.received(await receiving.accept(call.path["id"], recipient=call.name))

    async def decline(call: Call) -> object:
        return records.received(await receiving.decline(call.path["id"], recipient=call.name))

    async def hide(call: Call) -> object:
        share = await receiving.hide(call.path["id"], hidden=True, recipient=call.name)
        return records.received(share)

    async def unhide(call: Call) -> object:
        share = await receiving.hide(call.path["id"], hidden=False, recipient=call.name)
        return records.received(share)

    return (
        _list("/received", "listReceived", "What is shared with you.", every, "q"),
        Operation("GET", "/received/{id}", "showReceived", "One share with you.", one),
        Operation("POST", "/received/{id}/accept", "acceptReceived", "Accept it.", accept),
        Operation("POST", "/received/{id}/decline", "declineReceived", "Decline it.", decline),
        Operation("POST", "/received/{id}/hide", "hideReceived", "Put it out of sight.", hide),
        Operation("POST", "/received/{id}/unhide", "unhideReceived", "Show it again.", unhide),
    )


def _contacts(contacts: Contacts) -> tuple[Operation, ...]:
    async def every(call: Call) -> object:
        part = await contacts.part(turn_of(call), call.name, call.query.get("q", ""))
        return part.made(records.contact)

    async def add(call: Call) -> object:
        made = await contacts.add(call.name, call.body.address, name=call.body.name)
        return records.contact(made)

    async def one(call: Call) -> object:
        return records.contact(await contacts.by_id(call.path["id"], user=call.name))

    async def change(call: Call) -> object:
        body: ContactChange = call.body
        if body.name is not None:
            await contacts.rename(call.path["id"], body.name, user=call.name)
        if body.trusted is not None:
            await contacts.trust(call.path["id"], body.trusted, user=call.name)
        return await one(call)

    async def remove(call: Call) -> object:
        tell = call.query.get("tell", "false")
        if tell not in ("true", "false"):
            raise fault("tell", "is true or false")
        gone = await contacts.remove(call.path["id"], user=call.name, tell=tell == "true")
        return records.contact(gone)

    async def export(call: Call) -> object:
        return await contacts.export(call.name)

    async def take_in(call: Call) -> object:
        cards = dumps(call.body.cards).encode()
        taken = await contacts.take_in(call.name, cards, keep_trust=call.body.keep_trust)
        return records.taken(taken)

    at = "/contacts/{id}"
    return (
        _list("/contacts", "listContacts", "Whom you know.", every, "q"),
        Operation("POST", "/contacts", "addContact", "Add somebody.", add, NewContact, status=201),
        Operation("GET", at, "showContact", "Somebody whom you know.", one),
        Operation("PATCH", at, "changeContact", "Rename or trust them.", change, ContactChange),
        Operation(
            "DELETE",
            at,
            "removeContact",
            "Forget somebody; with `tell=true` end the shares both ways, and have them told.",
            remove,
            may_ask=("tell",),
        ),
        Operation(
            "GET", "/cards", "exportContacts", "Your contacts as JSContact.", export, many=True
        ),
        Operation(
            "POST",
            "/cards",
            "importContacts",
            "Take in the OCM Addresses of JSContact cards.",
            take_in,
            Cards,
            most_bytes=MOST_BYTES,
        ),
    )


def _settings(newsroom: Newsroom) -> tuple[Operation, ...]:
    async def show(call: Call) -> object:
        wishes = await newsroom.wishes(call.name)
        return {"byMail": wishes.by_mail, "language": wishes.language}

    async def change(call: Call) -> object:
        await newsroom.wish(call.name, by_mail=call.body.byMail, language=call.body.language)
        return await show(call)

    return (
        Operation("GET", "/settings", "showSettings", "What you want to be told of.", show),
        Operation("PUT", "/settings", "changeSettings", "Change that.", change, Settings),
    )


def _sessions(sessions: Sessions, trail: Trail) -> tuple[Operation, ...]:
    async def every(call: Call) -> object:
        return [records.session(one) for one in await sessions.all(call.user)]

    async def end(call: Call) -> object:
        for one in await sessions.all(call.user):
            if one.id == call.path["id"]:
                await sessions.end(one)
                trail.left(call.name, "another browser")
                return records.session(one)
        raise NotFound("there is no such session")

    async def end_all(call: Call) -> object:
        ended = await sessions.end_all(call.user)
        trail.left(call.name, "everywhere")
        return {"ended": ended}

    return (
        Operation("GET", "/sessions", "listSessions", "Where you are logged in.", every, many=True),
        Operation("DELETE", "/sessions", "endSessions", "Log out everywhere.", end_all),
        Operation("DELETE", "/sessions/{id}", "endSession", "Log one browser out.", end),
    )


def _invites(inviting: Inviting, messages: Messages) -> tuple[Operation, ...]:
    def told(one: Any) -> object:
        return records.invite(one, inviting.string_of(one), inviting.link_of(one))

    async def every(call: Call) -> object:
        return (await inviting.part(turn_of(call), call.name)).made(told)

    async def create(call: Call) -> object:
        made = await inviting.create_invite(
            call.name, note=call.body.note, expiration_at=call.body.expiration
        )
        return told(made)

    async def one(call: Call) -> object:
        return told(await inviting.by_id(call.path["id"], sender=call.name))

    async def renew(call: Call) -> object:
        return told(await inviting.renew(call.path["id"], sender=call.name))

    async def mail(call: Call) -> object:
        body: InviteMail = call.body
        mailed = await messages.mail(call.path["id"], body.to, text=body.message, sender=call.name)
        return told(mailed)

    async def withdraw(call: Call) -> object:
        return told(await inviting.withdraw(call.path["id"], sender=call.name))

    async def accept(call: Call) -> object:
        met = await inviting.accept_invite(call.name, parse_invite(call.body.invite))
        return records.contact(met)

    at = "/invites/{id}"
    return (
        _list("/invites", "listInvites", "Your invites.", every),
        Operation(
            "POST", "/invites", "createInvite", "Make an invite.", create, NewInvite, status=201
        ),
        Operation("GET", at, "showInvite", "One invite of yours.", one),
        Operation("DELETE", at, "withdrawInvite", "Withdraw an invite.", withdraw),
        Operation("POST", f"{at}/renew", "renewInvite", "Let it last anew.", renew),
        Operation("POST", f"{at}/mail", "mailInvite", "Mail it to somebody.", mail, InviteMail),
        Operation(
            "POST",
            "/accepted-invites",
            "acceptInvite",
            "Accept an invite that you were sent.",
            accept,
            AcceptedInvite,
            status=201,
        ),
    )


def _requests(requests: Requests, asking: Asking, outbox: Outbox) -> tuple[Operation, ...]:
    async def every(call: Call) -> object:
        return (await requests.part(turn_of(call), call.name)).made(records.request)

    async def one(call: Call) -> object:
        return records.request(await requests.by_id(call.path["id"], owner=call.name))

    async def agree(call: Call) -> object:
        agreed = await requests.agree(
            call.path["id"],
            owner=call.name,
            permissions=_permissions(call.body.permissions),
            expiration_at=call.body.expiration,
        )
        return records.request(agreed)

    async def decline(call: Call) -> object:
        return records.request(await requests.decline(call.path["id"], owner=call.name))

    async def every_sent(call: Call) -> object:
        return (await asking.part(turn_of(call), call.name)).made(records.sent_request)

    async def one_sent(call: Call) -> object:
        made = await asking.by_id(call.path["id"], user=call.name)
        waiting = await outbox.about(made.id)
        return records.sent_request(made) | {"errands": [records.errand(one) for one in waiting]}

    async def ask_again(call: Call) -> object:
        made = await asking.by_id(call.path["id"], user=call.name)
        await outbox.retry_about(made.id)
        return await one_sent(call)

    async def ask(call: Call) -> object:
        return records.sent_request(await asking.send(call.name, call.body.owner, call.body.share))

    return (
        _list("/requests", "listRequests", "What you were asked to share.", every),
        Operation("GET", "/requests/{id}", "showRequest", "One request to you.", one),
        Operation("POST", "/requests/{id}/agree", "agreeToRequest", "Share it.", agree, Agreement),
        Operation("POST", "/requests/{id}/decline", "declineRequest", "Do not share.", decline),
        _list("/sent-requests", "listSentRequests", "What you asked others to share.", every_sent),
        Operation(
            "POST",
            "/sent-requests",
            "sendRequest",
            "Ask somebody to share.",
            ask,
            NewRequest,
            status=201,
        ),
        Operation("GET", "/sent-requests/{id}", "showSentRequest", "One of those.", one_sent),
        Operation(
            "POST", "/sent-requests/{id}/retry", "retryRequest", "Deliver it now.", ask_again
        ),
    )


def _list(
    path: str,
    name: str,
    summary: str,
    do: Callable[[Call], Awaitable[object]],
    *more: str,
) -> Operation:
    """An operation that answers a part of a list, the newest or first by name in front."""
    return Operation("GET", path, name, summary, do, many=True, parts=("page", "size", *more))


def _permissions(words: list[str]) -> frozenset[Permission]:
    if set(words) - set(Permission) or not words:
        raise fault("permissions", "are read, write and share")
    return frozenset(map(Permission, words))


def _offer(call: Call) -> Offer:
    body: NewShare = call.body
    return Offer(
        user=call.name,
        path=body.path,
        share_with=body.share_with,
        permissions=_permissions(body.permissions),
        expiration_at=body.expiration,
        must_exchange_token=body.must_exchange_token,
        must_use_mfa=body.must_use_mfa,
        description=body.description,
        share_type=ShareType(body.share_type),
    )
