"""Who may reach a Resource that we share, and where the request then goes (draft 03, 8 and 9).

The access tokens are ours to issue and to read: JWTs (RFC 9068) signed with a published key, so
any replica verifies one without the database, and nothing of them is stored. What a token opens is
decided anew each time by the state of its Share, so revoking ends access while the token lives.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from gateway import metrics
from gateway.dav.target import RequestPath, Target
from gateway.errors import BadSignature, Malformed, NotFound, Refused, Unauthorized
from gateway.httpsig.signing import JOSE
from gateway.logs import event
from gateway.model import Permission, ResourceType, SentShare
from gateway.ocm import legacy, tokens
from gateway.ocm.tokens import AccessToken, TokenResponse
from gateway.policy.doorkeeper import Doorkeeper
from gateway.policy.facts import Action, Limits
from gateway.providers.dialects import Dialects
from gateway.providers.ring import Ring
from gateway.sharing import facts
from gateway.sharing.credentials import basic_pair
from gateway.sharing.ours import Ours
from gateway.sharing.remembered import Remembered
from gateway.sharing.storage import Storage
from gateway.store.state import State

_MANY = 2000
_CHALLENGE = 'Bearer realm="ocm"'
_BASIC_CHALLENGE = 'Basic realm="ocm", charset="UTF-8"'


class Access:
    """Issues access tokens, and turns a request with one into a Target."""

    def __init__(
        self,
        ours: Ours,
        state: State,
        ring: Ring,
        doorkeeper: Doorkeeper,
        dialects: Dialects,
        storage: Storage,
        clock: Callable[[], int],
        *,
        lifetime_seconds: int,
    ) -> None:
        self._ours = ours
        self._state = state
        self._ring = ring
        self._doorkeeper = doorkeeper
        self._storage = storage
        self._clock = clock
        self._lifetime_seconds = lifetime_seconds
        self._dialects = dialects
        self._challenges = (_CHALLENGE, _BASIC_CHALLENGE) if dialects.any_legacy else (_CHALLENGE,)
        self._known: Remembered[SentShare | None] = Remembered(state)
        self._verified: dict[str, AccessToken] = {}
        ring.on_change(self._verified.clear)

    def issue(self, share: SentShare) -> TokenResponse:
        """An access token that opens this Share, and does not outlive it."""
        now = self._clock()
        lifetime = self._lifetime_seconds
        if share.expiration_at is not None:
            lifetime = max(1, min(lifetime, share.expiration_at - now))
        claims = AccessToken(
            iss=self._ours.origin,
            sub=share.owner,
            aud=share.share_with,
            client_id=share.receiving_server,
            iat=now,
            exp=now + lifetime,
            jti=secrets.token_urlsafe(16),
            provider_id=share.provider_id,
            resource_type=share.resource_type,
        )
        key = self._ring.active
        signed = tokens.signing_input(claims, key.kid, JOSE[key.algorithm])
        metrics.tokens_issued.inc()
        event("token.issued", provider_id=share.provider_id, expires_in=lifetime)
        return TokenResponse(tokens.assemble(signed, key.sign(signed)), lifetime)

    async def authorize(self, authorizations: Sequence[str], path: RequestPath) -> Target:
        """Where a request with these Authorization headers may go.

        `path` lies below the door: its first segment is the id of the Share. With a legacy Basic
        credential the id may be left out, since the secret alone selects the Share; so it may by
        servers that know the root alone. Raises
        Unauthorized (401) for a credential that proves nothing, NotFound for a Share that ended or
        is another one, Refused for a server that is denied now.
        """
        credential, basic = self._credential(authorizations)
        share = await self._proven(credential, basic)
        named = path.segments[:1] == (share.provider_id,)
        if not (named or basic or share.at_root) or not share.opens_at(self._clock()):
            raise NotFound("there is no such share")
        limits = self.admit(share, Action.ACCESS)
        if limits.must_exchange and (basic or self._read(credential) is None):
            raise _unauthorized("the secret of this share has to be exchanged for a token")
        rel = path.segments[1:] if named else path.segments
        return self._target(share, rel, limits, named=named)

    def knows(self, authorizations: Sequence[str]) -> bool:
        """Whether these are one token that was found to be ours before."""
        return len(authorizations) == 1 and authorizations[0][7:] in self._verified

    def admit(self, share: SentShare, action: Action, *, counts: bool = True) -> Limits:
        """Within which limits the Receiving Server may use a Share now; Refused, or NotFound."""
        limits = self._doorkeeper.admit_share(
            share.receiving_server,
            action,
            share.provider_id + facts.MARKS[share.permissions],
            partial(facts.of_sent, share, action),
            counts=counts,
        )
        if limits.max_expiration_seconds is not None:
            ends_at = limits.expiration(share.expiration_at, share.created_at)
            if ends_at is not None and ends_at <= self._clock():
                raise NotFound("there is no such share")
        return limits

    async def admits(self, share_id: str, *, writes: bool = False) -> bool:
        """Whether a Share that is being read, or `writes` to, may go on being so."""
        find = partial(self._state.sent.opening, provider_id=share_id)
        share = await self._known.get(share_id, find)
        if share is None or not share.opens_at(self._clock()):
            return False
        try:
            limits = self.admit(share, Action.ACCESS, counts=False)
        except (Refused, NotFound):
            return False
        return not writes or (Permission.WRITE in share.permissions and not limits.read_only)

    def remembered(self, authorizations: Sequence[str], share_id: str, below: str) -> Target | None:
        """As `authorize`, for a token whose Share is at hand and a folder; None for all else.

        `below` is a path of plain names, each behind a slash.
        """
        if len(authorizations) != 1 or not authorizations[0].startswith("Bearer "):
            return None
        claims = self._verified.get(authorizations[0][7:])
        share = self._known.peek(share_id)
        now = self._clock()
        if (
            claims is None
            or share is None
            or claims.provider_id != share_id
            or claims.exp <= now
            or not share.opens_at(now)
            or share.resource_type is not ResourceType.FOLDER
        ):
            return None
        limits = self.admit(share, Action.ACCESS)
        return self._target(share, tuple(below[1:].split("/")), limits, named=True)

    def _credential(self, authorizations: Sequence[str]) -> tuple[str, bool]:
        """The token or secret of the one Authorization header, and whether it came as Basic.

        The scheme in any case (RFC 6750 2.1). Basic, with the secret as the user name, is what
        servers before tokens send (draft 03, 8 step 5), and taken only where that is switched on.
        """
        if not authorizations:
            raise Unauthorized("a token is needed", challenges=self._challenges)
        if len(authorizations) > 1:
            raise Malformed("more than one Authorization header")
        scheme, _, credential = authorizations[0].partition(" ")
        credential = credential.strip()
        if scheme.lower() == "bearer" and credential:
            if not credential.isascii():
                raise _unauthorized("the token is not valid")
            return credential, False
        if scheme.lower() == "basic" and self._dialects.any_legacy:
            name, _ = basic_pair(authorizations[0])
            if name:
                return name, True
        raise Unauthorized("a bearer token is needed", challenges=self._challenges)

    async def _proven(self, bearer: str, basic: bool) -> SentShare:
        """The Share that a credential speaks for. A token is no user name."""
        claims = None if basic else self._read(bearer)
        if claims is not None:
            find = partial(self._state.sent.opening, provider_id=claims.provider_id)
            share = await self._known.get(claims.provider_id, find)
            if share is None:
                raise NotFound("there is no such share")
            return share
        by_secret = partial(self._state.sent.opening_by_secret, secret=bearer)
        share = await self._state.database.read(by_secret)
        if share is None:
            raise _unauthorized("the token is not valid")
        if share.must_exchange_token is not False:
            raise _unauthorized("the secret of this share has to be exchanged for a token")
        if basic and not self._dialects.opens_for_secret(share):
            raise _unauthorized("this share is not opened by a user name")
        if basic:
            metrics.tolerated.labels(form=legacy.BASIC_ACCESS).inc()
        return share

    def _read(self, bearer: str) -> AccessToken | None:
        """The claims of one of our tokens; None when it is not a token of ours at all.

        Raises Unauthorized for one that is forged or has expired.
        """
        claims = self._verified.get(bearer)
        if claims is None:
            try:
                kid, signed, signature = tokens.split(bearer)
            except Malformed:
                return None
            claims = self._verify(kid, signed, signature)
            if len(self._verified) >= _MANY:
                self._verified.clear()
            self._verified[bearer] = claims
        if claims.exp <= self._clock() or claims.iss != self._ours.origin:
            raise _unauthorized("the token has expired")
        return claims

    def _verify(self, kid: str, signed: bytes, signature: bytes) -> AccessToken:
        key = self._ring.verifying(kid)
        try:
            if key is None:
                raise Malformed("not signed by us")
            key.verify(signed, signature)
            return tokens.parse_claims(signed)
        except (BadSignature, Malformed) as error:
            raise _unauthorized("the token is not valid") from error

    def _target(
        self, share: SentShare, rel: tuple[str, ...], limits: Limits, *, named: bool
    ) -> Target:
        target = self._storage.target(
            share.owner,
            share.resource,
            rel,
            mount=(*self._ours.shares, share.provider_id) if named else self._ours.shares,
            scope=share.provider_id,
            label=share.name,
            single_file=share.resource_type is ResourceType.FILE,
            writable=Permission.WRITE in share.permissions and not limits.read_only,
            reshare=Permission.SHARE in share.permissions,
        )
        return target if named else replace(target, lists_unasked=True)


def _unauthorized(message: str) -> Unauthorized:
    return Unauthorized(
        message,
        challenges=(f'{_CHALLENGE}, error="invalid_token", error_description="{message}"',),
    )
