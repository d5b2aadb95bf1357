"""URLs that other servers publish: absolute http(s), without userinfo, query or fragment."""

import re
from urllib.parse import urlsplit

from gateway.errors import Malformed
from gateway.model import Authority
from gateway.ocm.address import authority

LONGEST = 2048
_CHARACTERS = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")


def absolute(text: str, *, with_query: bool = False) -> str:
    """The URL unchanged. Raises Malformed unless it is absolute, http or https, with a host."""
    if len(text) > LONGEST or not _CHARACTERS.fullmatch(text):
        raise Malformed("not a URL")
    if "#" in text or (not with_query and "?" in text):
        raise Malformed("a URL with a query or a fragment")
    authority_of(text)
    return text


def authority_of(url: str) -> Authority:
    """The server that an absolute http(s) URL names. Raises Malformed, also for userinfo."""
    try:
        parts = urlsplit(url)
        scheme, netloc = parts.scheme, parts.netloc
    except ValueError as error:
        raise Malformed("not a URL") from error
    if scheme not in {"http", "https"}:
        raise Malformed("not an absolute http(s) URL")
    # An Authority leaves out the port of https alone, so that of http has to be said.
    has_port = re.search(r":[0-9]*$", netloc)
    return authority(netloc if scheme == "https" or has_port else f"{netloc}:80")
