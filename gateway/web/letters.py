"""What people are told outside the pages, in words and in their language: news, one by one by the
webhook, together by mail."""

from collections.abc import Sequence

from gateway.mail import Letter
from gateway.model import News, NewsKind
from gateway.web.languages import N_, Languages

_SENTENCES = {
    NewsKind.SHARE_RECEIVED: N_("%(who)s shares “%(what)s” with you."),
    NewsKind.SHARE_ACCEPTED: N_("%(who)s accepted “%(what)s”, which you share."),
    NewsKind.SHARE_DECLINED: N_("%(who)s declined “%(what)s”, which you share, or left it."),
    NewsKind.INVITE_ACCEPTED: N_("%(who)s accepted your invite, and is among your contacts now."),
    NewsKind.REQUEST_RECEIVED: N_("You are asked to share “%(what)s” with %(who)s."),
}
_PLACES = {
    NewsKind.SHARE_RECEIVED: "/received",
    NewsKind.SHARE_ACCEPTED: "/sent",
    NewsKind.SHARE_DECLINED: "/sent",
    NewsKind.INVITE_ACCEPTED: "/contacts",
    NewsKind.REQUEST_RECEIVED: "/requests",
}


class Letters:
    """Writes news in the languages of the pages. A language that there is not, "" among them, is
    that for everybody (`pages.language`)."""

    def __init__(self, languages: Languages, provider: str, pages: str) -> None:
        """`provider` is what this server is called, `pages` the address of our pages, without a
        slash at its end."""
        self._languages = languages
        self._provider = provider
        self._pages = pages

    def speaks(self, language: str) -> bool:
        """Whether there is such a language."""
        return language in dict(self._languages.names)

    def sentence(self, one: News, language: str) -> str:
        """What happened."""
        said = self._languages.catalogue(self._spoken(language)).ugettext(_SENTENCES[one.kind])
        return said % {"who": one.who, "what": one.what}

    def place(self, one: News) -> str:
        """The address of the page where that is seen."""
        return self._pages + _PLACES[one.kind]

    def letter(self, to: str, told: Sequence[News], language: str) -> Letter:
        """One mail with all of it."""
        words = self._languages.catalogue(self._spoken(language))
        lines = [self.sentence(one, language) for one in told]
        places = dict.fromkeys(self.place(one) for one in told)
        count = words.ungettext(
            "%(num)s thing happened at %(server)s",
            "%(num)s things happened at %(server)s",
            len(lines),
        )
        several = count % {"num": len(lines), "server": self._provider}
        text = (
            "\n".join(lines),
            words.ugettext("Look here:"),
            "\n".join(f"  {place}" for place in places),
            words.ugettext("To get no such mail:"),
            f"  {self._pages}/settings\n",
        )
        subject = lines[0].rstrip(".") if len(lines) == 1 else several
        return Letter(to=to, subject=subject, text="\n\n".join(text))

    def _spoken(self, language: str) -> str:
        return language if self.speaks(language) else self._languages.default
