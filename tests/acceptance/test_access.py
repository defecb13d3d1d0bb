"""Required authentication end to end on real processes: users, extensions, management command and client."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import websocket

from imagefleet.client import Client
from imagefleet.errors import Refused
from tests.support.extension import Extension
from tests.support.management import manage
from tests.support.pictures import data_url, plain
from tests.support.service import Service, running_service
from tests.support.waiting import until

OTHER = "another"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path, redis_url: str) -> Iterator[Service]:
    """A separate service with AUTH_MODE=required."""
    folder = tmp_path_factory.mktemp("guarded")
    database = shutil.copyfile(migrated_sqlite_file, folder / "imagefleet.db")
    with running_service(folder, f"sqlite:///{database}", redis_url, workers=1, AUTH_MODE="required") as service:
        yield service


@pytest.fixture(scope="module")
def keys(guarded: Service) -> dict[str, str]:
    """The API keys of two users."""
    for user in ("ann", "bob"):
        manage(guarded, "create-user", user)
    return {user: manage(guarded, "create-key", user) for user in ("ann", "bob")}


def is_refused(service: Service, web: int, credential: str) -> bool:
    return service.get("/api/images", web, Authorization=f"Bearer {credential}").status == 401


def extension(service: Service, name: str, token: str | None, **options: Any) -> Extension:
    if token is not None:
        options["token"] = token
    return service.extension(name, "*", **options)


@contextmanager
def refused(service: Service, name: str, token: str | None) -> Iterator[Extension]:
    """An extension whose authentication is refused."""
    rejected = extension(service, name, token)
    rejected.send(rejected.authentication)
    error = rejected.receive("error")
    assert error["code"] == "ERR_UNAUTHORIZED"
    yield rejected
    assert rejected.closed() == 4001
    rejected.disconnect()


def test_an_authenticated_extension_makes_a_picture_for_an_authenticated_user(
    guarded: Service, keys: Mapping[str, str]
) -> None:
    token = manage(guarded, "create-extension-token", "extension-1")
    assert guarded.post("/api/images/generate", {"prompt": "a"}).status == 401
    with Client(guarded.url(), key=keys["ann"]) as ann, Client(guarded.url(web=1), key=keys["bob"]) as bob:
        request_id = ann.submit("a fox").request_id
        with extension(guarded, "extension-1", token, web=1) as holder:
            job = holder.next_job()
            assert (job["requestId"], job["userId"]) == (request_id, "ann")
            holder.done(job, data_url(plain()))
            holder.receive("image_generation_confirmed")
        result = ann.wait(request_id, timeout_s=30)
        with pytest.raises(Refused) as refusal:
            bob.get(request_id)
        assert refusal.value.status == 404
        assert guarded.get(result.images[0].image_path).status == 200


def test_extensions_without_their_own_token_are_refused(guarded: Service, keys: Mapping[str, str]) -> None:
    token = manage(guarded, "create-extension-token", OTHER)
    for name, wrong in (("thief", None), ("thief", token), (OTHER, keys["ann"]), (OTHER, "nonsense"), (OTHER, None)):
        with refused(guarded, name, wrong):
            pass
    assert guarded.get("/api/websocket/info", Authorization=f"Bearer {token}").json["activeConnections"] == 0


@pytest.mark.parametrize("place", ["header", "protocol"])
def test_a_token_may_be_sent_with_the_handshake(guarded: Service, place: str) -> None:
    token = manage(guarded, "create-extension-token", f"by-{place}")
    options: dict[str, Any] = (
        {"header": {"Authorization": f"Bearer {token}"}}
        if place == "header"
        else {"subprotocols": ["imagefleet", f"token.{token}"]}
    )
    ws = websocket.create_connection(f"ws://127.0.0.1:{guarded.ports[0]}/ws", timeout=20, **options)
    assert ws.getsubprotocol() == ("imagefleet" if place == "protocol" else None)
    ws.send(f'{{"type": "authenticate", "extensionId": "by-{place}"}}')
    received = [ws.recv(), ws.recv()]
    assert "authentication_success" in str(received[-1])
    ws.close()


def test_only_the_same_token_takes_over_a_socket(guarded: Service) -> None:
    token, newer = (manage(guarded, "create-extension-token", "double") for _ in range(2))
    with extension(guarded, "double", token) as first:
        with refused(guarded, "double", newer):
            pass
        first.send_heartbeat()
        first.receive("heartbeat_response")
        with extension(guarded, "double", token, web=1):
            assert first.closed() == 4000


def test_a_socket_is_closed_when_its_token_is_revoked_or_expires(guarded: Service) -> None:
    token = manage(guarded, "create-extension-token", "short-lived")
    with extension(guarded, "short-lived", token) as holder:
        manage(guarded, "revoke-extension-token", token.split("_")[1])
        assert holder.closed() == 4001
    with refused(guarded, "short-lived", token):
        pass


def test_a_revoked_key_is_soon_refused_by_every_process(guarded: Service) -> None:
    manage(guarded, "create-user", "carl")
    key = manage(guarded, "create-key", "carl")
    token = guarded.post("/api/auth/token", {}, Authorization=f"Bearer {key}").json["token"]
    for web in (0, 1):
        for credential in (key, token):
            assert guarded.get("/api/images", web, Authorization=f"Bearer {credential}").status == 200
    manage(guarded, "revoke-key", key.split("_")[1])
    for web in (0, 1):
        for credential in (key, token):
            until(partial(is_refused, guarded, web, credential), 5, "the key to be refused")


def test_no_secret_is_in_any_log_or_in_the_database(guarded: Service, keys: Mapping[str, str]) -> None:
    guarded.get("/api/images", Authorization=f"Bearer {keys['ann']}")
    _, key_id, secret = (part.encode() for part in keys["ann"].split("_"))
    read = {file.name: file.read_bytes() for file in guarded.folder.iterdir() if file.is_file()}
    assert key_id in read["imagefleet.db"] + read.get("imagefleet.db-wal", b"")
    assert all(read[f"{name}.log"] for name in ("web0", "web1", "worker0"))
    assert [name for name, content in read.items() if secret in content] == []
