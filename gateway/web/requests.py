"""What the faces need of aiohttp: bodies read with care, small answers."""

import asyncio
import json
from collections.abc import AsyncIterator

from aiohttp import web

from gateway.errors import Malformed, Refused, TooLarge

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


async def continue_if_expected(request: web.BaseRequest) -> None:
    """Tell a client that waits for it to send its body (RFC 9110 10.1.1)."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(_CONTINUE)
        request.writer.output_size = 0  # the answer itself has not begun


async def read_body(request: web.BaseRequest, most_bytes: int, within_seconds: float) -> bytes:
    """The whole body. TooLarge above `most_bytes`, Malformed when it does not come in time."""
    if (request.content_length or 0) > most_bytes:
        raise TooLarge(f"a request may have {most_bytes} bytes")
    await continue_if_expected(request)
    body = bytearray()
    try:
        async with asyncio.timeout(within_seconds):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > most_bytes:
                    raise TooLarge(f"a request may have {most_bytes} bytes")
    except TimeoutError as error:
        raise Malformed("the request body did not arrive in time") from error
    return bytes(body)


async def chunks_of(request: web.BaseRequest, idle_seconds: float) -> AsyncIterator[bytes]:
    """The body as it comes; Malformed when nothing comes for too long.

    A client that goes away raises ConnectionError, so that nothing downstream takes the part it
    sent for the whole.
    """
    await continue_if_expected(request)
    try:
        while True:
            async with asyncio.timeout(idle_seconds):
                chunk = await request.content.readany()
            if not chunk:
                return
            yield chunk
    except TimeoutError as error:
        raise Malformed("the upload stood still for too long") from error


def expect_own_site(request: web.BaseRequest, *origins: str) -> None:
    """Refused when a browser says that another site made it ask (OWASP: Origin, Sec-Fetch-Site).

    Scripts say neither. `origins` are those of our own pages.
    """
    if request.headers.get("Origin", origins[0]) not in origins:
        raise Refused("this was sent from another site", detail="Origin differs")
    if not from_own_site(request):
        raise Refused("this was sent from another site", detail="Sec-Fetch-Site")


def from_own_site(request: web.BaseRequest) -> bool:
    """Whether a browser came from one of our own pages, or says nothing of it (W3C Fetch
    Metadata)."""
    return request.headers.get("Sec-Fetch-Site", "same-origin") in ("same-origin", "none")


def json_response(data: object, status: int = 200) -> web.Response:
    """JSON in UTF-8, compact."""
    body = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
    return web.Response(status=status, body=body, content_type="application/json")


def no_store(response: web.StreamResponse) -> None:
    """RFC 6749 5.1: nothing with or about a token is kept by a cache."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Pragma"] = "no-cache"


class Written(web.StreamResponse):
    """An answer that is on the wire already."""

    def __init__(self, status: int, *, keep_alive: bool) -> None:
        super().__init__(status=status)
        self._stays = keep_alive

    @property
    def prepared(self) -> bool:
        """Yes."""
        return True

    @property
    def keep_alive(self) -> bool:
        """Whether another request may follow on the connection."""
        return self._stays

    async def prepare(self, request: web.BaseRequest) -> None:
        """Nothing is left to do."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to do."""
