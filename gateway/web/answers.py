"""A WebDAV answer on its way to the client: its head first, then its body as it comes.

A body that breaks off is cut off here too, never ended: a part must not look like the whole.
"""

from collections.abc import AsyncIterator

from aiohttp import web

from gateway import metrics
from gateway.dav.message import DavAnswer
from gateway.errors import GatewayError
from gateway.logs import event
from gateway.web.bodies import Bodies
from gateway.web.middleware import SERVER, visit_of


async def write_answer(
    request: web.BaseRequest, answer: DavAnswer, bodies: Bodies
) -> web.StreamResponse:
    """Write the answer. A client that is gone, or a body that broke off, raises ConnectionError."""
    plain = isinstance(answer.body, bytes)
    response = (
        web.Response(status=answer.status, body=answer.body or None)
        if isinstance(answer.body, bytes)
        else web.StreamResponse(status=answer.status)
    )
    for name, value in answer.headers:
        response.headers.add(name, value)
    if answer.length is not None and not (plain and answer.body):
        response.headers["Content-Length"] = str(answer.length)
    if not isinstance(answer.body, bytes):
        await _stream(request, response, answer, answer.body, bodies)
    return response


async def _stream(
    request: web.BaseRequest,
    response: web.StreamResponse,
    answer: DavAnswer,
    body: AsyncIterator[bytes],
    bodies: Bodies,
) -> None:
    response.headers["Server"] = SERVER
    response.headers["X-Request-Id"] = visit_of(request).id
    sent = metrics.dav_bytes.labels(direction="out")
    await response.prepare(request)
    visit_of(request).flows()
    try:
        if answer.source and bodies.worthwhile(request, answer.length):
            await response.write(b"")  # the head goes out before the first byte of the body
            sent.inc(answer.length or 0)
            if await bodies.download(request, answer.source):
                return
            async for chunk in answer.source.chunks:
                await response.write(chunk)
        else:
            async for chunk in body:
                sent.inc(len(chunk))
                await response.write(chunk)
    except GatewayError as error:
        # Ending the response now would make a part look like the whole.
        event("body.broken", level="warning", error=error.explanation)
        if request.transport:
            request.transport.abort()
        raise ConnectionResetError("the body broke off") from error
    await response.write_eof()
