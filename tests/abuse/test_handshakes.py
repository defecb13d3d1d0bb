"""Clients that connect to a TLS port and do not finish the handshake, against a real gunicorn with a certificate."""

from __future__ import annotations

import shutil
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.certificates import self_signed
from tests.support.raw import connected, until_closed
from tests.support.service import ANY_CERTIFICATE, Service, running_service

PATIENCE_S = 60.0  # much longer than the timeout of a handshake, much shorter than forever


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path, redis_url: str) -> Iterator[Service]:
    """A web process with TLS and without a proxy."""
    folder = tmp_path_factory.mktemp("sealed")
    certificate = self_signed(folder)
    database = f"sqlite:///{shutil.copyfile(migrated_sqlite_file, folder / 'imagefleet.db')}"
    tls = {"TLS_CERT": str(certificate.file), "TLS_KEY": str(certificate.key)}
    with running_service(folder, database, redis_url, webs=1, workers=0, **tls) as service:
        yield service


def says_nothing(sock: socket.socket) -> None:
    """Send nothing after connecting."""


def says_half(sock: socket.socket) -> None:
    """Send the beginning of a ClientHello, whose length announces more."""
    sock.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 20)


def speaks_plainly(sock: socket.socket) -> None:
    """Send plain HTTP to the TLS port."""
    sock.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")


@pytest.mark.parametrize("begin", [says_nothing, says_half, speaks_plainly])
def test_a_client_without_a_handshake_is_dropped_and_others_are_served_meanwhile(
    sealed: Service, begin: Callable[[socket.socket], None]
) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(connected(sealed.ports[0], PATIENCE_S)) for _ in range(50)]
        for sock in silent:
            begin(sock)
        assert sealed.get("/health").status == 200
        for sock in silent:
            assert until_closed(sock) == b""
        assert sealed.get("/health").status == 200


def test_a_handshake_that_arrives_byte_by_byte_is_cut_off(sealed: Service) -> None:
    with connected(sealed.ports[0], 0.2) as sock:
        says_half(sock)
        ends = time.monotonic() + PATIENCE_S
        while time.monotonic() < ends:
            try:
                sock.sendall(b"x")
                if not sock.recv(1):
                    return
            except TimeoutError:
                continue
            except ConnectionError:
                return
    pytest.fail(f"a handshake could drip for {PATIENCE_S:g} s")


def test_after_the_handshake_the_timeout_for_the_request_head_applies(sealed: Service) -> None:
    with connected(sealed.ports[0], PATIENCE_S) as raw:
        sock = ANY_CERTIFICATE.wrap_socket(raw)
        sock.sendall(b"GET /health HTTP/1.1\r\nX-Slow: ")
        try:
            assert sock.recv(1) == b""
        except (ConnectionError, ssl.SSLError):
            return  # closed without a response
