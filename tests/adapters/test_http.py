"""Fetching from well-behaved and misbehaving hosts."""

from __future__ import annotations

import contextlib
import gzip
import io
import logging
import os
import socket
from typing import Any

import pytest

from app.adapters.fetch_errors import (
    BadCertificate,
    BadResponse,
    FetchError,
    FetchTimeout,
    HostBusy,
    HostUnreachable,
    NoSuchPicture,
    TooLarge,
)
from app.adapters.http import Fetcher
from app.domain.images import Fault
from tests.support.hostile_server import HostileServer, client_tls_context
from tests.support.local_fetch import LOCAL, LONG_MS, SHORT_MS, fetch, resolving
from tests.support.misbehaviours import IMAGE


def error_of(url: str) -> str:
    try:
        fetch(url)
    except FetchError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    "name",
    [
        "ok",
        "ok-without-length",
        "ok-chunked",
        "long",
        "length-repeated",
        "length-and-chunked",
        "chunked-twice",
        "identity-transfer",
    ],
)
def test_a_file_is_fetched_unchanged(host: HostileServer, name: str) -> None:
    assert fetch(host.url(name)) == IMAGE


def test_the_request_asks_for_an_uncompressed_image(host: HostileServer) -> None:
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
def test_a_slow_host_is_cut_off_at_the_deadline_of_the_whole_fetch(host: HostileServer, name: str) -> None:
    with pytest.raises(FetchTimeout, match=r"within 0\.3 seconds") as caught:
        fetch(host.url(name), timeout_ms=SHORT_MS)
    assert caught.value.retryable


@pytest.mark.parametrize("name", ["drip-body", "drip-headers", "stall-in-body"])
def test_a_slow_host_is_cut_off_over_tls_too(tls_host: HostileServer, name: str) -> None:
    with pytest.raises(FetchTimeout):
        fetch(tls_host.url(name), timeout_ms=SHORT_MS, tls=client_tls_context())


def test_a_host_that_never_completes_the_tls_handshake_is_cut_off() -> None:
    with HostileServer(silent=True) as host, pytest.raises(FetchTimeout):
        fetch(host.url("ok").replace("http:", "https:"), timeout_ms=SHORT_MS)


@pytest.mark.parametrize(
    "name", ["reset-before-headers", "reset-in-body", "hang-up", "short", "chunked-cut", "chunked-without-end"]
)
def test_a_broken_connection_may_be_retried(host: HostileServer, name: str) -> None:
    with pytest.raises(HostUnreachable) as caught:
        fetch(host.url(name))
    assert caught.value.retryable


def test_a_refused_connection_may_be_retried() -> None:
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
        "double-length-in-one",
        "gzip-transfer",
        "not-http",
        "endless-header",
        "endless-headers",
        "status-999",
        "partial",
        "no-content",
        "empty",
    ],
)
def test_an_invalid_response_is_not_retried(host: HostileServer, name: str) -> None:
    with pytest.raises(BadResponse) as caught:
        fetch(host.url(name))
    assert not caught.value.retryable


@pytest.mark.parametrize("status", ["202 Accepted", "403 Forbidden", "404 Not Found", "425 Too Early"])
def test_a_picture_that_is_not_there_yet_may_be_retried_and_is_the_extensions_fault(
    host: HostileServer, status: str
) -> None:
    host.behave("/soon", lambda exchange: exchange.answer(IMAGE, "Retry-After: 2", status=status))
    with pytest.raises(NoSuchPicture, match=f"answered {status[:3]} instead of 200") as caught:
        fetch(host.url("soon"))
    error = caught.value
    assert (error.retryable, error.fault, error.retry_after_ms) == (True, Fault.EXTENSION, 2_000)


@pytest.mark.parametrize(("header", "wait_ms"), [("Retry-After: 3600", 30_000), ("X-Other: 1", 0)])
def test_a_picture_that_is_not_there_yet_is_awaited_briefly(host: HostileServer, header: str, wait_ms: int) -> None:
    host.behave("/soon", lambda exchange: exchange.answer(b"", header, status="404 Not Found"))
    with pytest.raises(NoSuchPicture) as caught:
        fetch(host.url("soon"))
    assert caught.value.retry_after_ms == wait_ms


@pytest.mark.parametrize("status", ["201 Created", "304 Not Modified", "400 Bad", "401 Unauthorized", "410 Gone"])
def test_other_statuses_are_not_retried(host: HostileServer, status: str) -> None:
    host.behave("/no", lambda exchange: exchange.answer(IMAGE, status=status))
    with pytest.raises(BadResponse) as caught:
        fetch(host.url("no"))
    assert not caught.value.retryable


@pytest.mark.parametrize("label", ["aws-chunked", "identity", "utf-8", "none", "gzip", "br", "gzip, aws-chunked"])
def test_the_content_encoding_of_bytes_that_are_not_compressed_does_not_matter(host: HostileServer, label: str) -> None:
    host.behave("/label", lambda exchange: exchange.answer(IMAGE, f"Content-Encoding: {label}"))
    assert fetch(host.url("label")) == IMAGE


@pytest.mark.parametrize("headers", [["Content-Encoding: gzip"], ["Content-Encoding: x-gzip, aws-chunked"], []])
def test_a_compressed_file_is_unpacked_whatever_its_headers_say(host: HostileServer, headers: list[str]) -> None:
    members = gzip.compress(IMAGE[:20]) + gzip.compress(IMAGE[20:])
    host.behave("/gzip", lambda exchange: exchange.answer(members, *headers))
    assert fetch(host.url("gzip"), max_bytes=len(members)) == IMAGE


def test_what_a_compressed_file_unpacks_to_is_limited_too(host: HostileServer) -> None:
    content = os.urandom(1_000) * 100
    packed = gzip.compress(content)
    host.behave("/gzip", lambda exchange: exchange.answer(packed))
    assert fetch(host.url("gzip"), max_bytes=len(content)) == content
    with pytest.raises(TooLarge):
        fetch(host.url("gzip"), max_bytes=len(content) - 1)


@pytest.mark.parametrize("name", ["gzip", "double-gzip", "gzip-bomb"])
def test_a_compressed_file_is_unpacked_once_and_no_further_than_the_limit(host: HostileServer, name: str) -> None:
    into = io.BytesIO()
    with contextlib.suppress(TooLarge):
        Fetcher(LOCAL).fetch(host.url(name), into=into, max_bytes=200_000, timeout_ms=LONG_MS)
    assert len(into.getvalue()) <= 200_001


def test_a_compressed_file_may_be_padded(host: HostileServer) -> None:
    host.behave("/gzip", lambda exchange: exchange.answer(gzip.compress(IMAGE) + bytes(512)))
    assert fetch(host.url("gzip")) == IMAGE


@pytest.mark.parametrize("damage", ["cut", "flipped", "only the magic", "followed by others", "in too many parts"])
def test_a_damaged_compressed_file_is_refused(host: HostileServer, damage: str) -> None:
    packed = gzip.compress(IMAGE)
    bad = {
        "cut": packed[:-5],
        "flipped": packed[:20] + bytes([packed[20] ^ 0xFF]) + packed[21:],
        "only the magic": packed[:2],
        "followed by others": packed + b"<script>",
        "in too many parts": gzip.compress(b"") * 1_000 + packed,
    }[damage]
    host.behave("/gzip", lambda exchange: exchange.answer(bad))
    with pytest.raises(BadResponse, match="compressed file that is damaged"):
        fetch(host.url("gzip"))


def test_a_chunk_of_negative_size_is_refused(host: HostileServer) -> None:
    with pytest.raises(FetchError):
        fetch(host.url("chunked-negative"))


@pytest.mark.parametrize("name", ["endless-body", "endless-chunked"])
def test_an_endless_body_is_cut_off_at_the_size_limit(host: HostileServer, name: str) -> None:
    into = io.BytesIO()
    with pytest.raises(TooLarge, match="200000 bytes") as caught:
        Fetcher(LOCAL).fetch(host.url(name), into=into, max_bytes=200_000, timeout_ms=LONG_MS)
    assert not caught.value.retryable
    assert len(into.getvalue()) <= 200_000


def test_one_byte_above_the_size_limit_is_refused(host: HostileServer) -> None:
    for name in ("ok", "ok-without-length", "ok-chunked"):
        assert fetch(host.url(name), max_bytes=len(IMAGE)) == IMAGE
        with pytest.raises(TooLarge):
            fetch(host.url(name), max_bytes=len(IMAGE) - 1)


@pytest.mark.parametrize(
    ("name", "wait_ms"),
    [("too-many-requests", 7_000), ("busy-until-a-date", 9_000), ("request-timeout", None), ("fail-always", None)],
)
def test_the_retry_after_of_a_busy_host_is_reported(host: HostileServer, name: str, wait_ms: int | None) -> None:
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
        ("Sun, 14 Jan 2024 12:00:09", 9_000),
        ("Sun, 14 Jan 2024 13:00:09 +0100", 9_000),
    ],
)
@pytest.mark.usefixtures("two_hours_ahead")
def test_a_retry_after_is_at_least_zero_and_at_most_an_hour(
    host: HostileServer, value: str, wait_ms: int | None
) -> None:
    host.behave("/busy", lambda exchange: exchange.answer(b"", f"Retry-After: {value}", status="429 Too Many"))
    with pytest.raises(HostBusy) as caught:
        fetch(host.url("busy"))
    assert caught.value.retry_after_ms == wait_ms


def test_a_fetch_that_failed_once_may_succeed_the_next_time(host: HostileServer) -> None:
    with pytest.raises(HostBusy, match="answered 500"):
        fetch(host.url("fail-once"))
    assert fetch(host.url("fail-once")) == IMAGE


def test_the_certificate_must_match_the_host_name_not_the_address(tls_host: HostileServer) -> None:
    options: dict[str, Any] = {"resolve": resolving("127.0.0.1"), "tls": client_tls_context()}
    assert fetch(tls_host.url("ok", host="images.test"), **options) == IMAGE
    assert fetch(tls_host.url("ok", host="images.test."), **options) == IMAGE
    with pytest.raises(BadCertificate) as caught:
        fetch(tls_host.url("ok", host="other.test"), **options)
    assert not caught.value.retryable


def test_an_untrusted_certificate_is_refused(tls_host: HostileServer) -> None:
    with pytest.raises(BadCertificate):
        fetch(tls_host.url("ok"))
    assert tls_host.requests == []


def test_a_host_without_tls_is_refused(host: HostileServer) -> None:
    with pytest.raises(FetchError):
        fetch(host.url("ok").replace("http:", "https:"))


def test_an_error_of_the_target_file_is_passed_on(host: HostileServer) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        Fetcher(LOCAL).fetch(host.url("ok"), into=Full(), max_bytes=1_000, timeout_ms=LONG_MS)


def test_the_request_target_is_sent_unchanged(host: HostileServer) -> None:
    host.serve("/odd", IMAGE)
    fetch(host.url("odd?a=%c3%a9|%7e~[1]&b=100%&a=%2F"))
    assert host.requests[0].path == "/odd?a=%c3%a9|%7e~[1]&b=100%&a=%2F"


def test_a_cookie_is_not_sent_back(host: HostileServer) -> None:
    host.behave("/set", lambda exchange: exchange.answer(b"", "Location: /ok", "Set-Cookie: a=b", status="302 Found"))
    fetch(host.url("set"))
    assert "cookie" not in host.requests[1].headers


def test_no_error_and_no_log_contains_the_query(host: HostileServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("ok", "short", "empty", "fail-always", "double-length", "not-http", "redirect-nowhere"):
        assert "secret" not in error_of(host.url(f"{name}?signature=secret"))
    assert "secret" not in caplog.text
