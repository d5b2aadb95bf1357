"""Policy bundles: rules made in one place for many gateways, as a signed text (JWS, RFC 7515).

A bundle is believed for its signature by the pinned key and nothing else, so any web server may
serve it. Its version only grows: an old bundle, rightly signed, is not taken in place of a newer.
"""

from dataclasses import dataclass

from jwcrypto.common import JWException
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS

from gateway.errors import BadSignature, Malformed
from gateway.ocm import base64url, json
from gateway.ocm.directory import pin
from gateway.policy.language import MOST_BYTES, Document, read_data

TYPE = "ocm-policy+jws"
Key = str | dict[str, object]


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle says: `version` grows with each, `issued_at` is when it was made."""

    version: int
    issued_at: int
    document: Document


def sign(document: Document, version: int, issued_at: int, private: Key) -> str:
    """A bundle, signed. Raises Malformed for a key that cannot sign."""
    key = pin(private)
    payload = {
        "version": version,
        "issuedAt": issued_at,
        "policy": document.model_dump(mode="json", by_alias=True, exclude_defaults=True),
    }
    jws = JWS(json.dump(payload))
    jws.allowed_algs = [key.algorithm]
    protected = f'{{"alg":"{key.algorithm}","typ":"{TYPE}"}}'
    try:
        jws.add_signature(_private(private), protected=protected)
    except (JWException, ValueError, TypeError) as error:
        raise Malformed("the key cannot sign", detail=str(error)[:200]) from error
    return str(jws.serialize(compact=True))


def read(text: str, pinned: Key) -> Bundle:
    """What a signed bundle says.

    Raises BadSignature when it is not signed by the pinned key with its algorithm, Malformed and
    BadPolicy for what no bundle holds.
    """
    if len(text) > 2 * MOST_BYTES:
        raise Malformed("the bundle is too large")
    key = pin(pinned)
    jws = JWS()
    jws.allowed_algs = [key.algorithm]
    parts = text.strip().split(".")
    try:
        if len(parts) != 3:
            raise Malformed("the bundle is no compact JWS")
        header = json.load_object(base64url.decode(parts[0]))
        if header.get("typ") != TYPE or "crit" in header:
            raise Malformed("the bundle is no policy")
        jws.deserialize(text.strip())
        jws.verify(key.jwk)
    except (JWException, ValueError, TypeError) as error:
        raise BadSignature(
            "the bundle is not signed by the pinned key", reason="signature", detail=str(error)
        ) from error
    return _bundle(json.load_object(base64url.decode(parts[1]), 2 * MOST_BYTES))


def _bundle(payload: dict[str, object]) -> Bundle:
    version, issued_at, policy = (
        payload.get("version"),
        payload.get("issuedAt"),
        payload.get("policy"),
    )
    if type(version) is not int or type(issued_at) is not int or not isinstance(policy, dict):
        raise Malformed("the bundle lacks version, issuedAt or policy")
    return Bundle(version, issued_at, read_data(policy, "bundle"))


def _private(key: Key) -> JWK:
    if isinstance(key, str):
        return JWK.from_pem(key.encode())
    return JWK.from_json(json.dump(dict(key)).decode())
