"""Who has come into a group since: they get what the group was given before.

Who has left it needs no housekeeping: their share does not reach them any more (`groups.py`), and
is there again when they come back.
"""

import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from sqlalchemy import Connection

from gateway.errors import GatewayError
from gateway.logs import event
from gateway.model import ReceivedShare, ReceivedState, Scheme
from gateway.sharing.admission import Admission
from gateway.sharing.others import Others
from gateway.sharing.ours import Ours
from gateway.store.state import State

_AT_ONCE = 200


class Membership:
    """Keeps shares with groups in step with the members."""

    def __init__(
        self,
        ours: Ours,
        state: State,
        others: Others,
        admission: Admission,
        clock: Callable[[], int],
    ) -> None:
        self._ours = ours
        self._state = state
        self._others = others
        self._admission = admission
        self._clock = clock

    async def catch_up(self) -> list[ReceivedShare]:
        """Give new members the shares of their groups, to answer; those, some at a time."""
        if not self._ours.groups:
            return []
        given: list[ReceivedShare] = []
        for share, missing in await self._state.database.read(self._missed):
            try:
                given += await self._give(share, missing)
            except GatewayError as error:  # policy says no to all of them
                event("group.withheld", id=share.id, error=error.explanation)
        return given

    def _missed(self, connection: Connection) -> list[tuple[ReceivedShare, list[str]]]:
        """The shares that some members of their group do not have, with those members."""
        first: dict[tuple[str, str], ReceivedShare] = {}
        for share in self._state.received.with_groups(connection):
            first.setdefault((share.sending_server, share.provider_id), share)
        found = []
        for share in first.values():
            everyone = self._state.received.all_of(
                connection, share.sending_server, share.provider_id
            )
            have = {one.recipient for one in everyone}
            members = self._ours.groups.members.get(share.group, ())
            missing = [name for name in members if name not in have]
            if missing and share.live_at(self._clock()):
                found.append((share, missing[:_AT_ONCE]))
        return found[:_AT_ONCE]

    async def _give(self, share: ReceivedShare, missing: list[str]) -> list[ReceivedShare]:
        known = await self._others.registry.find(share.sending_server)
        offers = [self._offer(share, name) for name in missing]
        admitted = await self._admission.admit(
            offers, (known.scheme if known else Scheme.NONE).value
        )

        def record(connection: Connection) -> list[ReceivedShare]:
            everyone = self._state.received.all_of(
                connection, share.sending_server, share.provider_id
            )
            have = {one.recipient for one in everyone}
            if not any(one.id == share.id for one in everyone):
                return []
            return [
                self._admission.keep(connection, one)
                for one in admitted
                if one.offered.recipient not in have
            ]

        return await self._others.audit.write(
            record, partial(self._admission.deeds, admitted=admitted)
        )

    def _offer(self, share: ReceivedShare, member: str) -> ReceivedShare:
        return replace(
            share,
            id=str(uuid.uuid4()),
            recipient=member,
            received_at=self._clock(),
            state=ReceivedState.PENDING,
            hidden=False,
        )
