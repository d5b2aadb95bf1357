"""Basic credentials (RFC 7617), made and read in one place."""

import base64
import hmac
import secrets
from functools import lru_cache
from hashlib import sha256
from pathlib import Path


@lru_cache(1024)
def basic(user: str, password: str) -> str:
    """An Authorization header, in UTF-8."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def basic_pair(authorization: str) -> tuple[str, str]:
    """User and password of an Authorization header; two empty texts for any other scheme."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return name, password


def proves(given: str, password: str, file: Path | None) -> bool:
    """Whether that is the password that is written, or that stands in the file; in the same time
    whatever it is. An empty one, and a file that cannot be read, prove nothing."""
    try:
        expected = file.read_text(encoding="utf-8").strip() if file else password
    except (OSError, UnicodeDecodeError):
        expected = ""
    return hmac.compare_digest(_digest(given), _digest(expected or secrets.token_hex()))


def _digest(text: str) -> bytes:
    return sha256(text.encode()).digest()
