"""The public listener: what is not even HTTP is refused here, before there is a request.

aiohttp would repeat the offending bytes in its answer and in the log, with a traceback; they may
be somebody's credentials. Neither happens here.
"""

import asyncio
import re
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMethod, HttpProcessingError

from gateway.errors import Malformed, Unsupported
from gateway.logs import REQUEST, event
from gateway.web.middleware import finish_headers, json_of, new_id

# A request line whose method the parser does not know; anything else is no HTTP, TLS say.
_UNKNOWN_METHOD = re.compile(r"b'[!#$%&*+.^_`|~0-9A-Za-z-]{1,40} [!-~]+ HTTP/1\.[01]'")


class Listener(web.Server):
    """aiohttp's low-level server with connections of ours."""

    def __init__(self, handler: Any, **options: Any) -> None:
        super().__init__(handler, **options)
        self._options = options

    def __call__(self) -> web.RequestHandler:
        """One connection."""
        return _Connection(self, loop=asyncio.get_running_loop(), **self._options)


class _Connection(web.RequestHandler):
    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """RFC 9110 15.6.2: 501 for a method that is unknown, 400 for all other malformed HTTP."""
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        unknown = isinstance(exc, BadHttpMethod) and _UNKNOWN_METHOD.search(exc.message)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already") from exc
        REQUEST.set(new_id())  # what stands there is of the request before, on the same connection
        event("http.malformed", address=request.remote or "", fault=type(exc).__name__)
        if unknown:
            response = json_of(Unsupported("there is no such method here"), REQUEST.get())
        else:
            response = json_of(Malformed("this is not valid HTTP"), REQUEST.get())
        finish_headers(response, REQUEST.get())
        response.force_close()
        return response
