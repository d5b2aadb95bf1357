"""Secrets at rest: encrypted with a key file that is made at the first start.

AES-256-GCM, the place a secret belongs to as associated data, so that a sealed value moved to
another row does not open. What must be looked up by its secret is kept as a keyed hash.
"""

import base64
import hmac
import os
import secrets
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import Unavailable

_NONCE_BYTES = 12


class Vault:
    """Seals and opens secrets; one key, one purpose each.

    `key` is 32 bytes. Raises Unavailable when a sealed value does not open, which means that the
    key file does not belong to the database.
    """

    def __init__(self, key: bytes) -> None:
        self._sealing = AESGCM(_derive(key, "seal"))
        self._fingerprinting = _derive(key, "fingerprint")
        self.lock_key = _derive(key, "lock tokens")

    def seal(self, secret: str | bytes, place: str) -> str:
        """The secret as text that only this vault opens, and only for the same `place`."""
        plain = secret.encode() if isinstance(secret, str) else secret
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._sealing.encrypt(nonce, plain, place.encode())
        return base64.b64encode(sealed).decode()

    def open_bytes(self, sealed: str, place: str) -> bytes:
        """What was sealed."""
        raw = base64.b64decode(sealed)
        try:
            return self._sealing.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], place.encode())
        except InvalidTag as error:
            raise Unavailable(
                "the key file does not belong to this database", detail=f"cannot open {place}"
            ) from error

    def open(self, sealed: str, place: str) -> str:
        """What was sealed, as text."""
        return self.open_bytes(sealed, place).decode()

    def fingerprint(self, secret: str) -> str:
        """A keyed hash to look a secret up by."""
        return hmac.new(self._fingerprinting, secret.encode(), sha256).hexdigest()


def _derive(key: bytes, purpose: str) -> bytes:
    return hmac.new(key, f"ocm-gateway {purpose}".encode(), sha256).digest()


def open_vault(path: Path, *, fresh: bool) -> Vault:
    """The vault of a key file. A missing file is made (mode 0600) when the state is `fresh`.

    Raises Unavailable when it is missing although there is a database: a new key would make every
    secret in it unreadable.
    """
    if not path.exists():
        if not fresh:
            raise Unavailable(
                f"the key file {path} is missing and the database needs it; restore both together"
            )
        _make(path)
    try:
        key = base64.b64decode(path.read_text(encoding="ascii").strip(), validate=True)
    except (OSError, ValueError) as error:
        raise Unavailable(f"the key file {path} cannot be read", detail=str(error)) from error
    if len(key) != 32:
        raise Unavailable(f"the key file {path} does not hold 32 bytes in base64")
    return Vault(key)


def _make(path: Path) -> None:
    """Write a new key under another name and link it: of two that start at once, one wins."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(base64.b64encode(secrets.token_bytes(32)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
