"""Logging in at an OpenID provider: authorization code with PKCE (OpenID Connect Core, RFC 7636).

What the browser carries from the start to the way back (state, nonce, verifier, where to go on) is
sealed in a short-lived cookie, so nothing of it is kept here. An ID token counts only with a valid
signature by a key that the provider publishes, for us, from it, and with our nonce.
"""

import base64
import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlencode

from jwcrypto.common import JWException
from jwcrypto.jwk import JWKSet
from jwcrypto.jwt import JWT
from yarl import URL

from gateway import config
from gateway.errors import GatewayError, Malformed, ProviderFailed, ProviderRefused, Refused
from gateway.store.vault import Vault
from gateway.transport import Guarded, server_of

_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
_ALGORITHMS += ["ES256", "ES384", "ES512", "EdDSA"]
_MOST_BYTES = 256 * 1024
_SECONDS = 15
_CACHE_SECONDS = 3600
ATTEMPT_SECONDS = 600
"""How long somebody may take at the provider."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One log-in on its way."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    after: str
    started_at: int


@dataclass(frozen=True, slots=True)
class Proven:
    """Whom the provider proved, and how they logged in there."""

    name: str
    display_name: str
    acr: str
    amr: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Metadata:
    """What the provider says of itself (OpenID Connect Discovery 1.0)."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    fetched_at: int


class Oidc:
    """The one OpenID provider of the configuration."""

    def __init__(
        self,
        settings: config.Login,
        guarded: Guarded,
        vault: Vault,
        redirect_uri: str,
        clock: Callable[[], int],
    ) -> None:
        self._settings = settings.oidc
        self._acr = settings.mfa.acr
        self._guarded = guarded
        self._vault = vault
        self._redirect_uri = redirect_uri
        self._clock = clock
        self._issuer = settings.oidc.issuer or ""
        self._metadata: _Metadata | None = None
        self._keys: tuple[JWKSet, int] | None = None

    @property
    def label(self) -> str:
        """What the button says."""
        return self._settings.label or URL(self._issuer).host or ""

    async def start(self, after: str, *, step_up: bool) -> tuple[str, str]:
        """Where to send the browser, and the sealed attempt for its cookie.

        `step_up` asks for a new log-in that proves several factors. Raises ProviderFailed and its
        kin when the provider does not answer.
        """
        metadata = await self._described()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        attempt = Attempt(state, nonce, verifier, after, self._clock())
        challenge = sha256(attempt.verifier.encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": " ".join(self._settings.scopes),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": base64.urlsafe_b64encode(challenge).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        if step_up:
            asked |= {"prompt": "login", "max_age": "0"}
            asked |= {"acr_values": " ".join(self._acr)} if self._acr else {}
        joint = "&" if "?" in metadata.authorization_endpoint else "?"
        sealed = self._vault.seal(json.dumps(asdict(attempt)), "oidc")
        return f"{metadata.authorization_endpoint}{joint}{urlencode(asked)}", sealed

    def attempt(self, sealed: str, state: str) -> Attempt:
        """The attempt of a cookie, when the state on the way back is its own; Refused otherwise."""
        try:
            attempt = Attempt(**json.loads(self._vault.open(sealed, "oidc")))
        except (GatewayError, ValueError, TypeError) as error:
            raise Refused("this log-in was not begun in this browser, or too long ago") from error
        fresh = self._clock() - attempt.started_at < ATTEMPT_SECONDS
        if not fresh or not hmac.compare_digest(attempt.state.encode(), state.encode()):
            raise Refused("this log-in was not begun in this browser, or too long ago")
        return attempt

    async def finish(self, attempt: Attempt, code: str) -> Proven:
        """Exchange the code and check the ID token.

        Raises ProviderRefused for a code that is not taken, Refused for a token that does not hold.
        """
        answer = await self._exchange(attempt, code)
        claims = await self._checked(str(answer.get("id_token", "")), attempt)
        name = claims.get(self._settings.user_claim)
        if not isinstance(name, str) or not name:
            raise Refused("the log-in does not say who you are here", detail="no user claim")
        shown, amr = claims.get(self._settings.display_name_claim), claims.get("amr")
        return Proven(
            name=name,
            display_name=shown[:200] if isinstance(shown, str) else "",
            acr=str(claims.get("acr", ""))[:200],
            amr=tuple(str(one)[:50] for one in amr[:20]) if isinstance(amr, list) else (),
        )

    async def _exchange(self, attempt: Attempt, code: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": attempt.verifier,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if secret := self._secret():
            pair = f"{quote(self._settings.client_id, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            form["client_id"] = self._settings.client_id
        endpoint = (await self._described()).token_endpoint
        return await self._json("POST", endpoint, headers=headers, body=urlencode(form).encode())

    def _secret(self) -> str:
        file = self._settings.client_secret_file
        return file.read_text(encoding="utf-8").strip() if file else self._settings.client_secret

    async def _checked(self, id_token: str, attempt: Attempt) -> dict[str, Any]:
        """The claims of an ID token that holds (OpenID Connect Core 3.1.3.7)."""
        try:
            claims = self._read(id_token, await self._published(afresh=False))
        except (JWException, ValueError):
            try:  # it may be signed with a key that is new
                claims = self._read(id_token, await self._published(afresh=True))
            except (JWException, ValueError, TypeError) as error:
                raise Refused("the log-in could not be checked", detail=str(error)) from error
        audience = claims.get("aud")
        parties = audience if isinstance(audience, list) else [audience]
        client_id = self._settings.client_id
        held = {
            "iss": str(claims.get("iss", "")).rstrip("/") == self._issuer,
            "aud": client_id in parties,
            "azp": claims.get("azp", client_id if len(parties) == 1 else None) == client_id,
            "nonce": hmac.compare_digest(
                str(claims.get("nonce", "")).encode(), attempt.nonce.encode()
            ),
        }
        wrong = [name for name, holds in held.items() if not holds]
        if wrong:
            raise Refused("the log-in could not be checked", detail=f"wrong {', '.join(wrong)}")
        return claims

    def _read(self, id_token: str, keys: JWKSet) -> dict[str, Any]:
        token = JWT(algs=_ALGORITHMS, check_claims={"exp": None, "iat": None})
        token.deserialize(id_token, keys)
        claims = json.loads(token.claims)
        if not isinstance(claims, dict):
            raise ValueError("the claims are no object")
        return claims

    async def _described(self) -> _Metadata:
        now = self._clock()
        if self._metadata and now - self._metadata.fetched_at < _CACHE_SECONDS:
            return self._metadata
        url = f"{self._issuer}/.well-known/openid-configuration"
        found = await self._json("GET", url)
        if str(found.get("issuer", "")).rstrip("/") != self._issuer:
            raise ProviderRefused("the OpenID provider names another issuer")
        self._metadata = _Metadata(
            self._own(found.get("authorization_endpoint")),
            self._own(found.get("token_endpoint")),
            self._own(found.get("jwks_uri")),
            now,
        )
        return self._metadata

    def _own(self, url: object) -> str:
        """An endpoint; https, unless the issuer itself is not, for testing."""
        if not isinstance(url, str) or not url.startswith(("https://", "http://")):
            raise ProviderRefused("the OpenID provider does not say where its endpoints are")
        if url.startswith("http://") and not self._issuer.startswith("http://"):
            raise ProviderRefused("an endpoint of the OpenID provider is not https")
        return url

    async def _published(self, *, afresh: bool) -> JWKSet:
        now = self._clock()
        if self._keys and not afresh and now - self._keys[1] < _CACHE_SECONDS:
            return self._keys[0]
        found = await self._json("GET", (await self._described()).jwks_uri)
        try:
            keys = JWKSet.from_json(json.dumps(found))
        except (JWException, ValueError, TypeError) as error:
            raise ProviderFailed("the OpenID provider publishes no usable keys") from error
        self._keys = keys, now
        return keys

    async def _json(self, method: str, url: str, **options: Any) -> dict[str, Any]:
        provider = server_of(url)
        async with self._guarded.request(
            provider, method, url, total_seconds=_SECONDS, **options
        ) as answer:
            body = await answer.read(_MOST_BYTES)
        if answer.status != 200:
            raise ProviderRefused("the OpenID provider refused", answered=answer.status)
        try:
            found = json.loads(body)
        except ValueError as error:
            raise ProviderFailed("the OpenID provider does not answer in JSON") from error
        if not isinstance(found, dict):
            raise Malformed("the OpenID provider does not answer with an object")
        return found
