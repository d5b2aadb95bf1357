"""The files of the pages that are the same for everybody: style sheets and scripts of our own.

Each has a hash of its content in its address, so a browser may keep it for ever and never shows an
old one.
"""

from hashlib import sha256
from mimetypes import guess_type
from pathlib import Path

from aiohttp import web

from gateway.web.routes import Route, Routes

FOLDER = Path(__file__).parent / "static"


class Static:
    """The static files, read once. `prefix` is the path before /static."""

    def __init__(self, prefix: str) -> None:
        self._addresses: dict[str, str] = {}
        self._routes: Routes = {}
        for file in sorted(path for path in FOLDER.iterdir() if path.suffix in (".css", ".js")):
            content = file.read_bytes()
            mark = sha256(content).hexdigest()[:16]
            address = f"{prefix}/static/{file.stem}.{mark}{file.suffix}"
            self._addresses[file.name] = address
            self._routes[address] = _route(content, guess_type(file.name)[0] or "text/plain", mark)

    def address(self, name: str) -> str:
        """Where a file is; KeyError for one that is not there, which is a fault of the template."""
        return self._addresses[name]

    def routes(self) -> Routes:
        """One route for each file."""
        return self._routes


def _route(content: bytes, content_type: str, mark: str) -> Route:
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "Content-Type": f"{content_type}; charset=utf-8",
        "Cross-Origin-Resource-Policy": "same-origin",
        "ETag": f'"{mark}"',
    }

    async def get_file(request: web.BaseRequest) -> web.Response:
        if mark in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers={"ETag": headers["ETag"]})
        return web.Response(body=content, headers=headers)

    return Route("static", {"GET": get_file})
