"""Every misbehaviour of the hostile server under its name, which is also its path."""

from __future__ import annotations

import gzip
from collections.abc import Callable

from tests.support.exchange import Behaviour, Exchange
from tests.support.image_samples import png

BEHAVIOURS: dict[str, Behaviour] = {}
IMAGE = png(8, 8)
GZIP_BOMB = gzip.compress(bytes(100_000_000))


def behaviour(name: str) -> Callable[[Behaviour], Behaviour]:
    """Serve the function under `/<name>`."""

    def register(function: Behaviour) -> Behaviour:
        BEHAVIOURS[name] = function
        return function

    return register


@behaviour("ok")
def _ok(exchange: Exchange) -> None:
    exchange.answer(IMAGE)


@behaviour("ok-without-length")
def _ok_without_length(exchange: Exchange) -> None:
    exchange.head()
    exchange.send(IMAGE)


@behaviour("ok-chunked")
def _ok_chunked(exchange: Exchange) -> None:
    exchange.head("Transfer-Encoding: chunked")
    for piece in (IMAGE[:20], IMAGE[20:]):
        exchange.send(b"%x\r\n%b\r\n" % (len(piece), piece))
    exchange.send(b"0\r\n\r\n")


@behaviour("drip-body")
def _drip_body(exchange: Exchange) -> None:
    exchange.head("Content-Length: 100000")
    for _ in exchange.drip_intervals():
        exchange.send(b"x")


@behaviour("drip-body-without-length")
def _drip_body_without_length(exchange: Exchange) -> None:
    exchange.head()
    for _ in exchange.drip_intervals():
        exchange.send(b"x")


@behaviour("drip-chunks")
def _drip_chunks(exchange: Exchange) -> None:
    exchange.head("Transfer-Encoding: chunked")
    for _ in exchange.drip_intervals():
        exchange.send(b"1\r\nx\r\n")


@behaviour("drip-headers")
def _drip_headers(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    for _ in exchange.drip_intervals():
        exchange.send(b"x")


@behaviour("drip-interim")
def _drip_interim(exchange: Exchange) -> None:
    for _ in exchange.drip_intervals():
        exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")


@behaviour("stall-before-headers")
def _stall_before_headers(exchange: Exchange) -> None:
    exchange.server.closing.wait()


@behaviour("stall-in-body")
def _stall_in_body(exchange: Exchange) -> None:
    exchange.head("Content-Length: 100000")
    exchange.send(IMAGE)
    exchange.server.closing.wait()


@behaviour("reset-before-headers")
def _reset_before_headers(exchange: Exchange) -> None:
    exchange.reset()


@behaviour("reset-in-body")
def _reset_in_body(exchange: Exchange) -> None:
    exchange.head("Content-Length: 100000")
    exchange.send(IMAGE)
    exchange.reset()


@behaviour("hang-up")
def _hang_up(exchange: Exchange) -> None:
    """Closes without a response."""


@behaviour("short")
def _short(exchange: Exchange) -> None:
    exchange.head(f"Content-Length: {len(IMAGE) + 1}")
    exchange.send(IMAGE)


@behaviour("long")
def _long(exchange: Exchange) -> None:
    exchange.head(f"Content-Length: {len(IMAGE)}")
    exchange.send(IMAGE + b"<script>alert(1)</script>")


@behaviour("negative-length")
def _negative_length(exchange: Exchange) -> None:
    exchange.head("Content-Length: -5")
    exchange.send(IMAGE)


@behaviour("wordy-length")
def _wordy_length(exchange: Exchange) -> None:
    exchange.head("Content-Length: +7e3")
    exchange.send(IMAGE)


@behaviour("double-length")
def _double_length(exchange: Exchange) -> None:
    exchange.head(f"Content-Length: {len(IMAGE)}", "Content-Length: 5")
    exchange.send(IMAGE)


@behaviour("length-repeated")
def _length_repeated(exchange: Exchange) -> None:
    exchange.head(f"Content-Length: {len(IMAGE)}, {len(IMAGE)}", f"Content-Length: {len(IMAGE)}")
    exchange.send(IMAGE)


@behaviour("double-length-in-one")
def _double_length_in_one(exchange: Exchange) -> None:
    exchange.head(f"Content-Length: {len(IMAGE)}, 5")
    exchange.send(IMAGE)


@behaviour("length-and-chunked")
def _length_and_chunked(exchange: Exchange) -> None:
    exchange.head("Content-Length: 5", "Transfer-Encoding: chunked")
    exchange.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(IMAGE), IMAGE))


@behaviour("chunked-twice")
def _chunked_twice(exchange: Exchange) -> None:
    exchange.head("Transfer-Encoding: chunked", "Transfer-Encoding: chunked")
    exchange.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(IMAGE), IMAGE))


@behaviour("identity-transfer")
def _identity_transfer(exchange: Exchange) -> None:
    exchange.answer(IMAGE, "Transfer-Encoding: identity")


@behaviour("chunked-cut")
def _chunked_cut(exchange: Exchange) -> None:
    exchange.head("Transfer-Encoding: chunked")
    exchange.send(b"%x\r\n%b" % (len(IMAGE), IMAGE[:20]))


@behaviour("chunked-without-end")
def _chunked_without_end(exchange: Exchange) -> None:
    exchange.head("Transfer-Encoding: chunked")
    exchange.send(b"%x\r\n%b\r\n" % (len(IMAGE), IMAGE))


@behaviour("chunked-negative")
def _chunked_negative(exchange: Exchange) -> None:
    exchange.head("Transfer-Encoding: chunked")
    exchange.send(b"-5\r\n" + IMAGE)


@behaviour("endless-chunked")
def _endless_chunked(exchange: Exchange) -> None:
    exchange.head("Transfer-Encoding: chunked")
    while not exchange.server.closing.is_set():
        exchange.send(b"10000\r\n" + b"x" * 65_536 + b"\r\n")


@behaviour("endless-body")
def _endless_body(exchange: Exchange) -> None:
    exchange.head()
    while not exchange.server.closing.is_set():
        exchange.send(b"x" * 65_536)


@behaviour("endless-header")
def _endless_header(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while not exchange.server.closing.is_set():
        exchange.send(b"x" * 65_536)


@behaviour("endless-headers")
def _endless_headers(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 OK\r\n")
    while not exchange.server.closing.is_set():
        exchange.send(b"X-More: 1\r\n" * 1000)


@behaviour("gzip")
def _gzip(exchange: Exchange) -> None:
    exchange.answer(gzip.compress(b"\0" * 1_000_000), "Content-Encoding: gzip")


@behaviour("double-gzip")
def _double_gzip(exchange: Exchange) -> None:
    exchange.answer(gzip.compress(gzip.compress(b"\0" * 1_000_000)), "Content-Encoding: gzip, gzip")


@behaviour("gzip-bomb")
def _gzip_bomb(exchange: Exchange) -> None:
    exchange.answer(GZIP_BOMB, "Content-Encoding: gzip")


@behaviour("not-found-once")
def _not_found_once(exchange: Exchange) -> None:
    if exchange.server.request_count("not-found-once") == 1:
        exchange.answer(b"not here yet", status="404 Not Found")
    else:
        exchange.answer(IMAGE)


@behaviour("gzip-transfer")
def _gzip_transfer(exchange: Exchange) -> None:
    exchange.head("Transfer-Encoding: gzip, chunked")
    exchange.send(b"0\r\n\r\n")


@behaviour("not-http")
def _not_http(exchange: Exchange) -> None:
    exchange.send(b"SSH-2.0-OpenSSH_9.2\r\n")


@behaviour("status-999")
def _status_999(exchange: Exchange) -> None:
    exchange.answer(IMAGE, status="999 Whatever")


@behaviour("not-found-with-image")
def _not_found_with_image(exchange: Exchange) -> None:
    exchange.answer(IMAGE, status="404 Not Found")


@behaviour("partial")
def _partial(exchange: Exchange) -> None:
    exchange.answer(IMAGE[:20], f"Content-Range: bytes 0-19/{len(IMAGE)}", status="206 Partial Content")


@behaviour("no-content")
def _no_content(exchange: Exchange) -> None:
    exchange.head(status="204 No Content")


@behaviour("empty")
def _empty(exchange: Exchange) -> None:
    exchange.answer(b"")


@behaviour("fail-once")
def _fail_once(exchange: Exchange) -> None:
    if exchange.server.request_count("fail-once") == 1:
        exchange.answer(b"", status="500 Internal Server Error")
    else:
        exchange.answer(IMAGE)


@behaviour("fail-always")
def _fail_always(exchange: Exchange) -> None:
    exchange.answer(IMAGE, status="503 Service Unavailable")


@behaviour("too-many-requests")
def _too_many_requests(exchange: Exchange) -> None:
    exchange.answer(b"", "Retry-After: 7", status="429 Too Many Requests")


@behaviour("busy-until-a-date")
def _busy_until_a_date(exchange: Exchange) -> None:
    exchange.answer(b"", "Retry-After: Sun, 14 Jan 2024 12:00:09 GMT", status="503 Service Unavailable")


@behaviour("request-timeout")
def _request_timeout(exchange: Exchange) -> None:
    exchange.answer(b"", "Retry-After: soon", status="408 Request Timeout")


@behaviour("redirect-to-ok")
def _redirect_to_ok(exchange: Exchange) -> None:
    exchange.redirect("/ok?signed=1#part")


@behaviour("redirect-loop")
def _redirect_loop(exchange: Exchange) -> None:
    exchange.redirect("/redirect-loop-back", "307 Temporary Redirect")


@behaviour("redirect-loop-back")
def _redirect_loop_back(exchange: Exchange) -> None:
    exchange.redirect("/redirect-loop", "308 Permanent Redirect")


@behaviour("redirect-for-ever")
def _redirect_for_ever(exchange: Exchange) -> None:
    exchange.redirect(f"/redirect-for-ever?{len(exchange.server.requests)}")


@behaviour("redirect-nowhere")
def _redirect_nowhere(exchange: Exchange) -> None:
    exchange.answer(IMAGE, status="302 Found")


@behaviour("redirect-endless-body")
def _redirect_endless_body(exchange: Exchange) -> None:
    exchange.head("Location: /ok", status="302 Found")
    while not exchange.server.closing.is_set():
        exchange.send(b"x" * 65_536)


@behaviour("redirect")
def _redirect(exchange: Exchange) -> None:
    """Redirect to the text after the question mark, unchanged."""
    exchange.redirect(exchange.request.path.partition("?")[2])
