"""Files and archives as answers to a browser: looked at in place where that is safe, else saved."""

from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import quote

from aiohttp import web

from gateway.dav.message import DavAnswer
from gateway.sharing.files import Files, Place
from gateway.web.answers import write_answer
from gateway.web.bodies import Bodies
from gateway.web.views import SECURITY, View

_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"})
_PASSED = ("Range", "If-Range", "If-None-Match", "If-Modified-Since")
_KEPT = frozenset({"content-range", "accept-ranges", "etag", "last-modified"})
_SEALED_OFF = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; sandbox"
"""What somebody else wrote runs nothing, asks nothing and belongs to no origin."""
_PDF = "default-src 'none'; style-src 'unsafe-inline'; object-src 'self'; frame-ancestors 'none'"


def shown_as(name: str, content_type: str) -> str:
    """The type under which a browser may show a file in place; empty for one to be saved.

    Only what cannot carry a script: images but SVG, plain text, and PDF, which browsers seal off.
    """
    essence = content_type.partition(";")[0].strip().lower()
    if essence in _IMAGES:
        return essence
    if essence == "application/pdf" or name.lower().endswith(".pdf"):
        return "application/pdf"
    texts = (".txt", ".md", ".csv", ".log", ".json", ".yaml", ".yml", ".ini", ".tex")
    if essence == "text/plain" or name.lower().endswith(texts):
        return "text/plain; charset=utf-8"
    return ""


async def send_file(
    view: View, files: Files, place: Place, bodies: Bodies, *, content_type: str = ""
) -> web.StreamResponse:
    """A file: shown in place as `content_type`, or saved where that is empty."""
    request = view.request
    headers = {name: request.headers[name] for name in _PASSED if name in request.headers}
    method = "HEAD" if request.method == "HEAD" else "GET"
    async with files.read(place, headers=headers, method=method) as answer:
        name = place.path[-1] if place.path else place.target.label
        kept = tuple((key, value) for key, value in answer.headers if key.lower() in _KEPT)
        dressed = replace(answer, headers=(*kept, *_headers(name, content_type)))
        return await write_answer(request, dressed, bodies)


async def send_archive(
    view: View, files: Files, place: Place, bodies: Bodies, name: str
) -> web.StreamResponse:
    """A folder as a ZIP archive of that name."""
    chunks = files.archive(place)
    # The first piece is awaited here, so that what cannot even begin is an error page.
    first = await anext(chunks)

    async def whole() -> AsyncIterator[bytes]:
        yield first
        async for chunk in chunks:
            if chunk:
                yield chunk

    headers = (*_headers(f"{name}.zip", ""), ("Cache-Control", "no-store"))
    return await write_answer(view.request, DavAnswer(200, headers, whole(), None), bodies)


def _headers(name: str, content_type: str) -> tuple[tuple[str, str], ...]:
    place = "inline" if content_type else "attachment"
    policy = _PDF if content_type == "application/pdf" else _SEALED_OFF
    special = {
        "Content-Type": content_type or "application/octet-stream",
        "Content-Disposition": f"{place}; filename*=UTF-8''{quote(name, safe='')}",
        "Content-Security-Policy": policy,
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    return tuple((SECURITY | special).items())
