"""A file from a form, streamed on while it comes (RFC 7578).

The form's other fields stand before its file and are small; nothing of the file is kept here.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import BodyPartReader, MultipartReader, web

from gateway.errors import Malformed, TooLarge
from gateway.web.middleware import visit_of
from gateway.web.requests import continue_if_expected

_MOST_FIELDS = 20
_LONGEST_FIELD = 16 * 1024
_IDLE_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Upload:
    """The fields before the file, its name as the browser has it, and its content as it comes."""

    fields: Mapping[str, str] = field(repr=False)
    name: str
    content: AsyncIterator[bytes]


@asynccontextmanager
async def upload_of(request: web.BaseRequest, most_bytes: int | None) -> AsyncIterator[Upload]:
    """The upload in a multipart form. Raises Malformed for any other; `content` raises TooLarge."""
    await continue_if_expected(request)
    try:
        async with asyncio.timeout(_IDLE_SECONDS):
            reader = await request.multipart()
            fields, part = await _until_file(reader)
    except (ValueError, AssertionError, TimeoutError) as error:
        raise Malformed("this is not an upload", detail=str(error)[:200]) from error
    visit_of(request).flows()
    yield Upload(fields, part.filename or "", _content(part, most_bytes))


async def _until_file(reader: MultipartReader) -> tuple[dict[str, str], BodyPartReader]:
    fields: dict[str, str] = {}
    for _ in range(_MOST_FIELDS):
        part = await reader.next()
        if not isinstance(part, BodyPartReader):
            break
        if part.filename is not None:
            return fields, part
        fields[part.name or ""] = await _text(part)
    raise Malformed("there is no file in the form")


async def _text(part: BodyPartReader) -> str:
    text = bytearray()
    while chunk := await part.read_chunk(_LONGEST_FIELD):
        text += chunk
        if len(text) > _LONGEST_FIELD:
            raise Malformed("a field of the form is too long")
    return text.decode(errors="strict").strip()


async def _content(part: BodyPartReader, most_bytes: int | None) -> AsyncIterator[bytes]:
    total = 0
    while True:
        try:
            async with asyncio.timeout(_IDLE_SECONDS):
                chunk = await part.read_chunk(256 * 1024)
        except (TimeoutError, ValueError, AssertionError) as error:
            raise Malformed("the upload broke off", detail=str(error)[:200]) from error
        if not chunk:
            return
        total += len(chunk)
        if most_bytes and total > most_bytes:
            raise TooLarge(f"an upload may have {most_bytes} bytes")
        yield chunk
