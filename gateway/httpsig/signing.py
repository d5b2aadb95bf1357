"""Our own keys: Ed25519 or ECDSA P-256 for RFC 9421 and for access tokens, RSA for draft-cavage."""

import re
from dataclasses import dataclass, field
from typing import Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from gateway.errors import Malformed
from gateway.httpsig.keys import (
    ECDSA_P256,
    ED25519,
    RSA_V15,
    RSA_V15_512,
    VerificationKey,
    public_members,
)

JOSE = {ED25519: "EdDSA", ECDSA_P256: "ES256"}
"""What signs after RFC 9421 and goes into the key set, with the names of RFC 7518."""

_RSA_BITS = 2048  # Nextcloud's size; each signature carries as much
_EXPONENT = 65537

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key of ours. `kid` is its name in every signature; `algorithm` one of RFC 9421's names."""

    kid: str
    private: PrivateKey = field(repr=False)
    algorithm: str = ED25519

    @classmethod
    def from_seed(cls, kid: str, seed: bytes) -> Self:
        """The Ed25519 key that grows from 32 random bytes.

        Malformed for another length or an odd kid.
        """
        if len(seed) != 32:
            raise Malformed("the seed of an Ed25519 key has 32 bytes")
        return cls(_kid(kid), ed25519.Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def generate(cls, kid: str, algorithm: str) -> Self:
        """A new key. Takes some 50 ms for RSA. Malformed for an algorithm that we do not use."""
        if algorithm == ED25519:
            return cls(_kid(kid), ed25519.Ed25519PrivateKey.generate(), algorithm)
        if algorithm == ECDSA_P256:
            return cls(_kid(kid), ec.generate_private_key(ec.SECP256R1()), algorithm)
        if algorithm == RSA_V15_512:
            return cls(_kid(kid), rsa.generate_private_key(_EXPONENT, _RSA_BITS), algorithm)
        raise Malformed(f"{algorithm} is not an algorithm of our keys")

    @classmethod
    def load(cls, kid: str, algorithm: str, octets: bytes) -> Self:
        """The key that `private_bytes` gave away. Malformed for anything else."""
        if algorithm == ED25519:
            return cls.from_seed(kid, octets)
        private = serialization.load_der_private_key(octets, None)
        if not isinstance(private, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise Malformed("the key is of a kind that we do not use")
        return cls(_kid(kid), private, algorithm)

    @classmethod
    def from_pem(cls, kid: str, text: bytes) -> Self:
        """The key of a PEM file without a passphrase: Ed25519, ECDSA P-256, or RSA of at least
        2048 bits. Malformed for anything else."""
        try:
            private = serialization.load_pem_private_key(text, None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise Malformed("this is no private key in PEM without a passphrase") from error
        if isinstance(private, ed25519.Ed25519PrivateKey):
            return cls(_kid(kid), private, ED25519)
        if isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.name == "secp256r1":
            return cls(_kid(kid), private, ECDSA_P256)
        if isinstance(private, rsa.RSAPrivateKey) and private.key_size >= _RSA_BITS:
            return cls(_kid(kid), private, RSA_V15_512)
        raise Malformed("a key is Ed25519, ECDSA P-256, or RSA of at least 2048 bits")

    def private_bytes(self) -> bytes:
        """The private half, to be sealed: the seed of Ed25519, else PKCS #8."""
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            return self.private.private_bytes_raw()
        return self.private.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    def sign(self, data: bytes) -> bytes:
        """The bytes of the signature, as RFC 9421 3.3 has them for this kind of key."""
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            return self.private.sign(data)
        if isinstance(self.private, rsa.RSAPrivateKey):
            return self.private.sign(data, padding.PKCS1v15(), hashes.SHA512())
        r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def public_jwk(self) -> dict[str, str]:
        """The public half as it stands in our key set (RFC 7517 4, RFC 8037 2)."""
        members = {"kid": self.kid, "use": "sig"}
        if self.algorithm in JOSE:
            members["alg"] = JOSE[self.algorithm]
        return public_members(self.private.public_key()) | members

    def public_pem(self) -> str:
        """The public half as older servers read it."""
        return (
            self.private.public_key()
            .public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            .decode("ascii")
        )

    def verification_key(self) -> VerificationKey:
        """The public half, to verify with."""
        algorithms = (RSA_V15_512, RSA_V15) if self.algorithm == RSA_V15_512 else (self.algorithm,)
        return VerificationKey(self.kid, algorithms, self.private.public_key())


def _kid(kid: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]{1,1024}", kid):
        raise Malformed("a kid is printable ASCII without blanks")
    return kid
