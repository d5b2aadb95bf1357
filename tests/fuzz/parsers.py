"""What reads bytes of strangers, and what such bytes look like when they are nearly right."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass

from multidict import CIMultiDict

from gateway.dav import conditions, documents
from gateway.dav.documents import Asked, Requested
from gateway.dav.entries import Plan
from gateway.dav.headers import for_client
from gateway.dav.locks import LockSeal
from gateway.dav.multistatus import Multistatus
from gateway.dav.target import Target, parse_target
from gateway.httpsig import cavage, keys, message
from gateway.httpsig.digest import check_digest
from gateway.httpsig.fields import parse_dictionary
from gateway.httpsig.message import Message, Profile
from gateway.httpsig.reasons import Reason
from gateway.ocm import directory, discovery, invites, notifications, shares, tokens
from gateway.ocm import json as wire
from gateway.ocm.address import authority, parse_address
from gateway.upstream import head
from gateway.upstream.chunked import Decoder


@dataclass(frozen=True)
class Parser:
    """One parser: `read` takes bytes and returns, or raises a GatewayError. `seeds` are good."""

    name: str
    read: Callable[[bytes], object]
    seeds: tuple[bytes, ...]


def _text(read: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda data: read(data.decode("utf-8", "surrogateescape"))


def _latin(read: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda data: read(data.decode("latin-1"))


def _signed(data: bytes) -> Message:
    """The first line is Signature-Input, the second Signature, the third other headers."""
    lines = [*data.decode("latin-1").split("\n"), "", "", ""]
    headers = (
        ("Content-Type", "application/json"),
        ("Content-Digest", lines[2]),
        ("Date", "Wed, 25 Nov 2026 10:00:00 GMT"),
        ("Signature-Input", lines[0]),
        ("Signature", lines[1]),
    )
    return Message("POST", "https://gw.example/ocm/shares?a=b", headers, b"{}")


def _read_signature(data: bytes) -> object:
    for profile in Profile:
        found = message.read_signature(_signed(data), profile)
        message.check_unkeyed(found, _signed(data), 1_764_000_000, 300, 60)
    return None


def _read_cavage(data: bytes) -> object:
    text = data.decode("latin-1")
    return cavage.read_signature(
        Message("POST", "https://gw.example/ocm/shares", (("Signature", text),), b"{}")
    )


def _rewrite(data: bytes) -> object:
    target = Target(
        base="http://s:8080/dav",
        root=("shared",),
        rel=(),
        mount=("remote", "id"),
        origin="https://gw.example",
        authorization="",
        scope="one",
        writable=True,
        label="Holiday",
    )
    rewriter = Multistatus(Plan(target, LockSeal(b"k" * 32), Requested(Asked.ALL), "1"))
    step = 1 + (len(data) % 97)
    for at in range(0, len(data), step):
        rewriter.feed(data[at : at + step])
    return rewriter.close()


def _unchunk(data: bytes) -> object:
    return Decoder().feed(data)


def _answer_head(data: bytes) -> object:
    found = head.parse(data, "GET")
    return for_client(CIMultiDict(found.headers))


def _token(text: str) -> object:
    return tokens.parse_claims(tokens.split(text)[1])


def _jwks(data: bytes) -> object:
    return keys.parse_jwks(wire.load_object(data))


_SHARE = {
    "shareWith": "marie@gw.example",
    "name": "trip",
    "providerId": "7c084226-d9a1-11e6-bf26-cec0c932ce01",
    "owner": "einstein@s.example",
    "sender": "einstein@s.example",
    "shareType": "user",
    "resourceType": "folder",
    "expiration": 1893456000,
    "protocol": {
        "name": "multi",
        "webdav": {
            "uri": "7c084226",
            "sharedSecret": "hfiuhworzwnur98d3wjiwhr",
            "permissions": ["read", "write"],
            "requirements": ["must-exchange-token"],
        },
    },
}
_DOCUMENT = {
    "enabled": True,
    "apiVersion": "1.3.0",
    "endPoint": "https://s.example/ocm",
    "provider": "S",
    "resourceTypes": [
        {"name": "file", "shareTypes": ["user"], "protocols": {"webdav": "/dav/", "ssh": ":22"}}
    ],
    "capabilities": ["exchange-token", "http-sig"],
    "criteria": ["http-request-signatures"],
    "tokenEndPoint": "https://s.example/ocm/token",
    "publicKey": {"keyId": "a", "publicKeyPem": "-----BEGIN PUBLIC KEY-----"},
}
_JWKS = {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "A" * 43, "use": "sig"}]}
_LISTING = (
    b'<?xml version="1.0"?><D:multistatus xmlns:D="DAV:"><D:response><D:href>/dav/shared/</D:href>'
    b"<D:propstat><D:prop><D:resourcetype><D:collection/></D:resourcetype></D:prop>"
    b"<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response><D:response>"
    b"<D:href>/dav/shared/a%20b.txt</D:href><D:propstat><D:prop><D:resourcetype/>"
    b'<D:getetag>"x"</D:getetag></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>'
    b"</D:response></D:multistatus>"
)
_SIGNATURE = (
    b'ocm=("@method" "@target-uri" "content-digest");created=1764000000;keyid="s.example#k";'
    b'alg="ed25519";nonce="x";tag="ocm"\n'
    b"ocm=:d2hhdGV2ZXI=:\nsha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:"
)
_FORM = b"grant_type=authorization_code&client_id=s.example&code=hfiuhworzwnur98d3wjiwhr"
_NOTE = {
    "notificationType": "SHARE_ACCEPTED",
    "resourceType": "file",
    "providerId": "a",
    "notification": {"sharedSecret": "x", "message": "m"},
}
_ACCEPTED = {
    "recipientProvider": "s.example",
    "token": "x" * 32,
    "userID": "einstein",
    "email": "e@s.example",
    "name": "Albert",
}
_INVITE = base64.b64encode(b"xyz-token@s.example")
_JWS = b".".join(
    base64.urlsafe_b64encode(part).rstrip(b"=")
    for part in (
        b'{"alg":"EdDSA","kid":"a"}',
        b'{"federation":"F","servers":[{"url":"https://s.example"}]}',
        b"s" * 64,
    )
)


_TOKEN = b".".join(
    base64.urlsafe_b64encode(part).rstrip(b"=")
    for part in (
        b'{"typ":"at+jwt","alg":"EdDSA","kid":"a"}',
        b'{"iss":"a","sub":"b","aud":"c","client_id":"d","jti":"e","iat":1,"exp":2,'
        b'"ocm_ip":{"providerId":"f","resourceType":"file"}}',
        b"s" * 64,
    )
)


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


PARSERS = (
    Parser("json", wire.load_object, (_json(_SHARE), _json(_DOCUMENT))),
    Parser("share", shares.parse, (_json(_SHARE),)),
    Parser("notification", notifications.parse, (_json(_NOTE),)),
    Parser("acceptance", invites.parse_acceptance, (_json(_ACCEPTED),)),
    Parser("invite", _text(invites.parse_invite), (_INVITE, b"https://s.example/wayf?token=a")),
    Parser(
        "token request",
        lambda data: tokens.parse_request("application/x-www-form-urlencoded", data),
        (_FORM,),
    ),
    Parser(
        "discovery",
        lambda data: discovery.parse(data, "https://s.example/.well-known/ocm"),
        (_json(_DOCUMENT),),
    ),
    Parser("jwks", _jwks, (_json(_JWKS),)),
    Parser("directory", lambda data: directory.parse_directory(data, ()), (_JWS,)),
    Parser("access token", _latin(_token), (_TOKEN,)),
    Parser("address", _text(parse_address), (b"marie@gw.example", b"a@b@xn--bcher-kva.example:1")),
    Parser("authority", _text(authority), (b"gw.example:8443", b"[::1]:80", "bücher".encode())),
    Parser("path", _latin(parse_target), (b"/a/b%20c/%C3%A9?x=y", b"http://gw/a", b"*")),
    Parser("signature", _read_signature, (_SIGNATURE,)),
    Parser(
        "cavage",
        _read_cavage,
        (b'keyId="s#k",algorithm="rsa-sha256",headers="(request-target) date",signature="eA=="',),
    ),
    Parser(
        "structured field",
        _latin(lambda text: parse_dictionary(text, Reason.MALFORMED)),
        (_SIGNATURE.split(b"\n", maxsplit=1)[0], b'a=1, b=?1;c=:eA==:, d=("x" 2.5);e, f=@1'),
    ),
    Parser(
        "digest", _latin(lambda text: check_digest(text, b"{}")), (_SIGNATURE.rpartition(b"\n")[2],)
    ),
    Parser("multistatus", _rewrite, (_LISTING,)),
    Parser(
        "propfind",
        documents.parse_propfind,
        (b'<propfind xmlns="DAV:"><prop><getetag/><a xmlns="x:"/></prop></propfind>',),
    ),
    Parser("if", _latin(conditions.parse), (b'<http://a/b> (<urn:uuid:1> ["x"]) (Not <a:b>)',)),
    Parser(
        "answer",
        _answer_head,
        (b'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nETag: "x"\r\nConnection: close\r\n\r\n',),
    ),
    Parser("chunks", _unchunk, (b"3\r\nabc\r\n0\r\nA: b\r\n\r\n",)),
)
