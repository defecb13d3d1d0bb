"""The errors of this library; the text of each is a sentence for a person.

A refusal of the server has a class by its error code (`error_of`), or else by its HTTP status:

    ImagefleetError
    ├── Refused                 the server refused the request; `code` says why
    │   ├── InvalidRequest      something in it is wrong; `errors` are those of a batch's items
    │   ├── Unauthorized        no key, or a wrong one
    │   ├── Forbidden           the key may not do this
    │   ├── NotFound            there is no such request, batch, style, …
    │   │   └── NotCached       `cache="only"`, and no identical request is completed
    │   ├── Gone                it was there; its pictures were removed
    │   ├── Conflict            its state does not allow it
    │   │   └── AlreadyFinished
    │   ├── IdempotencyKeyReused  with this key another request was sent before
    │   ├── RateLimited         too many requests; `retry_after_s` says when to come back
    │   │   └── QuotaExceeded
    │   ├── ServerFailed        an error in the server
    │   └── ServiceUnavailable  for a moment; `retry_after_s` says when to come back
    ├── BadAnswer               the response does not follow the API
    ├── Unreachable             no connection: the server has not seen the request
    │   ├── UnknownHost, TlsFailed
    │   └── ConnectionLost      it broke before the response: the server may have acted
    └── TimedOut                the caller's timeout is over; the request itself continues
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagefleet.models.batches import ItemError

# The server did not accept the request: a retry can do no harm.
NOT_ACCEPTED = 429
# The server or something before it failed: the request may have been accepted.
UNKNOWN_OUTCOME = frozenset({408, 502, 503, 504})


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
        """True if the server said when to send the request again."""
        return self.status in (NOT_ACCEPTED, 503) and self.retry_after_s is not None

    def is_transient(self, *, idempotent: bool) -> bool:
        """True if a retry may help and cannot make the server do the same thing twice."""
        return self.status == NOT_ACCEPTED or (idempotent and self.status in UNKNOWN_OUTCOME)


class Refused(ImagefleetError):
    """The server refused the request."""

    errors: tuple[ItemError, ...] = ()
    """What is wrong with the items of a batch: the first 100 of these errors."""


class InvalidRequest(Refused):
    """Something in the request is wrong; the text names it."""


class Unauthorized(Refused):
    """The server requires a key, or does not accept this one."""


class Forbidden(Refused):
    """The key does not permit this."""


class NotFound(Refused):
    """There is no such thing, or it is another user's."""


class NotCached(NotFound):
    """No identical request is completed, and `cache="only"` permits nothing else."""


class Gone(Refused):
    """It was there, and was removed."""


class Conflict(Refused):
    """The state of the request, batch, style or webhook does not allow this."""


class AlreadyFinished(Conflict):
    """The request or batch has already ended."""


class IdempotencyKeyReused(Refused):
    """Another request was sent with this Idempotency-Key before."""


class RateLimited(Refused):
    """Too many requests. `retry_after_s` says when to come back."""


class QuotaExceeded(RateLimited):
    """A quota of the user is used up."""


class ServerFailed(Refused):
    """An error in the server, which is in its log under `correlation_id`."""


class ServiceUnavailable(Refused):
    """The server cannot do this at the moment. `retry_after_s` says when to come back."""


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


_BY_CODE: dict[str, type[Refused]] = {
    "ERR_UNAUTHORIZED": Unauthorized,
    "ERR_FORBIDDEN": Forbidden,
    "ERR_NOT_FOUND": NotFound,
    "ERR_NOT_CACHED": NotCached,
    "ERR_GONE": Gone,
    "ERR_ALREADY_FINISHED": AlreadyFinished,
    "ERR_ALREADY_EXISTS": Conflict,
    "ERR_ALREADY_UPLOADED": Conflict,
    "ERR_NOT_COMPLETED": Conflict,
    "ERR_NO_PICTURES": Conflict,
    "ERR_TOO_MANY_STYLES": Conflict,
    "ERR_TOO_MANY_WEBHOOKS": Conflict,
    "ERR_WEBHOOK_DISABLED": Conflict,
    "ERR_IDEMPOTENCY_KEY_REUSED": IdempotencyKeyReused,
    "ERR_RATE_LIMIT": RateLimited,
    "ERR_TOO_MANY_FAILURES": RateLimited,
    "ERR_QUOTA_EXCEEDED": QuotaExceeded,
    "ERR_UNAVAILABLE": ServiceUnavailable,
    "ERR_INTERNAL": ServerFailed,
}
_BY_STATUS: dict[int, type[Refused]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    429: RateLimited,
    503: ServiceUnavailable,
}


def error_of(code: str | None, status: int | None = None) -> type[Refused]:
    """The class of refusals with this code; of one that this version does not know, that of the HTTP status."""
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status is not None and status >= 500:
        return ServerFailed
    return Refused if status is None else InvalidRequest
