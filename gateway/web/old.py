"""Addresses that servers from before OCM look for: the form-encoded share of the OCS API, and,
where the operator wants them, the pages by which they tell that a server is alive."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway import __version__, metrics
from gateway.config import Dialects
from gateway.errors import Malformed
from gateway.httpsig.message import Message
from gateway.ocm import announcements, shares
from gateway.sharing.ours import Ours
from gateway.sharing.receiving import Receiving
from gateway.web.middleware import Manner
from gateway.web.requests import json_response
from gateway.web.routes import Route, Routes

Read = Callable[[web.BaseRequest], Awaitable[Message]]

_OCS = ("/ocs/v1.php/cloud/shares", "/ocs/v2.php/cloud/shares")


class OldAddresses:
    """The handlers of these addresses."""

    def __init__(self, settings: Dialects, ours: Ours, receiving: Receiving, read: Read) -> None:
        """`read` makes a request, query and all, a Message."""
        self._settings = settings
        self._ours = ours
        self._receiving = receiving
        self._read = read

    def routes(self) -> Routes:
        """Path to route."""
        found = {path: Route("ocs.shares", {"POST": self.post_share}, Manner.OCS) for path in _OCS}
        if self._settings.status_php:
            found["/status.php"] = Route("old.status", {"GET": self.get_status})
        if self._settings.ocs_provider:
            services = Route("old.services", {"GET": self.get_services})
            found |= {"/ocs-provider": services, "/ocs-provider/index.php": services}
        return found

    async def post_share(self, request: web.BaseRequest) -> web.Response:
        """The share that ownCloud and Nextcloud send when the OCM API refused theirs."""
        message = await self._read(request)
        if request.content_type != announcements.FORM:
            raise Malformed("the request is not a form")
        if request.rel_url.raw_query_string not in ("", "format=json"):
            raise Malformed("the answer is in JSON only")
        new = shares.parse_ocs(message.body, self._ours.authority)
        await self._receiving.receive_share(new, message)
        for form in new.tolerated:
            metrics.tolerated.labels(form=form).inc()
        statuscode = 100 if "/v1.php/" in request.path else 200
        meta = {"status": "ok", "statuscode": statuscode, "message": None}
        return json_response({"ocs": {"meta": meta, "data": []}})

    async def get_status(self, _: web.BaseRequest) -> web.Response:
        """What receivers take for a sign of life, and then believe our 404s."""
        return json_response(
            {
                "installed": True,
                "maintenance": False,
                "version": __version__,
                "versionstring": __version__,
                "productname": self._ours.provider,
            }
        )

    async def get_services(self, _: web.BaseRequest) -> web.Response:
        """Where ownCloud finds the share of the OCS API, and WebDAV."""
        end_points = {"share": _OCS[1], "webdav": f"/{'/'.join(self._ours.shares)}/"}
        services = {"FEDERATED_SHARING": {"version": 1, "endpoints": end_points}}
        return json_response({"version": 2, "services": services})
