"""The pages in other languages than English."""

from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from gateway.errors import Unavailable
from gateway.web.languages import CATALOGUES, Languages
from gateway.web.phrases import Phrases
from tests.web.browser import browser
from tests.web.errors_said import ALSO, messages
from tests.web.reasons_said import words

WEB = Path(__file__).parents[2] / "gateway/web"
METHODS = [("**.py", "python"), ("**/templates/**.html", "jinja2")]
SPELLED_OUT = {"templates/**.html": {"newstyle_gettext": "true", "trimmed": "true"}}


def texts():
    found = set()
    for _, _, message, _, _ in extract_from_dir(WEB, METHODS):
        found.add(message if isinstance(message, str) else tuple(message[:2]))
    return found


def test_german_has_every_text_of_the_pages_and_no_other():
    with (CATALOGUES / "de.po").open("rb") as file:
        catalogue = read_po(file, locale="de", abort_invalid=True)
    translated = {
        message.id for message in catalogue if message.id and message.string and not message.fuzzy
    }
    assert sorted(map(str, texts() - translated)) == [], "de.po lacks these"
    dynamic = {text for text in translated - texts() if isinstance(text, str)}
    assert sorted(dynamic) == [], "no page says these"


def test_placeholders_survive_translation():
    with (CATALOGUES / "de.po").open("rb") as file:
        catalogue = read_po(file, locale="de")
    for message in catalogue:
        if message.id:
            assert list(message.check(catalogue)) == [], message.id


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("fr, de;q=0.5", "de"),
        ("en;q=0.1, de;q=0.2", "de"),
        ("de;q=0", "en"),
        ("fr", "en"),
        ("", "en"),
        (";;;q=x,,", "en"),
    ],
)
def test_the_most_wanted_language_is_chosen(accepted, language):
    assert Languages([CATALOGUES]).choose("", accepted) == language


def test_a_language_is_added_by_a_file(tmp_path):
    (tmp_path / "fr.po").write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n'
        'msgid "Log in"\nmsgstr "Se connecter"\n'
    )
    languages = Languages([CATALOGUES, tmp_path])
    assert ("fr", "français") in languages.names
    assert languages.catalogue("fr").ugettext("Log in") == "Se connecter"
    assert languages.catalogue("fr").ugettext("Password") == "Password"


def test_a_broken_catalogue_is_named(tmp_path):
    (tmp_path / "fr.po").write_text("this is no catalogue")
    with pytest.raises(Unavailable, match=r"fr\.po"):
        Languages([tmp_path])


async def test_a_page_comes_in_the_language_of_the_browser(gateway):
    async with browser(gateway, **{"Accept-Language": "de"}) as visitor:
        shown = await visitor.get("/login")
        assert '<html lang="de">' in shown.text
        assert "Anmelden" in shown.text


async def test_a_chosen_language_is_remembered(gateway):
    async with browser(gateway) as visitor:
        shown = await visitor.get("/language?to=de&next=/login")
        assert shown.url.endswith("/login")
        assert "Anmelden" in shown.text
        assert "Anmelden" in (await visitor.get("/login")).text
        assert "Anmelden" in (await visitor.get("/language?to=xx&next=/login")).text


def test_german_has_every_error_finding_and_reason_that_people_may_read_and_no_other():
    with (CATALOGUES / "errors" / "de.po").open("rb") as file:
        catalogue = read_po(file, locale="de", abort_invalid=True)
    translated = {one.id: one.string for one in catalogue if one.id and one.string}
    said = messages() | ALSO | words()
    assert sorted(said - translated.keys()) == [], "errors/de.po lacks these"
    assert sorted(translated.keys() - said) == [], "nobody says these"
    for form, text in translated.items():
        assert form.count("{}") == text.count("{}") + text.count("{told}"), form


@pytest.mark.parametrize(
    ("message", "german"),
    [
        ("there is nothing here", "hier ist nichts"),
        ("there is no user {x} here", "einen Benutzer {x} gibt es hier nicht"),
        ("there is no /a {} %s\n", "/a {} %s\n gibt es nicht"),
        (
            "rules[0].who: '*' is too wide; write everyone if you mean it",
            "rules[0].who: '*' ist zu weit; schreiben Sie everyone, wenn Sie das meinen",
        ),
        (
            "x.example is allowed by r (everyone), but only if requests are signed",
            "x.example ist erlaubt durch r (everyone), aber nur wenn Anfragen signiert sind",
        ),
        ("nobody has said this before", "nobody has said this before"),
        ("", ""),
    ],
)
def test_an_error_is_known_by_its_form_and_keeps_what_it_names(message, german):
    assert Languages([CATALOGUES]).told("de", message) == german
    assert Languages([CATALOGUES]).told("en", message) == message


def test_a_message_in_a_message_is_told_where_the_translation_says_so():
    phrases = Phrases({"{}: {}": "{}: {told}", "no": "nein", "{} says {}": "{told} sagt {}"})
    assert phrases.of("no: no") == "no: nein"
    assert phrases.of("x: no says no") == "x: nein sagt no"
    assert phrases.of("{told}: {}") == "{told}: {}"


def test_of_two_forms_the_one_that_says_more_wins():
    phrases = Phrases({"no {}": "kein {}", "no {} of {}": "kein {} von {}"})
    assert phrases.of("no key of bob") == "kein key von bob"


async def test_what_an_error_names_is_text_and_nothing_else(gateway):
    async with browser(gateway, **{"Accept-Language": "de"}) as alice:
        await alice.login()
        near = f"<b>100%s</b>@{gateway.ours.authority}"
        fields = {"with": near, "rights": "view", "do": "share"}
        shown = await alice.submit("/share?path=letter.txt", "/share", **fields)
        assert shown.status == 400
        assert "OCM ist für andere Server" in shown.text
        assert "<b>" not in shown.text
        assert "&lt;b&gt;100%s&lt;/b&gt;" in shown.text
