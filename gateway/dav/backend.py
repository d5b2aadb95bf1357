"""What the roles ask of a storage, apart from forwarding."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring
from multidict import CIMultiDict

from gateway.dav import headers, properties
from gateway.dav.client import Reply, Send, read
from gateway.dav.documents import encode_propfind
from gateway.dav.properties import Facts
from gateway.dav.spans import broken
from gateway.dav.statuses import leads_to_slash, told
from gateway.dav.target import Target, encode_path
from gateway.errors import BackendFailed, GatewayError, Refused

LONGEST_ANSWER = 256 * 1024
PROBE_SECONDS = 15

_ASKED = encode_propfind(
    (properties.RESOURCETYPE, properties.LENGTH, properties.ETAG, properties.MODIFIED)
)
_ASKED_ELSEWHERE = encode_propfind(
    (
        properties.RESOURCETYPE,
        properties.LENGTH,
        properties.ETAG,
        properties.MODIFIED,
        properties.OCM_PERMISSIONS,
        properties.OCS_PERMISSIONS,
    )
)
_XML_TYPES = ("application/xml", "text/xml")


@dataclass(frozen=True, slots=True)
class Stat:
    """What is at a Target. Size in bytes; `modified_at` in seconds; None or empty if unknown.

    `granted` is what another server says that may be done with it, in the words of the drafts.
    """

    exists: bool
    collection: bool = False
    size: int | None = None
    etag: str = ""
    modified_at: int | None = None
    granted: frozenset[str] | None = None


async def stat(send: Send, target: Target) -> Stat:
    """Look with a PROPFIND of Depth 0.

    Raises what `statuses.told` does, Refused for 403, BackendFailed for broken answers.
    """
    asked = _ASKED if target.trusted else _ASKED_ELSEWHERE
    return await stat_url(send, target.url, target.authorization, asked)


async def stat_url(send: Send, url: str, authorization: str, asked: bytes = _ASKED) -> Stat:
    """`stat` of a URL at the storage; a folder's may lack the slash."""
    status, body = await _propfind(send, url, authorization, asked)
    if status in (404, 410):
        return Stat(exists=False)
    if status == 403:
        raise Refused("the storage does not allow that")
    if status != 207:
        raise BackendFailed("the storage does not say what is there", detail=f"status {status}")
    return _parse(body)


async def healthy(send: Send, base: str, authorization: str) -> bool:
    """Whether the storage's root answers as a folder, so that its 404s can be believed.

    A storage that does not let its root be seen is there, too.
    """
    try:
        found = await stat_url(send, base + "/", authorization)
    except Refused:
        return True
    except GatewayError:
        return False
    return found.collection


async def probe_login(send: Send, base: str, path: tuple[str, ...], authorization: str) -> bool:
    """Whether the storage lets that credential see the folder at `path`, decoded segments.

    False for a wrong credential and for a folder that it must not see or that is not there.
    Raises BackendFailed, BackendUnavailable or BackendTimeout when nobody can say.
    """
    url = f"{base}{encode_path(path)}/"
    async with _sent(send, url, authorization) as reply:
        if reply.status in (401, 403, 404, 405, 410):
            return False
        if reply.status != 207:
            told(reply.status, reply.headers)
            raise BackendFailed("the storage does not say", detail=f"status {reply.status}")
        return True


async def _propfind(send: Send, url: str, authorization: str, asked: bytes) -> tuple[int, bytes]:
    async with _sent(send, url, authorization, asked) as reply:
        if not leads_to_slash(reply.status, reply.headers, url):
            if reply.status == 207 and is_xml(reply.headers.get("Content-Type", "")):
                return 207, await read(reply, LONGEST_ANSWER)
            if reply.status not in (207, 410):
                told(reply.status, reply.headers)
            return reply.status, b""
    return await _propfind(send, url + "/", authorization, asked)


def _sent(
    send: Send, url: str, authorization: str, asked: bytes = _ASKED
) -> AbstractAsyncContextManager[Reply]:
    fields: CIMultiDict[str] = headers.authorized(authorization)
    fields["Depth"] = "0"
    fields["Content-Type"] = "application/xml; charset=utf-8"
    return send("PROPFIND", url, headers=fields, body=asked, idle_seconds=PROBE_SECONDS)


def is_xml(content_type: str) -> bool:
    """Whether that Content-Type is of an XML document."""
    essence = content_type.partition(";")[0].strip().lower()
    return essence in _XML_TYPES or essence.endswith("+xml")


def parse_multistatus(body: bytes) -> list[Element]:
    """The responses of a multistatus. Raises BackendFailed for a broken one."""
    try:
        root = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise broken(str(error)) from None
    if root.tag != "{DAV:}multistatus":
        raise broken("no multistatus")
    return root.findall("{DAV:}response")


def facts_of(response: Element) -> tuple[dict[str, str], bool]:
    """The texts of what a response found, by name, and whether it is a collection."""
    texts: dict[str, str] = {}
    collection = False
    for propstat in response.iterfind("{DAV:}propstat"):
        if " 200" not in (propstat.findtext("{DAV:}status") or ""):
            continue
        for prop in propstat.iterfind("{DAV:}prop/*"):
            texts[prop.tag] = (prop.text or "").strip()
            if prop.tag == "{DAV:}resourcetype":
                collection = prop.find("{DAV:}collection") is not None
    return texts, collection


def _parse(body: bytes) -> Stat:
    found = parse_multistatus(body)
    if not found:
        raise broken("no response in the multistatus")
    texts, collection = facts_of(found[0])
    return stat_of(texts, collection=collection)


def stat_of(texts: dict[str, str], *, collection: bool) -> Stat:
    """What those properties say."""
    length, modified = (
        texts.get("{DAV:}getcontentlength", ""),
        texts.get("{DAV:}getlastmodified", ""),
    )
    facts = Facts(root=False, collection=collection, name="", length=length, modified=modified)
    known = not collection and length.isascii() and length.isdigit()
    return Stat(
        exists=True,
        collection=collection,
        size=int(length) if known else None,
        etag=_quoted(texts.get("{DAV:}getetag", ""))
        or ("" if collection else properties.file_etag(facts)),
        modified_at=_seconds(modified),
        granted=properties.granted(
            texts.get(_tag(properties.OCM_PERMISSIONS), ""),
            texts.get(_tag(properties.OCS_PERMISSIONS), ""),
        ),
    )


def _tag(name: str) -> str:
    namespace, _, local = name.rpartition(" ")
    return f"{{{namespace}}}{local}"


def _quoted(etag: str) -> str:
    # WsgiDAV leaves out the quotes in the property, and has them in the header.
    return etag if not etag or etag.startswith(('"', 'W/"')) else f'"{etag}"'


def _seconds(modified: str) -> int | None:
    try:
        return int(parsedate_to_datetime(modified).timestamp())
    except (ValueError, TypeError, OverflowError):
        return None
