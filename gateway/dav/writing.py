"""DELETE, MKCOL, MOVE, COPY, PROPPATCH, LOCK and UNLOCK; PUT is in `uploads`."""

from contextlib import suppress

from multidict import CIMultiDict

from gateway.dav import conditions, documents, headers, methods, properties
from gateway.dav.answers import refusal, written
from gateway.dav.backend import Stat, stat, stat_url
from gateway.dav.client import Exchange, Reply, collect, read, to_the_end, turn
from gateway.dav.hrefs import Hrefs, Segments
from gateway.dav.lockdiscovery import lock_answer
from gateway.dav.message import XML, DavAnswer, document, failure
from gateway.dav.statuses import told
from gateway.errors import BackendFailed, GatewayError, Malformed

LONGEST_IGNORED = 64 * 1024
LONGEST_LOCK_ANSWER = 1024 * 1024
PATIENCE_SECONDS = 600
"""How long a storage may work on a tree without a word."""


def sent_headers(exchange: Exchange) -> CIMultiDict[str]:
    """What every write carries."""
    request, target = exchange.request, exchange.target
    sent = headers.for_storage(request.method, request.headers, target)
    lists = headers.condition_lists(request.headers, target, exchange.seal)
    if lists:
        sent["If"] = headers.if_value(lists)
    return sent


def with_slash(exchange: Exchange) -> str:
    """The URL with the client's slash; a root folder always has one."""
    target = exchange.target
    folder = not target.single_file and (exchange.request.slash or not target.rel)
    return target.url + ("/" if folder else "")


async def fails_precondition(exchange: Exchange) -> bool:
    """Whether a condition about ETags does not hold, where the storage would not look."""
    given = {"If", "If-Match", "If-None-Match"} & exchange.request.headers.keys()
    if exchange.target.profile.conditional_put or not given:
        return False
    return _fails(exchange, await stat(exchange.send, exchange.target))


def _fails(exchange: Exchange, found: Stat) -> bool:
    if exchange.target.profile.conditional_put:
        return False
    given = exchange.request.headers
    lists = headers.condition_lists(given, exchange.target, exchange.seal)
    return not (
        headers.precondition_holds(given, exists=found.exists, etag=found.etag)
        and (not lists or conditions.may_hold(lists, exchange.target.url, found.etag))
    )


async def delete(exchange: Exchange) -> DavAnswer:
    """DELETE, always of the whole tree (RFC 4918 9.6)."""
    request = exchange.request
    headers.depth_of("DELETE", request.headers)
    await collect(request.body, LONGEST_IGNORED)
    sent = sent_headers(exchange)
    url = with_slash(exchange)
    async with turn(exchange.target.url):
        if await fails_precondition(exchange):
            return failure(412, "a condition does not hold")
        reply = await to_the_end(_delete(exchange, url, sent))
    return await written(exchange, reply, status=204)


async def _delete(exchange: Exchange, url: str, sent: CIMultiDict[str]) -> Reply:
    """nginx wants the slash behind a folder, and says that it conflicts without."""
    reply = await exchange.ask("DELETE", url, sent, idle_seconds=PATIENCE_SECONDS)
    if reply.status != 409 or url.endswith("/"):
        return reply
    if not (await stat(exchange.send, exchange.target)).collection:
        return reply
    return await exchange.ask("DELETE", url + "/", sent, idle_seconds=PATIENCE_SECONDS)


async def mkcol(exchange: Exchange) -> DavAnswer:
    """MKCOL; a body means something that is not offered (RFC 4918 9.3)."""
    if await collect(exchange.request.body, LONGEST_IGNORED):
        return failure(415, "a folder is made without a body")
    sent = sent_headers(exchange)
    sent.popall("Content-Type", None)
    reply = await exchange.ask("MKCOL", exchange.target.url + "/", sent)
    return await written(exchange, reply, status=201)


async def transfer(exchange: Exchange) -> DavAnswer:
    """MOVE and COPY inside the share (RFC 4918 9.8, 9.9)."""
    request, target = exchange.request, exchange.target
    destination, _ = headers.destination(headers.single(request.headers, "Destination"), target)
    methods.admit_destination(target, destination)
    depth = headers.depth_of(request.method, request.headers)
    replace = methods.overwrite(headers.single(request.headers, "Overwrite"))
    await collect(request.body, LONGEST_IGNORED)
    sent = sent_headers(exchange)
    sent["Depth"] = depth
    sent["Overwrite"] = "T" if replace else "F"
    source = await stat(exchange.send, target)
    if not source.exists:
        return failure(404, "there is no such file or folder")
    if _fails(exchange, source):
        return failure(412, "a condition does not hold")
    if not await _has_folder(exchange, destination):
        return failure(409, told(409, {}))
    async with turn(headers.at_storage(target, destination)):
        return await _transfer(exchange, source, destination, sent)


async def _transfer(
    exchange: Exchange, source: Stat, destination: Segments, sent: CIMultiDict[str]
) -> DavAnswer:
    """What is at the destination is looked at in our turn: of two that want a new name one gets
    it, though storages look and move in two steps."""
    request, target = exchange.request, exchange.target
    there = await stat_url(
        exchange.send, headers.at_storage(target, destination), target.authorization
    )
    if there.exists and sent["Overwrite"] == "F":
        return failure(412, "the destination exists")  # some storages ignore Overwrite
    # Apache wants the slash that what is replaced has; for new names nginx wants the source's.
    slash = there.collection if there.exists else source.collection
    sent["Destination"] = headers.at_storage(target, destination, slash=slash)
    url = target.url + ("/" if source.collection else "")
    moving = exchange.ask(request.method, url, sent, idle_seconds=PATIENCE_SECONDS)
    reply = await to_the_end(moving)
    return await written(exchange, reply, status=204)


async def _has_folder(exchange: Exchange, destination: Segments) -> bool:
    """Whether the folder that it goes into is there (RFC 4918 9.8.5): some storages make it, some
    only say that they failed. The folders above the source are."""
    target, above = exchange.target, destination[:-1]
    if above == target.rel[: len(above)]:
        return True
    found = await stat_url(exchange.send, headers.at_storage(target, above), target.authorization)
    return found.collection


async def proppatch(exchange: Exchange) -> DavAnswer:
    """PROPPATCH, of what is the client's to set (RFC 4918 9.2)."""
    body = await collect(exchange.request.body, documents.LONGEST)
    names = documents.parse_propertyupdate(body)
    href = exchange.target.public_path + ("/" if exchange.request.slash else "")
    protected = tuple(name for name in names if not properties.may_be_set(name))
    if protected:
        others = tuple(name for name in names if name not in protected)
        return document(207, documents.propstats(href, _refused(protected, others)))
    sent = sent_headers(exchange)
    sent["Content-Type"] = XML
    reply = await to_the_end(exchange.ask("PROPPATCH", with_slash(exchange), sent, body))
    if reply.status in (200, 204):
        # lighttpd says so without a multistatus, which clients wait for.
        return document(207, documents.propstats(href, [("200 OK", names, "")]))
    return await written(exchange, reply)


def _refused(protected: tuple[str, ...], others: tuple[str, ...]) -> list[documents.Result]:
    return [
        ("403 Forbidden", protected, "cannot-modify-protected-property"),
        ("424 Failed Dependency", others, ""),
    ]


async def lock(exchange: Exchange) -> DavAnswer:
    """LOCK and its refresh (RFC 4918 9.10); the token leaves sealed."""
    request, target = exchange.request, exchange.target
    body = await collect(request.body, documents.LONGEST)
    sent = sent_headers(exchange)
    sent["Timeout"] = headers.timeout(headers.single(request.headers, "Timeout"))
    if body:
        body = documents.lockinfo(body)
        sent["Depth"] = headers.depth_of("LOCK", request.headers)
        sent["Content-Type"] = XML
    elif "If" not in sent:
        raise Malformed("a lock is refreshed with an If header")
    elif not headers.shows_token(request.headers, target, exchange.seal):
        # lighttpd says that it has refreshed a lock of any token.
        return failure(412, "the If header has no lock of this resource")
    reply = await exchange.ask("LOCK", with_slash(exchange), sent, body or None)
    if reply.status == 207:
        return await written(exchange, reply)
    if reply.status not in (200, 201):
        return await refusal(exchange, reply)
    given = reply.headers.get("Lock-Token", "")
    token = headers.sealed_token(given, target, exchange.seal)
    described = await read(reply, LONGEST_LOCK_ANSWER)
    try:
        answer = lock_answer(described, Hrefs(target), exchange.seal, target.scope)
    except BackendFailed:
        if token and body:
            await _let_go(exchange, given)
        raise
    return document(reply.status, answer, (("Lock-Token", token),) if token else ())


async def _let_go(exchange: Exchange, token: str) -> None:
    """Take back a lock that the client never hears of; nobody else could."""
    sent = headers.authorized(exchange.target.authorization)
    sent["Lock-Token"] = token
    with suppress(GatewayError):
        await to_the_end(exchange.ask("UNLOCK", with_slash(exchange), sent))


async def unlock(exchange: Exchange) -> DavAnswer:
    """UNLOCK, with a token that was sealed for this scope (RFC 4918 9.11)."""
    request, target = exchange.request, exchange.target
    await collect(request.body, LONGEST_IGNORED)
    given = headers.single(request.headers, "Lock-Token")
    token = headers.lock_token(given, target, exchange.seal)
    if token is None:
        return failure(
            409, "that is no lock of this resource", condition="lock-token-matches-request-uri"
        )
    sent = sent_headers(exchange)
    sent["Lock-Token"] = f"<{token}>"
    reply = await exchange.ask("UNLOCK", with_slash(exchange), sent)
    return await written(exchange, reply, status=204)
