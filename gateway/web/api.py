"""What people do in the pages, as JSON for scripts: below /api/v1.

One table says everything: which method and path, what it takes, what it does and what it answers.
The OpenAPI document is made from the same table and served beside it.

One is who one is at the WebDAV doors: by HTTP Basic, or by the header of a proxy in front. Cookies
count for nothing here, so no other site can make a browser act.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlencode

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway import __version__
from gateway.dav.target import RequestPath
from gateway.errors import Malformed, NotFound, WrongMethod
from gateway.model import Permission, ShareType, User
from gateway.ocm import json
from gateway.ocm.invites import parse_invite
from gateway.rates import Rates
from gateway.sharing.accesses import Accesses
from gateway.sharing.asking import Asking
from gateway.sharing.changing import Change, Changing
from gateway.sharing.contacts import Contacts
from gateway.sharing.inviting import Inviting
from gateway.sharing.news import Newsroom
from gateway.sharing.outbox import Outbox
from gateway.sharing.receiving import Receiving
from gateway.sharing.recipients import Recipients
from gateway.sharing.requests import Requests
from gateway.sharing.sending import Offer, Sending
from gateway.store.parts import Part, Turn
from gateway.web import records
from gateway.web.requests import json_response, read_body

_MOST_BYTES = 64 * 1024
_READ_SECONDS = 30
_MOST = 1000
"""How much of a list is answered at once."""
_LONGEST_SEARCH = 200
_ID = {"type": "string", "minLength": 1, "maxLength": 255}


class Taken(BaseModel):
    """What a request brings: nothing is coerced, and what is unknown is a fault."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)


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


class Settings(Taken):
    """How one wants to be told. `language` is a code such as `de`, "" for that of this server; left
    out it stays."""

    byMail: bool  # noqa: N815 - the name in JSON
    language: str | None = Field(default=None, max_length=35)


class NewInvite(Taken):
    """An invite to make. `expiration` in seconds since the epoch."""

    note: str = Field(default="", max_length=2000)
    expiration: int | None = Field(default=None, ge=0, le=1 << 53)


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


@dataclass(frozen=True, slots=True)
class Call:
    """One call: who, the values in its path and query, and what it brought."""

    user: User
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any = field(repr=False, default=None)

    @property
    def name(self) -> str:
        """The name of who calls."""
        return self.user.name


@dataclass(frozen=True, slots=True)
class Operation:
    """One row. `takes` is the model of its body, `asks` the query parameters that it needs and
    `parts` those that it may have, by name; with `parts` it answers a Part."""

    method: str
    path: str
    name: str
    summary: str
    do: Callable[[Call], Awaitable[object]]
    takes: type[Taken] | None = None
    asks: tuple[str, ...] = ()
    status: int = 200
    many: bool = False
    parts: tuple[str, ...] = ()

    @property
    def segments(self) -> tuple[str, ...]:
        """Its path, taken apart."""
        return tuple(self.path.strip("/").split("/"))

    def match(self, segments: tuple[str, ...]) -> dict[str, str] | None:
        """The values in a path of this form; None for another form."""
        if len(segments) != len(self.segments):
            return None
        values = {}
        for mine, theirs in zip(self.segments, segments, strict=True):
            if mine.startswith("{"):
                values[mine[1:-1]] = theirs
            elif mine != theirs:
                return None
        return values


class Api:
    """The door to the API."""

    def __init__(
        self,
        whoever: Callable[[web.BaseRequest], Awaitable[User]],
        sending: Sending,
        changing: Changing,
        accesses: Accesses,
        receiving: Receiving,
        contacts: Contacts,
        inviting: Inviting,
        requests: Requests,
        asking: Asking,
        outbox: Outbox,
        newsroom: Newsroom,
        recipients: Recipients,
        rates: Rates,
        *,
        server: str,
    ) -> None:
        """`whoever` says who asks, or raises Unauthorized. `server` is the address of the API."""
        self._whoever = whoever
        self._rates = rates
        self._server = server
        self.operations = (
            *_shares(sending, changing, accesses, outbox, recipients),
            *_received(receiving),
            *_contacts(contacts),
            *_invites(inviting),
            *_requests(requests, asking),
            *_settings(newsroom),
        )
        self._document = self.document()

    async def door(self, request: web.BaseRequest, path: RequestPath) -> web.StreamResponse:
        """Everything below /api/v1."""
        if path.segments == ("openapi.json",) and request.method in ("GET", "HEAD"):
            return json_response(self._document)
        found = [(one, one.match(path.segments)) for one in self.operations]
        fitting = [(one, values) for one, values in found if values is not None]
        if not fitting:
            raise NotFound("the API has no such address; it is described in openapi.json")
        method = "GET" if request.method == "HEAD" else request.method
        chosen = next(((one, values) for one, values in fitting if one.method == method), None)
        if chosen is None:
            raise WrongMethod("not with this method", allow=tuple(one.method for one, _ in fitting))
        operation, values = chosen
        user = await self._whoever(request)
        self._rates.count("user", user.name)
        call = Call(user, values, _asked(request, operation), await _body(request, operation))
        said = await operation.do(call)
        if isinstance(said, Part):
            # Beyond the last part there is nothing, so that whoever counts up comes to an end.
            response = json_response(said.items if _turn(call).number <= said.last else [])
            response.headers.update(self._around(operation, call, said))
        else:
            response = json_response(said, operation.status)
        response.headers["Cache-Control"] = "no-store"
        return response

    def _around(self, operation: Operation, call: Call, part: Part[Any]) -> dict[str, str]:
        """How many there are in all, and where the parts before and after are (RFC 8288)."""
        near = {"prev": part.number - 1, "next": part.number + 1}
        links = [
            f"<{self._server}{operation.path}?{urlencode({**call.query, 'page': number})}>;"
            f' rel="{name}"'
            for name, number in near.items()
            if 1 <= number <= part.last
        ]
        found = {"X-Total-Count": str(part.found)}
        return found | ({"Link": ", ".join(links)} if links else {})

    def document(self) -> dict[str, object]:
        """The OpenAPI 3.1 document of the table."""
        paths: dict[str, dict[str, object]] = {}
        schemas: dict[str, object] = {"Error": _ERROR}
        for one in self.operations:
            if one.takes:
                schemas[one.takes.__name__] = one.takes.model_json_schema(by_alias=True)
            paths.setdefault(one.path, {})[one.method.lower()] = _described(one)
        return {
            "openapi": "3.1.0",
            "info": {
                "title": "ocm-gateway",
                "version": __version__,
                "summary": "Share, receive and invite, as the pages and commands do.",
            },
            "servers": [{"url": self._server}],
            "security": [{"basic": []}],
            "paths": paths,
            "components": {
                "schemas": schemas,
                "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}},
            },
        }


def _shares(
    sending: Sending,
    changing: Changing,
    accesses: Accesses,
    outbox: Outbox,
    recipients: Recipients,
) -> tuple[Operation, ...]:
    async def every(call: Call) -> object:
        part = await sending.part(_turn(call), call.name, search=call.query.get("q", ""))
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
        for entry in await outbox.about(share.provider_id):
            await outbox.retry(entry.id)
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


def _received(receiving: Receiving) -> tuple[Operation, ...]:
    async def every(call: Call) -> object:
        part = await receiving.part(_turn(call), call.name, search=call.query.get("q", ""))
        return part.made(records.received)

    async def one(call: Call) -> object:
        return records.received(await receiving.by_id(call.path["id"], recipient=call.name))

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
        part = await contacts.part(_turn(call), call.name, call.query.get("q", ""))
        return part.made(records.contact)

    async def add(call: Call) -> object:
        made = await contacts.add(call.name, call.body.address, name=call.body.name)
        return records.contact(made)

    async def remove(call: Call) -> object:
        return records.contact(await contacts.remove(call.path["id"], user=call.name))

    return (
        _list("/contacts", "listContacts", "Whom you know.", every, "q"),
        Operation("POST", "/contacts", "addContact", "Add somebody.", add, NewContact, status=201),
        Operation("DELETE", "/contacts/{id}", "removeContact", "Forget somebody.", remove),
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


def _invites(inviting: Inviting) -> tuple[Operation, ...]:
    def told(one: Any) -> object:
        return records.invite(one, inviting.string_of(one), inviting.link_of(one))

    async def every(call: Call) -> object:
        return (await inviting.part(_turn(call), call.name)).made(told)

    async def create(call: Call) -> object:
        made = await inviting.create_invite(
            call.name, note=call.body.note, expiration_at=call.body.expiration
        )
        return told(made)

    async def withdraw(call: Call) -> object:
        return told(await inviting.withdraw(call.path["id"], sender=call.name))

    async def accept(call: Call) -> object:
        met = await inviting.accept_invite(call.name, parse_invite(call.body.invite))
        return records.contact(met)

    return (
        _list("/invites", "listInvites", "Your invites.", every),
        Operation(
            "POST", "/invites", "createInvite", "Make an invite.", create, NewInvite, status=201
        ),
        Operation("DELETE", "/invites/{id}", "withdrawInvite", "Withdraw an invite.", withdraw),
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


def _requests(requests: Requests, asking: Asking) -> tuple[Operation, ...]:
    async def every(call: Call) -> object:
        return (await requests.part(_turn(call), call.name)).made(records.request)

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
        return (await asking.part(_turn(call), call.name)).made(records.sent_request)

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


def _turn(call: Call) -> Turn:
    """The part that is asked for. Raises Malformed."""
    number, size = (_number(call, name, most) for name, most in (("page", 10**9), ("size", _MOST)))
    return Turn(number or 1, size or _MOST)


def _number(call: Call, name: str, most: int) -> int | None:
    text = call.query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 11 and 1 <= int(text) <= most):
        raise _fault(name, f"is a number from 1 to {most}")
    return int(text)


def _permissions(words: list[str]) -> frozenset[Permission]:
    if set(words) - set(Permission) or not words:
        raise _fault("permissions", "are read, write and share")
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


def _asked(request: web.BaseRequest, operation: Operation) -> dict[str, str]:
    """The query parameters of an operation, each once; Malformed for others."""
    given = request.query
    known = {*operation.asks, *operation.parts}
    if set(given) - known or len(given) != len(set(given)):
        raise Malformed("the address has parameters that this operation does not know")
    missing = [name for name in operation.asks if not given.get(name)]
    if missing:
        raise Malformed(
            "a parameter is missing", fields=tuple((one, "is needed") for one in missing)
        )
    if len(given.get("q", "")) > _LONGEST_SEARCH:
        raise _fault("q", f"may have {_LONGEST_SEARCH} characters")
    return dict(given)


async def _body(request: web.BaseRequest, operation: Operation) -> Taken | None:
    if operation.takes is None:
        return None
    if request.content_type != "application/json":
        raise Malformed("the request is not application/json")
    members = json.load_object(await read_body(request, _MOST_BYTES, _READ_SECONDS))
    try:
        return operation.takes.model_validate(members)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        fields = tuple((".".join(map(str, one["loc"])), one["msg"]) for one in faults[:20])
        raise Malformed("the request is not valid", fields=fields) from error


def _fault(name: str, message: str) -> Malformed:
    return Malformed("the request is not valid", fields=((name, message),))


_PART: dict[str, dict[str, object]] = {
    "page": {"type": "integer", "minimum": 1, "default": 1},
    "size": {"type": "integer", "minimum": 1, "maximum": _MOST, "default": _MOST},
    "q": {"type": "string", "maxLength": _LONGEST_SEARCH},
}
_HEADERS: dict[str, object] = {
    "X-Total-Count": {"description": "How many there are.", "schema": {"type": "integer"}},
    "Link": {"description": "The parts before and after (RFC 8288).", "schema": {"type": "string"}},
}
_ERROR = {
    "type": "object",
    "required": ["message", "code", "request"],
    "properties": {
        "message": {"type": "string"},
        "code": {"type": "string"},
        "request": {"type": "string"},
        "validationErrors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "message"],
                "properties": {"name": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


def _described(one: Operation) -> dict[str, object]:
    parameters: list[dict[str, object]] = [
        {"name": part[1:-1], "in": "path", "required": True, "schema": _ID}
        for part in one.segments
        if part.startswith("{")
    ]
    parameters += [
        {"name": name, "in": "query", "required": True, "schema": _ID} for name in one.asks
    ]
    parameters += [
        {"name": name, "in": "query", "required": False, "schema": _PART[name]}
        for name in one.parts
    ]
    answer: dict[str, object] = (
        {"type": "array", "items": {"type": "object"}} if one.many else {"type": "object"}
    )
    described: dict[str, Any] = {
        "operationId": one.name,
        "summary": one.summary,
        "parameters": parameters,
        "responses": {
            str(one.status): {
                "description": "Done.",
                "content": {"application/json": {"schema": answer}},
            },
            "default": {
                "description": "Not done; the message says why.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            },
        },
    }
    if one.parts:
        described["responses"][str(one.status)]["headers"] = _HEADERS
    if one.takes:
        schema = {"$ref": f"#/components/schemas/{one.takes.__name__}"}
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema}},
        }
    return described
