"""The Code Flow on the wire (draft 03, 9): token request, response, access tokens.

OCM calls the access token opaque. Ours are JWTs (RFC 9068), so that a Protocol Server can verify
them alone: the Share stands in the claim `ocm_ip`, as in the self-contained mode of the
Integration Protocol. Signing is left to whoever holds the key: `signing_input`, sign, `assemble`.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode

from gateway.errors import InvalidClient, InvalidRequest, Malformed, UnsupportedGrantType
from gateway.model import Authority
from gateway.ocm import base64url, json
from gateway.ocm.address import authority
from gateway.ocm.legacy import address

GRANT_TYPE = "authorization_code"
_OLDER_GRANT_TYPES = (GRANT_TYPE, "ocm_share", "ocm_authorization_code")
"""Reva's, and that of the API text before draft 03."""
FORM = "application/x-www-form-urlencoded"
DEFAULT_LIFETIME_SECONDS = 300
"""Assumed when a server does not say how long its token lives (RFC 6749 5.1)."""

_LARGEST_REQUEST = 16_384
_LONGEST_TOKEN = 8192
_LONGEST_LIFETIME = 10 * 365 * 86_400
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_TYPE = "at+jwt"
_ALGORITHMS = frozenset({"EdDSA", "ES256"})
"""What our own keys sign with; nothing else is read."""
_TEXT_CLAIMS = ("iss", "sub", "aud", "client_id", "jti")


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A Receiving Server (`client_id`, "" where it may go unnamed) exchanges the shared secret of a
    Share (`code`)."""

    client_id: Authority
    code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenResponse:
    """An access token and its lifetime in seconds."""

    access_token: str = field(repr=False)
    expires_in: int
    token_type: str = "Bearer"  # noqa: S105 - a kind, no secret


@dataclass(frozen=True, slots=True)
class AccessToken:
    """The claims of one of our access tokens (RFC 9068 2.2); times in seconds.

    iss: our origin. sub: identifier of the owner. aud: address of the recipient. client_id: the
    Receiving Server. jti: unguessable and unique. The Share: `provider_id`, `resource_type`.
    """

    iss: str
    sub: str
    aud: str
    client_id: str
    iat: int
    exp: int
    jti: str
    provider_id: str
    resource_type: str


def parse_request(content_type: str, body: bytes, *, lenient: bool = False) -> TokenRequest:
    """Read a token request (RFC 6749 3.2, 4.1.3).

    `lenient` is for servers that never sign: JSON is taken too, older grant types, a client_id
    with a scheme, and none ("" then). Raises InvalidRequest (no form; a parameter missing, empty or
    repeated), UnsupportedGrantType, InvalidClient (client_id is no server). Unknown parameters are
    ignored.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind != FORM and not (lenient and kind == "application/json"):
        raise InvalidRequest("the token endpoint takes a form")
    parameters = _parse_form(body) if kind == FORM else _parse_json(body)
    needed = ("grant_type", "code") if lenient else ("grant_type", "client_id", "code")
    missing = [name for name in needed if not parameters.get(name)]
    if missing:
        raise InvalidRequest(f"missing: {', '.join(missing)}")
    if parameters["grant_type"] not in (_OLDER_GRANT_TYPES if lenient else (GRANT_TYPE,)):
        raise UnsupportedGrantType(f"the grant type is {GRANT_TYPE}")
    written = parameters.get("client_id", "")
    if lenient:
        written = address(f"client@{written}").removeprefix("client@")
    try:
        client_id = authority(written) if written or not lenient else Authority("")
    except Malformed as error:
        raise InvalidClient("client_id is not the name of a server") from error
    return TokenRequest(client_id, parameters["code"])


def encode_request(request: TokenRequest) -> bytes:
    """The form to send."""
    return urlencode(
        {"grant_type": GRANT_TYPE, "client_id": request.client_id, "code": request.code}
    ).encode("ascii")


def parse_response(body: bytes) -> TokenResponse:
    """Read the answer of a token endpoint. Raises Malformed."""
    members = json.load_object(body)
    token, kind = members.get("access_token"), members.get("token_type")
    if not isinstance(token, str) or len(token) > _LONGEST_TOKEN or not _PRINTABLE.fullmatch(token):
        raise Malformed("the token response has no usable access_token")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise Malformed("the token is not a bearer token")
    lifetime = members.get("expires_in")
    if lifetime is None:
        lifetime = DEFAULT_LIFETIME_SECONDS
    if type(lifetime) is not int or lifetime <= 0:
        raise Malformed("expires_in is not a number of seconds")
    return TokenResponse(token, min(lifetime, _LONGEST_LIFETIME))


def encode_response(response: TokenResponse) -> bytes:
    """The body of a 200."""
    return json.dump(
        {
            "access_token": response.access_token,
            "token_type": response.token_type,
            "expires_in": response.expires_in,
        }
    )


def signing_input(claims: AccessToken, kid: str, alg: str = "EdDSA") -> bytes:
    """What the key named `kid` is to sign, with the algorithm `alg` of RFC 7518 or RFC 8037."""
    header = {"typ": _TYPE, "alg": alg, "kid": kid}
    payload: dict[str, object] = {
        name: getattr(claims, name) for name in (*_TEXT_CLAIMS, "iat", "exp")
    }
    payload["ocm_ip"] = {"providerId": claims.provider_id, "resourceType": claims.resource_type}
    parts = (json.dump({**header}), json.dump(payload))
    return ".".join(base64url.encode(part) for part in parts).encode("ascii")


def assemble(signed: bytes, signature: bytes) -> str:
    """The token, from the signing input and the signature over it."""
    return f"{signed.decode('ascii')}.{base64url.encode(signature)}"


def split(token: str) -> tuple[str, bytes, bytes]:
    """The kid, the signing input and the signature of a token that claims to be ours.

    Raises Malformed for anything but a JWT as we make them. Proves nothing.
    """
    parts = token.split(".") if len(token) <= _LONGEST_TOKEN and token.isascii() else []
    if len(parts) != 3:
        raise Malformed("not an access token")
    header = json.load_object(base64url.decode(parts[0]))
    kid = header.pop("kid", None)
    alg = header.pop("alg", None)
    if header != {"typ": _TYPE} or alg not in _ALGORITHMS or not isinstance(kid, str):
        raise Malformed("not an access token of ours")
    return kid, f"{parts[0]}.{parts[1]}".encode("ascii"), base64url.decode(parts[2])


def parse_claims(signed: bytes) -> AccessToken:
    """The claims in a signing input whose signature has been verified. Raises Malformed."""
    payload = json.load_object(base64url.decode(signed.decode("ascii").partition(".")[2]))
    share = payload.get("ocm_ip")
    share = share if isinstance(share, dict) else {}
    return AccessToken(
        iss=_text(payload, "iss"),
        sub=_text(payload, "sub"),
        aud=_text(payload, "aud"),
        client_id=_text(payload, "client_id"),
        iat=_seconds(payload, "iat"),
        exp=_seconds(payload, "exp"),
        jti=_text(payload, "jti"),
        provider_id=_text(share, "providerId"),
        resource_type=_text(share, "resourceType"),
    )


def _parse_json(body: bytes) -> dict[str, str]:
    try:
        members = json.load_object(body, _LARGEST_REQUEST)
    except Malformed as error:
        raise InvalidRequest(error.message) from error
    return {name: value for name, value in members.items() if isinstance(value, str)}


def _parse_form(body: bytes) -> dict[str, str]:
    if len(body) > _LARGEST_REQUEST:
        raise InvalidRequest("the token request is too large")
    try:
        pairs = parse_qsl(
            body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=50
        )
    except ValueError as error:
        raise InvalidRequest("the form cannot be read") from error
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise InvalidRequest("a parameter stands twice")
    return parameters


def _text(members: dict[str, object], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str):
        raise Malformed("the access token lacks a claim", detail=name)
    return value


def _seconds(members: dict[str, object], name: str) -> int:
    value = members.get(name)
    if type(value) is not int:
        raise Malformed("the access token lacks a claim", detail=name)
    return value
