"""Every page: no accessibility fault, no complaint of the browser, no wider than the screen, and
no other server asked for it."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.async_playwright import Axe

from gateway import app, transport
from gateway.errors import ProviderFailed
from gateway.logs import REQUEST
from gateway.settings import Reading
from gateway.web.bodies import Bodies
from gateway.web.pages import policy
from gateway.web.sessions import Sessions
from gateway.web.views import Pages
from tests.pages import tour
from tests.pages.conftest import two_gateways
from tests.web.browser import browser

WIDTHS = (320, 1280)
SCHEMES = ("light", "dark")
PICTURES = Path(__file__).parents[2] / "docs" / "screenshots"
ASKING = {"/wayf": "asks the servers that it offers, for a second and a half at most"}
"""Pages that ask other servers by design, within bounds; /received/open is a remote listing."""


def pages_of(gateway):
    """Every address of a page, by GET, in the tables of both listeners."""
    sessions = Sessions(gateway.settings, gateway.state, gateway.clock, None)
    pages = Pages(gateway.settings, gateway.ours, gateway.state.vault, sessions, gateway.rates)
    bodies = Bodies(gateway.live.running, on=False)
    routes = app._pages(gateway, pages, bodies)
    people = {path for path, one in routes.items() if "GET" in one.methods and one.name != "static"}
    mine = set(app.shift_of(gateway, Reading()).desk.pages)
    return people, mine | {path for path, _ in policy.ADDRESSES}


async def test_every_page_is_on_the_tour_and_asks_no_other_server(tmp_path, monkeypatch):
    async with two_gateways(tmp_path, **tour.NORTH) as (north, south, files):
        tour.fill(*files)
        stops = await tour.furnish(north, south)
        people, theirs_all = pages_of(north)
        seen = {urlsplit(one.path).path for one in stops if one.who != "operator"}
        assert people - tour.NO_PAGES.keys() - seen == set(), "add these to tests/pages/tour.py"
        assert tour.NO_PAGES.keys() <= people, "these are gone"
        theirs = [urlsplit(one.path).path for one in stops if one.who == "operator"]
        for path in theirs_all:
            pattern = re.sub(r"\{\w+\}", "[^/]+", path)
            assert any(re.fullmatch(pattern, one) for one in theirs), f"add {path} to the tour"
        drawn = {file.stem.removesuffix("-phone") for file in PICTURES.glob("*.png")}
        assert drawn == {one.name for one in stops}, "run `make screenshots`"
        shown = set(
            re.findall(r"screenshots/([\w-]+)\.png", PICTURES.with_suffix(".md").read_text())
        )
        assert shown == {file.stem for file in PICTURES.glob("*.png")}

        asked = []

        def dead(_self, method, url, **_options):
            if REQUEST.get():  # not by what runs beside the pages
                asked.append(url)
            raise ProviderFailed("the other server cannot be reached")

        monkeypatch.setattr(transport.Transport, "request", dead)
        async with browser(north) as stranger, browser(north) as alice:
            await alice.login()
            for stop in stops:
                path = urlsplit(stop.path).path
                if stop.who == "operator" or path in ASKING or stop.name == "received-open":
                    continue
                shown = await (alice if stop.who == "alice" else stranger).get(stop.path)
                assert shown.status in (200, 404), (stop, shown.text)
                assert (shown.status == 404) == (stop.name == "nothing-here"), stop
                assert asked == [], f"{stop.path} asks other servers"


@pytest.mark.timeout(400)
async def test_no_page_has_a_fault_that_axe_finds(tmp_path, desk):
    async with two_gateways(tmp_path, **tour.NORTH) as (north, south, files):
        tour.fill(*files)
        stops = await tour.furnish(north, south)
        desks = {"stranger": await desk(north), "alice": await desk(north, "alice")}
        desks["operator"] = await desk(north, **tour.OLGA)
        for stop in stops:
            await look_at(desks[stop.who], address_of(north, stop))


def address_of(gateway, stop):
    if stop.who == "operator":
        return f"http://{gateway.settings.management.listen}{stop.path}"
    return gateway.ours.origin + stop.path


async def look_at(desk, url, *, load=True):
    """Everything that can be seen of a page without using it, in both schemes and widths."""
    if load:
        await desk.page.goto(url)
    assert await desk.page.locator("h1").count() == 1, url
    for width in WIDTHS:
        await desk.page.set_viewport_size({"width": width, "height": 900})
        wide = await desk.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{url} is {wide} pixels too wide at {width}"
        for scheme in SCHEMES:
            await desk.page.emulate_media(color_scheme=scheme)
            results = await Axe().run(desk.page)
            found = results.response["violations"]
            assert found == [], f"{url}, {width}, {scheme}: {results.generate_report()}"
    assert desk.faults == [], f"{url}: {desk.faults}"


async def test_a_folder_of_ten_thousand_files_is_shown_in_parts(tmp_path, desk):
    async with two_gateways(tmp_path) as (north, _, files):
        many = files[0].root / "alice" / "many"
        many.mkdir()
        for number in range(10_000):
            (many / f"{number:05}.txt").touch()
        alice = await desk(north, "alice")
        alice.context.set_default_timeout(60_000)
        await alice.open("/files?path=many")
        assert "Part 1 of 50, 10000 in all" in await alice.text()
        await alice.follow("Next")
        assert "00200.txt" in await alice.text()
        await alice.page.fill("#q", "0999")
        await alice.press("Find")
        assert await alice.page.locator("tbody tr").count() == 11


async def test_what_others_wrote_runs_nothing_in_our_pages(tmp_path, desk):
    async with two_gateways(tmp_path) as (north, _, files):
        home = files[0].root / "alice"
        script = b"<script>document.title='taken'</script>"
        (home / "page.html").write_bytes(script)
        (home / "image.svg").write_bytes(
            b'<svg xmlns="http://www.w3.org/2000/svg">' + script + b"</svg>"
        )
        (home / "text.txt").write_bytes(script)
        (home / "<img src=x onerror=alert(1)>.txt").write_bytes(b"x")
        alice = await desk(north, "alice")
        await alice.open("/files?path=")
        assert "<img src=x onerror=alert(1)>.txt" in await alice.text()
        for name in ("page.html", "image.svg"):
            reply = await alice.context.request.get(
                f"{north.ours.origin}/files/content?path={name}&show=1"
            )
            assert reply.headers["content-disposition"].startswith("attachment")
            assert reply.headers["content-type"] == "application/octet-stream"
        await alice.open("/files/content?path=text.txt&show=1")
        assert await alice.page.title() != "taken"
        assert "<script>" in await alice.page.inner_text("body")
