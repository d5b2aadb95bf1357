"""A real browser in front of real gateways: the system's Chromium."""

import shutil
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Playwright, async_playwright

from gateway.app import Gateway
from tests import servers
from tests.pair import in_process

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


@dataclass
class Desk:
    """Somebody's browser at one gateway. `faults` is what its console complained of."""

    gateway: Gateway
    context: BrowserContext
    page: Page
    faults: list[str] = field(default_factory=list)

    @property
    def path(self) -> str:
        return self.page.url.removeprefix(self.gateway.ours.origin)

    async def open(self, path: str) -> None:
        await self.page.goto(self.gateway.ours.origin + path)

    async def login(self, name: str) -> None:
        await self.open("/login")
        await self.page.fill("#name", name)
        await self.page.fill("#password", f"{name}-password")
        await self.press("Log in")

    async def press(self, name: str) -> None:
        """Press the first button of that name in the page itself."""
        button = self.page.locator("main").get_by_role("button", name=name, exact=True)
        async with self.page.expect_navigation():
            await button.first.click()

    async def follow(self, name: str) -> None:
        async with self.page.expect_navigation():
            await self.page.locator("main").get_by_role("link", name=name).first.click()

    async def text(self) -> str:
        return await self.page.locator("main").inner_text()


async def launch(playwright: Playwright) -> Browser:
    found = shutil.which("chromium") or servers.missing("there is no chromium")
    return await playwright.chromium.launch(executable_path=found, args=ARGUMENTS)


@asynccontextmanager
async def open_desk(chromium: Browser):
    """Opens browsers; at the end none of them may have complained."""
    opened: list[Desk] = []

    async def desk(gateway: Gateway, name: str = "", **options: Any) -> Desk:
        options.setdefault("viewport", DESKTOP)
        context = await chromium.new_context(**options)
        context.set_default_timeout(10_000)
        made = Desk(gateway, context, await context.new_page())
        made.page.on("console", lambda said: _note(made, said.type, said.text))
        made.page.on("pageerror", lambda error: made.faults.append(str(error)))
        opened.append(made)
        if name:
            await made.login(name)
        return made

    yield desk
    for made in opened:
        assert made.faults == []
        await made.context.close()


async def olga(desk: Any, gateway: Gateway, **options: Any) -> Desk:
    """The operator's browser, logged in at the management listener."""
    password = {"username": "olga", "password": "olga-password"}
    made: Desk = await desk(gateway, http_credentials=password, **options)
    await made.page.goto(f"http://{gateway.settings.management.listen}/login")
    return made


@pytest.fixture
async def chromium():
    async with async_playwright() as playwright:
        browser = await launch(playwright)
        yield browser
        await browser.close()


@pytest.fixture
async def desk(chromium):
    async with open_desk(chromium) as desk:
        yield desk


def _note(desk: Desk, kind: str, text: str) -> None:
    # A form that comes back with a reason has the status of that reason, and Chromium says so.
    if kind in ("error", "warning") and "status of 4" not in text:
        desk.faults.append(text)


@asynccontextmanager
async def two_gateways(folder: Path, **changes: Any):
    """north with alice and her files, south with bob."""
    for name in ("north-files", "south-files"):
        (folder / name).mkdir()
    async with AsyncExitStack() as stack:
        files = [
            stack.enter_context(servers.wsgidav(folder / f"{name}-files"))
            for name in ("north", "south")
        ]
        telescope = files[0].root / "alice" / "projects" / "telescope"
        telescope.mkdir(parents=True)
        (telescope / "budget.csv").write_text("item,price\nmirror,900\n")
        (files[0].root / "alice" / "notes.txt").write_text("Buy a tripod.\n")
        north = await stack.enter_async_context(in_process(folder / "north", files[0], **changes))
        south = await stack.enter_async_context(in_process(folder / "south", files[1], **changes))
        yield north, south, files


@pytest.fixture
async def two(tmp_path):
    async with two_gateways(tmp_path) as (north, south, _):
        yield north, south
