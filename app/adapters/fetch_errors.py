"""Why a fetch failed, each with whether trying again may help. The texts are sentences fit for the client."""

from __future__ import annotations

from app.domain.images import PictureError


class FetchError(PictureError):
    """`retry_after_ms` is the time after which the host wants the next attempt, None where it named none."""

    def __init__(self, sentence: str, *, retry_after_ms: int | None = None) -> None:
        super().__init__(sentence)
        self.retry_after_ms = retry_after_ms


class UrlRefused(FetchError):
    """The URL is not one that can be fetched."""


class AddressRefused(FetchError):
    """The host is not at a public address, or the port is not one for HTTP."""


class RedirectRefused(FetchError):
    """The host redirects in circles, too often, to something unsafe or to nowhere."""


class TooLarge(FetchError):
    """The host sends more bytes than allowed."""


class BadAnswer(FetchError):
    """The host answered with something that is not a whole file."""


class BadCertificate(FetchError):
    """The host could not prove that it is who the URL names."""


class HostUnreachable(FetchError):
    """The connection could not be made, or broke."""

    retryable = True


class HostBusy(FetchError):
    """The host answered 408, 429 or a server error."""

    retryable = True


class FetchTimeout(FetchError):
    """The whole attempt took longer than it may."""

    retryable = True
