"""The errors of this library; the text of each is a sentence for a person."""

from __future__ import annotations

# The server did not accept the request: a retry can do no harm.
NOT_ACCEPTED = frozenset({429, 503})
# Something between this client and the server failed: the request may have been accepted.
UNKNOWN_OUTCOME = frozenset({408, 502, 504})


class ImagefleetError(Exception):
    """Base class. `detail` is the error text; the other attributes are None if the server did not send them.

    `code` is the API's (ERR_…), `status` the HTTP status, `retry_after_s` how many seconds to wait before a retry.
    """

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        status: int | None = None,
        correlation_id: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.status = status
        self.correlation_id = correlation_id
        self.retry_after_s = retry_after_s

    @property
    def says_when(self) -> bool:
        """True if the server did not accept the request and said when to send it again."""
        return self.status in NOT_ACCEPTED and self.retry_after_s is not None

    def is_transient(self, *, idempotent: bool) -> bool:
        """True if a retry may help and cannot make the server do the same thing twice."""
        return self.status in NOT_ACCEPTED or (idempotent and self.status in UNKNOWN_OUTCOME)


class Refused(ImagefleetError):
    """The server refused the request."""


class BadAnswer(ImagefleetError):
    """The response does not follow the API."""


class Unreachable(ImagefleetError):
    """No connection could be opened: the server certainly has not seen the request."""

    def is_transient(self, *, idempotent: bool) -> bool:
        """Always: nothing was sent."""
        return True


class UnknownHost(Unreachable):
    """The server's host name cannot be looked up. It may be wrong, or this machine has no network for a moment."""


class TlsFailed(Unreachable):
    """The server does not answer with TLS, or its certificate is not trusted."""

    def is_transient(self, *, idempotent: bool) -> bool:
        """Never: the address or the certificate has to be changed first."""
        return False


class ConnectionLost(Unreachable):
    """The connection broke before the response arrived: the server may or may not have acted on the request."""

    def is_transient(self, *, idempotent: bool) -> bool:
        """Only if the request is idempotent."""
        return idempotent


class TimedOut(ImagefleetError):
    """The timeout of the caller is over; the request itself continues."""
