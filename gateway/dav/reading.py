"""OPTIONS, GET, HEAD and PROPFIND."""

from dataclasses import replace
from time import time

from gateway.dav import documents, headers, methods, properties
from gateway.dav.answers import believe, counted, listing, refusal
from gateway.dav.backend import Stat, stat
from gateway.dav.client import Exchange, Reply, collect
from gateway.dav.documents import Asked
from gateway.dav.entries import Plan
from gateway.dav.message import XML, DavAnswer, failure
from gateway.dav.statuses import leads_to_slash
from gateway.dav.target import Target
from gateway.errors import BackendFailed, NotFound, WrongMethod
from gateway.upstream.reply import Reply as Lent

LONGEST_IGNORED = 64 * 1024
FRESH_SECONDS = 120


async def options(exchange: Exchange) -> DavAnswer:
    """Answered here: one storage never ends its answer, and all of them tell too much."""
    target = exchange.target
    await collect(exchange.request.body, LONGEST_IGNORED)
    allowed = ", ".join(methods.allow(target))
    fields = (("Allow", allowed), ("DAV", methods.compliance(target)), ("MS-Author-Via", "DAV"))
    return DavAnswer(200, fields)


async def get(exchange: Exchange) -> DavAnswer:
    """GET and HEAD of a file; a folder has no content here."""
    request, target = exchange.request, exchange.target
    await collect(request.body, LONGEST_IGNORED)
    if not target.single_file and (request.slash or not target.rel):
        return await _folder(exchange)
    sent = headers.for_storage(request.method, request.headers, target)
    reply = await exchange.ask(request.method, target.url, sent, follow=False)
    if leads_to_slash(reply.status, reply.headers, target.url):
        return await _folder(exchange)
    if request.method == "HEAD" and reply.status in (405, 501):
        return _described(await stat(exchange.send, target), target)
    if _may_be_an_index(reply) and (await stat(exchange.send, target)).collection:
        return await _folder(exchange)
    return await _content(exchange, reply, sent.get("Range"))


async def _folder(exchange: Exchange) -> DavAnswer:
    """Raises WrongMethod for GET; HEAD says that it is there."""
    target = exchange.target
    if target.single_file:
        raise NotFound("what was shared as a file is one no more")
    get_ = exchange.request.method == "GET"
    if target.rel or not get_:
        found = await stat(exchange.send, target)
        if not found.exists:
            await believe(exchange)
        if not found.collection:
            raise NotFound("there is no such folder")
    if get_:
        raise WrongMethod("a folder has no content; ask with PROPFIND", allow=methods.allow(target))
    return DavAnswer(200)


def _may_be_an_index(reply: Reply) -> bool:
    """Some storages answer a folder without slash with a page about it."""
    page = reply.headers.get("Content-Type", "").lower().startswith("text/html")
    return (
        page
        and reply.status == 200
        and not ("ETag" in reply.headers or "Last-Modified" in reply.headers)
    )


def _described(found: Stat, target: Target) -> DavAnswer:
    if not found.exists or (found.collection and target.single_file):
        raise NotFound("there is no such file")
    fields = (("ETag", found.etag),) if found.etag else ()
    return DavAnswer(200, fields, b"", 0 if found.collection else found.size)


async def _content(exchange: Exchange, reply: Reply, asked: str | None) -> DavAnswer:
    fields = headers.for_client(reply.headers)
    if reply.status == 304:
        return DavAnswer(304, fields, b"", None)
    if reply.status == 416:
        known = headers.for_client(reply.headers, ("Content-Range",))
        return failure(416, "the file does not have that range", headers=known)
    if reply.status not in (200, 206):
        return await refusal(exchange, reply)
    length = _length(reply)
    if reply.status == 206:
        given = reply.headers.get("Content-Range", "")
        possible, total = headers.range_total(given, length)
        if not possible:
            # XrdHttp answers a range behind the end with 206 and no body.
            known = (("Content-Range", f"bytes */{total}"),)
            return failure(416, "the file does not have that range", headers=known)
        if not headers.answers(asked, given):
            raise BackendFailed("the storage sent another part than it was asked for", detail=given)
    fields = (*fields, *headers.ON_CONTENT)
    if exchange.request.method == "HEAD":
        return DavAnswer(reply.status, fields, b"", length)
    source = reply if isinstance(reply, Lent) and length == reply.length else None
    return DavAnswer(reply.status, fields, counted(reply.chunks, length), length, source)


def _length(reply: Reply) -> int | None:
    value = reply.headers.get("Content-Length")
    if value is None:
        return None
    if not (value.isascii() and value.isdigit()):
        raise BackendFailed("the storage announces an impossible length")
    return int(value)


async def propfind(exchange: Exchange) -> DavAnswer:
    """PROPFIND of Depth 0 and 1; infinity is refused for folders (RFC 4918 9.1)."""
    request, target = exchange.request, _freshened(exchange.target)
    depth = headers.depth_of("PROPFIND", request.headers)
    if target.lists_unasked and "Depth" not in request.headers:
        depth = "1"
    body = (await collect(request.body, documents.LONGEST)).strip()
    requested = documents.parse_propfind(body)
    folder = not target.single_file and (request.slash or not target.rel)
    if depth == methods.INFINITY and folder:
        return _too_deep()
    if requested.asked is Asked.NAMED:
        body = documents.encode_propfind(properties.for_storage(requested, target).names)
    near = "1" if depth == "1" and not target.single_file else "0"
    sent = headers.authorized(target.authorization)
    sent["Depth"] = near
    if body:
        sent["Content-Type"] = XML
    reply = await exchange.ask("PROPFIND", target.url + ("/" if folder else ""), sent, body or None)
    if reply.status != 207:
        return await refusal(exchange, reply)
    answer, seen = await listing(exchange, reply, Plan(target, exchange.seal, requested, near))
    collection = seen.itself is not None and seen.itself.collection
    if collection and target.single_file:
        raise NotFound("what was shared as a file is one no more")
    return _too_deep() if collection and depth == methods.INFINITY else answer


def _freshened(target: Target) -> Target:
    """With a root ETag that is new every while, where it tells nothing of what lies deeper.

    Receivers look at that one ETag and believe it; a new one costs them one listing.
    """
    if target.rel or target.freshness or target.profile.etag_propagates or not target.trusted:
        return target
    return replace(target, freshness=str(int(time()) // FRESH_SECONDS))


def _too_deep() -> DavAnswer:
    return failure(403, "ask for Depth 0 or 1", condition="propfind-finite-depth")
