"""Refusals: a class carries its code and HTTP status; its docstring is the message where none is given.

Only `web/errors.py` and `hub/session.py` translate these to the wire. The contract's codes are ERR_NO_EXTENSION,
ERR_INVALID_PROMPT, ERR_RATE_LIMIT, ERR_GENERATION_FAILED, ERR_DOWNLOAD_FAILED and ERR_TIMEOUT; the rest are ours.
"""

from __future__ import annotations

NO_EXTENSION = "ERR_NO_EXTENSION"
INVALID_PROMPT = "ERR_INVALID_PROMPT"
RATE_LIMIT = "ERR_RATE_LIMIT"
GENERATION_FAILED = "ERR_GENERATION_FAILED"
DOWNLOAD_FAILED = "ERR_DOWNLOAD_FAILED"
TIMEOUT = "ERR_TIMEOUT"


class Refusal(Exception):
    """The request was refused."""

    code = "ERR_INVALID_REQUEST"
    status = 400

    def __init__(self, detail: str | None = None, *, retry_after_s: int | None = None) -> None:
        super().__init__(detail or (type(self).__doc__ or "").strip())
        self.retry_after_s = retry_after_s

    @property
    def detail(self) -> str:
        """The sentence for the caller."""
        return str(self)


class InvalidRequest(Refusal):
    """The request is not of the form that the API documents."""


class InvalidPrompt(Refusal):
    """The prompt is missing or cannot be used."""

    code = INVALID_PROMPT


class InvalidJson(Refusal):
    """The body is not JSON."""

    code = "ERR_INVALID_JSON"


class Unauthorized(Refusal):
    """This needs a key or a token that is good: send Authorization: Bearer with it."""

    code = "ERR_UNAUTHORIZED"
    status = 401

    def __init__(self, detail: str | None = None, *, shown: bool = False) -> None:
        super().__init__(detail)
        self.shown = shown

    @property
    def challenge(self) -> str:
        """What WWW-Authenticate says (RFC 6750, section 3); an error only where something was shown."""
        error = f', error="invalid_token", error_description="{self.detail}"' if self.shown else ""
        return f'Bearer realm="imagefleet"{error}'


class Forbidden(Refusal):
    """You may not do this."""

    code = "ERR_FORBIDDEN"
    status = 403


class MissingScope(Forbidden):
    """Your key or token is not for this."""

    def __init__(self, detail: str | None = None, *, scope: str = "") -> None:
        super().__init__(detail)
        self.scope = scope

    @property
    def challenge(self) -> str:
        """What WWW-Authenticate says (RFC 6750, section 3.1)."""
        return f'Bearer realm="imagefleet", error="insufficient_scope", scope="{self.scope}"'


class NotFound(Refusal):
    """There is nothing here under that name."""

    code = "ERR_NOT_FOUND"
    status = 404


class AlreadyFinished(Refusal):
    """The request has already ended and cannot be changed."""

    code = "ERR_ALREADY_FINISHED"
    status = 409


class AlreadyUploaded(Refusal):
    """There is a picture at this position already; give the next one another position."""

    code = "ERR_ALREADY_UPLOADED"
    status = 409


class PayloadTooLarge(Refusal):
    """The body is larger than allowed."""

    code = "ERR_PAYLOAD_TOO_LARGE"
    status = 413


class BodyTooSlow(Refusal):
    """The body came too slowly; send it again, at once or over a better connection."""

    code = "ERR_BODY_TOO_SLOW"
    status = 408


class UnsupportedMediaType(Refusal):
    """The body's content type is not one that this address takes."""

    code = "ERR_UNSUPPORTED_MEDIA_TYPE"
    status = 415


class Unavailable(Refusal):
    """The service cannot take this now; try again shortly."""

    code = "ERR_UNAVAILABLE"
    status = 503


class RateLimited(Refusal):
    """You submit requests faster than you may; come again when `Retry-After` says so."""

    code = RATE_LIMIT
    status = 429


class TooManyFailures(Refusal):
    """Too many keys and tokens that are no good came from your address; come again when `Retry-After` says so."""

    code = "ERR_TOO_MANY_FAILURES"
    status = 429


class QuotaExceeded(Refusal):
    """You have as much here as you may have."""

    code = "ERR_QUOTA_EXCEEDED"
    status = 429


class TooManySockets(Refusal):
    """Your address has as many sockets open as it may have."""

    code = "ERR_TOO_MANY_SOCKETS"
    status = 429


class MalformedMessage(Refusal):
    """Invalid message format"""

    code = "ERR_INVALID_MESSAGE"


class LeaseLost(Refusal):
    """You do not hold this request; your message changed nothing."""

    code = "ERR_LEASE_LOST"
    status = 409
