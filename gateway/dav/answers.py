"""A storage's reply, as the client gets it."""

import asyncio
from collections.abc import AsyncIterator

from gateway.dav import headers, methods
from gateway.dav.backend import healthy, is_xml, stat, stat_url
from gateway.dav.client import Exchange, Reply, read
from gateway.dav.entries import Plan
from gateway.dav.hrefs import Hrefs
from gateway.dav.message import XML, DavAnswer, document, failure
from gateway.dav.multistatus import Multistatus
from gateway.dav.parts import condition_in
from gateway.dav.responses import PIECE, USUAL, Limits
from gateway.dav.statuses import told
from gateway.errors import BackendFailed, BackendUnavailable, GatewayError

BUFFERED = 64 * 1024
"""A multistatus up to this length goes out with a length; until then, failures are clean."""
LONGEST_ERROR = 64 * 1024
LONGEST_FOREIGN_LISTING = 256 * 1024 * 1024
MOST_FOREIGN_ENTRIES = 100_000
AFTER_WRITING = ("Date", "ETag", "OC-ETag", "OC-FileId", "X-OC-Mtime")


async def refusal(exchange: Exchange, reply: Reply) -> DavAnswer:
    """The storage's no, in our words: its own tell paths, versions and names.

    Raises what `told` and `believe` do.
    """
    target = exchange.target
    message = told(reply.status, reply.headers)
    making = exchange.request.method in methods.MAKING
    if (reply.status in (400, 500) or (reply.status == 404 and making)) and (
        meant := await _meant(exchange)
    ):
        return meant
    if reply.status == 404 or (reply.status == 403 and exchange.request.method in methods.READING):
        await believe(exchange)
    condition = ""
    if is_xml(reply.headers.get("Content-Type", "")):
        condition = await _condition(reply)
    allowed = (("Allow", ", ".join(methods.allow(target))),) if reply.status == 405 else ()
    return failure(reply.status, message, condition=condition, headers=allowed)


async def _meant(exchange: Exchange) -> DavAnswer | None:
    """What a storage means that says 400, 404 or 500 where its folder is not there, or something
    already is (RFC 4918 9.3.1, 9.7.1); None when it is something else."""
    target, method = exchange.target, exchange.request.method
    if target.single_file or not target.rel:
        return None
    above = headers.at_storage(target, target.rel[:-1])
    try:
        if not (await stat_url(exchange.send, above, target.authorization)).collection:
            status = 409 if method in methods.MAKING else 404
            return failure(status, told(status, {}))
        if method == "MKCOL" and (await stat(exchange.send, target)).exists:
            allowed = (("Allow", ", ".join(methods.allow(target))),)
            return failure(405, told(405, {}), headers=allowed)
    except GatewayError:
        return None
    return None


async def believe(exchange: Exchange) -> None:
    """Raise BackendUnavailable when the root of the Target is missing because the storage is.

    Some receivers delete a share whose root is not found, so an unmounted disk must not say that.
    """
    target = exchange.target
    at_root = target.single_file or not target.rel
    if not (at_root and target.trusted):
        return
    if not await healthy(exchange.send, target.base, target.authorization):
        raise BackendUnavailable(
            "the storage is not there", detail=f"{target.base} is no folder", retry_after=60
        )


async def _condition(reply: Reply) -> str:
    try:
        return condition_in(await read(reply, LONGEST_ERROR))
    except (BackendFailed, BackendUnavailable):
        return ""


async def written(exchange: Exchange, reply: Reply, *, status: int | None = None) -> DavAnswer:
    """The answer to a write: bodies of success are dropped, `status` stands for a plain 200."""
    if reply.status == 207:
        return await partly(exchange, reply)
    if reply.status == 424 and is_xml(reply.headers.get("Content-Type", "")):
        try:
            return await partly(exchange, reply)  # Apache explains it so
        except BackendFailed:
            return failure(424, told(424, reply.headers))
    if reply.status not in (200, 201, 204):
        return await refusal(exchange, reply)
    fields = headers.for_client(reply.headers, AFTER_WRITING)
    if reply.status == 201 and "Location" in reply.headers:
        target = exchange.target
        where = headers.location(reply.headers["Location"], Hrefs(target), target.origin)
        fields += (("Location", where),) if where else ()
    found = status if status and reply.status == 200 else reply.status
    return DavAnswer(found, fields, b"", None if found == 204 else 0)


async def partly(exchange: Exchange, reply: Reply) -> DavAnswer:
    """A write's multistatus; it must be whole before the client hears of it."""
    rewriter = Multistatus(Plan(exchange.target, exchange.seal))
    check_xml(reply)
    body = b"".join([piece async for piece in _rewritten(exchange, reply, rewriter)])
    return document(reply.status, body)


async def listing(exchange: Exchange, reply: Reply, plan: Plan) -> tuple[DavAnswer, Multistatus]:
    """A PROPFIND's multistatus, and what was seen of it. Raises BackendFailed until it is sure."""
    check_xml(reply)
    limits = USUAL if plan.target.trusted else Limits(entries=MOST_FOREIGN_ENTRIES)
    rewriter = Multistatus(plan, limits)
    pieces = _rewritten(exchange, reply, rewriter)
    head = bytearray()
    async for piece in pieces:
        head += piece
        if len(head) >= BUFFERED:
            body = _continued(bytes(head), pieces)
            return DavAnswer(207, (("Content-Type", XML),), body, None), rewriter
    return document(207, bytes(head)), rewriter


def check_xml(reply: Reply) -> None:
    """Raise BackendFailed unless the body is XML and not encoded: a login page comes as 207 too."""
    content_type = reply.headers.get("Content-Type", "")
    encoding = reply.headers.get("Content-Encoding", "identity")
    if not is_xml(content_type) or encoding.lower() != "identity":
        raise BackendFailed(
            "the storage answered with something else than XML",
            detail=f"{content_type[:80]!r}, {encoding[:80]!r}",
        )


async def _rewritten(
    exchange: Exchange, reply: Reply, rewriter: Multistatus
) -> AsyncIterator[bytes]:
    total = 0
    async for chunk in reply.chunks:
        total += len(chunk)
        if not exchange.target.trusted and total > LONGEST_FOREIGN_LISTING:
            raise BackendFailed("the other server's listing is too large")
        for at in range(0, len(chunk), PIECE):
            ready = rewriter.feed(chunk[at : at + PIECE])
            if ready:
                yield ready
            if at:
                await asyncio.sleep(0)  # others have waited for the last piece
    yield rewriter.close()


async def _continued(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for piece in rest:
        yield piece


async def counted(chunks: AsyncIterator[bytes], length: int | None) -> AsyncIterator[bytes]:
    """The body, which raises BackendFailed at its end unless it had `length` bytes."""
    seen = 0
    async for chunk in chunks:
        seen += len(chunk)
        if length is not None and seen > length:
            break
        yield chunk
    if length is not None and seen != length:
        raise BackendFailed("the storage sent another length than it said")
