"""PUT: the whole body, or the old file.

Several storages keep what an aborted upload had sent, so there a file is written under a temporary
name in the same folder and moved when all of it has arrived. A write under a lock goes straight to
its name, since a move would break the lock. The body is counted; what is cut short is never ended.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

from multidict import CIMultiDict

from gateway.dav import headers, methods
from gateway.dav.answers import refusal, written
from gateway.dav.backend import stat
from gateway.dav.client import Exchange, Reply
from gateway.dav.message import DavAnswer, failure
from gateway.dav.writing import fails_precondition, sent_headers
from gateway.errors import GatewayError, Malformed, WrongMethod

EMULATED = ("If-Match", "If-None-Match")
STRAIGHT = ("If", "If-Unmodified-Since", "If-Modified-Since")
"""Conditions about the file itself, which only the storage can judge."""
COMPLETE = (0.0,)
ABORTED = (0.02, 0.2, 1.0)
"""Seconds to wait before each try to delete; a storage may notice an end later than we do."""
LOST_AT_MOVE = ("ETag", "OC-ETag", "OC-FileId")


async def put(exchange: Exchange) -> DavAnswer:
    """Replace a file's content, or make it."""
    request, target = exchange.request, exchange.target
    if request.slash and not target.single_file:
        raise WrongMethod("a folder has no content", allow=methods.allow(target))
    if request.content_length is None and not target.profile.chunked_put:
        return failure(411, "the storage wants to know the length first")
    sent = sent_headers(exchange)
    movable = methods.exact(target.path, target) and not any(name in sent for name in STRAIGHT)
    if target.trusted and movable and not target.profile.atomic_put:
        return await _put_aside(exchange, sent)
    if await fails_precondition(exchange):
        return failure(412, "a condition does not hold")
    if not target.profile.conditional_put:
        _drop(sent, EMULATED)
    return await written(exchange, await _upload(exchange, target.url, sent))


def _drop(sent: CIMultiDict[str], names: tuple[str, ...]) -> None:
    for name in names:
        sent.popall(name, None)


async def _upload(exchange: Exchange, url: str, sent: CIMultiDict[str]) -> Reply:
    request = exchange.request
    upload = _Upload(request.content_length)
    if request.content_length is not None:
        sent["Content-Length"] = str(request.content_length)
    body: AsyncIterator[bytes] | bytes = upload.chunks(request.body) if request.body else b""
    try:
        reply = await exchange.ask("PUT", url, sent, body)
    except GatewayError:
        if upload.fault:
            raise upload.fault from None
        raise
    if upload.fault:
        raise upload.fault
    return reply


@dataclass(slots=True)
class _Upload:
    """A request's body, counted. What goes wrong in it surfaces as the way out's error, so the
    cause is kept here."""

    expected: int | None
    fault: GatewayError | None = field(default=None)

    async def chunks(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        seen = 0
        try:
            async for chunk in body:
                seen += len(chunk)
                if self.expected is not None and seen > self.expected:
                    break
                yield chunk
        except GatewayError as error:
            self.fault = error
            raise
        except OSError as error:
            self.fault = Malformed("the upload was cut short", detail=str(error))
            raise self.fault from None
        if self.expected is not None and seen != self.expected:
            self.fault = Malformed("the body has another length than announced")
            raise self.fault


async def _put_aside(exchange: Exchange, sent: CIMultiDict[str]) -> DavAnswer:
    """Upload under a temporary name, then move it to its own."""
    target = exchange.target
    found = await stat(exchange.send, target)
    if found.collection:
        # The move would replace the folder.
        raise WrongMethod("a folder has no content", allow=methods.allow(target))
    given = exchange.request.headers
    if not headers.precondition_holds(given, exists=found.exists, etag=found.etag):
        return failure(412, "a condition does not hold")
    _drop(sent, EMULATED)
    aside = _aside(target.url)
    try:
        uploaded = await _upload(exchange, aside, sent)
        if uploaded.status in (200, 201, 204):
            answer = await _move(exchange, aside, uploaded)
        else:
            answer = await refusal(exchange, uploaded)
    except BaseException:
        await _discard(exchange, aside, ABORTED)
        raise
    if answer.status >= 300:
        await _discard(exchange, aside, COMPLETE)
    return answer


def _aside(url: str) -> str:
    """A name in the same folder that sync clients and Nextcloud's scanner pass over."""
    return f"{url.rpartition('/')[0]}/.{secrets.token_hex(12)}.part"


async def _move(exchange: Exchange, aside: str, uploaded: Reply) -> DavAnswer:
    given, target = exchange.request.headers, exchange.target
    only_new = given.get("If-None-Match", "").strip() == "*"
    moving = headers.authorized(target.authorization)
    moving["Destination"] = target.url
    moving["Overwrite"] = "F" if only_new else "T"
    answer = await written(exchange, await exchange.ask("MOVE", aside, moving), status=204)
    kept = headers.for_client(uploaded.headers, ("X-OC-Mtime",))
    fields = tuple(pair for pair in answer.headers if pair[0] not in LOST_AT_MOVE)
    return replace(answer, headers=fields + kept)


async def _discard(exchange: Exchange, aside: str, pauses: tuple[float, ...]) -> None:
    """Delete what arrived of an upload."""
    for pause in pauses:
        await asyncio.sleep(pause)
        try:
            sent = headers.authorized(exchange.target.authorization)
            reply = await exchange.ask("DELETE", aside, sent)
        except GatewayError:
            return  # it stays behind under its temporary name
        if reply.status in (200, 204):
            return
