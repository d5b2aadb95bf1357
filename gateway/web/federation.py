"""The OCM API, as other OCM Servers speak it to us.

Each handler turns bytes into a value, makes one call and turns the answer back. The URL of a
message is the configured public one: what Host says is of no interest.
"""

from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway import metrics
from gateway.dav.target import split_url
from gateway.errors import InvalidGrant, Malformed, Unsupported
from gateway.httpsig.message import Message
from gateway.ocm import discovery, invites, notifications, requests, shares, tokens
from gateway.ocm.notifications import NewNotification, NotificationType
from gateway.ocm.shares import NewShare
from gateway.providers.ring import Ring
from gateway.rates import Rates
from gateway.sharing.inviting import Inviting
from gateway.sharing.leaving import Leaving
from gateway.sharing.ours import JWKS_PATH, Ours, describe
from gateway.sharing.receiving import Receiving
from gateway.sharing.requests import Requests
from gateway.sharing.sending import Sending
from gateway.web.middleware import Manner, visit_of
from gateway.web.requests import json_response, no_store, read_body
from gateway.web.routes import Route, Routes

_API_VERSION_FOR_NEXTCLOUD = "1.1.0"
_READ_SECONDS = 30


class Federation:
    """The handlers of the OCM API."""

    def __init__(
        self,
        ours: Ours,
        ring: Ring,
        sending: Sending,
        receiving: Receiving,
        inviting: Inviting,
        leaving: Leaving,
        requests: Requests,
        rates: Rates,
        *,
        body_bytes: int,
    ) -> None:
        self._ours = ours
        self._ring = ring
        self._sending = sending
        self._receiving = receiving
        self._inviting = inviting
        self._leaving = leaving
        self._requests = requests
        self._rates = rates
        self._body_bytes = body_bytes

    def routes(self) -> Routes:
        """Path to route: the discovery documents at the root, the API below the OCM path."""
        api = self._ours.ocm_path
        document = {"GET": self.get_discovery}
        keys = {"GET": self.get_keys}
        return {
            "/.well-known/ocm": Route("ocm.discovery", document),
            "/ocm-provider": Route("ocm.discovery", document),
            "/ocm-provider/index.php": Route("ocm.discovery", document),
            JWKS_PATH: Route("ocm.keys", keys),
            f"{api}/shares": Route("ocm.shares", {"POST": self.post_share}),
            f"{api}/notifications": Route("ocm.notifications", {"POST": self.post_notification}),
            f"{api}/token": Route("ocm.token", {"POST": self.post_token}, Manner.OAUTH),
            f"{api}/invite-accepted": Route("ocm.invites", {"POST": self.post_acceptance}),
            f"{api}/request-share": Route("ocm.requests", {"POST": self.post_request}),
        }

    async def get_discovery(self, request: web.BaseRequest) -> web.Response:
        """Draft 03, 5. Nextclouds up to 31 refuse a higher version than 1.1."""
        document = discovery.encode(describe(self._ours, self._ring.cavage))
        if "Nextcloud Server Crawler" in request.headers.get("User-Agent", ""):
            document["apiVersion"] = _API_VERSION_FOR_NEXTCLOUD
        response = json_response(document)
        response.headers["Cache-Control"] = "public, max-age=60"
        response.headers["Vary"] = "User-Agent"
        return response

    async def get_keys(self, _: web.BaseRequest) -> web.Response:
        """Draft 03, 17.1; RFC 7517."""
        response = json_response(self._ring.jwks())
        response.headers["Cache-Control"] = "public, max-age=60"
        return response

    async def post_share(self, request: web.BaseRequest) -> web.Response:
        """Draft 03, 6: 201 with the recipient's display name."""
        message = await self.message(request)
        _expect_json(request)
        new = shares.parse(message.body, signed=_signed(message))
        recipient = await self._receiving.receive_share(new, message)
        _count(new)
        return _created(shares.encode_created(recipient))

    async def post_notification(self, request: web.BaseRequest) -> web.Response:
        """Draft 03, 7: each type goes to the role that has the share."""
        message = await self.message(request)
        _expect_json(request)
        notification = notifications.parse(message.body, signed=_signed(message))
        roles: dict[str, Callable[..., Awaitable[None]]] = {
            NotificationType.SHARE_ACCEPTED: self._sending.receive_notification,
            NotificationType.SHARE_DECLINED: self._sending.receive_notification,
            NotificationType.SHARE_UNSHARED: self._unshared,
            NotificationType.USER_REMOVED: self._leaving.receive_notification,
            NotificationType.SHARE_CHANGE_PERMISSION: self._receiving.receive_notification,
            NotificationType.REQUEST_RESHARE: self._sending.receive_reshare_request,
        }
        role = roles.get(notification.notification_type)
        if role is None:
            raise Unsupported("notifications of this type are not supported")
        await role(notification, message)
        return _created(b"{}")

    async def _unshared(self, notification: NewNotification, message: Message) -> None:
        ours = await self._sending.concerns(notification, message)
        role = self._sending if ours else self._receiving
        await role.receive_notification(notification, message)

    async def post_acceptance(self, request: web.BaseRequest) -> web.Response:
        """Draft 03, 4.4.3: 200 and who had invited; 409 after the first time.

        The 409 to the server that has accepted says once more who had invited: its answer may have
        been lost.
        """
        message = await self.message(request)
        _expect_json(request)
        acceptance = invites.parse_acceptance(message.body)
        async with self._rates.guessing("secret", visit_of(request).network, Malformed):
            welcome = await self._inviting.receive_acceptance(acceptance, message)
        body = invites.person_members(welcome.sender)
        if not welcome.repeated:
            return json_response(body)
        taken = {"message": "the invite was already accepted", "code": "CONFLICT"}
        return json_response(taken | body, status=409)

    async def post_token(self, request: web.BaseRequest) -> web.Response:
        """Draft 03, 9: the Code Flow."""
        message = await self.message(request)
        content_type = request.headers.get("Content-Type", "")
        unsigned = not any(name.lower().startswith("signature") for name, _ in message.headers)
        lenient = unsigned and self._sending.takes_unsigned_exchange
        asked = tokens.parse_request(content_type, message.body, lenient=lenient)
        async with self._rates.guessing("secret", visit_of(request).network, InvalidGrant):
            answer = await self._sending.exchange_token(asked, message)
        response = web.Response(
            body=tokens.encode_response(answer), content_type="application/json"
        )
        no_store(response)
        return response

    async def post_request(self, request: web.BaseRequest) -> web.Response:
        """Somebody asks for a Share (OCM-API 1.4): 201 when noted."""
        message = await self.message(request)
        _expect_json(request)
        await self._requests.receive_request(requests.parse(message.body), message)
        return _created(b"{}")

    async def message(self, request: web.BaseRequest) -> Message:
        """The request as its sender signed it; nothing of it is believed yet.

        A query means nothing to us, and is part of what was signed (RFC 9421 2.2.2, 2.2.7).
        """
        visit = visit_of(request)
        self._rates.count("ocm", f"{visit.route} {visit.network}")
        # RFC 9112 3.2.2: a request target may name our origin, too; it was checked when routed.
        target = request.raw_path
        path = target if target.startswith("/") else split_url(target)[1]
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Malformed("compressed requests are not taken")
        return Message(
            method=request.method,
            target_uri=self._ours.origin + path,
            headers=tuple(request.headers.items()),
            body=await read_body(request, self._body_bytes, _READ_SECONDS),
        )


def _signed(message: Message) -> bool:
    """Whether a message carries a signature of the drafts, good or bad: then it is read to the
    letter."""
    return any(name.lower() == "signature-input" for name, _ in message.headers)


def _count(new: NewShare) -> None:
    for form in new.tolerated:
        metrics.tolerated.labels(form=form).inc()


def _expect_json(request: web.BaseRequest) -> None:
    if request.content_type != "application/json":
        raise Malformed("the request is not application/json")
    # RFC 8259 8.1: between systems JSON is UTF-8.
    if (request.charset or "utf-8").lower() not in ("utf-8", "utf8", "us-ascii"):
        raise Malformed("the request is not in UTF-8")


def _created(body: bytes) -> web.Response:
    return web.Response(status=201, body=body, content_type="application/json")
