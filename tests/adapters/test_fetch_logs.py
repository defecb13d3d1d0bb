"""Nothing of a picture's address or of its host's answer is in a log or in an error, whichever part holds a secret."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Callable, Iterator

import pytest

from app.adapters.fetch_errors import FetchError
from app.adapters.http import Fetcher
from app.network_settings import Allowlist
from tests.support.exchange import Exchange
from tests.support.hostile_server import HostileServer
from tests.support.log_capture import written

CANARY = "canary4711"
HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
SECRET = CANARY.encode()

RAW = {
    "status line": b"HTTP/1.1 2x0 " + SECRET + b"\r\n\r\n",
    "no status line": SECRET + b"\r\n\r\n",
    "reason": b"HTTP/1.1 500 " + SECRET + b"\r\n\r\n",
    "header without a colon": HEAD + SECRET + b"\r\nContent-Length: 3\r\n\r\nabc",
    "header with a bad name": HEAD + b"Bad Name: " + SECRET + b"\r\nContent-Length: 3\r\n\r\nabc",
    "folded header": HEAD + b"X: a\r\n " + SECRET + b"\r\n\r\n",
    "many headers": HEAD + b"".join(b"X-%d: %s\r\n" % (n, SECRET) for n in range(200)) + b"\r\n",
    "long header": HEAD + b"X: " + SECRET * 10_000 + b"\r\n\r\n",
    "cookie": HEAD + b"Set-Cookie: a=" + SECRET + b"\r\nContent-Length: 0\r\n\r\n",
    "length": HEAD + b"Content-Length: " + SECRET + b"\r\n\r\nabc",
    "two lengths": HEAD + b"Content-Length: 3\r\nContent-Length: " + SECRET + b"\r\n\r\nabc",
    "transfer encoding": HEAD + b"Transfer-Encoding: " + SECRET + b"\r\n\r\nabc",
    "chunk size": HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + SECRET + b"\r\nabc",
    "trailer": HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n" + SECRET + b"\r\n\r\n",
    "content encoding": HEAD + b"Content-Encoding: " + SECRET + b"\r\nContent-Length: 3\r\n\r\nabc",
    "retry after": b"HTTP/1.1 429 Slow\r\nRetry-After: " + SECRET + b"\r\nContent-Length: 0\r\n\r\n",
    "location": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/?" + SECRET + b"\r\nContent-Length: 0\r\n\r\n",
    "location, userinfo": b"HTTP/1.1 302 Found\r\nLocation: http://u:"
    + SECRET
    + b"@127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
    "location, scheme": b"HTTP/1.1 302 Found\r\nLocation: ftp://127.0.0.1/" + SECRET + b"\r\nContent-Length: 0\r\n\r\n",
    "location, not a URL": b"HTTP/1.1 302 Found\r\nLocation: http://[" + SECRET + b"\r\nContent-Length: 0\r\n\r\n",
    "body": HEAD + b"Content-Length: 30\r\n\r\n" + SECRET,
    "interim answer": b"HTTP/1.1 100 "
    + SECRET
    + b"\r\nX: "
    + SECRET
    + b"\r\n\r\n"
    + HEAD
    + b"Content-Length: 0\r\n\r\n",
}


@pytest.fixture(scope="module")
def host() -> Iterator[HostileServer]:
    with HostileServer() as server:
        yield server


def sending(raw: bytes) -> Callable[[Exchange], None]:
    return lambda exchange: exchange.send(raw)


@pytest.mark.parametrize("answer", RAW)
def test_neither_a_hosts_answer_nor_the_address_is_logged(host: HostileServer, answer: str) -> None:
    path = f"/{answer.replace(' ', '-')}-{CANARY}"
    url = f"{host.url(path)}?X-Amz-Signature={CANARY}"
    host.behave(path, sending(RAW[answer]))
    error = ""
    with written("debug") as stderr:
        logging.getLogger("app").info("The log works")
        try:
            Fetcher(Allowlist(frozenset({"127.0.0.1"}))).fetch(
                url, into=io.BytesIO(), max_bytes=100_000, timeout_ms=5_000
            )
        except FetchError as raised:
            error = str(raised)
    assert "The log works" in stderr.getvalue()
    assert CANARY not in stderr.getvalue()
    assert CANARY not in error
    assert host.requests[-1].path.startswith(path)


@pytest.mark.parametrize("url", [f"http://u:{CANARY}@127.0.0.1/", f"http://127.0.0.1:1/{CANARY}?{CANARY}#{CANARY}"])
def test_an_address_that_cannot_be_fetched_is_not_logged(url: str) -> None:
    error = ""
    with written("debug") as stderr, contextlib.suppress(FetchError):
        try:
            Fetcher(Allowlist(frozenset({"127.0.0.1"}))).fetch(url, into=io.BytesIO(), max_bytes=100, timeout_ms=1_000)
        except FetchError as raised:
            error = str(raised)
    assert CANARY not in stderr.getvalue() + error
