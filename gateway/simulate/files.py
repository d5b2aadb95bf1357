"""The files of a simulated server: one folder, served by the least of WebDAV (RFC 4918)."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import escape

READ_ONLY = frozenset({"GET", "HEAD", "PROPFIND", "OPTIONS"})
METHODS = READ_ONLY | {"PUT", "MKCOL", "DELETE"}
_XML = {"Content-Type": "application/xml; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A response."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


def furnish(folder: Path) -> None:
    """Something to share, in an empty folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if not any(folder.iterdir()):
        (folder / "letter.txt").write_bytes(b"from afar\n")
        (folder / "trip").mkdir()
        (folder / "trip" / "day.txt").write_bytes(b"sunny\n")


def answer(
    method: str, root: Path, rel: tuple[str, ...], base: str, body: bytes, depth: str
) -> Answer:
    """Do that to the resource `rel` below what is shared.

    `base` is the URL path of what is shared, without a slash at its end. `rel` has been decoded.
    """
    target = root.joinpath(*rel).resolve()
    if not target.is_relative_to(root.resolve()) or any(part in ("", ".", "..") for part in rel):
        return Answer(404)
    match method:
        case "OPTIONS":
            return Answer(200, headers=(("DAV", "1"), ("Allow", ", ".join(sorted(METHODS)))))
        case "PUT" if target.parent.is_dir() and not target.is_dir():
            status = 204 if target.exists() else 201
            target.write_bytes(body)
            return Answer(status)
        case "PUT" | "MKCOL" if not target.parent.is_dir():
            return Answer(409)
        case "MKCOL" if not target.exists():
            target.mkdir()
            return Answer(201)
        case "PUT" | "MKCOL":
            return Answer(405)
    if not target.exists():
        return Answer(404)
    if method == "DELETE":
        _remove(target)
        return Answer(204)
    if method == "PROPFIND":
        href = "/".join([base, *map(quote, rel)])
        return Answer(207, _multistatus(target, href, depth).encode(), tuple(_XML.items()))
    if target.is_dir():
        return Answer(405)
    return Answer(200, target.read_bytes(), (("Content-Type", "text/plain"), _etag(target)))


def _remove(target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target)
    else:
        target.unlink()


def _multistatus(target: Path, href: str, depth: str) -> str:
    listed = "".join(_responses(target, href, depth))
    return f'<?xml version="1.0"?>\n<d:multistatus xmlns:d="DAV:">{listed}</d:multistatus>'


def _responses(target: Path, href: str, depth: str) -> Iterator[str]:
    yield _response(target, f"{href}/" if target.is_dir() else href or "/")
    if target.is_dir() and depth != "0":
        for child in sorted(target.iterdir()):
            slash = "/" if child.is_dir() else ""
            yield _response(child, f"{href}/{quote(child.name)}{slash}")


def _response(target: Path, href: str) -> str:
    folder = target.is_dir()
    properties = [
        f"<d:resourcetype>{'<d:collection/>' if folder else ''}</d:resourcetype>",
        f"<d:getlastmodified>{formatdate(target.stat().st_mtime, usegmt=True)}</d:getlastmodified>",
        f"<d:getetag>{escape(_etag(target)[1])}</d:getetag>",
    ]
    if not folder:
        properties.append(f"<d:getcontentlength>{target.stat().st_size}</d:getcontentlength>")
    return (
        f"<d:response><d:href>{escape(href)}</d:href><d:propstat><d:prop>{''.join(properties)}"
        "</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
    )


def _etag(target: Path) -> tuple[str, str]:
    stat = target.stat()
    return "ETag", f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'
