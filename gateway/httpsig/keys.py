"""Keys that sign and keys that verify (RFC 7517, RFC 8037), with RFC 9421's algorithm names.

We sign with Ed25519 alone and verify what the registry of RFC 9421 6.2 has, but never HMAC: a
secret that both sides know proves nothing to a third. A foreign key set is read entry by entry;
one broken key does not hide the others.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

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

NATIVE = {name: name for name in (ED25519, ECDSA_P256, ECDSA_P384, RSA_PSS, RSA_V15)} | {
    # JOSE's names: the alg of a JWK, and what Nextcloud may put into a signature.
    "EdDSA": ED25519,
    "Ed25519": ED25519,
    "ES256": ECDSA_P256,
    "ES384": ECDSA_P384,
    "PS512": RSA_PSS,
    "RS256": RSA_V15,
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
class SigningKey:
    """An Ed25519 key of ours. `kid` is its name in the key set and in every signature."""

    kid: str
    private: ed25519.Ed25519PrivateKey = field(repr=False)
    algorithm: str = ED25519

    @classmethod
    def from_seed(cls, kid: str, seed: bytes) -> Self:
        """The key that grows from 32 random bytes. Malformed for another length or an odd kid."""
        if len(seed) != 32:
            raise Malformed("the seed of an Ed25519 key has 32 bytes")
        if not re.fullmatch(r"[\x21-\x7e]{1,1024}", kid):
            raise Malformed("a kid is printable ASCII without blanks")
        return cls(kid, ed25519.Ed25519PrivateKey.from_private_bytes(seed))

    def sign(self, data: bytes) -> bytes:
        """The 64 bytes of the signature."""
        return self.private.sign(data)

    def public_jwk(self) -> dict[str, str]:
        """The public half as it stands in our key set (RFC 8037 2)."""
        raw = self.private.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw
        )
        x = base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
        return {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": x,
            "kid": self.kid,
            "use": "sig",
            "alg": "EdDSA",
        }

    def verification_key(self) -> "VerificationKey":
        """The public half, to verify with."""
        return VerificationKey(self.kid, (ED25519,), self.private.public_key())


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key and the algorithms it may be used with.

    More than one only for an RSA key whose JWK has no alg; then the signature must name it.
    """

    kid: str
    algorithms: tuple[str, ...]
    public: PublicKey = field(repr=False)

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
        return rsa.RSAPublicNumbers(e, n).public_key(), (RSA_PSS, RSA_V15)
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
    if algorithm == RSA_PSS:
        return hashes.SHA512()
    return hashes.SHA384() if algorithm == ECDSA_P384 else hashes.SHA256()
