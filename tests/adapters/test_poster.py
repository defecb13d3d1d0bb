"""Sending to webhooks over real connections."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.adapters.fetch_errors import AddressRefused, FetchError, FetchTimeout, HostUnreachable, UrlRefused
from app.adapters.poster import Poster
from app.domain.webhooks import ANSWER_BYTES, Answer
from app.network_settings import Allowlist
from tests.support.exchange import Exchange
from tests.support.hostile_server import HostileServer
from tests.support.local_fetch import JUST_BEFORE, LOCAL, LONG_MS, SHORT_MS, resolving
from tests.support.ports import free_port
from tests.support.receiver import HttpReceiver, receiving

BODY = '{"type":"image.completed","prompt":"Füchslein"}'.encode()
SIGNED = {"webhook-id": "evt_1", "webhook-signature": "v1,abc"}


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def host() -> Iterator[HostileServer]:
    with HostileServer() as server:
        yield server


def post(url: str, allow: Allowlist = LOCAL, timeout_ms: int = LONG_MS, **options: object) -> Answer:
    poster = Poster(allow, now=lambda: JUST_BEFORE, **options)  # type: ignore[arg-type]
    return poster.post(url, BODY, SIGNED, timeout_ms)


def test_the_body_and_the_headers_arrive_unchanged(receiver: HttpReceiver) -> None:
    assert post(f"{receiver.url}/hooks?a=%2F&b=1") == Answer(204, b"")
    [sent] = receiver.received
    assert (sent.url, sent.body) == ("/hooks?a=%2F&b=1", BODY)
    assert {name: sent.headers[name] for name in SIGNED} == SIGNED
    assert (sent.headers["Content-Type"], sent.headers["User-Agent"]) == ("application/json", "Imagefleet")


@pytest.mark.parametrize("status", [200, 301, 404, 410, 500])
def test_every_answer_is_returned_with_its_beginning(receiver: HttpReceiver, status: int) -> None:
    receiver.answers["/"] = status
    receiver.body = b"x" * 5_000
    assert post(receiver.url) == Answer(status, b"x" * ANSWER_BYTES)


def test_no_redirect_is_followed(receiver: HttpReceiver) -> None:
    receiver.answers["/"] = 302
    receiver.headers = {"Location": f"{receiver.url}/elsewhere"}
    assert post(receiver.url).status == 302
    assert [each.url for each in receiver.received] == ["/"]


@pytest.mark.parametrize(
    ("header", "wait_ms"),
    [
        ("120", 120_000),
        ("Sun, 14 Jan 2024 12:02:00 GMT", 120_000),
        ("9999999", 86_400_000),
        ("-5", None),
        ("soon", None),
    ],
)
def test_retry_after_is_read(receiver: HttpReceiver, header: str, wait_ms: int | None) -> None:
    receiver.answers["/"] = 503
    receiver.headers = {"Retry-After": header}
    assert post(receiver.url).retry_after_ms == wait_ms


def test_an_endless_answer_is_cut_off(host: HostileServer) -> None:
    def endless(exchange: Exchange) -> None:
        exchange.head("Content-Length: 1000000")
        exchange.send(b"y" * 65_536)
        exchange.server.closing.wait()

    answer = post(host.behave("/endless", endless))
    assert answer == Answer(200, b"y" * ANSWER_BYTES)


def test_a_receiver_that_answers_counts_although_its_body_hangs(host: HostileServer) -> None:
    def hanging(exchange: Exchange) -> None:
        exchange.head("Content-Length: 100")
        exchange.send(b"half")
        exchange.server.closing.wait()

    assert post(host.behave("/hanging", hanging), timeout_ms=SHORT_MS) == Answer(200, b"half")


def test_a_receiver_that_drips_its_head_is_given_up(host: HostileServer) -> None:
    def dripping(exchange: Exchange) -> None:
        for _ in exchange.drip_intervals():
            exchange.send(b"H")

    with pytest.raises(FetchError):
        post(host.behave("/dripping", dripping), timeout_ms=SHORT_MS)


def test_a_silent_receiver_is_given_up_after_the_time() -> None:
    with HostileServer(silent=True) as silent, pytest.raises(FetchTimeout, match=r"did not answer within 0\.3 seconds"):
        post(silent.url(""), timeout_ms=SHORT_MS)


def test_a_receiver_that_is_down_is_unreachable() -> None:
    with pytest.raises(HostUnreachable):
        post(f"http://127.0.0.1:{free_port()}/")


@pytest.mark.parametrize("url", ["", "ftp://receiver.example/", "http://ann@receiver.example/", "http://127.1/"])
def test_an_invalid_url_is_refused(url: str) -> None:
    with pytest.raises(UrlRefused):
        post(url)
    with pytest.raises(UrlRefused):
        Poster(LOCAL).check(url)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "10.0.0.1", "169.254.169.254", "localhost", "a.localhost"])
def test_private_addresses_are_refused_before_anything_is_stored(host: str) -> None:
    with pytest.raises(AddressRefused):
        Poster(Allowlist(), resolve=resolving("127.0.0.1")).check(f"http://{host}:8080/hooks")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/", "https://receiver.example/", "https://1.1.1.1/"])
def test_allowed_and_public_addresses_are_stored_and_names_are_not_looked_up(url: str) -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise AssertionError(host)

    Poster(LOCAL, resolve=resolve).check(url)


def test_a_name_with_a_private_address_is_refused_when_it_is_sent_to(receiver: HttpReceiver) -> None:
    port = receiver.url.rpartition(":")[2]
    with pytest.raises(AddressRefused):
        post(f"http://receiver.example:{port}/", Allowlist(), resolve=resolving("203.0.113.7", "127.0.0.1"))
    assert receiver.received == []


def test_an_allowed_name_may_have_a_private_address(receiver: HttpReceiver) -> None:
    port = receiver.url.rpartition(":")[2]
    allow = Allowlist(hosts=frozenset({"receiver.internal"}))
    assert post(f"http://receiver.internal:{port}/", allow, resolve=resolving("127.0.0.1")).status == 204
