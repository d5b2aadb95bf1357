"""A certificate authority for one test, and a certificate by it."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = datetime.timedelta(days=1)
_Key = ec.EllipticCurvePrivateKey


def certificate(folder: Path, address: str = "127.0.0.1") -> tuple[Path, Path]:
    """PEM files: the certificate of a new authority, and a server's certificate with its key."""
    ours, theirs = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = _certificate("A test's authority", ours, "A test's authority", ours, authority=True)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    leaf = _certificate("storage", theirs, "A test's authority", ours, names=names)
    trust, server = folder / "authority.pem", folder / "server.pem"
    trust.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    key = theirs.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    server.write_bytes(leaf.public_bytes(serialization.Encoding.PEM) + key)
    return trust, server


def _certificate(
    subject: str,
    key: _Key,
    issuer: str,
    signer: _Key,
    *,
    authority: bool = False,
    names: x509.SubjectAlternativeName | None = None,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    made = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(identifier, critical=False)
    )
    if names:
        made = made.add_extension(names, critical=False)
    return made.sign(signer, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
