"""PUT: the whole body, or the old file.

Several storages keep what an aborted upload had sent, so there a file is written under a temporary
name in the same folder and put into place when all of it has arrived: moved, or, where a move would
break a lock or cannot be said, copied through us. The body is counted; what is cut short is never
ended.
"""

import asyncio
import secrets
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import IO

from multidict import CIMultiDict

from gateway.dav import headers, methods
from gateway.dav.answers import counted, refusal, written
from gateway.dav.backend import stat
from gateway.dav.client import Exchange, Reply, to_the_end, turn
from gateway.dav.message import DavAnswer, failure
from gateway.dav.target import aside
from gateway.dav.writing import fails_precondition, sent_headers
from gateway.errors import BackendFailed, GatewayError, Malformed, NoRoom, WrongMethod
from gateway.logs import event
from gateway.upstream.sending import Poured

EMULATED = ("If-Match", "If-None-Match")
STRAIGHT = ("If", "If-Unmodified-Since", "If-Modified-Since")
"""Conditions about the file itself, which only the storage can judge."""
PATIENCE_SECONDS = 10
"""How long an upload with conditions waits for the one before it to end."""
KEPT_PIECE = 256 * 1024
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
        exchange = await _measured(exchange)
    sent = sent_headers(exchange)
    emulated = not target.profile.conditional_put and any(name in sent for name in EMULATED)
    if target.trusted and (emulated or not target.profile.atomic_put):
        return await _put_aside(exchange, sent)
    return await _put_straight(exchange, sent)


async def _put_straight(exchange: Exchange, sent: CIMultiDict[str]) -> DavAnswer:
    """Upload to its own name at once, of those with conditions one after the other: the storage
    looks when an upload begins and replaces the file when it ends."""
    if not any(name in sent for name in EMULATED + STRAIGHT):
        return await _sent_straight(exchange, sent)
    mine = turn(f"conditional upload to {exchange.target.url}")
    try:
        await asyncio.wait_for(mine.acquire(), PATIENCE_SECONDS)
    except TimeoutError:
        return failure(423, "somebody else is just writing it")
    try:
        return await _sent_straight(exchange, sent)
    finally:
        mine.release()


async def _sent_straight(exchange: Exchange, sent: CIMultiDict[str]) -> DavAnswer:
    if await fails_precondition(exchange):
        return failure(412, "a condition does not hold")
    if not exchange.target.profile.conditional_put:
        _drop(sent, EMULATED)
    upload = _Upload(exchange.request.content_length)
    return await written(exchange, await _upload(exchange, exchange.target.url, sent, upload))


async def _measured(exchange: Exchange) -> Exchange:
    """The same upload with a length: kept in a file until it is whole, for a storage that wants to
    know the length first."""
    with _room():
        file: IO[bytes] = await asyncio.to_thread(_temporary)
    exchange.stack.callback(file.close)
    body, length = exchange.request.body, 0
    if body is not None and not isinstance(body, Poured):
        async for chunk in body:
            with _room():
                length += await asyncio.to_thread(_write, file, chunk)
    file.seek(0)

    async def again() -> AsyncIterator[bytes]:
        while piece := await asyncio.to_thread(file.read, KEPT_PIECE):
            yield piece

    return replace(exchange, request=replace(exchange.request, body=again(), content_length=length))


def _temporary() -> IO[bytes]:
    return tempfile.TemporaryFile(buffering=0)


def _write(file: IO[bytes], chunk: bytes) -> int:
    left = memoryview(chunk)
    while left:
        left = left[file.write(left) :]
    return len(chunk)


@contextmanager
def _room() -> Iterator[None]:
    """A temporary file that cannot be written is NoRoom."""
    try:
        yield
    except OSError as error:
        raise NoRoom("there is no room to keep the upload", detail=str(error)) from error


def _drop(sent: CIMultiDict[str], names: tuple[str, ...]) -> None:
    for name in names:
        sent.popall(name, None)


@dataclass(slots=True)
class _Upload:
    """A request's body, counted. What goes wrong in it surfaces as the way out's error, so the
    cause is kept here."""

    expected: int | None
    fault: GatewayError | None = field(default=None)
    seen: int = 0

    async def chunks(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        try:
            async for chunk in body:
                self.seen += len(chunk)
                if self.expected is not None and self.seen > self.expected:
                    break
                yield chunk
        except GatewayError as error:
            self.fault = error
            raise
        except OSError as error:
            self.fault = Malformed("the upload was cut short", detail=str(error))
            raise self.fault from None
        if self.expected is not None and self.seen != self.expected:
            self.fault = Malformed("the body has another length than announced")
            raise self.fault


async def _upload(exchange: Exchange, url: str, sent: CIMultiDict[str], upload: _Upload) -> Reply:
    if upload.expected is not None:
        sent["Content-Length"] = str(upload.expected)
    given = exchange.request.body
    if isinstance(given, Poured):
        reply = await exchange.ask("PUT", url, sent, given)
        upload.seen = given.length
        return reply
    body: AsyncIterator[bytes] | bytes = upload.chunks(given) if given else b""
    try:
        reply = await exchange.ask("PUT", url, sent, body)
    except GatewayError:
        if upload.fault:
            raise upload.fault from None
        raise
    if upload.fault:
        raise upload.fault
    return reply


@dataclass(frozen=True, slots=True)
class _Aside:
    """An upload under its temporary name. `lists`: the If header that submits its tokens there."""

    exchange: Exchange
    url: str
    lists: str

    def headers(self) -> CIMultiDict[str]:
        sent = headers.authorized(self.exchange.target.authorization)
        if self.lists:
            sent["If"] = self.lists
        return sent

    def tell_kept(self, error: str) -> None:
        """Say where it is: the old file may be gone."""
        event("upload.kept", level="error", file=self.url.rpartition("/")[2], error=error)

    async def discard(self, pauses: tuple[float, ...]) -> None:
        """Delete what arrived; what cannot be deleted stays behind, unseen."""
        for pause in pauses:
            await asyncio.sleep(pause)
            try:
                reply = await self.exchange.ask("DELETE", self.url, self.headers())
            except GatewayError:
                return
            if reply.status in (200, 204):
                return


async def _put_aside(exchange: Exchange, sent: CIMultiDict[str]) -> DavAnswer:
    """Upload under a temporary name, then put it into place."""
    if not await _holds(exchange):
        return failure(412, "a condition does not hold")
    apart = await _apart(exchange)
    if apart is None:
        return await _put_straight(exchange, sent)
    first = CIMultiDict(sent)
    _drop(first, EMULATED + STRAIGHT)
    first.update(apart.headers())
    upload = _Upload(exchange.request.content_length)
    try:
        uploaded = await _upload(exchange, apart.url, first, upload)
        if uploaded.status in (200, 201, 204):
            moving = _movable(exchange, sent)
            placing = _move(apart, uploaded) if moving else _copy(apart, sent, upload.seen)
            return await to_the_end(placing)
        # Apache explains in a multistatus that the folder is locked.
        locked = failure(423, "the folder is locked")
        answer = locked if uploaded.status == 207 else await refusal(exchange, uploaded)
    except _HalfPlaced as half:
        raise half.error from None
    except BaseException:
        await to_the_end(apart.discard(ABORTED))
        raise
    await apart.discard(COMPLETE)
    return answer


class _HalfPlaced(Exception):
    """What has arrived did not get into place, and the old file may be gone: it is kept."""

    def __init__(self, error: GatewayError) -> None:
        super().__init__()
        self.error = error


async def _apart(exchange: Exchange) -> _Aside | None:
    """A place to upload to. None where there is none for the holder of a lock on the folder.

    A body can be sent only once, so who shows lock tokens gets a place that was tried.
    """
    target = exchange.target
    url = f"{target.url.rpartition('/')[0]}/{aside(secrets.token_bytes(12))}"
    plain = _Aside(exchange, url, "")
    if "If" not in exchange.request.headers:
        return plain
    for apart in (plain, _Aside(exchange, url, _about(target.url, exchange))):
        tried = await exchange.ask("PUT", url, apart.headers(), b"")
        if tried.status in (200, 201, 204):
            return apart
    return None


def _about(url: str, exchange: Exchange) -> str:
    """The If header with each of its lists about a URL: under another name the tokens still count
    (RFC 4918 10.4.1), and the conditions stay about the file that was meant."""
    lists = headers.condition_lists(exchange.request.headers, exchange.target, exchange.seal)
    return headers.if_value(tuple(replace(each, resource=each.resource or url) for each in lists))


async def _holds(exchange: Exchange) -> bool:
    """Whether the conditions hold that we look after. Raises WrongMethod for a folder."""
    target = exchange.target
    found = await stat(exchange.send, target)
    if found.collection:
        # A move would replace the folder.
        raise WrongMethod("a folder has no content", allow=methods.allow(target))
    given = exchange.request.headers
    return headers.precondition_holds(given, exists=found.exists, etag=found.etag)


def _movable(exchange: Exchange, sent: CIMultiDict[str]) -> bool:
    """Whether a move puts the file into place; it would take a lock away from it."""
    target = exchange.target
    return methods.exact(target.path, target) and not any(name in sent for name in STRAIGHT)


async def _move(apart: _Aside, uploaded: Reply) -> DavAnswer:
    exchange = apart.exchange
    target = exchange.target
    only_new = exchange.request.headers.get("If-None-Match", "").strip() == "*"
    moving = apart.headers()
    moving["Destination"] = target.url
    moving["Overwrite"] = "F" if only_new else "T"
    async with turn(target.url):
        # It may have become another file, or a folder, during the upload.
        if await _holds(exchange):
            answer = await written(
                exchange, await exchange.ask("MOVE", apart.url, moving), status=204
            )
        else:
            answer = failure(412, "a condition does not hold")
    if answer.status >= 300:
        await apart.discard(COMPLETE)
    kept = headers.for_client(uploaded.headers, ("X-OC-Mtime",))
    fields = tuple(pair for pair in answer.headers if pair[0] not in LOST_AT_MOVE)
    return replace(answer, headers=fields + kept)


async def _copy(apart: _Aside, sent: CIMultiDict[str], length: int) -> DavAnswer:
    """Write what has arrived to its own name, under the client's own conditions.

    A write that fails may have taken the old file with it, so it is tried once more. Raises
    _HalfPlaced when that fails, too.
    """
    exchange = apart.exchange
    target = exchange.target
    if not target.profile.conditional_put:
        _drop(sent, EMULATED)
    sent["Content-Length"] = str(length)
    async with turn(target.url):
        if not await _holds(exchange):
            answer = failure(412, "a condition does not hold")
        else:
            answer = await _copied(apart, sent, length)
    if answer.status < 500:
        await apart.discard(COMPLETE)
    return answer


async def _copied(apart: _Aside, sent: CIMultiDict[str], length: int) -> DavAnswer:
    with suppress(GatewayError):
        answer = await _copied_once(apart, sent, length)
        if answer.status < 500:
            return answer
    try:
        answer = await _copied_once(apart, sent, length)
    except GatewayError as error:
        apart.tell_kept(error.explanation)
        raise _HalfPlaced(error) from None
    if answer.status >= 500:
        apart.tell_kept(f"status {answer.status}")
    return answer


async def _copied_once(apart: _Aside, sent: CIMultiDict[str], length: int) -> DavAnswer:
    exchange = apart.exchange
    arrived = await exchange.ask("GET", apart.url, apart.headers(), follow=False)
    if arrived.status != 200:
        raise BackendFailed("the storage lost an upload", detail=f"status {arrived.status}")
    body = counted(arrived.chunks, length)
    return await written(exchange, await exchange.ask("PUT", exchange.target.url, sent, body))
