"""The languages of the pages: English in the code and templates, others in one catalogue each.

A catalogue is a file LANGUAGE.po (gettext's plain text) in `web/catalogues`, or in the operator's
own folder, whose files win. In a template write `{{ _("Files") }}` or `{% trans %}`; in a page
`view.gettext("Files")`, and around a text that is translated later `N_("Files")`. A test says
which texts a catalogue lacks. What errors say is in `errors/LANGUAGE.po` beside it.
"""

from collections.abc import Iterable
from functools import cache
from io import BytesIO
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po
from babel.support import NullTranslations, Translations

from gateway import config
from gateway.errors import Unavailable
from gateway.web.phrases import Phrases

SOURCE = "en"
CATALOGUES = Path(__file__).parent / "catalogues"


def N_(text: str) -> str:  # noqa: N802 - gettext's own name for it
    """Mark a text to be translated where it is shown."""
    return text


class Languages:
    """Every language that the pages speak."""

    def __init__(self, folders: Iterable[Path], default: str = SOURCE) -> None:
        """Read the catalogues of `folders`; of two for a language the later one wins.

        Raises Unavailable for one that cannot be read.
        """
        self._catalogues: dict[str, NullTranslations] = {SOURCE: NullTranslations()}
        folders = tuple(folders)
        for folder in folders:
            for file in sorted(folder.glob("*.po")):
                self._catalogues[file.stem] = _read(file)
        self._phrases = {code: _phrases(code, folders) for code in self._catalogues}
        self.default = default if default in self._catalogues else SOURCE

    @property
    def names(self) -> list[tuple[str, str]]:
        """(code, its name in itself) of every language."""
        return [(code, _own_name(code)) for code in sorted(self._catalogues)]

    def catalogue(self, code: str) -> NullTranslations:
        """The catalogue of a language that is among `names`."""
        return self._catalogues[code]

    def told(self, code: str, message: str) -> str:
        """What an error says, in a language that is among `names`; plain text."""
        return self._phrases[code].of(message)

    def choose(self, wanted: str, accepted: str) -> str:
        """The language somebody gets: the one they chose, else the best of Accept-Language."""
        if wanted in self._catalogues:
            return wanted
        for tag in _by_preference(accepted):
            for code in (tag, tag.partition("-")[0]):
                if code in self._catalogues:
                    return code
        return self.default


@cache
def _read_once(own: Path | None, default: str) -> Languages:
    return Languages((CATALOGUES, *((own,) if own else ())), default)


def languages(settings: config.Pages) -> Languages:
    """The languages that the operator wants. Reading them takes a while, so that is done once."""
    return _read_once(settings.languages_folder, settings.language)


def _by_preference(accepted: str) -> list[str]:
    """The tags of an Accept-Language header (RFC 9110 12.5.4), the most wanted first."""
    weighed: list[tuple[float, int, str]] = []
    for part in accepted[:500].split(","):
        tag, _, parameter = part.partition(";")
        try:
            quality = float(parameter.strip().removeprefix("q=") or 1)
        except ValueError:
            quality = 0.0
        if tag.strip() and quality > 0:
            weighed.append((-quality, len(weighed), tag.strip().lower()))
    return [tag for _, _, tag in sorted(weighed)]


def _read(file: Path) -> Translations:
    compiled = BytesIO()
    write_mo(compiled, _catalogue(file))
    try:
        Locale.parse(file.stem, sep="-")
    except (ValueError, UnknownLocaleError) as error:
        raise Unavailable(f"the catalogue {file} cannot be read", detail=str(error)) from error
    compiled.seek(0)
    return Translations(compiled)


def _phrases(code: str, folders: Iterable[Path]) -> Phrases:
    found: dict[str, str] = {}
    for folder in folders:
        file = folder / "errors" / f"{code}.po"
        if file.exists():
            for one in _catalogue(file):
                if one.id and isinstance(one.id, str) and isinstance(one.string, str):
                    found[one.id] = one.string or one.id
    return Phrases(found)


def _catalogue(file: Path) -> Catalog:
    try:
        with file.open("rb") as source:
            return read_po(source, locale=file.stem, abort_invalid=True)
    except (OSError, ValueError, PoFileError, UnknownLocaleError) as error:
        raise Unavailable(f"the catalogue {file} cannot be read", detail=str(error)) from error


def _own_name(code: str) -> str:
    return str(Locale.parse(code, sep="-").get_display_name() or code)
