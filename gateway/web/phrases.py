"""What errors, findings and reasons say, in one language: words, whole sentences, and forms with a
`{}` for what they name.

A message is made where something happens, in English and with names in it. So it is recognised here
by its form, and the names are put into the translation; where that says `{told}`, what stands there
is a message itself. What is not recognised stays as it is.
"""

import re
from collections.abc import Callable, Mapping, Sequence

_LONGEST = 1000
_GAP = re.compile(r"\{\}|\{told\}")


class Phrases:
    """The messages of errors, by their form in English."""

    def __init__(self, translations: Mapping[str, str]) -> None:
        """Each form with its translation, which has as many gaps, in the same order."""
        self._whole = {form: text for form, text in translations.items() if "{}" not in form}
        # The one that says the most is tried first: "there is no {}" fits much.
        forms = sorted(translations.keys() - self._whole.keys(), key=len, reverse=True)
        self._forms = [(_pattern(form), translations[form]) for form in forms]

    def of(self, message: str) -> str:
        """The message in this language; plain text, as much to be escaped as before."""
        if text := self._whole.get(message):
            return text
        if len(message) > _LONGEST:
            return message
        for pattern, text in self._forms:
            if found := pattern.fullmatch(message):
                return _filled(text, found.groups(), self.of)
        return message


def _filled(text: str, names: Sequence[str], told: Callable[[str], str]) -> str:
    """The names in the gaps of a text; what is in them is never read as a form with gaps."""
    left = iter(names)
    return _GAP.sub(lambda gap: _name(next(left, ""), gap[0], told), text)


def _name(name: str, gap: str, told: Callable[[str], str]) -> str:
    return told(name) if gap == "{told}" else name


def _pattern(form: str) -> re.Pattern[str]:
    return re.compile("(.+?)".join(re.escape(part) for part in form.split("{}")), re.DOTALL)
