"""Events, addresses and pauses of webhooks, and signatures as the library of Standard Webhooks checks them."""

from __future__ import annotations

import base64
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from app.domain import webhooks
from app.domain.errors import InvalidRequest
from app.domain.states import Step
from app.domain.webhooks import CHOICES, DEFAULT, PAUSES_MS, Answer, Target, WebhookEvent

KEY = b"k" * 32
BODY = '{"type":"image.completed","data":{"prompt":"ein Füchslein 🦊"}}'.encode()
EVENT = "evt_550e8400-e29b-41d4-a716-446655440000_6"


def signed(*secrets: bytes, body: bytes = BODY, at_s: int | None = None) -> dict[str, str]:
    return webhooks.headers(secrets, EVENT, int(time.time()) if at_s is None else at_s, body)


def secret(number: int = 1, webhook_id: str = "a") -> bytes:
    return webhooks.secret_bytes(KEY, webhook_id, number)


def verifier(raw: bytes) -> Webhook:
    return Webhook(webhooks.secret_text(raw))


def test_the_library_accepts_the_signature() -> None:
    assert verifier(secret()).verify(BODY, signed(secret()))["type"] == "image.completed"


@pytest.mark.parametrize("number", [1, 2])
def test_both_secrets_of_a_rotation_are_accepted(number: int) -> None:
    assert verifier(secret(number)).verify(BODY, signed(secret(2), secret(1)))


FORGERIES = {
    "another body": lambda: (BODY.replace(b"completed", b"cancelled"), signed(secret())),
    "another secret": lambda: (BODY, signed(secret(3))),
    "the secret of another webhook": lambda: (BODY, signed(secret(1, "b"))),
    "another id": lambda: (BODY, {**signed(secret()), "webhook-id": "evt_other"}),
    "another time": lambda: (BODY, {**signed(secret()), "webhook-timestamp": str(int(time.time()) + 1)}),
    "no signature": lambda: (BODY, {**signed(secret()), "webhook-signature": "v1,"}),
    "a replay after an hour": lambda: (BODY, signed(secret(), at_s=int(time.time()) - 3600)),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_the_library_refuses_forgeries_and_replays(forgery: str) -> None:
    body, headers = FORGERIES[forgery]()
    with pytest.raises(WebhookVerificationError):
        verifier(secret()).verify(body, headers)


def test_secrets_have_the_form_and_the_length_that_the_standard_asks_for() -> None:
    text = webhooks.secret_text(secret())
    assert text.startswith("whsec_")
    assert len(base64.b64decode(text.removeprefix("whsec_"))) == 32
    assert len({secret(1), secret(2), secret(1, "b"), webhooks.secret_bytes(b"x" * 32, "a", 1)}) == 4


def test_no_id_contains_the_separator_of_what_is_signed() -> None:
    assert "." not in signed(secret())["webhook-id"]


def test_the_pauses_are_those_of_the_standard() -> None:
    hours = [0.5, 2, 5, 10, 14, 20, 24]
    assert (5_000, 300_000, *(round(each * 3_600_000) for each in hours)) == PAUSES_MS
    assert webhooks.pause_ms(10, 0.0) is None


@pytest.mark.parametrize(
    ("retry_after_ms", "pause_ms"), [(None, 5_000), (0, 5_000), (4_000, 5_000), (60_000, 60_000), (10**9, 86_400_000)]
)
def test_retry_after_only_makes_a_pause_longer_and_at_most_a_day(retry_after_ms: int | None, pause_ms: int) -> None:
    assert webhooks.pause_ms(1, 0.0, retry_after_ms) == pause_ms


def test_a_set_of_events_survives_being_stored_as_a_number() -> None:
    for event in WebhookEvent:
        assert webhooks.from_bits(webhooks.bits([event])) == (event,)
    assert webhooks.from_bits(webhooks.bits(CHOICES)) == CHOICES
    assert webhooks.bits([]) == 0


def test_the_stored_number_of_an_event_never_changes() -> None:
    assert [event.value for event in WebhookEvent] == [
        "image.accepted",
        "image.processing",
        "image.progress",
        "image.completed",
        "image.failed",
        "image.cancelled",
        "batch.progress",
        "batch.completed",
        "webhook.test",
    ]
    assert [event.bit for event in WebhookEvent] == [1, 2, 4, 8, 16, 32, 64, 128, 256]


def test_progress_is_sent_only_where_it_is_asked_for() -> None:
    assert WebhookEvent.PROGRESS not in DEFAULT
    assert WebhookEvent.TEST not in CHOICES


@pytest.mark.parametrize("step", [Step.FETCH, Step.GENERATED, Step.REQUEUE, Step.RAISE])
def test_inner_steps_are_no_events(step: Step) -> None:
    assert webhooks.event_of(step) is None


BAD_URLS: dict[str, object] = {
    "nothing": None,
    "a number": 7,
    "another scheme": "ftp://receiver.example/",
    "a file": "file:///etc/passwd",
    "no host": "https://",
    "a user": "https://ann@receiver.example/",
    "a password": "https://ann:secret@receiver.example/",
    "a space": "https://receiver.example/a b",
    "a line break": "https://receiver.example/a\r\nHost: x",
    "a zero port": "https://receiver.example:0/",
    "a high port": "https://receiver.example:65536/",
    "an octal address": "http://0177.0.0.1/",
    "a short address": "http://127.1/",
    "a zone": "http://[fe80::1%25lo]/",
    "too long": "https://receiver.example/" + "a" * 2_048,
}


@pytest.mark.parametrize("what", BAD_URLS)
def test_a_url_that_cannot_be_used_is_refused_by_name(what: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^webhook\.url "):
        Target.parse({"url": BAD_URLS[what]})


@pytest.mark.parametrize("events", [[], "image.completed", ["image.done"], ["webhook.test"], [7], [None], [["a"]], {}])
def test_events_that_do_not_exist_are_refused(events: object) -> None:
    with pytest.raises(InvalidRequest, match=r"^webhook\.events "):
        Target.parse({"url": "https://receiver.example/", "events": events})


@pytest.mark.parametrize("webhook", ["https://receiver.example/", 7, [], {"url": "https://a.example/", "secret": "x"}])
def test_the_webhook_of_a_request_has_a_url_and_events_and_nothing_else(webhook: object) -> None:
    with pytest.raises(InvalidRequest, match=r"^webhook "):
        Target.parse(webhook)


def test_events_are_kept_once_and_in_order() -> None:
    events = ["image.failed", "image.completed", "image.failed"]
    target = Target.parse({"url": "https://receiver.example", "events": events})
    assert target == Target("https://receiver.example/", (WebhookEvent.COMPLETED, WebhookEvent.FAILED))
    assert Target.parse({"url": "https://receiver.example/", "events": None}).events == DEFAULT


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://receiver.example/a", "receiver.example:443"),
        ("http://Receiver.example:8080/a", "receiver.example:8080"),
        ("http://[::1]/", "::1:80"),
    ],
)
def test_receivers_share_workers_by_host_and_port(url: str, host: str) -> None:
    assert Target.parse({"url": url}).host == host


def test_an_answer_can_be_stored_whatever_its_bytes() -> None:
    assert Answer(200, b"a\x00b\xff").text == "a\ufffdb\ufffd"
