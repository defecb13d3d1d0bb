"""Wrong addresses of servers: refused before anything is sent, or explained by what answers there."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import NoReturn

import pytest

from imagefleet.client import Client
from imagefleet.errors import ConnectionLost, ImagefleetError, TlsFailed, UnknownHost
from tests.support.certificates import self_signed
from tests.support.scripted_server import CUT, ScriptedServer
from tests.support.tls_relay import tls_relay
from tests.support.wire_answers import ID, STATUS, status


def fault(address: str) -> ImagefleetError:
    """What a call to this server raises."""
    with Client(address, patience_s=0.0) as fleet, pytest.raises(ImagefleetError) as caught:
        fleet.status(ID)
    return caught.value


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("localhost:3000", "must begin with http"),
        ("ftp://localhost", "must begin with http"),
        ("", "must begin with http"),
        ("http://", "its host cannot be read"),
        ("http://ex..ample", "its host cannot be read"),
        ("http://[::1", "its host cannot be read"),
        ("http://localhost:99999", "its port must be a number from 1 to 65535"),
        ("http://localhost:http", "its port must be a number from 1 to 65535"),
        ("http://localhost:0", "its port must be a number from 1 to 65535"),
        ("http://local host:3000", "contains a space"),
        ("http://localhost:30\x0000", "contains a space or a control character"),
        ("http://ann:secret@localhost:3000", "may only have a host, a port and a path"),
        ("http://localhost:3000?key=1", "may only have a host, a port and a path"),
    ],
)
def test_an_address_that_cannot_be_one_is_refused_with_its_problem(address: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Client(address)


def test_spaces_around_an_address_and_slashes_at_its_end_do_not_count(scripted: ScriptedServer) -> None:
    scripted.on("GET", STATUS, status("completed", 2))
    with Client(f" {scripted.url}// \n") as fleet:
        assert fleet.status(ID).status == "completed"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (socket.EAI_NONAME, "There is no host named images.example."),
        (socket.EAI_AGAIN, "The host images.example cannot be looked up at the moment: no name server answers."),
    ],
)
def test_a_host_without_an_address_is_named(monkeypatch: pytest.MonkeyPatch, number: int, said: str) -> None:
    def look_up(*_: object) -> NoReturn:
        raise socket.gaierror(number, "nodename nor servname provided, or not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    error = fault("https://images.example")
    assert isinstance(error, UnknownHost)
    assert error.detail == said


def test_https_to_a_server_without_tls_says_so(scripted: ScriptedServer) -> None:
    address = scripted.url.replace("http://", "https://")
    error = fault(address)
    assert isinstance(error, TlsFailed)
    assert error.detail == f"{address} does not answer with TLS: the address may have to begin with http://."


def test_a_server_with_tls_is_recognised_by_how_it_answers(tmp_path: Path) -> None:
    with tls_relay(tmp_path / "nothing", self_signed(tmp_path)) as port:
        unencrypted, untrusted = fault(f"http://127.0.0.1:{port}"), fault(f"https://127.0.0.1:{port}")
    assert isinstance(unencrypted, ConnectionLost)
    assert "If it serves TLS, the address must begin with https://." in unencrypted.detail
    assert isinstance(untrusted, TlsFailed)
    assert "does not trust the server's certificate: " in untrusted.detail


def test_a_server_that_has_answered_is_not_suspected_of_tls(scripted: ScriptedServer) -> None:
    scripted.on("GET", STATUS, status("accepted", 1), CUT)
    with Client(scripted.url, patience_s=0.0) as fleet:
        fleet.status(ID)
        with pytest.raises(ConnectionLost) as caught:
            fleet.status(ID)
    assert "TLS" not in caught.value.detail
