"""A browser without a screen: cookies, forms and redirects, for the tests of the pages."""

import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import unescape
from typing import Any

import aiohttp

from gateway.app import Gateway


@dataclass
class Shown:
    """A page as it came."""

    status: int
    url: str
    text: str
    headers: Any

    def fields(self, action: str | None = None) -> dict[str, str]:
        """The fields of the first form, or of the one with that action, as they stand."""
        forms = re.findall(r"<form([^>]*)>(.*?)</form>", self.text, re.DOTALL)
        found = [body for head, body in forms if action is None or f'action="{action}"' in head]
        assert found, f"there is no form for {action}: {self.text}"
        inputs = re.findall(r"<input([^>]*)>", found[0])
        pairs = [dict(re.findall(r'(\w+)="([^"]*)"', one)) for one in inputs]
        return {one["name"]: unescape(one.get("value", "")) for one in pairs if "name" in one}


@dataclass
class Browser:
    """One browser at one gateway."""

    gateway: Gateway
    session: aiohttp.ClientSession
    headers: dict[str, str] = field(default_factory=dict)

    async def send(self, method: str, path: str, follow: bool = True, **options: Any) -> Shown:
        origin = self.gateway.ours.origin
        headers = self.headers | options.pop("headers", {})
        if method == "POST":
            headers = {"Origin": origin} | headers
        url = path if "://" in path else origin + path
        async with self.session.request(
            method, url, allow_redirects=follow, headers=headers, **options
        ) as reply:
            return Shown(reply.status, str(reply.url), await reply.text(), reply.headers)

    async def get(self, path: str, **options: Any) -> Shown:
        return await self.send("GET", path, **options)

    async def submit(self, page: str, action: str | None = None, **fields: str) -> Shown:
        """Load a page, fill in its form and send it."""
        shown = await self.get(page)
        data = shown.fields(action) | fields
        return await self.send("POST", action or page, data=data)

    async def login(self, name: str = "alice", password: str | None = None, **more: str) -> Shown:
        """Log in at the form."""
        password = f"{name}-password" if password is None else password
        return await self.submit("/login", "/login", name=name, password=password, **more)

    @property
    def cookies(self) -> dict[str, Any]:
        return {cookie.key: cookie for cookie in self.session.cookie_jar}


@asynccontextmanager
async def browser(gateway: Gateway, **headers: str):
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        yield Browser(gateway, session, headers)
