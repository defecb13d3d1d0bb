"""Webhooks with internal addresses: nothing inside may receive a connection, whenever and however the address is given.

And receivers with hostile answers, which may cost no more than an attempt's time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from app.adapters.poster import Poster
from app.domain.errors import InvalidRequest, WebhookRefused
from app.domain.webhooks import ANSWER_BYTES, Target, clean_url
from app.network_settings import Allowlist
from app.web.api import json_text
from app.web.webhook_schemas import DeliveryDetails
from tests.support.exchange import Behaviour, Exchange
from tests.support.fakes import Bench
from tests.support.harness import Harness
from tests.support.hostile_server import HostileServer
from tests.support.receiver import HttpReceiver, receiving
from tests.support.webhooks import Receiver, deliver, make_due

DAY_MS = 86_400_000
TIMEOUT_MS = 1_000
INSIDE = [
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://LOCALHOST.:{port}/",
    "http://127.1:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://0.0.0.0:{port}/",
    "http://[::1]:{port}/",
    "http://[::]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://１２７.０.０.１:{port}/",
    "http://receiver.example@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@receiver.example/",
    "http://10.0.0.1/",
    "http://192.168.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/",
    "https://1.1.1.1:25/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/",
]


@pytest.fixture
def database_url(fresh_sqlite: str) -> str:
    """SQLite alone: these tests do not depend on the database."""
    return fresh_sqlite


@pytest.fixture
def inside() -> Iterator[HttpReceiver]:
    """A server that must not be reached."""
    with receiving() as running:
        yield running


def sending(bench: Bench, poster: Poster) -> Harness:
    """The services, which really send."""
    return Harness.of(bench.with_ports(post=poster))


@pytest.mark.parametrize("url", INSIDE)
def test_no_spelling_of_an_internal_address_is_accepted(bench: Bench, inside: HttpReceiver, url: str) -> None:
    harness = sending(bench, Poster(Allowlist()))
    spelled = url.format(port=inside.url.rpartition(":")[2])
    with pytest.raises((InvalidRequest, WebhookRefused)):
        harness.services.webhooks.create("ann", Target(clean_url(spelled)))
    with pytest.raises((InvalidRequest, WebhookRefused)):
        harness.submit(webhook=Target(clean_url(spelled)))
    assert inside.received == []


def test_a_name_that_is_rebound_between_attempts_reaches_nothing(bench: Bench, inside: HttpReceiver) -> None:
    answers = [["203.0.113.7", "127.0.0.1"], ["127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"]]
    port = inside.url.rpartition(":")[2]
    harness = sending(bench, Poster(Allowlist(), resolve=lambda host, port: answers.pop(0)))
    receiver = Receiver.create(harness, f"http://rebound.example:{port}/")
    harness.submit()
    for _ in range(4):
        make_due(harness)
        deliver(harness)
    assert answers == []
    [delivery] = receiver.deliveries()
    assert (delivery.status, delivery.attempts, delivery.response_status) == ("pending", 4, None)
    assert delivery.error == "rebound.example is not at a public address, so no request is sent to it."
    assert inside.received == []


def test_a_redirect_inside_is_not_followed(bench: Bench, inside: HttpReceiver) -> None:
    """The receiver is allowed only by its name: it stands for one on the internet."""
    with receiving() as outside:
        outside.answers["/hooks"] = 307
        outside.headers = {"Location": f"{inside.url}/admin"}
        allow = Allowlist(hosts=frozenset({"outside.example"}))
        harness = sending(bench, Poster(allow, resolve=lambda host, port: ["127.0.0.1"]))
        receiver = Receiver.create(harness, f"http://outside.example:{outside.url.rpartition(':')[2]}/hooks")
        harness.submit()
        deliver(harness)
        assert len(outside.received) == 1
    [delivery] = receiver.deliveries()
    assert (delivery.status, delivery.response_status) == ("pending", 307)
    assert "redirects" in (delivery.error or "")
    assert inside.received == []


def test_no_secret_is_logged(bench: Bench, inside: HttpReceiver, capfd: pytest.CaptureFixture[str]) -> None:
    harness = sending(bench, Poster(Allowlist(hosts=frozenset({"127.0.0.1"}))))
    receiver = Receiver.create(harness, f"{inside.url}/hooks?token=sesame")
    inside.answers["/hooks?token=sesame"] = 410
    rotated = harness.services.webhooks.rotate_secret("ann", receiver.endpoint.id)
    harness.submit()
    deliver(harness)
    assert not receiver.reload().enabled
    logged = "".join(capfd.readouterr())
    assert "A webhook was disabled" in logged
    for secret in (receiver.secret, rotated.secret, "sesame", inside.received[0].headers["webhook-signature"]):
        assert secret.removeprefix("whsec_") not in logged


def held(exchange: Exchange, *headers: str, body: bytes = b"", status: str = "200 OK") -> None:
    """Answer, and keep the connection."""
    exchange.head(*headers, f"Content-Length: {len(body)}", status=status)
    exchange.send(body)
    exchange.server.closing.wait()


def drip(exchange: Exchange, piece: bytes) -> None:
    """Send this again and again until the connection is cut off."""
    for _ in exchange.drip_intervals():
        exchange.send(piece)


def drip_the_body(exchange: Exchange) -> None:
    exchange.head(f"Content-Length: {10**9}")
    drip(exchange, b"z")


def drip_headers(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 OK\r\n")
    drip(exchange, b"X-Padding: z\r\n")


def send_and_hold(exchange: Exchange, data: bytes) -> None:
    exchange.send(data)
    exchange.server.closing.wait()


CONTROLS = b"\x1b[2J\x1b]0;owned\x07\r\nSet-Cookie: a=b\x00\x08\xff\xe2\x80\xae"
# what the receiver does, and the status that it gets noted for
ANSWERS: dict[str, tuple[Behaviour, int | None]] = {
    "a large body": (lambda exchange: held(exchange, body=b"y" * 50_000_000), 200),
    "a body that drips": (drip_the_body, 200),
    "a compressed body": (
        lambda exchange: held(exchange, "Content-Encoding: gzip", body=b"\x1f\x8b\x08" + bytes(50)),
        200,
    ),
    "control characters": (lambda exchange: held(exchange, body=CONTROLS, status="500 \x1b[31mred"), 500),
    "a redirect with a body": (
        lambda e: held(e, "Location: http://169.254.169.254/", body=b"z" * 9_000, status="302 F"),
        302,
    ),
    "a Retry-After of centuries": (lambda e: held(e, "Retry-After: " + "9" * 300, status="503 Busy"), 503),
    "a head that drips": (lambda exchange: drip(exchange, b"H"), None),
    "headers without end": (drip_headers, 200),  # the status has arrived
    "endless promises": (lambda exchange: drip(exchange, b"HTTP/1.1 100 Continue\r\n\r\n"), None),
    "a very long status line": (lambda exchange: send_and_hold(exchange, b"HTTP/1.1 200 " + b"x" * 100_000), None),
    "another protocol": (lambda exchange: send_and_hold(exchange, b"SSH-2.0-OpenSSH_9.6\r\n"), None),
    "nothing": (lambda exchange: exchange.reset(), None),
}


@pytest.mark.parametrize("answer", list(ANSWERS))
def test_no_answer_costs_more_than_its_time_and_its_first_bytes(
    bench: Bench, answer: str, capfd: pytest.CaptureFixture[str]
) -> None:
    behaviour, status = ANSWERS[answer]
    with HostileServer() as hostile:
        poster = Poster(Allowlist(hosts=frozenset({"127.0.0.1"})))
        harness = sending(bench, poster).with_settings(webhook_timeout_ms=TIMEOUT_MS)
        receiver = Receiver.create(harness, hostile.behave("/hooks", behaviour))
        harness.submit()
        deliver(harness)
        assert hostile.request_count("/hooks") == 1
    [delivery] = receiver.deliveries()
    assert (delivery.attempts, delivery.response_status) == (1, status)
    assert delivery.status == ("delivered" if status == 200 else "pending")
    assert delivery.due_at - (delivery.attempted_at or 0) <= 1.1 * DAY_MS
    shown = json.loads(json_text(DeliveryDetails.of(delivery)))
    assert len(shown.get("responseBody", "")) <= ANSWER_BYTES
    assert "\0" not in shown.get("responseBody", "")
    assert "\x1b" not in "".join(capfd.readouterr()) + shown.get("error", "")
