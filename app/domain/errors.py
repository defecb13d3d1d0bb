"""Errors that are reported to callers. Each class has a code and an HTTP status; its docstring is the default message.

Only `web/errors.py` and `hub/session.py` translate these to the wire. The constants below are the contract's own codes;
the other codes are additions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.domain.batches import ItemError

NO_EXTENSION = "ERR_NO_EXTENSION"
INVALID_PROMPT = "ERR_INVALID_PROMPT"
RATE_LIMIT = "ERR_RATE_LIMIT"
GENERATION_FAILED = "ERR_GENERATION_FAILED"
DOWNLOAD_FAILED = "ERR_DOWNLOAD_FAILED"
TIMEOUT = "ERR_TIMEOUT"
NOT_CACHED = "ERR_NOT_CACHED"


class Refusal(Exception):
    """The request was refused. `field` is the name of the field that it is about, where one is known."""

    code = "ERR_INVALID_REQUEST"
    status = 400
    field: str | None = None

    def __init__(
        self, detail: str | None = None, *, retry_after_s: int | None = None, field: str | None = None
    ) -> None:
        super().__init__(detail or (type(self).__doc__ or "").strip())
        self.retry_after_s = retry_after_s
        self.field = field or type(self).field

    @property
    def detail(self) -> str:
        return str(self)


class InvalidRequest(Refusal):
    """The request is not of the documented form."""


class InvalidPrompt(Refusal):
    """The prompt is missing or invalid."""

    code = INVALID_PROMPT
    field = "prompt"


class UnknownStyle(Refusal):
    """There is no style of this name."""

    code = "ERR_UNKNOWN_STYLE"


class InvalidVariables(Refusal):
    """The variables are not those of the style."""

    code = "ERR_INVALID_VARIABLES"


class InvalidBatch(Refusal):
    """The batch, or some of its items, are invalid; `errors` says which items and why."""

    code = "ERR_INVALID_BATCH"

    def __init__(self, detail: str | None = None, errors: Sequence[ItemError] = ()) -> None:
        super().__init__(detail)
        self.errors = errors


class InvalidImage(Refusal):
    """The file is not a picture that is accepted."""

    code = "ERR_INVALID_IMAGE"


class UnknownInput(Refusal):
    """There is no such input picture of yours, or it has expired or was removed."""

    code = "ERR_UNKNOWN_INPUT"
    field = "inputImages"


class InvalidJson(Refusal):
    """The body is not valid JSON."""

    code = "ERR_INVALID_JSON"


class Unauthorized(Refusal):
    """Sign in first: this server needs an API key or token, sent as Authorization: Bearer."""

    code = "ERR_UNAUTHORIZED"
    status = 401

    def __init__(self, detail: str | None = None, *, credential_sent: bool = False) -> None:
        super().__init__(detail)
        self.credential_sent = credential_sent

    @property
    def challenge(self) -> str:
        """The WWW-Authenticate header (RFC 6750, section 3); it names an error only if a credential was sent."""
        error = f', error="invalid_token", error_description="{self.detail}"' if self.credential_sent else ""
        return f'Bearer realm="imagefleet"{error}'


class Forbidden(Refusal):
    """You do not have permission to do this."""

    code = "ERR_FORBIDDEN"
    status = 403


class MissingScope(Forbidden):
    """Your API key or token does not have the scope for this."""

    def __init__(self, detail: str | None = None, *, scope: str = "") -> None:
        super().__init__(detail)
        self.scope = scope

    @property
    def challenge(self) -> str:
        """The WWW-Authenticate header (RFC 6750, section 3.1)."""
        return f'Bearer realm="imagefleet", error="insufficient_scope", scope="{self.scope}"'


class NotFound(Refusal):
    """Not found."""

    code = "ERR_NOT_FOUND"
    status = 404


class Gone(Refusal):
    """It was removed."""

    code = "ERR_GONE"
    status = 410


class NotCached(NotFound):
    """No completed request of yours asked for the same: send it with `cache` prefer, or without `cache`, to have it made."""

    code = NOT_CACHED


class AlreadyExists(Refusal):
    """There is one of this name already."""

    code = "ERR_ALREADY_EXISTS"
    status = 409


class TooManyStyles(Refusal):
    """You have as many styles as are allowed; remove one that you no longer use."""

    code = "ERR_TOO_MANY_STYLES"
    status = 409


class TooManyWebhooks(Refusal):
    """You have as many webhooks as are allowed; remove one that you no longer use."""

    code = "ERR_TOO_MANY_WEBHOOKS"
    status = 409


class WebhookRefused(Refusal):
    """Nothing can be sent to this address."""

    code = "ERR_WEBHOOK_REFUSED"


class WebhookDisabled(Refusal):
    """The webhook is disabled: enable it first."""

    code = "ERR_WEBHOOK_DISABLED"
    status = 409


class AlreadyFinished(Refusal):
    """The request is already final and cannot be changed."""

    code = "ERR_ALREADY_FINISHED"
    status = 409


class NoPictures(Refusal):
    """Only a completed request has pictures that can be removed."""

    code = "ERR_NO_PICTURES"
    status = 409


class NotCompleted(Refusal):
    """The request is not completed, so it has no pictures."""

    code = "ERR_NOT_COMPLETED"
    status = 409


class AlreadyUploaded(Refusal):
    """This position already has an image; upload the next one to another position."""

    code = "ERR_ALREADY_UPLOADED"
    status = 409


class PayloadTooLarge(Refusal):
    """The body is too large."""

    code = "ERR_PAYLOAD_TOO_LARGE"
    status = 413


class BodyTooSlow(Refusal):
    """The body arrived too slowly; send it again over a faster connection."""

    code = "ERR_BODY_TOO_SLOW"
    status = 408


class UnsupportedMediaType(Refusal):
    """This content type is not supported."""

    code = "ERR_UNSUPPORTED_MEDIA_TYPE"
    status = 415


class IdempotencyKeyReused(Refusal):
    """You have sent this Idempotency-Key with another body: send the same body again, or a new key with the new one."""

    code = "ERR_IDEMPOTENCY_KEY_REUSED"
    status = 422


class Unavailable(Refusal):
    """The service is temporarily unavailable; try again after `Retry-After` seconds."""

    code = "ERR_UNAVAILABLE"
    status = 503


class RateLimited(Refusal):
    """You are submitting requests too fast; try again after `Retry-After` seconds."""

    code = RATE_LIMIT
    status = 429


class TooManyFailures(Refusal):
    """Your address sent too many invalid API keys or tokens; try again after `Retry-After` seconds."""

    code = "ERR_TOO_MANY_FAILURES"
    status = 429


class QuotaExceeded(Refusal):
    """You have reached your quota."""

    code = "ERR_QUOTA_EXCEEDED"
    status = 429


class TooManySockets(Refusal):
    """Your address has too many open WebSockets."""

    code = "ERR_TOO_MANY_SOCKETS"
    status = 429


class MalformedMessage(Refusal):
    """Invalid message format"""

    code = "ERR_INVALID_MESSAGE"


class LeaseLost(Refusal):
    """You do not hold this request; your message was ignored."""

    code = "ERR_LEASE_LOST"
    status = 409
