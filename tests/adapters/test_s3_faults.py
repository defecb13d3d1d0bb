"""An object storage that is busy, slow or silent, refuses, or lies about what it sends."""

from __future__ import annotations

import base64
import collections
import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app.adapters import s3_store
from app.adapters.s3_client import Patience
from app.adapters.s3_errors import S3Error
from app.adapters.s3_store import S3Store
from app.adapters.store import LocalStore, StoreError
from app.domain.images import Fault
from app.storage_settings import S3Location
from tests.support.log_capture import written
from tests.support.scripted_server import CUT, RecordedRequest, Reply, ScriptedServer

REQUEST = "550e8400-e29b-41d4-a716-446655440000"
NAME = f"{REQUEST}_1705238520000.png"
COPY = "650e8400-e29b-41d4-a716-446655440000_1705238520001.png"
PATH = f"/pictures/{NAME}"
UPLOAD_PATH = f"/pictures/.uploads/{REQUEST}.1.0"
PICTURE = bytes(range(256)) * 1_000
SHA256 = base64.b64encode(hashlib.sha256(PICTURE).digest()).decode()
QUICK = Patience(connect_s=1.0, read_s=0.3, attempts=2)

pytestmark = pytest.mark.usefixtures("s3_credentials")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as scripted:
        yield scripted


@pytest.fixture
def store(server: ScriptedServer, tmp_path: Path) -> S3Store:
    return S3Store(S3Location("pictures", endpoint=server.url, path_style=True), LocalStore(tmp_path), QUICK, QUICK)


def xml_error(status: int, code: str, more: str = "", **headers: str) -> Reply:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message>{more}</Error>"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(body.encode(), status, {"Content-Type": "application/xml", **named})


def sent(body: bytes = PICTURE, status: int = 200, **headers: str) -> Reply:
    """A picture that its server sends; the header Content_Length may be a lie."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(body, status, {"ETag": '"one"', "Content-Length": str(len(body)), **named})


def the_rest(request: RecordedRequest) -> Reply:
    """What a ranged request asks for."""
    begin = int(request.headers["range"].removeprefix("bytes=").removesuffix("-"))
    return sent(PICTURE[begin:], 206, Content_Range=f"bytes {begin}-{len(PICTURE) - 1}/{len(PICTURE)}")


def publish(store: S3Store) -> None:
    with store.stage() as staged:
        staged.file.write(PICTURE)
        store.publish(staged, NAME)


def content_of(store: S3Store) -> bytes:
    file = store.open(NAME)
    assert file is not None
    with file:
        return file.read()


def read_until_it_fails(store: S3Store) -> bytes:
    """What was read before the failure."""
    file = store.open(NAME)
    assert file is not None
    read = bytearray()
    with file, pytest.raises(OSError, match="the storage"):
        collections.deque(map(read.extend, iter(partial(file.read, 8_192), b"")), 0)
    return bytes(read)


ACTS: dict[str, Callable[[S3Store], Any]] = {
    "publish": publish,
    "open": lambda store: store.open(NAME),
    "has": lambda store: store.has(NAME),
    "link": lambda store: store.link(NAME, COPY),
    "delete": lambda store: store.delete(NAME),
    "open_upload": lambda store: store.open_upload(REQUEST, 1, 0),
    "discard_upload": lambda store: store.discard_upload(REQUEST, 1, 0),
    "sweep_staging": lambda store: store.sweep_staging(0),
    "check": lambda store: store.check(),
}


def every_path(server: ScriptedServer, *replies: Any) -> None:
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        for path in (PATH, f"/pictures/{COPY}", UPLOAD_PATH, "/pictures", "/pictures/.check"):
            server.on(method, path, *replies)


def failure(store: S3Store, act: Callable[[S3Store], Any]) -> StoreError:
    with pytest.raises(StoreError) as caught:
        act(store)
    assert (caught.value.fault, caught.value.retryable) == (Fault.SERVICE, True)
    return caught.value


# -- busy, slow, silent


def test_a_busy_storage_is_tried_again(store: S3Store, server: ScriptedServer) -> None:
    server.on("PUT", PATH, xml_error(503, "SlowDown"), Reply())
    publish(store)
    puts = server.requests_to("PUT", PATH)
    assert [put.body for put in puts] == [PICTURE] * 2
    assert [put.headers["x-amz-checksum-sha256"] for put in puts] == [SHA256] * 2


@pytest.mark.parametrize("act", ACTS)
def test_one_that_stays_busy_is_an_error_of_the_service(store: S3Store, server: ScriptedServer, act: str) -> None:
    every_path(server, Reply(status=503))
    assert "it is overloaded" in str(failure(store, ACTS[act]))
    assert len(server.requests) == QUICK.attempts


@pytest.mark.parametrize("act", ["publish", "open", "check"])
def test_one_that_never_answers_is_given_up(store: S3Store, server: ScriptedServer, act: str) -> None:
    def hang(_: RecordedRequest) -> Reply:
        server.closing.wait(60)
        return CUT

    every_path(server, hang)
    assert "it cannot be reached" in str(failure(store, ACTS[act]))


@pytest.mark.parametrize("act", ["publish", "open", "link"])
def test_one_that_breaks_connections_is_given_up(store: S3Store, server: ScriptedServer, act: str) -> None:
    every_path(server, CUT)
    assert "it cannot be reached" in str(failure(store, ACTS[act]))


def test_an_upload_that_arrives_too_slowly_is_given_up(
    store: S3Store, server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drops() -> Iterator[bytes]:
        while not server.closing.wait(0.05):
            yield bytes(70_000)

    server.on("GET", UPLOAD_PATH, lambda _: Reply(drops(), headers={"ETag": '"one"', "Content-Length": str(10**9)}))
    monkeypatch.setattr(s3_store, "UPLOAD_WITHIN_S", 0.2)
    assert "the storage is too slow" in str(failure(store, ACTS["open_upload"]))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


# -- lies


def test_a_picture_as_announced_is_read(store: S3Store, server: ScriptedServer) -> None:
    server.on("GET", PATH, sent(x_amz_checksum_sha256=SHA256))
    assert content_of(store) == PICTURE


def test_a_picture_with_another_checksum_never_ends(store: S3Store, server: ScriptedServer) -> None:
    wrong = PICTURE[:-1] + b"?"
    server.on("GET", PATH, sent(wrong, x_amz_checksum_sha256=SHA256))
    assert len(read_until_it_fails(store)) < len(PICTURE)


def test_a_picture_whose_length_was_announced_too_small_never_ends(store: S3Store, server: ScriptedServer) -> None:
    server.on("GET", PATH, sent(Content_Length=str(len(PICTURE) - 10), x_amz_checksum_sha256=SHA256))
    assert len(read_until_it_fails(store)) < len(PICTURE) - 10


def test_a_picture_whose_length_was_announced_too_large_never_ends(store: S3Store, server: ScriptedServer) -> None:
    server.on("GET", PATH, sent(Content_Length=str(len(PICTURE) + 10)), xml_error(416, "InvalidRange"))
    assert len(read_until_it_fails(store)) <= len(PICTURE)


def test_a_connection_that_breaks_is_continued_from_where_it_broke(store: S3Store, server: ScriptedServer) -> None:
    broken = sent(PICTURE[:150_000], Content_Length=str(len(PICTURE)))
    server.on("GET", PATH, broken, the_rest)
    assert content_of(store) == PICTURE
    _, second = server.requests_to("GET", PATH)
    assert second.headers["if-match"] == '"one"'


def test_one_that_breaks_every_time_is_given_up(store: S3Store, server: ScriptedServer) -> None:
    server.on("GET", PATH, sent(PICTURE[:150_000], Content_Length=str(len(PICTURE))), CUT)
    assert len(read_until_it_fails(store)) <= 150_000


def test_another_part_than_was_asked_for_is_refused(store: S3Store, server: ScriptedServer) -> None:
    broken = sent(PICTURE[:150_000], Content_Length=str(len(PICTURE)))
    server.on("GET", PATH, broken, sent())
    assert len(read_until_it_fails(store)) <= 150_000


def test_a_broken_upload_leaves_no_file_here(store: S3Store, server: ScriptedServer, tmp_path: Path) -> None:
    server.on("GET", UPLOAD_PATH, sent(PICTURE[:-1] + b"?", x_amz_checksum_sha256=SHA256))
    assert "The upload cannot be read" in str(failure(store, ACTS["open_upload"]))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_picture_that_did_not_arrive_as_it_was_sent_is_not_stored(store: S3Store, server: ScriptedServer) -> None:
    server.on("PUT", PATH, xml_error(400, "BadDigest"))
    assert str(failure(store, publish)) == "The picture cannot be stored: it failed."


def test_an_answer_of_something_else_is_an_error_of_the_service(store: S3Store, server: ScriptedServer) -> None:
    server.on("GET", "/pictures", Reply(b"<html>Welcome to nginx"))
    failure(store, ACTS["sweep_staging"])


# -- refusals, at the start and later


OTHER_REGION = "the bucket 'pictures' is in another region: set region=eu-west-1"


@pytest.mark.parametrize(
    ("reply", "remedy"),
    [
        (Reply(status=404), "there is no bucket 'pictures'"),
        (Reply(status=403), "access to s3://pictures/ is refused"),
        (Reply(status=301, headers={"x-amz-bucket-region": "eu-west-1"}), OTHER_REGION),
        (Reply(status=400, headers={"x-amz-bucket-region": "eu-west-1"}), OTHER_REGION),
        (Reply(status=301), "the storage is elsewhere and does not say where: check endpoint= (https?) and region="),
    ],
)
def test_what_is_wrong_at_the_start_is_named(store: S3Store, server: ScriptedServer, reply: Reply, remedy: str) -> None:
    server.on("HEAD", "/pictures", reply)
    with pytest.raises(S3Error) as caught:
        store.verify()
    assert caught.value.remedy.startswith(remedy)
    assert caught.value.lasting


def test_a_bucket_that_may_be_read_alone_is_refused_at_the_start(store: S3Store, server: ScriptedServer) -> None:
    server.on("HEAD", "/pictures", Reply())
    server.on("PUT", "/pictures/.check", xml_error(403, "AccessDenied"))
    with pytest.raises(S3Error) as caught:
        store.verify()
    assert caught.value.remedy.startswith("access to s3://pictures/ is refused")


@pytest.mark.parametrize(
    ("reply", "text", "remedy"),
    [
        (xml_error(403, "AccessDenied"), "it refused access", "need s3:GetObject, s3:PutObject and s3:DeleteObject"),
        (xml_error(403, "InvalidAccessKeyId"), "it refused the credentials", "(InvalidAccessKeyId): check AWS_ACCESS"),
        (xml_error(403, "SignatureDoesNotMatch"), "it refused the credentials", "check AWS_ACCESS_KEY_ID and AWS_SEC"),
        (xml_error(404, "NoSuchBucket"), "its bucket does not exist", "create it, or name another"),
        (
            xml_error(400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"),
            "its bucket is in another region",
            "set region=eu-west-1",
        ),
        (xml_error(507, "XMinioStorageFull"), "it failed", "answered PutObject with XMinioStorageFull"),
    ],
)
def test_a_refusal_is_told_to_clients_without_names_and_to_operators_with_a_remedy(
    store: S3Store, server: ScriptedServer, reply: Reply, text: str, remedy: str
) -> None:
    server.on("PUT", PATH, reply)
    server.on("HEAD", "/pictures", Reply(headers={"x-amz-bucket-region": "eu-west-1"}))
    with written() as log:
        problem = failure(store, publish)
    assert str(problem) == f"The picture cannot be stored: {text}."
    assert remedy in log.getvalue()
    assert "testing-" not in log.getvalue()


def test_after_a_failure_a_check_asks_the_storage_again(store: S3Store, server: ScriptedServer) -> None:
    server.on("PUT", "/pictures/.check", Reply())
    server.on("DELETE", "/pictures/.check", Reply(status=204))
    server.on("PUT", PATH, Reply(), xml_error(507, "XMinioStorageFull"))
    publish(store)
    store.check()
    assert server.requests_to("PUT", "/pictures/.check") == []  # it has just been seen to work
    failure(store, publish)
    store.check()
    assert len(server.requests_to("PUT", "/pictures/.check")) == 1
