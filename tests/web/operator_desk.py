"""An operator at the management listener, for the tests: their browser without a screen."""

import json
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape
from typing import Any

import aiohttp

from gateway.app import Gateway
from gateway.sharing.credentials import basic

OLGA = {"management": {"operators": [{"name": "olga", "password": "olga-password"}]}}
WHO = "operator olga"


@dataclass
class Operator:
    """Olga. `forms` are read out of the page that she sees."""

    gateway: Gateway
    session: aiohttp.ClientSession
    url: str = ""
    status: int = 0
    text: str = ""
    headers: Any = None

    async def send(self, method: str, path: str, **options: Any) -> "Operator":
        url = f"http://{self.gateway.settings.management.listen}{path}"
        async with self.session.request(method, url, **options) as reply:
            self.status, self.url, self.headers = reply.status, str(reply.url), reply.headers
            self.text = await reply.text()
        return self

    async def get(self, path: str, **options: Any) -> "Operator":
        return await self.send("GET", path, **options)

    def form(self, do: str, **hidden: str) -> dict[str, str]:
        """The fields of the first form that does that and has those values, as they stand."""
        for body in re.findall(r'<form method="post"[^>]*>(.*?)</form>', self.text, re.DOTALL):
            pairs = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', body)
            fields = {name: unescape(value) for name, value in pairs}
            if f'name="do" value="{do}"' in body and hidden.items() <= fields.items():
                return fields | {"do": do}
        raise AssertionError(f"no form does {do}: {self.text}")

    async def act(self, path: str, do: str, hidden: dict[str, str] | None = None, **more: str):
        """Load a page, fill in its form and send it."""
        await self.get(path)
        return await self.send("POST", path, data=self.form(do, **(hidden or {})) | more)

    async def api(self, method: str, path: str, body: Any = None) -> Any:
        """What the API answers; `status` says how."""
        await self.send(method, f"/api/v1{path}", **({"json": body} if body is not None else {}))
        return json.loads(self.text)


@asynccontextmanager
async def operator(gateway: Gateway, **headers: str):
    """Olga's browser, logged in."""
    headers = {"Authorization": basic("olga", "olga-password")} | headers
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar, headers=headers) as session:
        yield Operator(gateway, session)
