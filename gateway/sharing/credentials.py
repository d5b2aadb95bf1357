"""Basic credentials (RFC 7617), made and read in one place."""

import base64
from functools import lru_cache


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
