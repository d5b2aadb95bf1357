"""Content-Digest (RFC 9530): what the body is, in a header that a signature can cover.

A Dictionary of byte sequences. Every algorithm we know must match the body, at least one must be
there, others are ignored. The older Digest field (RFC 3230) protects nothing here.
"""

import hashlib
import hmac

import http_sf

from gateway.httpsig.fields import parse_dictionary
from gateway.httpsig.reasons import Reason, bad

_KNOWN = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}  # RFC 9530 5: the active ones


def content_digest(body: bytes) -> str:
    """The value of Content-Digest for this body, by SHA-256."""
    return http_sf.ser({"sha-256": hashlib.sha256(body).digest()})


def check_digest(header_value: str, body: bytes) -> None:
    """Compare a Content-Digest with the body as it was transferred.

    Raises BadSignature (digest) when it cannot be read, names no algorithm we know, names one
    twice, or one that we know differs.
    """
    digests = parse_dictionary(header_value, Reason.DIGEST)
    known = [name for name in digests if name in _KNOWN]
    if not known:
        raise bad(Reason.DIGEST, "Content-Digest names neither sha-256 nor sha-512")
    for name in known:
        claimed, _ = digests[name]
        if not isinstance(claimed, bytes):
            raise bad(Reason.DIGEST, f"the {name} in Content-Digest is not a byte sequence")
        if not hmac.compare_digest(claimed, _KNOWN[name](body).digest()):
            raise bad(Reason.DIGEST, "Content-Digest does not match the body", name)
