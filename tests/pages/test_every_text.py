"""Every page in a language in which each text of ours is in brackets: what is in none would be
English in every other language, too."""

import re
from html.parser import HTMLParser

from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po

from gateway.settings import every
from tests.pages import tour
from tests.pages.conftest import two_gateways
from tests.pages.test_quality import address_of
from tests.web.browser import browser
from tests.web.errors_said import ALSO, messages
from tests.web.reasons_said import words
from tests.web.test_languages import texts

NAMES = """
alice bob olga operator north south Observatory South spam
budget csv draft drafts letters minutes notes photos plans projects telescope
Bob Carol The a again and dates for of sketch the wave
Deutsch English Esperanto Linux Windows macOS rclone Python aiohttp
cavage charset ed es everyone http list policy rfc rsa sha utf webdav
B CSV JSON KiB MB received
"""
"""What somebody has called something, and what is called so in every language."""
SHOWN = ("alt", "aria-label", "placeholder", "title")
DATA = ("code", "pre", "script", "style", "textarea", "time")
"""What a machine wrote or reads."""


class _Texts(HTMLParser):
    """The texts of a page, without what stands in elements for data."""

    def __init__(self):
        super().__init__()
        self.inside = []
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [text for name, text in attrs if name in SHOWN and text]
        self.inside += [tag] if tag in DATA else []

    def handle_endtag(self, tag):
        if self.inside and self.inside[-1] == tag:
            self.inside.pop()

    def handle_data(self, data):
        if not self.inside:
            self.found.append(data)


def in_brackets(folder):
    """A catalogue in which every text of ours stands in brackets."""
    (folder / "errors").mkdir(parents=True)
    pages, errors = Catalog(locale="eo"), Catalog(locale="eo")
    for text in texts():
        one, many = (text, text) if isinstance(text, str) else text
        pages.add(text, f"⟦{one}⟧" if isinstance(text, str) else (f"⟦{one}⟧", f"⟦{many}⟧"))
    for text in messages() | ALSO | words():
        errors.add(text, f"⟦{text}⟧")
    for file, catalogue in ((folder / "eo.po", pages), (folder / "errors" / "eo.po", errors)):
        with file.open("wb") as out:
            write_po(out, catalogue)
    return str(folder)


def left(page):
    """What is in no brackets."""
    parser = _Texts()
    parser.feed(page)
    rest = " | ".join(parser.found)
    while rest != (less := re.sub(r"⟦[^⟦⟧]*⟧", "", rest)):
        rest = less
    return rest


def english(page):
    """The words in no brackets, without what has a dot, a dash or the like in it."""
    tokens = re.split(r"[\s,;:|()=·…“”]+", left(page))
    return {one.strip(".?!/") for one in tokens if re.fullmatch(r"/?[A-Za-z]+[.?!/]?", one)} - {
        *NAMES.split()
    }


async def test_every_text_of_ours_comes_from_the_catalogue(tmp_path):
    own = {"pages": {"languages_folder": in_brackets(tmp_path / "languages")}}
    async with two_gateways(tmp_path, **tour.NORTH | own) as (north, south, files):
        tour.fill(*files)
        stops = await tour.furnish(north, south)
        settings = {part for one in every(north.settings) for part in re.split(r"\W", one.name)}
        wanted = {"Accept-Language": "eo", "Accept": "text/html"}
        operator = tour.OLGA["extra_http_headers"] | wanted
        async with (
            browser(north, **wanted) as stranger,
            browser(north, **wanted) as alice,
            browser(north, **operator) as olga,
        ):
            await alice.login()
            who = {"stranger": stranger, "alice": alice, "operator": olga}
            for stop in stops:
                page = (await who[stop.who].get(address_of(north, stop))).text
                assert "⟦" in page, stop
                names = settings if stop.name == "operator-configuration" else set()
                assert english(page) - names == set(), stop
