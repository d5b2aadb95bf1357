"""A foreign OCM Server for the tests: real sockets, everything recorded, every answer programmable.

    async with open_peer() as peer:
        answer = await peer.post(peer.signed("POST", url, body))
        peer.on("POST /ocm/shares", Answer(503), Answer(201))
        [seen] = peer.requests("POST /ocm/shares")

None of our own code is in it: it signs and verifies with `http-message-signatures`, so that the
two implementations check each other. Its WebDAV root holds what `files` says, for whoever comes.
"""

import asyncio
import base64
import datetime
import hashlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import Any

import aiohttp
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    algorithms,
)
from multidict import CIMultiDict

COVERED = ("@method", "@target-uri", "content-digest", "content-length", "date")
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


def encode(number: int, size: int) -> str:
    """A number of a JWK."""
    return base64.urlsafe_b64encode(number.to_bytes(size, "big")).decode().rstrip("=")


def digest(body: bytes) -> str:
    """Content-Digest of a body."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


@dataclass(frozen=True)
class Key:
    """A signing key and the name it is published under."""

    kid: str
    private: Any
    algorithm: Any

    def jwk(self) -> dict[str, str]:
        """The public half."""
        public = self.private.public_key()
        common = {"kid": self.kid, "use": "sig"}
        if isinstance(public, ed25519.Ed25519PublicKey):
            x = encode(int.from_bytes(public.public_bytes_raw(), "big"), 32)
            return common | {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": x}
        numbers = public.public_numbers()
        if isinstance(public, ec.EllipticCurvePublicKey):
            point = {"x": encode(numbers.x, 32), "y": encode(numbers.y, 32)}
            return common | {"kty": "EC", "crv": "P-256", "alg": "ES256"} | point
        members = {"n": encode(numbers.n, 256), "e": encode(numbers.e, 3)}
        return common | {"kty": "RSA", "alg": "RS256"} | members


def ed25519_key(kid: str) -> Key:
    return Key(kid, ed25519.Ed25519PrivateKey.generate(), algorithms.ED25519)


def p256_key(kid: str) -> Key:
    return Key(kid, ec.generate_private_key(ec.SECP256R1()), algorithms.ECDSA_P256_SHA256)


def rsa_key(kid: str) -> Key:
    return Key(kid, rsa.generate_private_key(65537, 2048), algorithms.RSA_V1_5_SHA256)


class _OneKey(HTTPSignatureKeyResolver):
    def __init__(self, private: Any = None, public: Any = None) -> None:
        self.private, self.public = private, public

    def resolve_private_key(self, key_id: str) -> Any:
        return self.private

    def resolve_public_key(self, key_id: str) -> Any:
        return self.public


@dataclass(frozen=True)
class Outgoing:
    """A request that the peer is about to send, or that a test is about to spoil."""

    method: str
    url: str
    headers: CIMultiDict[str]
    body: bytes

    def having(self, **headers: str | None) -> "Outgoing":
        """The same with other headers; None takes one away."""
        changed = self.headers.copy()
        for name, value in headers.items():
            changed.popall(name.replace("_", "-"), None)
            if value is not None:
                changed[name.replace("_", "-")] = value
        return replace(self, headers=changed)


@dataclass(frozen=True)
class Answer:
    """What the peer answers; `seconds` late, and not at all with `hang_up`."""

    status: int = 200
    body: bytes | dict[str, Any] | list[Any] = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0
    hang_up: bool = False


@dataclass(frozen=True)
class Seen:
    """A request that the peer got. `path` is raw, with the query."""

    method: str
    path: str
    headers: CIMultiDict[str]
    body: bytes
    at: float = field(default_factory=time.monotonic)

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def authorization(self) -> str:
        return self.headers.get("Authorization", "")


Reaction = Callable[[Seen], Awaitable[Answer]]


@dataclass
class Peer:
    """The server. `document` is its discovery document, `keys` are published, `key` signs."""

    authority: str
    session: aiohttp.ClientSession
    key: Key
    keys: list[Key]
    document: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=lambda: {"a.txt": b"from afar"})
    dead: set[str] = field(default_factory=set)  # credentials that its WebDAV no longer takes
    lifetime: int | None = 300
    seen: list[Seen] = field(default_factory=list)
    answers: dict[str, list[Answer | Reaction]] = field(default_factory=dict)
    issued: int = 0

    @property
    def origin(self) -> str:
        return f"http://{self.authority}"

    def on(self, what: str, *answers: Answer | Reaction) -> None:
        """Answer `METHOD /path`, or `DAV`, with these in turn; the last one stays."""
        self.answers[what] = list(answers)

    def requests(self, what: str = "") -> list[Seen]:
        """What was asked: everything, `METHOD`, or `METHOD /path`; a path may go on."""
        return [one for one in self.seen if f"{one.method} {one.path}".startswith(what)]

    @property
    def dav(self) -> list[Seen]:
        """What its WebDAV root was asked."""
        return [one for one in self.seen if one.path.startswith("/dav")]

    def share(self, recipient: str, **changes: Any) -> dict[str, Any]:
        """A Share Creation Notification; None takes a member away."""
        body = {
            "shareWith": recipient,
            "name": "from afar",
            "providerId": secrets.token_hex(8),
            "owner": f"einstein@{self.authority}",
            "sender": f"einstein@{self.authority}",
            "shareType": "user",
            "resourceType": "folder",
            "protocol": {"name": "multi", "webdav": webdav()},
        } | changes
        return {name: value for name, value in body.items() if value is not None}

    def signed(
        self,
        method: str,
        url: str,
        body: bytes | dict[str, Any] = b"",
        *,
        content_type: str = JSON,
        key: Key | None = None,
        keyid: str | None = None,
        created: float | None = None,
        expires: float | None = None,
        covered: tuple[str, ...] = COVERED,
        label: str = "ocm",
        tag: str | None = "ocm",
        nonce: bool = True,
        parameters: Callable[[str], str] = str,
        **headers: str | None,
    ) -> Outgoing:
        """A signed request. `parameters` may rewrite the signature parameters before signing."""
        key = key or self.key
        request = unsigned(method, url, body, content_type=content_type).having(**headers)
        created = created or time.time()
        signer = HTTPMessageSigner(signature_algorithm=key.algorithm)
        prepared = signer.prepare(
            request,
            key_id=keyid or key.kid,
            created=_moment(created),
            expires=_moment(expires) if expires else None,
            nonce=secrets.token_hex(8) if nonce else None,
            label=label,
            tag=tag,
            covered_component_ids=covered,
            use_existing_digest="content-digest" in request.headers,
        )
        spelled = parameters(prepared.signature_params)
        base = prepared.signature_base.decode().replace(prepared.signature_params, spelled)
        made = key.algorithm(private_key=key.private).sign(base.encode())
        return request.having(
            Signature_Input=f"{label}={spelled}",
            Signature=f"{label}=:{base64.b64encode(made).decode()}:",
        )

    async def send(self, request: Outgoing) -> "Reply":
        """Send it as it is."""
        async with self.session.request(
            request.method,
            request.url,
            headers=request.headers,
            data=request.body or None,
            allow_redirects=False,
            skip_auto_headers=("Content-Type", "Accept-Encoding"),
        ) as answer:
            return Reply(answer.status, answer.headers.copy(), await answer.read())

    async def post(self, url: str, body: bytes | dict[str, Any], **options: Any) -> "Reply":
        """A signed POST."""
        return await self.send(self.signed("POST", url, body, **options))

    async def exchange(self, token_end_point: str, code: str, **options: Any) -> "Reply":
        """A token request for a code (draft 03, 9.1)."""
        form = f"grant_type=authorization_code&client_id={self.authority}&code={code}"
        return await self.post(token_end_point, form.encode(), content_type=FORM, **options)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        seen = Seen(
            request.method, request.raw_path, CIMultiDict(request.headers), await request.read()
        )
        self.seen.append(seen)
        answer = await self._answer(seen)
        await asyncio.sleep(answer.seconds)
        if answer.hang_up and request.transport:
            request.transport.abort()
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        headers = {"Content-Type": JSON} | dict(answer.headers)
        return web.Response(status=answer.status, body=body, headers=headers)

    async def _answer(self, seen: Seen) -> Answer:
        for what in (f"{seen.method} {seen.path}", "DAV" if seen.path.startswith("/dav") else ""):
            if queue := self.answers.get(what):
                chosen = queue.pop(0) if len(queue) > 1 else queue[0]
                return chosen if isinstance(chosen, Answer) else await chosen(seen)
        match seen.method, seen.path:
            case "GET", "/.well-known/ocm":
                return Answer(body=self.document)
            case "GET", "/.well-known/jwks.json":
                return Answer(body={"keys": [key.jwk() for key in self.keys]})
            case "POST", "/ocm/shares":
                return Answer(201, {"recipientDisplayName": "Albert"})
            case "POST", "/ocm/notifications":
                return Answer(201, {})
            case "POST", "/ocm/token":
                return self._token()
        return self._file(seen) if seen.path.startswith("/dav/") else Answer(404)

    def _token(self) -> Answer:
        self.issued += 1
        body: dict[str, Any] = {"access_token": f"token-{self.issued}", "token_type": "bearer"}
        return Answer(body=body | ({"expires_in": self.lifetime} if self.lifetime else {}))

    def _file(self, seen: Seen) -> Answer:
        if seen.authorization.partition(" ")[2] in self.dead:
            return Answer(401, headers={"WWW-Authenticate": "Bearer"})
        name = seen.path.split("/", 3)[3:]
        content = self.files.get(name[0]) if name else None
        if seen.method == "GET":
            plain = {"Content-Type": "text/plain"}
            return Answer(404) if content is None else Answer(body=content, headers=plain)
        if seen.method == "PROPFIND":
            kind = "" if content is not None else "<D:collection/>"
            body = (
                f'<?xml version="1.0"?><D:multistatus xmlns:D="DAV:"><D:response>'
                f"<D:href>{seen.path}</D:href><D:propstat><D:prop><D:resourcetype>{kind}</D:resourcetype></D:prop>"
                "<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>"
            )
            return Answer(207, body.encode(), {"Content-Type": "application/xml"})
        return Answer(201)


@dataclass(frozen=True)
class Reply:
    """What was answered to the peer."""

    status: int
    headers: CIMultiDict[str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def webdav(**changes: Any) -> dict[str, Any]:
    """The webdav object of a share with a secret of its own."""
    return {
        "uri": secrets.token_hex(8),
        "sharedSecret": secrets.token_urlsafe(24),
        "permissions": ["read"],
        "requirements": ["must-exchange-token"],
    } | changes


def unsigned(
    method: str, url: str, body: bytes | dict[str, Any] = b"", *, content_type: str = JSON
) -> Outgoing:
    """A request with everything but a signature."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {
        "Content-Type": content_type,
        "Content-Digest": digest(sent),
        "Content-Length": str(len(sent)),
        "Date": formatdate(usegmt=True),
    }
    return Outgoing(method, url, CIMultiDict(headers), sent)


def verify(seen: Seen, origin: str, jwk: Mapping[str, str]) -> dict[str, Any]:
    """What the gateway's signature says, checked by the independent library with that JWK.

    Returns its parameters with `label` and `covered` beside them.
    """
    raw = base64.urlsafe_b64decode(jwk["x"] + "==")
    public = ed25519.Ed25519PublicKey.from_public_bytes(raw)
    verifier = HTTPMessageVerifier(
        signature_algorithm=algorithms.ED25519, key_resolver=_OneKey(public=public)
    )
    [result] = verifier.verify(
        Outgoing(seen.method, origin + seen.path, seen.headers, seen.body),
        max_age=datetime.timedelta(minutes=5),
        expect_tag="ocm",
    )
    assert seen.headers["Content-Digest"] == digest(seen.body)
    covered = {name.strip('"') for name in result.covered_components} - {"@signature-params"}
    return result.parameters | {"label": result.label, "covered": covered}


def _moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


@asynccontextmanager
async def open_peer() -> AsyncIterator[Peer]:
    """A peer on a port of its own."""
    peers: list[Peer] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        return await peers[0].answer(request)

    app = web.Application(client_max_size=1 << 24)
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    authority = f"127.0.0.1:{runner.addresses[0][1]}"
    key = ed25519_key(f"{authority}#key1")
    document = {
        "enabled": True,
        "apiVersion": "1.3.0",
        "endPoint": f"http://{authority}/ocm",
        "provider": "a foreign server",
        "resourceTypes": [
            {"name": "file", "shareTypes": ["user"], "protocols": {"webdav": "/dav/"}},
        ],
        "capabilities": ["exchange-token", "http-sig", "notifications", "webdav-uri"],
        "criteria": [],
        "tokenEndPoint": f"http://{authority}/ocm/token",
    }
    async with aiohttp.ClientSession() as session:
        peers.append(Peer(authority, session, key, [key], document))
        try:
            yield peers[0]
        finally:
            await runner.cleanup()
