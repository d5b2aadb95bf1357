"""Everything that can go wrong, sorted by whose fault it is.

    GatewayError
      Malformed 400 . Unsigned 401 . BadSignature 401 . Unauthorized 401        the caller's
      Refused 403 . NeedsMfa 403 . NotFound 404 . WrongMethod 405 . Conflict 409
      TooLarge 413 . TooMany 429 . Unsupported 501
      InvalidRequest . InvalidClient . InvalidGrant . UnauthorizedClient
      UnsupportedGrantType                            400, the token endpoint's
      ProviderFailed 502 . ProviderRefused 502 . ProviderTimeout 504            the other server's
      BackendFailed 502 . CredentialRefused 502                                 our storage's
      BackendUnavailable 503 . BackendTimeout 504
      Unavailable 503 . NoRoom 507                                              ours

An error says what happened in words for the person who gets it, and carries the status it
usually has. The face renders it; nothing below `web/` builds a response. `detail` is for the
log and the operator and never leaves the house.
"""


class GatewayError(Exception):
    """Something went wrong that we can name.

    `message` is for the caller, `detail` for the operator, `code` is stable and machine-readable.
    `decision` is the id under which the operator finds why policy said no.
    """

    status = 500
    code = "INTERNAL"
    decision = ""

    def __init__(self, message: str, *, detail: str = "", retry_after: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.retry_after = retry_after

    @property
    def explanation(self) -> str:
        """The message with the operator's detail behind it, for logs and the command line."""
        return f"{self.message} ({self.detail})" if self.detail else self.message


class Malformed(GatewayError):
    """The request cannot be understood. `fields` names the members at fault."""

    status = 400
    code = "MALFORMED"

    def __init__(
        self, message: str, *, fields: tuple[tuple[str, str], ...] = (), detail: str = ""
    ) -> None:
        super().__init__(message, detail=detail)
        self.fields = fields


class Unsigned(GatewayError):
    """A signature is required and there is none."""

    status = 401
    code = "UNSIGNED"


class BadSignature(GatewayError):
    """There is a signature and it does not hold. `reason` is one of a fixed few, for metrics."""

    status = 401
    code = "BAD_SIGNATURE"

    def __init__(self, message: str, *, reason: str, detail: str = "") -> None:
        super().__init__(message, detail=detail)
        self.reason = reason


class Unauthorized(GatewayError):
    """The caller did not prove who it is (WebDAV, pages). `challenges` go to WWW-Authenticate."""

    status = 401
    code = "UNAUTHORIZED"

    def __init__(self, message: str, *, challenges: tuple[str, ...], detail: str = "") -> None:
        super().__init__(message, detail=detail)
        self.challenges = challenges


class Refused(GatewayError):
    """We understood, and say no."""

    status = 403
    code = "NOT_ALLOWED"


class NeedsMfa(Refused):
    """Only for somebody whose log-in proved more than one factor."""

    code = "MFA_REQUIRED"


class NotFound(GatewayError):
    """There is no such thing, or none for this caller."""

    status = 404
    code = "NOT_FOUND"


class WrongMethod(GatewayError):
    """The resource exists and does not do that. `allow` lists what it does."""

    status = 405
    code = "METHOD_NOT_ALLOWED"

    def __init__(self, message: str, *, allow: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allow = allow


class Conflict(GatewayError):
    """It contradicts what is already there."""

    status = 409
    code = "CONFLICT"


class TooLarge(GatewayError):
    """More bytes than we take."""

    status = 413
    code = "TOO_LARGE"


class TooMany(GatewayError):
    """More requests than we take; `retry_after` says when again."""

    status = 429
    code = "TOO_MANY_REQUESTS"


class Unsupported(GatewayError):
    """Well formed, and not something this server does."""

    status = 501
    code = "UNSUPPORTED"


class InvalidRequest(GatewayError):
    """RFC 6749 5.2: a parameter is missing, repeated or malformed."""

    status = 400
    code = "invalid_request"


class InvalidClient(GatewayError):
    """RFC 6749 5.2: the client did not prove who it is."""

    status = 400
    code = "invalid_client"


class InvalidGrant(GatewayError):
    """RFC 6749 5.2: the code is unknown, expired, revoked or another client's."""

    status = 400
    code = "invalid_grant"


class UnauthorizedClient(GatewayError):
    """RFC 6749 5.2: the client may not do this."""

    status = 400
    code = "unauthorized_client"


class UnsupportedGrantType(GatewayError):
    """RFC 6749 5.2: the grant type is not authorization_code."""

    status = 400
    code = "unsupported_grant_type"


class ProviderFailed(GatewayError):
    """Another OCM Server did not answer as it should. Trying again may help."""

    status = 502
    code = "PROVIDER_FAILED"


class ProviderRefused(GatewayError):
    """Another OCM Server understood and said no. Trying again does not help.

    `answered` is its status, 0 when it never came to a request.
    """

    status = 502
    code = "PROVIDER_REFUSED"

    def __init__(self, message: str, *, answered: int = 0, detail: str = "") -> None:
        super().__init__(message, detail=detail)
        self.answered = answered


class ProviderTimeout(ProviderFailed):
    """Another OCM Server took too long."""

    status = 504
    code = "PROVIDER_TIMEOUT"


class BackendFailed(GatewayError):
    """Our storage answered with something that must not be passed on."""

    status = 502
    code = "BACKEND_FAILED"


class CredentialRefused(BackendFailed):
    """The storage at the other end of a Target does not take the credential we showed it."""

    code = "CREDENTIAL_REFUSED"


class BackendUnavailable(GatewayError):
    """Our storage cannot be reached; receivers must not take that for an answer about a share."""

    status = 503
    code = "BACKEND_UNAVAILABLE"


class BackendTimeout(GatewayError):
    """Our storage took too long."""

    status = 504
    code = "BACKEND_TIMEOUT"


class Unavailable(GatewayError):
    """We cannot do this now."""

    status = 503
    code = "UNAVAILABLE"


class NoRoom(GatewayError):
    """There is no room on our disk for what has to be kept there for a while."""

    status = 507
    code = "NO_ROOM"
