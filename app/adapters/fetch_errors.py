"""Why a fetch failed, and whether a retry may help. The texts are sentences that clients may see."""

from app.domain.images import Fault, PictureError


class FetchError(PictureError):
    """`retry_after_ms` is the host's Retry-After in ms; None without one."""

    def __init__(self, sentence: str, *, retry_after_ms: int | None = None) -> None:
        super().__init__(sentence)
        self.retry_after_ms = retry_after_ms


class UrlRefused(FetchError):
    """The URL cannot be fetched."""


class AddressRefused(FetchError):
    """The host does not exist or is not at a public address, or the port is not allowed."""


class RedirectRefused(FetchError):
    """The host redirects in a loop, too often, to an unsafe URL or without a URL."""


class TooLarge(FetchError):
    """The host sends more bytes than allowed."""


class BadResponse(FetchError):
    """The host's response is not a complete file."""


class NoSuchPicture(FetchError):
    """The host does not have the picture, or not yet: it answered 202, 403, 404 or 425."""

    retryable = True


class BadCertificate(FetchError):
    """The host has no valid certificate for the name in the URL."""


class HostUnreachable(FetchError):
    """The connection failed or broke."""

    fault = Fault.HOST
    retryable = True


class LookupFailed(FetchError):
    """The address of the host could not be looked up."""

    fault = Fault.NAMES
    retryable = True


class HostBusy(FetchError):
    """The host answered 408, 429 or a server error."""

    fault = Fault.HOST
    retryable = True


class FetchTimeout(FetchError):
    """The whole attempt exceeded its time limit."""

    fault = Fault.HOST
    retryable = True
