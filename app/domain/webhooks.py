"""Webhooks: their events, when a delivery is tried again, and signatures by Standard Webhooks 1.0.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from app.domain.errors import InvalidRequest
from app.domain.states import TABLE, Status, Step
from app.domain.urls import BadUrl, WebUrl

URL_CHARS = 2_048
URL_PATTERN = "^https?://"
DESCRIPTION_CHARS = 500
ENDPOINTS_EACH = 20  # of one user, beside those of single requests and batches
SECRET_PREFIX = "whsec_"  # noqa: S105 - what secrets begin with
OVERLAP_MS = 86_400_000  # how long the previous secret signs after a rotation
ANSWER_BYTES = 1_024  # how much of a receiver's answer is kept
HELD_FOR = 3  # attempts of an event that later ones of the same request wait for
PROGRESS_INTERVAL_MS = 1_000
DISABLED_AFTER_MS = 5 * 86_400_000
MAX_RETRY_AFTER_MS = 86_400_000
JITTER = 0.1  # a pause is longer by up to this part of it
_S, _MIN, _H = 1_000, 60_000, 3_600_000
PAUSES_MS = (5 * _S, 5 * _MIN, 30 * _MIN, 2 * _H, 5 * _H, 10 * _H, 14 * _H, 20 * _H, 24 * _H)
ATTEMPTS = len(PAUSES_MS) + 1
GONE = 410


class WebhookEvent(StrEnum):
    """What a webhook is told. `test` is sent on request only."""

    ACCEPTED = "image.accepted"
    PROCESSING = "image.processing"
    PROGRESS = "image.progress"
    COMPLETED = "image.completed"
    FAILED = "image.failed"
    CANCELLED = "image.cancelled"
    BATCH_PROGRESS = "batch.progress"
    BATCH_COMPLETED = "batch.completed"
    TEST = "webhook.test"

    @property
    def bit(self) -> int:
        """Its place in a set of events that is stored as a number: never change the order of the members."""
        return 1 << list(WebhookEvent).index(self)

    @property
    def is_of_batch(self) -> bool:
        """True for an event of a batch as a whole."""
        return self in {WebhookEvent.BATCH_PROGRESS, WebhookEvent.BATCH_COMPLETED}


CHOICES = tuple(event for event in WebhookEvent if event is not WebhookEvent.TEST)
REPLACEABLE = frozenset({WebhookEvent.PROGRESS, WebhookEvent.BATCH_PROGRESS})  # newer ones replace older ones
DEFAULT = tuple(event for event in CHOICES if event is not WebhookEvent.PROGRESS)
_OF_STATUS = {
    Status.COMPLETED: WebhookEvent.COMPLETED,
    Status.FAILED: WebhookEvent.FAILED,
    Status.CANCELLED: WebhookEvent.CANCELLED,
}
_OF_STEP = {
    Step.SUBMIT: WebhookEvent.ACCEPTED,
    Step.ASSIGN: WebhookEvent.PROCESSING,
    Step.PROGRESS: WebhookEvent.PROGRESS,
}


def event_of(step: Step) -> WebhookEvent | None:
    """What webhooks are told of a step; None for those that they are not told of."""
    transition = TABLE[step]
    return _OF_STATUS[transition.target] if transition.ends else _OF_STEP.get(step)


def bits(events: Iterable[WebhookEvent]) -> int:
    """The events as a number."""
    return sum(event.bit for event in set(events))


def from_bits(number: int) -> tuple[WebhookEvent, ...]:
    """The events of a number, in the order of the enumeration."""
    return tuple(event for event in WebhookEvent if event.bit & number)


@dataclass(frozen=True, slots=True)
class Answer:
    """A receiver's answer: the beginning of its body, and the wait it asks for."""

    status: int
    body: bytes
    retry_after_ms: int | None = None

    @property
    def text(self) -> str:
        """The body as text that can be stored."""
        return self.body.decode("utf-8", "replace").replace("\0", "\ufffd")

    @property
    def problem(self) -> str | None:
        """Why the event counts as not delivered; None if it was."""
        if 200 <= self.status <= 299:
            return None
        if 300 <= self.status <= 399:
            return f"The receiver redirects ({self.status}), which is not followed: give the webhook its final address."
        return f"The receiver answered {self.status} instead of 2xx."


@dataclass(frozen=True, slots=True)
class Target:
    """Where events are sent, and which."""

    url: str
    events: tuple[WebhookEvent, ...] = DEFAULT

    @classmethod
    def parse(cls, value: object) -> Self:
        """The `webhook` of a request: `{"url": …, "events": […]}`. Raises InvalidRequest."""
        if not isinstance(value, Mapping):
            raise InvalidRequest("webhook must be a JSON object with the field url.")
        if unknown := sorted(map(str, value.keys() - {"url", "events"})):
            raise InvalidRequest(f"webhook has the unknown field {unknown[0][:64]}: it has url and events.")
        events = value.get("events")
        return cls(
            clean_url(value.get("url"), "webhook.url"),
            DEFAULT if events is None else clean_events(events, "webhook.events"),
        )

    @property
    def host(self) -> str:
        """The host with its port: those of one share the workers."""
        url = WebUrl.parse(self.url)
        return f"{url.host}:{url.port}"


def clean_url(value: object, field: str = "url") -> str:
    """An http(s) URL without user information; its host may still turn out to be refused. Raises InvalidRequest."""
    if not isinstance(value, str):
        raise InvalidRequest(f"{field} must be a URL, such as https://example.com/hooks.")
    if len(value) > URL_CHARS:
        raise InvalidRequest(f"{field} is {len(value):,} characters long: at most {URL_CHARS:,} are allowed.")
    try:
        return str(WebUrl.parse(value))
    except BadUrl as problem:
        raise InvalidRequest(f"{field} cannot be used: {problem}.") from None


def clean_events(value: object, field: str = "events") -> tuple[WebhookEvent, ...]:
    """At least one of `CHOICES`. Raises InvalidRequest."""
    if not isinstance(value, list) or not value:
        raise InvalidRequest(f"{field} must be a list of at least one of {', '.join(CHOICES)}.")
    for each in value:
        if each not in list(CHOICES):
            raise InvalidRequest(f"{field} may contain {', '.join(CHOICES)}, and nothing else.")
    return from_bits(bits(WebhookEvent(each) for each in value))


def pause_ms(attempts: int, jitter: float, retry_after_ms: int | None = None) -> int | None:
    """How long to wait after so many failed attempts; None if there is no other. `jitter` is from 0 to 1.

    A receiver's Retry-After makes it longer, up to a day.
    """
    if attempts >= ATTEMPTS:
        return None
    planned = round(PAUSES_MS[attempts - 1] * (1 + JITTER * jitter))
    return max(planned, min(retry_after_ms or 0, MAX_RETRY_AFTER_MS))


def secret_bytes(key: bytes, webhook_id: str, number: int) -> bytes:
    """The secret with this number of a webhook: it is computed from the service's key, so the database has none."""
    return hmac.new(key, f"webhook-secret\n{webhook_id}\n{number}".encode(), hashlib.sha256).digest()


def secret_text(secret: bytes) -> str:
    """A secret as receivers configure it."""
    return SECRET_PREFIX + base64.b64encode(secret).decode()


def fingerprint(key: bytes) -> str:
    """Tells whether a key is still the same, and nothing else about it."""
    return hmac.new(key, b"webhook-key-fingerprint", hashlib.sha256).hexdigest()[:16]


def signature(secret: bytes, event_id: str, timestamp_s: int, body: bytes) -> str:
    """The signature of a body with one secret."""
    signed = f"{event_id}.{timestamp_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


def headers(secrets: Sequence[bytes], event_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """The headers of one attempt; it has a signature for each secret."""
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(signature(secret, event_id, timestamp_s, body) for secret in secrets),
    }
