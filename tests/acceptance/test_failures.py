"""Invalid tokens over real sockets of two web processes: in the handshake, and in `authenticate`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.management import manage
from tests.support.raw import connected, shake_hands
from tests.support.service import Service, running_service

INVALID = "imgx_" + "0" * 16 + "_" + "0" * 64
MAX_ATTEMPTS = 60


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path, redis_url: str) -> Iterator[Service]:
    """A service that accepts few authentication failures a minute."""
    folder = tmp_path_factory.mktemp("strict")
    database = f"sqlite:///{shutil.copyfile(migrated_sqlite_file, folder / 'imagefleet.db')}"
    with running_service(
        folder, database, redis_url, workers=0, AUTH_MODE="required", MAX_AUTH_FAILURES="5"
    ) as service:
        yield service


def test_an_address_with_too_many_failures_must_wait_but_a_known_token_works(strict: Service) -> None:
    token = manage(strict, "create-extension-token", "good")
    with strict.extension("good", "*", token=token):
        pass
    codes: list[str] = []
    while "ERR_TOO_MANY_FAILURES" not in codes and len(codes) < MAX_ATTEMPTS:
        rejected = strict.extension("good", "*", web=len(codes) % 2, token=INVALID)
        rejected.send(rejected.authentication)
        codes.append(rejected.receive("error")["code"])
        closed = rejected.closed()
        rejected.disconnect()
    assert set(codes[:-1]) == {"ERR_UNAUTHORIZED"}
    assert (codes[-1], closed) == ("ERR_TOO_MANY_FAILURES", 1013)

    heads: list[bytes] = []
    while not (heads and b" 429 " in heads[-1]) and len(heads) < MAX_ATTEMPTS:
        with connected(strict.ports[0]) as sock:
            heads.append(shake_hands(sock, f"Authorization: Bearer {INVALID}"))
    assert heads[-1].startswith(b"HTTP/1.1 429 ")
    assert b"retry-after: " in heads[-1].lower()

    with strict.extension("good", "*", token=token) as still:
        still.send_heartbeat()
        still.receive("heartbeat_response")
