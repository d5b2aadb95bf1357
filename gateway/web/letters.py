"""What people are told outside the pages, in words and in their language: news, one by one by the
webhook, together by mail; and invites."""

from collections.abc import Sequence
from datetime import UTC, datetime

from babel import Locale
from babel.dates import format_datetime

from gateway.mail import Letter
from gateway.model import News, NewsKind
from gateway.sharing.messages import InviteMessage
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
    """Writes news and invites in the languages of the pages. A language that there is not, "" among
    them, is that for everybody (`pages.language`)."""

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

    def invitation(self, one: InviteMessage, language: str) -> Letter:
        """A mail with an invite, to somebody who may not know us."""
        words = self._languages.catalogue(self._spoken(language))
        who = {"who": one.who, "address": one.address}
        invites = words.ugettext(
            "%(who)s (%(address)s) invites you to share files with each other, each at your own"
            " cloud."
        )
        parts = [invites % who]
        if one.text.strip():
            parts += [words.ugettext("%(who)s writes:") % who, _quoted(one.text)]
        if one.link:
            parts += [words.ugettext("Follow this link and choose your cloud:"), f"  {one.link}"]
        parts += [
            words.ugettext("Or give your cloud this invite, where it accepts invites:")
            if one.link
            else words.ugettext("Give your cloud this invite, where it accepts invites:"),
            f"  {one.string}",
            self._until(one.expiration_at, language),
            words.ugettext(
                "If you do not know who that is, ignore this mail; nothing happens then."
            ),
        ]
        subject = words.ugettext("%(who)s invites you to share files") % who
        return Letter(one.to, subject, "\n\n".join(parts) + "\n", one.reply_to)

    def _until(self, expiration_at: int | None, language: str) -> str:
        """Who can accept an invite, and how long."""
        spoken = self._spoken(language)
        words = self._languages.catalogue(spoken)
        if expiration_at is None:
            return words.ugettext("Whoever has this mail can accept the invite, once.")
        moment = datetime.fromtimestamp(expiration_at, UTC)
        locale = Locale.parse(spoken, sep="-")
        until = format_datetime(moment, "d MMMM yyyy, HH:mm 'UTC'", locale=locale)
        said = words.ugettext("Whoever has this mail can accept the invite, once, until %(until)s.")
        return said % {"until": until}

    def _spoken(self, language: str) -> str:
        return language if self.speaks(language) else self._languages.default


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in text.strip().splitlines())
