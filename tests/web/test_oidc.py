"""Logging in at an OpenID provider, and the step-up that a share may need."""

import base64
import json
import re
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from jwcrypto.jwk import JWK
from jwcrypto.jwt import JWT

from tests.servers import free_port
from tests.sharing.stage import receive_share
from tests.web.browser import browser


@dataclass
class Provider:
    """An OpenID provider that logs in whomever `claims` says."""

    origin: str
    key: JWK = field(default_factory=lambda: JWK.generate(kty="EC", crv="P-256", kid="k1"))
    claims: dict = field(default_factory=lambda: {"preferred_username": "alice"})
    asked: dict = field(default_factory=dict)
    exchanged: list = field(default_factory=list)

    def settings(self, **changes):
        oidc = {"issuer": self.origin, "client_id": "gateway", "client_secret": "s3cret+/"}
        return {"oidc": oidc | changes}

    async def metadata(self, _):
        return web.json_response(
            {
                "issuer": self.origin,
                "authorization_endpoint": f"{self.origin}/authorize",
                "token_endpoint": f"{self.origin}/token",
                "jwks_uri": f"{self.origin}/jwks",
            }
        )

    async def jwks(self, _):
        return web.json_response({"keys": [json.loads(self.key.export_public())]})

    async def authorize(self, request):
        self.asked = dict(request.query)
        where = f"{self.asked['redirect_uri']}?code=c0de&state={self.asked['state']}"
        raise web.HTTPFound(where)

    async def token(self, request):
        form = await request.post()
        self.exchanged.append((request.headers.get("Authorization"), dict(form)))
        digest = sha256(form["code_verifier"].encode()).digest()
        assert self.asked["code_challenge"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")
        now = int(time.time())
        claims = {
            "iss": self.origin,
            "aud": "gateway",
            "nonce": self.asked["nonce"],
            "iat": now,
            "exp": now + 60,
            "sub": "1234",
        } | self.claims
        signing = claims.pop("signed_by", self.key)
        token = JWT(header={"alg": "ES256", "kid": "k1"}, claims=claims)
        token.make_signed_token(signing)
        return web.json_response({"id_token": token.serialize(), "access_token": "x"})


@asynccontextmanager
async def open_provider():
    port = free_port()
    provider = Provider(f"http://127.0.0.1:{port}")
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", provider.metadata)
    app.router.add_get("/jwks", provider.jwks)
    app.router.add_get("/authorize", provider.authorize)
    app.router.add_post("/token", provider.token)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield provider
    await runner.cleanup()


@pytest.fixture
async def provider():
    async with open_provider() as opened:
        yield opened


async def test_one_logs_in_at_the_provider_and_comes_back_to_where_one_was(opened, provider):
    gateway = await opened(login=provider.settings())
    async with browser(gateway) as visitor:
        assert "Log in at 127.0.0.1" in (await visitor.get("/login?next=/sessions")).text
        shown = await visitor.get("/login/oidc?next=/sessions")
        assert shown.status == 200
        assert shown.url.endswith("/sessions")
        assert "Where you are logged in" in shown.text
    basic = "Basic " + base64.b64encode(b"gateway:s3cret%2B%2F").decode()
    [(authorization, form)] = provider.exchanged
    assert authorization == basic
    assert form["grant_type"] == "authorization_code"
    assert form["redirect_uri"] == f"{gateway.ours.origin}/login/oidc/back"
    assert provider.asked["code_challenge_method"] == "S256"
    assert provider.asked["scope"] == "openid profile"


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"aud": ["gateway", "another"]},
        {"azp": "another"},
        {"iss": "https://evil.example"},
        {"nonce": "old"},
        {"exp": 1},
        {"signed_by": JWK.generate(kty="EC", crv="P-256", kid="k1")},
        {"preferred_username": ""},
        {"preferred_username": "nobody"},
    ],
    ids=str,
)
async def test_a_token_that_does_not_hold_logs_nobody_in(opened, provider, claims):
    gateway = await opened(login=provider.settings())
    provider.claims |= claims
    async with browser(gateway) as visitor:
        assert (await visitor.get("/login/oidc")).status == 403
        assert "/login" in (await visitor.get("/sessions")).url


async def test_a_way_back_that_was_not_begun_here_is_refused(opened, provider):
    gateway = await opened(login=provider.settings())
    async with browser(gateway) as visitor, browser(gateway) as victim:
        first = await visitor.get("/login/oidc", follow=False)
        [state] = parse_qs(urlsplit(first.headers["Location"]).query)["state"]
        back = f"/login/oidc/back?code=c0de&state={state}"
        assert (await victim.get(back)).status == 403
        assert (await visitor.get("/login/oidc/back?code=c0de&state=other")).status == 403
    assert provider.exchanged == []


async def test_a_new_key_of_the_provider_is_taken_in(opened, provider):
    gateway = await opened(login=provider.settings())
    async with browser(gateway) as visitor:
        assert (await visitor.get("/login/oidc?next=/sessions")).url.endswith("/sessions")
        provider.key = JWK.generate(kty="EC", crv="P-256", kid="k1")
        await visitor.submit("/sessions", "/logout")
        assert (await visitor.get("/login/oidc?next=/sessions")).url.endswith("/sessions")


async def test_who_says_no_at_the_provider_is_not_logged_in(opened, provider):
    gateway = await opened(login=provider.settings())
    async with browser(gateway) as visitor:
        first = await visitor.get("/login/oidc", follow=False)
        [state] = parse_qs(urlsplit(first.headers["Location"]).query)["state"]
        shown = await visitor.get(f"/login/oidc/back?error=access_denied&state={state}")
        assert shown.status == 401
        assert "You were not logged in." in shown.text


@pytest.mark.conforms("OCM-8-08", "OCM-16-03")
@pytest.mark.parametrize("proof", [{"amr": ["pwd", "mfa"]}, {"acr": "gold"}], ids=str)
async def test_a_share_that_needs_it_opens_after_the_step_up(opened, peer, provider, proof):
    login = provider.settings() | {"mfa": {"acr": ["gold"], "amr": ["mfa"]}}
    gateway = await opened(login=login)
    share = await receive_share(peer, gateway, webdav={"requirements": ["must-use-mfa"]})
    provider.claims |= {"amr": ["pwd"], "acr": "silver"}
    async with browser(gateway) as visitor:
        await visitor.get("/login/oidc")
        shown = await visitor.get(f"/received/open?share={share.id}")
        assert shown.status == 403
        assert "more than one factor" in shown.text
        assert peer.dav == []
        [step] = re.findall(r'href="(/login/oidc[?]step=1[^"]*)"', shown.text)
        provider.claims |= proof
        shown = await visitor.get(unescape(step))
        assert provider.asked["acr_values"] == "gold"
        assert provider.asked["max_age"] == "0"
        assert shown.status == 200
        assert shown.url.endswith(f"/received/open?share={share.id}")
        assert peer.dav != []


async def test_without_a_provider_there_is_no_such_page(gateway):
    async with browser(gateway) as visitor:
        assert (await visitor.get("/login/oidc")).status == 404
        assert (await visitor.get("/login/oidc/back?code=1&state=2")).status == 404
