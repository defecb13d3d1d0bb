"""What can go wrong between this library and a server; the text of each is a sentence for a person."""

from __future__ import annotations

# The server did not take the request, and says so: asking again can do no harm.
NOT_TAKEN = frozenset({429, 503})
# Something between here and the server failed: whether the request was taken is not known.
UNDECIDED = frozenset({408, 502, 504})


class ImagefleetError(Exception):
    """Something went wrong; the server's own words are in `detail`, the rest is there where the server said it.

    `code` is the API's (ERR_…), `status` the HTTP status, `retry_after_s` how many seconds the server asks to wait.
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

    def may_pass(self, *, idempotent: bool) -> bool:
        """True where asking again later may help and cannot make the server do the same thing twice."""
        return self.status in NOT_TAKEN or (idempotent and self.status in UNDECIDED)


class Refused(ImagefleetError):
    """The server understood and said no."""


class BadAnswer(ImagefleetError):
    """The server answered something that the API does not provide for."""


class Unreachable(ImagefleetError):
    """No connection came about: the server certainly has not seen the request."""

    def may_pass(self, *, idempotent: bool) -> bool:
        """Always: nothing was sent."""
        return True


class ConnectionLost(Unreachable):
    """The connection broke before the answer was there: the server may have acted on the request or not."""

    def may_pass(self, *, idempotent: bool) -> bool:
        """Only where doing it twice is as good as once."""
        return idempotent


class TimedOut(ImagefleetError):
    """The time that the caller allowed is over; the request itself goes on."""
