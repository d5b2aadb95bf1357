"""News for the people here: a new share, an answer to one of theirs, an invite that was accepted,
somebody who asks them to share.

What is to be told is written down in the transaction in which it happened, and told later: by mail
where the user's address is known, and by one webhook for everybody. So no share waits for a mail
server or fails with it, and no news is lost with a process. A process that dies between the telling
and the note that it was told tells twice.

Who shares is a stranger as a rule. So a user gets one mail in five minutes at most, with all that
happened since, and it says who and what, but not the words that came along.
"""

import asyncio
import base64
import hmac
import json
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection

from gateway import config, metrics
from gateway.errors import GatewayError, Malformed, ProviderFailed, Unavailable
from gateway.logs import event
from gateway.mail import Letter, Mail
from gateway.model import News, NewsKind, NewsWay, Wishes
from gateway.sharing.ours import Ours
from gateway.sharing.outbox import PASSING
from gateway.sharing.parties import Parties
from gateway.store import news
from gateway.store.leases import Lease
from gateway.store.state import State
from gateway.transport import Guarded, server_of

_POLL_SECONDS = 2.0
_WEBHOOK_SECONDS = 15
_FIRST_PAUSE_SECONDS = 30
_LONGEST_PAUSE_SECONDS = 3600
_LONGEST = 200


class Wording(Protocol):
    """Who writes news in words; `web/letters.py` does."""

    def speaks(self, language: str) -> bool: ...  # noqa: D102

    def sentence(self, one: News, language: str) -> str: ...  # noqa: D102

    def place(self, one: News) -> str: ...  # noqa: D102

    def letter(self, to: str, told: Sequence[News], language: str) -> Letter: ...  # noqa: D102


class Newsroom:
    """Keeps what is to be told, and tells it."""

    def __init__(
        self,
        settings: config.News,
        ours: Ours,
        state: State,
        parties: Parties,
        mail: Mail,
        anywhere: Guarded,
        clock: Callable[[], int],
        wording: Wording,
    ) -> None:
        self._settings = settings
        self._ours = ours
        self._state = state
        self._parties = parties
        self._post = mail
        self._anywhere = anywhere
        self._clock = clock
        self._wording = wording
        self._lease = Lease("news", state, clock)

    @property
    def by_mail(self) -> bool:
        """Whether anybody is mailed."""
        return self._settings.mail and self._post.on

    async def address(self, user: str) -> str:
        """Where a user is mailed; "" where nobody knows. Raises what the storage does."""
        found = await self._parties.find(user)
        known = found.email if found else ""
        return known or self._settings.address.replace("{user}", user)

    async def wishes(self, user: str) -> Wishes:
        """How a user wants to be told; who never said wants mail."""
        return await self._state.database.read(partial(news.wishes_of, user=user))

    async def wish(
        self, user: str, *, by_mail: bool | None = None, language: str | None = None
    ) -> None:
        """Mail a user, or no longer; in that language from now on. What is None stays.

        Raises Malformed for a language that the pages do not speak; "" is that for everybody.
        """
        if language and not self._wording.speaks(language):
            raise Malformed(
                "that language is not spoken here", fields=(("language", "is not spoken here"),)
            )
        await self._state.database.write(
            partial(news.wish, user=user, by_mail=by_mail, language=language)
        )

    async def meet(self, user: str, language: str) -> None:
        """Somebody reads pages in that language: tell them in it, unless they said otherwise."""
        if not (await self.wishes(user)).language:
            await self._state.database.write(partial(news.meet, user=user, language=language))

    def add(
        self, connection: Connection, kind: NewsKind, user: str, who: str, what: str, about: str
    ) -> None:
        """Have a user told, in the transaction of what happened. `about` is the id of it."""
        now = self._clock()
        ways = [NewsWay.MAIL] if self.by_mail else []
        if self._settings.webhook:
            ways.append(NewsWay.WEBHOOK)
        for way in ways:
            one = News(
                id=str(uuid.uuid4()),
                way=way,
                kind=kind,
                user=user,
                who=_plain(who),
                what=_plain(what),
                about=about,
                at=now,
                next_attempt_at=now,
            )
            if not news.add(connection, one):
                event("news.left_out", level="warning", user=user, way=way)

    async def waiting(self) -> list[News]:
        """What is still to be told, the oldest first."""
        return await self._state.database.read(news.all_)

    async def work(self) -> None:
        """Tell what there is to tell, until cancelled; then it is another process's turn."""
        if not (self.by_mail or self._settings.webhook):
            return
        try:
            await self._work()
        finally:
            with suppress(GatewayError):
                await self._lease.release()

    async def _work(self) -> None:
        while True:
            try:
                while await self.tell_next():
                    pass
            except Unavailable as error:
                event("news.stalled", level="error", error=error.explanation)
            await asyncio.sleep(_POLL_SECONDS)

    async def tell_next(self) -> bool:
        """Tell the next thing that is due; whether there was one, and it was ours to tell."""
        if not await self._lease.keep():
            return False
        taken = await self._state.database.write(partial(news.due, now=self._clock()))
        if not taken:
            return False
        try:
            if taken[0].way is NewsWay.MAIL:
                await self._mail(taken)
            else:
                await self._call(taken[0])
        except PASSING as error:
            await self._later(taken, error)
        except GatewayError as error:
            await self._give_up(taken, error.explanation)
        else:
            await self._state.database.write(partial(news.finish, told=taken))
            metrics.news.labels(taken[0].way.value, "told").inc()
        return True

    async def _later(self, taken: list[News], error: GatewayError) -> None:
        now, first = self._clock(), taken[0]
        if now - first.at > self._settings.give_up_hours * 3600:
            await self._give_up(taken, error.explanation)
            return
        pause = min(_FIRST_PAUSE_SECONDS * 2 ** min(first.attempts, 10), _LONGEST_PAUSE_SECONDS)
        await self._state.database.write(
            partial(news.postpone, untold=taken, next_attempt_at=now + pause)
        )
        metrics.news.labels(first.way.value, "postponed").inc()
        event("news.postponed", level="warning", way=first.way, error=error.explanation)

    async def _give_up(self, taken: list[News], reason: str) -> None:
        await self._state.database.write(partial(news.finish, told=taken))
        metrics.news.labels(taken[0].way.value, "given_up").inc()
        event("news.given_up", level="warning", way=taken[0].way, error=reason)

    async def _mail(self, taken: list[News]) -> None:
        user = taken[0].user
        wishes = await self.wishes(user)
        if not self.by_mail or not wishes.by_mail:
            return
        if not (to := await self.address(user)):
            return
        await self._post.send(self._wording.letter(to, taken, wishes.language))
        await self._state.database.write(partial(news.mailed, user=user, now=self._clock()))

    async def _call(self, one: News) -> None:
        """One POST, signed as Standard Webhooks has it where there is a secret."""
        url = self._settings.webhook
        if url is None:  # it was configured when this was written down
            return
        language = (await self.wishes(one.user)).language
        body = json.dumps(self._described(one, language)).encode()
        sent = {"Content-Type": "application/json", "Webhook-Id": one.id}
        sent["Webhook-Timestamp"] = str(self._clock())
        if self._settings.webhook_secret_file:
            sent["Webhook-Signature"] = _signature(self._settings.webhook_secret_file, sent, body)
        async with self._anywhere.request(
            server_of(url),
            "POST",
            url,
            headers=sent,
            body=body,
            total_seconds=_WEBHOOK_SECONDS,
        ) as answer:
            # Whoever answers badly may be repaired within the hours until we give up.
            if answer.status >= 300:
                raise ProviderFailed("the webhook did not take it", detail=f"{answer.status}")

    def _described(self, one: News, language: str) -> dict[str, object]:
        return {
            "type": one.kind.value,
            "at": one.at,
            "server": self._ours.authority,
            "user": one.user,
            "who": one.who,
            "what": one.what,
            "about": one.about,
            "text": self._wording.sentence(one, language),
            "page": self._wording.place(one),
        }


def _plain(text: str) -> str:
    """One line of what somebody else wrote, cut to size."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def _signature(file: Path, sent: dict[str, str], body: bytes) -> str:
    """https://www.standardwebhooks.com: HMAC-SHA256 of id, time and body."""
    secret = file.read_text(encoding="utf-8").strip().removeprefix("whsec_")
    signed = f"{sent['Webhook-Id']}.{sent['Webhook-Timestamp']}.".encode() + body
    digest = hmac.digest(base64.b64decode(secret), signed, "sha256")
    return "v1," + base64.b64encode(digest).decode()
