"""Where are you from? (draft 03, 4.4.3): the servers that somebody who was invited may come from.

Those of the Directory Services, those that the operator approved, and whatever name is typed. Each
is discovered before it is offered. Strangers look at this page, so what one visit may set off is
bounded: a server is asked once in a while, a few at a time, whoever looks.
"""

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlencode

from cachetools import TTLCache

from gateway.errors import GatewayError, Malformed, NotFound, Refused
from gateway.model import Authority, SentInvite, Standing
from gateway.ocm.address import authority
from gateway.providers.directories import Directories
from gateway.sharing.inviting import Inviting
from gateway.sharing.others import Others
from gateway.sharing.ours import Ours
from gateway.sharing.parties import Parties

_AT_ONCE = 8
_MANY = 5000
_GOOD_SECONDS = 600
_BAD_SECONDS = 120
_LONGEST_NAME = 200


class Reach(StrEnum):
    """What is known of whether a server can be gone to."""

    ASKED = "asked"  # discovery is under way
    DIALOG = "dialog"  # it has a dialog to accept invites in
    STRING = "string"  # it speaks OCM and has no dialog
    AWAY = "away"  # it does not answer, or does not speak OCM


@dataclass(frozen=True, slots=True)
class Place:
    """A server that somebody may come from. `dialog` is an absolute URL, "" when it has none."""

    authority: Authority
    name: str
    reach: Reach
    dialog: str = ""

    def accepts_at(self, token: str, provider: Authority) -> str:
        """Where its user accepts the invite, an existing query kept (C-17)."""
        between = "&" if "?" in self.dialog else "?"
        asked = urlencode({"token": token, "providerDomain": provider})
        return f"{self.dialog}{between}{asked}"


@dataclass(frozen=True, slots=True)
class Host:
    """What we know of the server of somebody who invites: its name, if our lists have one."""

    name: str
    known: bool
    allowed: bool


class Wayf:
    """The servers to choose from."""

    def __init__(
        self,
        ours: Ours,
        others: Others,
        directories: Directories,
        inviting: Inviting,
        parties: Parties,
        *,
        free_text: bool,
    ) -> None:
        """`free_text`: any server may be typed, not only those of the lists."""
        self._ours = ours
        self._others = others
        self._directories = directories
        self._inviting = inviting
        self._parties = parties
        self.free_text = free_text
        self._found: TTLCache[Authority, Place] = TTLCache(_MANY, _GOOD_SECONDS)
        self._away: TTLCache[Authority, Place] = TTLCache(_MANY, _BAD_SECONDS)
        self._asking: dict[Authority, asyncio.Task[None]] = {}
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def invite_of(self, token: str) -> SentInvite:
        """The Invite somebody came with; NotFound when it cannot be accepted (any more)."""
        invite = await self._inviting.find_open(token)
        if invite is None:
            raise NotFound("this invite was accepted already, withdrawn, or has expired")
        return invite

    async def inviter_of(self, invite: SentInvite) -> str:
        """What the invited may know of who invited them: the name, which the message says too."""
        user = await self._parties.find(invite.sender)
        return user.shown_as if user else invite.sender

    def standing_of(self, provider: Authority) -> Host:
        """What our lists say of a server; nobody is asked."""
        names = self._names()
        return Host(names.get(provider, ""), provider in names, self._admits(provider))

    async def places(self, patience_seconds: float) -> list[Place]:
        """The servers of the lists, each as far as it is known after at most that time."""
        names = self._names()
        asked = [self._ask(provider) for provider in names if self._known(provider) is None]
        if asked:
            await asyncio.wait(asked, timeout=patience_seconds)
        places = [
            self._known(provider, name) or Place(provider, name or provider, Reach.ASKED)
            for provider, name in names.items()
        ]
        return sorted(places, key=lambda place: (place.name.casefold(), place.authority))

    async def place(self, text: str, patience_seconds: float) -> Place:
        """One server, of the lists or as typed; discovered now.

        Raises Malformed for what names no other server, Refused for one that is not to be gone to.
        """
        provider = authority(_host_of(text))
        if provider == self._ours.authority:
            raise Malformed("that is the server that you were invited from; name your own")
        names = self._names()
        if provider not in names:
            if not self.free_text:
                raise Refused("that server is not on the list")
            if not self._admits(provider):
                raise Refused("that server does not federate with this one")
        if self._known(provider) is None:
            await asyncio.wait([self._ask(provider)], timeout=patience_seconds)
        name = names.get(provider, "")
        return self._known(provider, name) or Place(provider, name or provider, Reach.AWAY)

    def _names(self) -> dict[Authority, str]:
        """What the lists call each server that we federate with, but for us; "" for no name."""
        names: dict[Authority, str] = {
            server.authority: server.display_name for server in self._directories.servers()
        }
        for provider in self._others.registry.approved():
            names.setdefault(provider, "")
        return {
            provider: _readable(name)
            for provider, name in names.items()
            if provider != self._ours.authority and self._admits(provider)
        }

    def _admits(self, provider: Authority) -> bool:
        blocked = self._others.registry.standing(provider) is Standing.BLOCKED
        return not blocked and self._others.doorkeeper.judge(provider).allowed

    def _known(self, provider: Authority, name: str = "") -> Place | None:
        place = self._found.get(provider) or self._away.get(provider)
        if place is None or not name:
            return place
        return Place(provider, name, place.reach, place.dialog)

    def _ask(self, provider: Authority) -> asyncio.Task[None]:
        task = self._asking.get(provider)
        if task is None:
            task = asyncio.create_task(self._look(provider))
            self._asking[provider] = task
            task.add_done_callback(lambda _: self._asking.pop(provider, None))
        return task

    async def _look(self, provider: Authority) -> None:
        async with self._turn:
            try:
                found = await self._others.discoveries.discover(provider)
            except GatewayError:
                self._away[provider] = Place(provider, provider, Reach.AWAY)
                return
        name = _readable(found.provider) or provider
        reach = Reach.DIALOG if found.invite_accept_dialog else Reach.STRING
        self._found[provider] = Place(provider, name, reach, found.invite_accept_dialog)

    async def close(self) -> None:
        """Ask nobody any more."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _host_of(text: str) -> str:
    """The host in what somebody typed: a host, an OCM Address, or an address of the browser."""
    bare = text.strip().partition("://")[2] or text.strip()
    return bare.partition("/")[0].rpartition("@")[2]


def _readable(name: str) -> str:
    return " ".join(name.split())[:_LONGEST_NAME]
