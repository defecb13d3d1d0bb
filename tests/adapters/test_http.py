"""Fetching from hosts that misbehave."""

from __future__ import annotations

import io
import ipaddress
import logging
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.adapters.fetch_errors import (
    AddressRefused,
    BadAnswer,
    BadCertificate,
    FetchError,
    FetchTimeout,
    HostBusy,
    HostUnreachable,
    RedirectRefused,
    TooLarge,
    UrlRefused,
)
from app.adapters.http import Fetched, Fetcher
from app.config import Allowlist
from tests.support.exchange import Behaviour
from tests.support.hostile_host import HostileHost, trusting_context
from tests.support.misbehaviours import IMAGE

LOCAL = Allowlist(networks=(ipaddress.ip_network("127.0.0.0/8"),))
JUST_BEFORE = 1705233600.0  # 2024-01-14T12:00:00Z
PATIENT_MS = 60_000  # never meant to be reached: a hang would meet the test's own time limit
HASTY_MS = 300


@pytest.fixture
def host() -> Iterator[HostileHost]:
    with HostileHost() as hostile:
        yield hostile


@pytest.fixture
def tls_host() -> Iterator[HostileHost]:
    with HostileHost(tls=True) as hostile:
        yield hostile


def fetch(
    url: str, *, allow: Allowlist = LOCAL, max_bytes: int = 1_000_000, timeout_ms: int = PATIENT_MS, **options: Any
) -> tuple[Fetched, bytes]:
    into = io.BytesIO()
    fetched = Fetcher(allow, now=lambda: JUST_BEFORE, **options).fetch(
        url, into=into, max_bytes=max_bytes, timeout_ms=timeout_ms
    )
    return fetched, into.getvalue()


def said_by(url: str) -> str:
    try:
        return fetch(url)[0].content_type
    except FetchError as error:
        return str(error)


def redirecting(to: str) -> Behaviour:
    return lambda exchange: exchange.redirect(to)


def resolving(*answers: str) -> Callable[[str, int], list[str]]:
    return lambda host, port: list(answers)


@pytest.mark.parametrize("name", ["ok", "ok-without-length", "ok-chunked", "long"])
def test_a_file_arrives_as_the_host_says_it(host: HostileHost, name: str) -> None:
    fetched, content = fetch(host.url(name))
    assert content == IMAGE
    assert fetched == Fetched(host.url(name), "image/png", len(IMAGE))


def test_nothing_but_plain_bytes_is_asked_for(host: HostileHost) -> None:
    fetch(host.url("ok?a=b%20c"))
    (request,) = host.requests
    assert (request.method, request.path) == ("GET", "/ok?a=b%20c")
    assert request.headers == {
        "host": f"127.0.0.1:{host.port}",
        "user-agent": "Imagefleet",
        "accept": "image/png, image/webp, image/jpeg",
        "accept-encoding": "identity",
        "connection": "close",
    }


@pytest.mark.parametrize(
    "name",
    [
        "drip-body",
        "drip-body-without-length",
        "drip-chunks",
        "drip-headers",
        "drip-interim",
        "stall-before-headers",
        "stall-in-body",
    ],
)
def test_a_slow_host_is_cut_off_when_the_time_of_the_whole_is_over(host: HostileHost, name: str) -> None:
    with pytest.raises(FetchTimeout, match="within 300 ms") as caught:
        fetch(host.url(name), timeout_ms=HASTY_MS)
    assert caught.value.retryable


@pytest.mark.parametrize("name", ["drip-body", "drip-headers", "stall-in-body"])
def test_a_slow_host_is_cut_off_inside_tls_too(tls_host: HostileHost, name: str) -> None:
    with pytest.raises(FetchTimeout):
        fetch(tls_host.url(name), timeout_ms=HASTY_MS, tls=trusting_context())


def test_a_host_that_never_shakes_hands_is_cut_off() -> None:
    with HostileHost(silent=True) as host, pytest.raises(FetchTimeout):
        fetch(host.url("ok").replace("http:", "https:"), timeout_ms=HASTY_MS)


def test_the_time_is_one_for_all_redirects_together(host: HostileHost) -> None:
    host.behave("/first", redirecting("/drip-headers"))
    with pytest.raises(FetchTimeout):
        fetch(host.url("first"), timeout_ms=HASTY_MS)


@pytest.mark.parametrize(
    "name", ["reset-before-headers", "reset-in-body", "hang-up", "short", "chunked-cut", "chunked-without-end"]
)
def test_a_broken_connection_may_be_tried_again(host: HostileHost, name: str) -> None:
    with pytest.raises(HostUnreachable) as caught:
        fetch(host.url(name))
    assert caught.value.retryable


def test_a_closed_port_may_be_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(HostUnreachable):
        fetch(f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize(
    "name",
    [
        "negative-length",
        "wordy-length",
        "double-length",
        "length-and-chunked",
        "gzip",
        "double-gzip",
        "gzip-transfer",
        "not-http",
        "endless-header",
        "endless-headers",
        "status-999",
        "not-found-with-image",
        "no-such-path",
        "partial",
        "no-content",
        "empty",
    ],
)
def test_an_answer_that_is_no_whole_file_is_final(host: HostileHost, name: str) -> None:
    with pytest.raises(BadAnswer) as caught:
        fetch(host.url(name))
    assert not caught.value.retryable


def test_a_chunk_of_negative_size_is_no_file(host: HostileHost) -> None:
    with pytest.raises(FetchError):
        fetch(host.url("chunked-negative"))


@pytest.mark.parametrize("name", ["endless-body", "endless-chunked"])
def test_an_endless_body_is_cut_at_the_limit(host: HostileHost, name: str) -> None:
    into = io.BytesIO()
    with pytest.raises(TooLarge, match="200000 bytes") as caught:
        Fetcher(LOCAL).fetch(host.url(name), into=into, max_bytes=200_000, timeout_ms=PATIENT_MS)
    assert not caught.value.retryable
    assert len(into.getvalue()) <= 200_000


def test_one_byte_more_than_allowed_is_too_many(host: HostileHost) -> None:
    for name in ("ok", "ok-without-length", "ok-chunked"):
        assert fetch(host.url(name), max_bytes=len(IMAGE))[1] == IMAGE
        with pytest.raises(TooLarge):
            fetch(host.url(name), max_bytes=len(IMAGE) - 1)


@pytest.mark.parametrize(
    ("name", "wait_ms"),
    [("too-many-requests", 7_000), ("busy-until-a-date", 9_000), ("request-timeout", None), ("fail-always", None)],
)
def test_a_busy_host_says_when_to_come_back(host: HostileHost, name: str, wait_ms: int | None) -> None:
    with pytest.raises(HostBusy) as caught:
        fetch(host.url(name))
    assert caught.value.retryable
    assert caught.value.retry_after_ms == wait_ms


@pytest.mark.parametrize(
    ("value", "wait_ms"),
    [
        ("0", 0),
        ("99999999999999999999", 3_600_000),
        ("Sun, 14 Jan 2020 12:00:00 GMT", 0),
        ("Sun, 14 Jan 9999 12:00:00 GMT", 3_600_000),
        ("-5", None),
        ("", None),
        ("1e9", None),
    ],
)
def test_no_wait_is_negative_or_longer_than_an_hour(host: HostileHost, value: str, wait_ms: int | None) -> None:
    host.behave("/busy", lambda exchange: exchange.answer(b"", f"Retry-After: {value}", status="429 Too Many"))
    with pytest.raises(HostBusy) as caught:
        fetch(host.url("busy"))
    assert caught.value.retry_after_ms == wait_ms


def test_a_host_that_failed_once_may_deliver_the_second_time(host: HostileHost) -> None:
    with pytest.raises(HostBusy, match="answered 500"):
        fetch(host.url("fail-once"))
    assert fetch(host.url("fail-once"))[1] == IMAGE


@pytest.mark.parametrize("name", ["redirect-to-ok", "redirect-endless-body"])
def test_a_redirect_is_followed_without_reading_what_comes_with_it(host: HostileHost, name: str) -> None:
    fetched, content = fetch(host.url(name))
    assert content == IMAGE
    assert fetched.final_url.startswith(host.url("ok"))


def test_five_redirects_are_followed_and_no_sixth(host: HostileHost) -> None:
    for hop in range(6):
        host.behave(f"/hop{hop}", redirecting(f"/hop{hop + 1}"))
    host.serve("/hop6", IMAGE)
    assert fetch(host.url("hop1"))[1] == IMAGE
    with pytest.raises(RedirectRefused, match="more than 5 times"):
        fetch(host.url("hop0"))
    with pytest.raises(RedirectRefused, match="more than 5 times"):
        fetch(host.url("redirect-for-ever"))


def test_redirects_in_a_circle_are_refused(host: HostileHost) -> None:
    with pytest.raises(RedirectRefused, match="circle") as caught:
        fetch(host.url("redirect-loop"))
    assert not caught.value.retryable
    assert len(host.requests) == 2


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://images.example/",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "http://user@127.0.0.1/",
        "http://0x7f000001/",
        "http://127.1/",
        "http://[fe80::1%25eth0]/",
        "http://",
        "http://[::1",
    ],
)
def test_a_redirect_to_what_is_no_web_url_is_refused(host: HostileHost, location: str) -> None:
    with pytest.raises(RedirectRefused):
        fetch(host.url(f"redirect?{location}"))
    with pytest.raises(RedirectRefused):
        fetch(host.url("redirect-nowhere"))


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://0.0.0.0/",
        "//100.100.100.200/",
    ],
)
def test_a_redirect_to_an_address_that_is_not_public_is_refused(host: HostileHost, location: str) -> None:
    with pytest.raises(AddressRefused) as caught:
        fetch(host.url(f"redirect?{location}"))
    assert not caught.value.retryable


def test_a_redirect_from_https_to_http_is_refused(host: HostileHost, tls_host: HostileHost) -> None:
    with pytest.raises(RedirectRefused, match="from https to http"):
        fetch(tls_host.url(f"redirect?{host.url('ok')}"), tls=trusting_context())
    assert fetch(host.url(f"redirect?{tls_host.url('ok')}"), tls=trusting_context())[1] == IMAGE
    assert host.times_asked("ok") == 0


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://images.example/",
        "http://user@images.example/",
        "http://127.1/",
        "http://images.example/" + "a" * 9_000,
    ],
)
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(UrlRefused) as caught:
        fetch(url)
    assert not caught.value.retryable


def test_without_an_exception_this_machine_is_out_of_reach(host: HostileHost) -> None:
    with pytest.raises(AddressRefused):
        fetch(host.url("ok"), allow=Allowlist())
    with pytest.raises(AddressRefused):
        fetch(host.url("ok", host="localhost"), allow=Allowlist())
    assert host.requests == []


def test_an_allowed_host_is_fetched_from_wherever_it_is(host: HostileHost) -> None:
    allow = Allowlist(hosts=frozenset({"images.internal"}))
    _, content = fetch(host.url("ok", host="images.internal"), allow=allow, resolve=resolving("127.0.0.1"))
    assert content == IMAGE
    assert host.requests[0].headers["host"] == f"images.internal:{host.port}"


def test_one_bad_address_among_good_ones_is_enough_to_refuse(host: HostileHost) -> None:
    with pytest.raises(AddressRefused):
        fetch(host.url("ok", host="images.example"), resolve=resolving("127.0.0.1", "10.0.0.1"))
    assert host.requests == []


def test_a_name_is_asked_for_once_so_it_cannot_be_bound_anew(host: HostileHost) -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    asked = []

    def rebinding(name: str, port: int) -> list[str]:
        asked.append(name)
        return next(answers)

    assert fetch(host.url("ok", host="images.example"), resolve=rebinding)[1] == IMAGE
    assert asked == ["images.example"]


def test_a_name_is_asked_for_anew_at_each_hop(host: HostileHost) -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    with pytest.raises(AddressRefused):
        fetch(host.url("redirect-to-ok", host="images.example"), resolve=lambda name, port: next(answers))
    assert host.times_asked("ok") == 0


def test_the_next_address_is_tried_where_the_first_is_dead(host: HostileHost) -> None:
    _, content = fetch(host.url("ok", host="images.example"), resolve=resolving("127.0.0.2", "127.0.0.1"))
    assert content == IMAGE


def test_the_certificate_must_be_for_the_name_and_not_for_the_address(tls_host: HostileHost) -> None:
    options: dict[str, Any] = {"resolve": resolving("127.0.0.1"), "tls": trusting_context()}
    assert fetch(tls_host.url("ok", host="images.test"), **options)[1] == IMAGE
    assert fetch(tls_host.url("ok", host="images.test."), **options)[1] == IMAGE
    with pytest.raises(BadCertificate) as caught:
        fetch(tls_host.url("ok", host="other.test"), **options)
    assert not caught.value.retryable


def test_a_certificate_nobody_vouches_for_is_refused(tls_host: HostileHost) -> None:
    with pytest.raises(BadCertificate):
        fetch(tls_host.url("ok"))
    assert tls_host.requests == []


def test_a_host_that_speaks_no_tls_is_refused(host: HostileHost) -> None:
    with pytest.raises(FetchError):
        fetch(host.url("ok").replace("http:", "https:"))


def test_proxies_of_the_environment_are_not_used(host: HostileHost, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    assert fetch(host.url("ok"))[1] == IMAGE


def test_what_the_disk_raises_passes_through(host: HostileHost) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        Fetcher(LOCAL).fetch(host.url("ok"), into=Full(), max_bytes=1_000, timeout_ms=PATIENT_MS)


def test_no_sentence_and_no_log_holds_a_query(host: HostileHost, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("ok", "short", "empty", "fail-always", "double-length", "not-http", "redirect-nowhere"):
        assert "secret" not in said_by(host.url(f"{name}?signature=secret"))
    assert "secret" not in caplog.text
