"""Keys that verify (RFC 7517, RFC 8037), with RFC 9421's algorithm names.

We verify what the registry of RFC 9421 6.2 has, but never HMAC: a secret that both sides know
proves nothing to a third. A foreign key set is read entry by entry; one broken key does not hide
the others. What signs is in `signing.py`.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from gateway.errors import Malformed
from gateway.httpsig.reasons import Reason, bad

ED25519 = "ed25519"
ECDSA_P256 = "ecdsa-p256-sha256"
ECDSA_P384 = "ecdsa-p384-sha384"
RSA_PSS = "rsa-pss-sha512"
RSA_V15 = "rsa-v1_5-sha256"
# Not in the registry; opencloudmesh-go names them so, and draft-cavage's rsa-sha512 is the last.
RSA_V15_384 = "rsa-v1_5-sha384"
RSA_V15_512 = "rsa-v1_5-sha512"

_OF_RSA = (RSA_PSS, RSA_V15, RSA_V15_384, RSA_V15_512)

NATIVE = {name: name for name in (ED25519, ECDSA_P256, ECDSA_P384, *_OF_RSA)} | {
    # JOSE's names: the alg of a JWK, and what Nextcloud may put into a signature.
    "EdDSA": ED25519,
    "Ed25519": ED25519,
    "ES256": ECDSA_P256,
    "ES384": ECDSA_P384,
    "PS512": RSA_PSS,
    "RS256": RSA_V15,
    "RS384": RSA_V15_384,
    "RS512": RSA_V15_512,
    # Draft 03, 9.1 prints this unregistered name. Accepted, never emitted.
    "rsa-sha256": RSA_V15,
}
"""Every spelling of an algorithm that we accept, with the registered one."""

MOST_KEYS = 50
_LONGEST_KID = 1024
_RSA_BITS = range(2048, 8193)
_CURVES: dict[str, tuple[ec.EllipticCurve, str, int]] = {
    "P-256": (ec.SECP256R1(), ECDSA_P256, 32),
    "P-384": (ec.SECP384R1(), ECDSA_P384, 48),
}

PublicKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key and the algorithms it may be used with.

    More than one only for an RSA key whose JWK has no alg; then the signature must name it.
    """

    kid: str
    algorithms: tuple[str, ...]
    public: PublicKey = field(repr=False)

    @property
    def thumbprint(self) -> str:
        """What the key is known by, whatever it is called: RFC 7638, SHA-256, in base64url."""
        canonical = json.dumps(public_members(self.public), sort_keys=True, separators=(",", ":"))
        return encode_octets(hashlib.sha256(canonical.encode("ascii")).digest())

    def verify(self, data: bytes, signature: bytes, algorithm: str | None = None) -> None:
        """Return if this key made that signature over that data.

        `algorithm` in any spelling of `NATIVE`; None takes the key's only one. Raises
        BadSignature: algorithm when they do not agree, signature when it does not verify.
        """
        chosen = self._algorithm(algorithm)
        try:
            _verify(self.public, chosen, data, signature)
        except (InvalidSignature, ValueError) as error:
            raise bad(Reason.SIGNATURE, "the signature does not verify", chosen) from error

    def _algorithm(self, name: str | None) -> str:
        if name is None and len(self.algorithms) == 1:
            return self.algorithms[0]
        native = NATIVE.get(name or "")
        if native not in self.algorithms:
            raise bad(Reason.ALGORITHM, "the algorithm does not go with the key", repr(name))
        return native


def parse_jwks(data: object) -> tuple[VerificationKey, ...]:
    """The usable keys of a parsed JWK Set, in order (RFC 7517 5).

    Entries that are unknown, broken, symmetric, weak or not for signatures are left out; two
    with one kid both stay. Raises Malformed when it is no set, or has over MOST_KEYS entries.
    """
    entries = data.get("keys") if isinstance(data, dict) else None
    if not isinstance(entries, list):
        raise Malformed("a JWK Set is an object with an array of keys")
    if len(entries) > MOST_KEYS:
        raise Malformed("the JWK Set has too many keys")
    keys = (_parse_jwk(entry) for entry in entries if isinstance(entry, dict))
    return tuple(key for key in keys if key is not None)


def parse_pem(kid: str, text: str) -> VerificationKey:
    """The RSA key that an older server publishes as PEM, for draft-cavage: PKCS#1 v1.5 alone.

    Raises Malformed for anything else.
    """
    try:
        public = serialization.load_pem_public_key(text.encode("ascii"))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Malformed("publicKeyPem is not a public key") from error
    if not isinstance(public, rsa.RSAPublicKey) or public.key_size not in _RSA_BITS:
        raise Malformed("publicKeyPem is not an RSA key of 2048 to 8192 bits")
    return VerificationKey(kid, (RSA_V15_512, RSA_V15), public)


def encode_octets(octets: bytes) -> str:
    """Bytes as a JWK has them: base64url without padding (RFC 7515 2)."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def public_members(public: PublicKey) -> dict[str, str]:
    """The members of a JWK that make up the key (RFC 7638 3.2)."""
    if isinstance(public, ed25519.Ed25519PublicKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": encode_octets(public.public_bytes_raw())}
    if isinstance(public, ec.EllipticCurvePublicKey):
        at, size = public.public_numbers(), public.key_size // 8
        x, y = at.x.to_bytes(size, "big"), at.y.to_bytes(size, "big")
        curve = f"P-{public.key_size}"
        return {"kty": "EC", "crv": curve, "x": encode_octets(x), "y": encode_octets(y)}
    numbers = public.public_numbers()
    n, e = (
        number.to_bytes((number.bit_length() + 7) // 8, "big") for number in (numbers.n, numbers.e)
    )
    return {"kty": "RSA", "n": encode_octets(n), "e": encode_octets(e)}


def _parse_jwk(entry: Mapping[str, object]) -> VerificationKey | None:
    """One key, or None when it is not one that we can use."""
    kid = entry.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= _LONGEST_KID or not _for_signatures(entry):
        return None
    try:
        public, fitting = _load(entry)
    except (ValueError, UnsupportedAlgorithm):
        return None
    if "alg" in entry:
        alg = entry["alg"]
        named = NATIVE.get(alg) if isinstance(alg, str) else None
        fitting = tuple(name for name in fitting if name == named)
    return VerificationKey(kid, fitting, public) if fitting else None


def _for_signatures(entry: Mapping[str, object]) -> bool:
    operations = entry.get("key_ops", ["verify"])
    verifies = isinstance(operations, list) and "verify" in operations
    return entry.get("use", "sig") == "sig" and verifies


def _load(entry: Mapping[str, object]) -> tuple[PublicKey, tuple[str, ...]]:
    """The key and the algorithms that go with its kind; ValueError for any other."""
    kind, curve = entry.get("kty"), entry.get("crv")
    if kind == "OKP" and curve == "Ed25519":
        x = _octets(entry, "x")
        return ed25519.Ed25519PublicKey.from_public_bytes(x), (ED25519,)
    if kind == "EC" and isinstance(curve, str) and curve in _CURVES:
        group, algorithm, size = _CURVES[curve]
        x, y = _octets(entry, "x"), _octets(entry, "y")
        if len(x) != size or len(y) != size:
            raise ValueError("a coordinate has the wrong length")
        return ec.EllipticCurvePublicKey.from_encoded_point(group, b"\x04" + x + y), (algorithm,)
    if kind == "RSA":
        n, e = (int.from_bytes(_octets(entry, name)) for name in ("n", "e"))
        if n.bit_length() not in _RSA_BITS or e.bit_length() > 32:
            raise ValueError("the RSA key is too weak or too large")
        return rsa.RSAPublicNumbers(e, n).public_key(), _OF_RSA
    raise ValueError("the kind of key is unknown")


def _octets(entry: Mapping[str, object], name: str) -> bytes:
    """A base64url member as bytes; ValueError when it is not one (RFC 7515 2)."""
    text = entry.get(name)
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,2048}", text):
        raise ValueError(f"{name} is not base64url")
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError(f"{name} is not base64url") from error


def _verify(public: PublicKey, algorithm: str, data: bytes, signature: bytes) -> None:
    """Raise InvalidSignature or ValueError unless it verifies (RFC 9421 3.3)."""
    if isinstance(public, ed25519.Ed25519PublicKey):
        public.verify(signature, data)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        public.verify(_der(signature, public.key_size // 8), data, ec.ECDSA(_hash(algorithm)))
    else:
        public.verify(signature, data, _padding(algorithm), _hash(algorithm))


def _der(signature: bytes, size: int) -> bytes:
    # RFC 9421 3.3.4: r and s concatenated, each of the curve's size. DER is not accepted.
    if len(signature) != 2 * size:
        raise ValueError("the ECDSA signature has the wrong length")
    return encode_dss_signature(int.from_bytes(signature[:size]), int.from_bytes(signature[size:]))


def _padding(algorithm: str) -> padding.AsymmetricPadding:
    if algorithm == RSA_PSS:
        return padding.PSS(padding.MGF1(hashes.SHA512()), salt_length=64)
    return padding.PKCS1v15()


def _hash(algorithm: str) -> hashes.HashAlgorithm:
    if algorithm in (RSA_PSS, RSA_V15_512):
        return hashes.SHA512()
    return hashes.SHA384() if algorithm in (ECDSA_P384, RSA_V15_384) else hashes.SHA256()
