"""The XML documents that clients send (RFC 4918 14), read before a storage sees them.

Several storages take broken XML or parse document types; ours get neither. Names are written the
way expat reports them: namespace, a space, local name; `DAV: getetag`.
"""

from dataclasses import dataclass
from enum import StrEnum
from html import escape
from xml.etree.ElementTree import tostring
from xml.parsers import expat

from defusedxml.ElementTree import fromstring

from gateway.dav.message import DECLARATION
from gateway.errors import Malformed, TooLarge

LONGEST = 64 * 1024
LONGEST_LOCK = 8 * 1024
DEEPEST = 64
MOST_ELEMENTS = 2000
MOST_ATTRIBUTES = 100
LONGEST_NAME = 1024

PROPFIND = "DAV: propfind"
Result = tuple[str, tuple[str, ...], str]
"""Status line, names and precondition of a propstat."""

UPDATE = "DAV: propertyupdate"
LOCKINFO = "DAV: lockinfo"
_SCOPES = (["{DAV:}exclusive"], ["{DAV:}shared"])
_OWNER = "{DAV:}owner"


class Asked(StrEnum):
    """What a PROPFIND wants."""

    ALL = "allprop"
    NAMES = "propname"
    NAMED = "prop"


@dataclass(frozen=True, slots=True)
class Requested:
    """The body of a PROPFIND. `names`: those asked for, or for ALL those of DAV:include."""

    asked: Asked
    names: tuple[str, ...] = ()

    def wants(self, name: str) -> bool:
        """Whether that property is to be answered when there is one."""
        return self.asked is not Asked.NAMED or name in self.names


EVERYTHING = Requested(Asked.ALL)


def parse_propfind(body: bytes) -> Requested:
    """A PROPFIND body; an empty one asks for everything (RFC 4918 9.1). Malformed, TooLarge."""
    if not body.strip():
        return EVERYTHING
    paths = _read(body, PROPFIND)
    children = [path[1] for path in paths if len(path) == 2]
    kinds = [asked for asked in Asked if f"DAV: {asked}" in children]
    if len(kinds) != 1 or children.count(f"DAV: {kinds[0]}") > 1:
        raise Malformed("the body asks for not exactly one of prop, allprop and propname")
    holder = "DAV: prop" if kinds[0] is Asked.NAMED else "DAV: include"
    names = dict.fromkeys(path[2] for path in paths if len(path) == 3 and path[1] == holder)
    return Requested(kinds[0], tuple(names))


def parse_propertyupdate(body: bytes) -> tuple[str, ...]:
    """The names that a PROPPATCH sets or removes. Raises Malformed, TooLarge."""
    names = dict.fromkeys(
        path[3]
        for path in _read(body, UPDATE)
        if len(path) == 4 and path[1] in ("DAV: set", "DAV: remove") and path[2] == "DAV: prop"
    )
    if not names:
        raise Malformed("the body names no property")
    return tuple(names)


def lockinfo(body: bytes) -> bytes:
    """The body of a LOCK as a storage gets it. Raises Malformed, TooLarge for anything else.

    What the owner holds declares its own namespaces: rclone repeats it word for word in a document
    with other prefixes, which then is no XML.
    """
    if len(body) > LONGEST_LOCK:
        raise TooLarge("the lock's description is too long")
    _read(body, LOCKINFO)
    root = fromstring(body, forbid_dtd=True)
    scopes = [each.tag for each in root.findall("{DAV:}lockscope/*")]
    if scopes not in _SCOPES or root.find("{DAV:}locktype/{DAV:}write") is None:
        raise Malformed("the body does not say which lock is wanted")
    parts = []
    for part in root:
        held = escape(part.text or "", quote=False) if part.tag == _OWNER else ""
        held += "".join(tostring(each, encoding="unicode") for each in part)
        space, _, name = part.tag.rpartition("}")
        parts.append(
            f"<D:{name}>{held}</D:{name}>" if space == "{DAV:" else tostring(part, "unicode")
        )
    return DECLARATION + f'<D:lockinfo xmlns:D="DAV:">{"".join(parts)}</D:lockinfo>'.encode()


def encode_propfind(names: tuple[str, ...]) -> bytes:
    """A PROPFIND body that asks for these."""
    inner = "".join(empty_element(name) for name in names)
    text = f'<d:propfind xmlns:d="DAV:"><d:prop>{inner}</d:prop></d:propfind>'
    return DECLARATION + text.encode()


def empty_element(name: str) -> str:
    """An element without content that needs no namespace from outside."""
    return element(name, "")


def element(name: str, text: str) -> str:
    """An element with text that needs no namespace from outside."""
    space, _, local = name.rpartition(" ")
    content = escape(text, quote=False)
    if not space:
        return f'<{local} xmlns="">{content}</{local}>'
    if space == "http://www.w3.org/XML/1998/namespace":
        return f"<xml:{local}>{content}</xml:{local}>"
    return f'<p:{local} xmlns:p="{escape(space)}">{content}</p:{local}>'


def propstats(href: str, results: list[Result]) -> bytes:
    """A multistatus about one resource: status line, names and precondition of each propstat."""
    inner = "".join(
        f"<d:propstat><d:prop>{''.join(map(empty_element, names))}</d:prop>"
        f"<d:status>HTTP/1.1 {status}</d:status>"
        + (f"<d:error><d:{condition}/></d:error>" if condition else "")
        + "</d:propstat>"
        for status, names, condition in results
        if names
    )
    text = (
        '<d:multistatus xmlns:d="DAV:"><d:response>'
        f"<d:href>{href}</d:href>{inner}</d:response></d:multistatus>"
    )
    return DECLARATION + text.encode()


def _read(body: bytes, root: str) -> list[tuple[str, ...]]:
    """The path of every element, from the root on."""
    if len(body) > LONGEST:
        raise TooLarge("the XML body is too long")
    if b"\0" in body or body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise _not_utf8()
    paths: list[tuple[str, ...]] = []
    stack: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        stack.append(name)
        paths.append(tuple(stack[:5]))
        too_much = len(stack) > DEEPEST or len(paths) > MOST_ELEMENTS
        if too_much or len(attributes) > MOST_ATTRIBUTES or len(name) > LONGEST_NAME:
            raise Malformed("the XML body is too complex")

    parser = expat.ParserCreate("utf-8", " ")
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: stack.pop()
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.XmlDeclHandler = _check_declaration
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, UnicodeError) as error:
        raise Malformed("the body is not well-formed XML", detail=str(error)) from None
    if paths[0] != (root,):
        raise Malformed(f"the body is not a {root.rpartition(' ')[2]}")
    return paths


def _refuse_doctype(*_: object) -> None:
    raise Malformed("the XML body has a document type")


def _check_declaration(_: str, encoding: str | None, __: int) -> None:
    if encoding and encoding.lower() not in ("utf-8", "us-ascii", "ascii"):
        raise _not_utf8()


def _not_utf8() -> Malformed:
    fault = Malformed("the XML body is not UTF-8")
    fault.status = 415
    return fault
