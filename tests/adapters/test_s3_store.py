"""Pictures are objects of a bucket, on a real S3 server."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

import pytest
import requests

from app.adapters.s3_client import Patience
from app.adapters.s3_errors import S3Error
from app.adapters.s3_store import PARTS_FROM_BYTES, S3Store
from app.adapters.store import STAGING, BadName, LocalStore, StoreError
from app.domain.images import Fault
from app.storage_settings import S3Location
from tests.support.ports import free_port
from tests.support.s3 import REGION, S3Server

REQUEST = "550e8400-e29b-41d4-a716-446655440000"
NAME = f"{REQUEST}_1705238520000.png"
COPY = "650e8400-e29b-41d4-a716-446655440000_1705238520001.png"
HOSTILE_NAMES = ["", "..", f"../{NAME}", f".uploads/{NAME}", f"{NAME}\0", f"{NAME}/..", "secret.png", "a" * 5_000]
SHORT = Patience(connect_s=1.0, read_s=1.0, attempts=1)

pytestmark = pytest.mark.usefixtures("s3_credentials")


@pytest.fixture
def bucket(s3: S3Server) -> str:
    return s3.bucket()


@pytest.fixture
def location(s3: S3Server, bucket: str) -> S3Location:
    return s3.location(bucket, "some/pictures")


@pytest.fixture
def store(location: S3Location, tmp_path: Path) -> S3Store:
    return S3Store(location, LocalStore(tmp_path))


def publish(store: S3Store, content: bytes = b"picture", name: str = NAME) -> None:
    with store.stage() as staged:
        staged.file.write(content)
        store.publish(staged, name)


def keep_upload(store: S3Store, attempt: int = 2) -> None:
    with store.stage() as staged:
        staged.file.write(b"uploaded")
        store.keep_upload(staged, REQUEST, attempt, 0)


def content_of(store: S3Store, name: str = NAME) -> bytes | None:
    file = store.open(name)
    if file is None:
        return None
    with file:
        return file.read()


def files(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


def test_a_published_picture_can_be_read_and_leaves_no_file_here(
    store: S3Store, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    publish(store)
    assert content_of(store) == b"picture"
    assert store.has(NAME)
    assert s3.names(bucket) == [f"some/pictures/{NAME}"]
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("ending", "content_type"), [(".png", "image/png"), (".256.webp", "image/webp"), (".jpeg", "image/jpeg")]
)
def test_an_object_has_what_a_cdn_in_front_of_the_bucket_needs(
    store: S3Store, s3: S3Server, bucket: str, ending: str, content_type: str
) -> None:
    name = NAME.removesuffix(".png") + ending
    publish(store, name=name)
    head = s3.client.head_object(Bucket=bucket, Key=f"some/pictures/{name}", ChecksumMode="ENABLED")
    assert head["ContentType"] == content_type
    assert head["CacheControl"] == "public, max-age=31536000, immutable"
    assert head["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(b"picture").digest()).decode()


def test_a_bucket_may_be_used_without_a_prefix(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    store = S3Store(s3.location(bucket), LocalStore(tmp_path))
    publish(store)
    keep_upload(store)
    assert s3.names(bucket) == [f".uploads/{REQUEST}.2.0", NAME]


def test_a_picture_does_not_exist_before_it_is_published(store: S3Store, s3: S3Server, bucket: str) -> None:
    with store.stage() as staged:
        staged.file.write(b"half")
        assert content_of(store) is None
        assert not store.has(NAME)
    assert s3.names(bucket) == []


def test_publishing_again_replaces_the_picture(store: S3Store) -> None:
    publish(store, b"first")
    publish(store, b"second")
    assert content_of(store) == b"second"


def test_a_large_picture_is_sent_in_parts(store: S3Store, s3: S3Server, bucket: str) -> None:
    large = os.urandom(PARTS_FROM_BYTES + 1)
    publish(store, large)
    assert content_of(store) == large
    assert "-" in s3.client.head_object(Bucket=bucket, Key=f"some/pictures/{NAME}")["ETag"]


def test_an_open_picture_can_be_read_from_any_place(store: S3Store) -> None:
    picture = os.urandom(300_000)
    publish(store, picture)
    file = store.open(NAME)
    assert file is not None
    with file:
        assert file.seekable()
        for at, size in ((250_000, 1_000), (0, 10), (10, 70_000), (299_990, 100), (300_000, 1), (1, -1)):
            assert file.seek(at) == at
            assert file.tell() == at
            assert file.read(size) == picture[at:][: None if size < 0 else size]
        assert file.seek(-5, os.SEEK_END) == 299_995
        assert file.read() == picture[-5:]


def test_a_picture_that_is_replaced_while_it_is_read_is_not_mixed_with_the_other(store: S3Store) -> None:
    publish(store, bytes(300_000))
    file = store.open(NAME)
    assert file is not None
    publish(store, b"1" * 300_000)
    file.seek(200_000)
    with file, pytest.raises(OSError, match="the storage failed"):
        file.read(10)


def test_an_empty_object_is_an_empty_file(store: S3Store) -> None:
    publish(store, b"")
    assert content_of(store) == b""


def test_a_second_name_is_a_copy_and_each_is_deleted_on_its_own(store: S3Store) -> None:
    for first, second in ((NAME, COPY), (COPY, NAME)):
        publish(store, name=first)
        assert store.link(first, second)
        store.delete(first)
        assert content_of(store, first) is None
        assert content_of(store, second) == b"picture"
        store.delete(second)


def test_a_copy_has_the_same_headers(store: S3Store, s3: S3Server, bucket: str) -> None:
    publish(store)
    store.link(NAME, COPY)
    head = s3.client.head_object(Bucket=bucket, Key=f"some/pictures/{COPY}")
    assert (head["ContentType"], head["CacheControl"]) == ("image/png", "public, max-age=31536000, immutable")


def test_a_second_name_that_exists_stays_as_it_is(store: S3Store) -> None:
    publish(store)
    publish(store, b"another", COPY)
    assert store.link(NAME, COPY)
    assert content_of(store, COPY) == b"another"


def test_a_picture_that_does_not_exist_gets_no_second_name(store: S3Store) -> None:
    assert not store.link(NAME, COPY)
    assert not store.has(COPY)
    publish(store, name=COPY)
    assert not store.link(NAME, COPY)


def test_deleting_twice_is_no_error(store: S3Store) -> None:
    publish(store)
    store.delete(NAME)
    store.delete(NAME)
    assert store.open(NAME) is None


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_name_is_refused(store: S3Store, s3: S3Server, bucket: str, name: str) -> None:
    assert store.open(name) is None
    for act in (store.delete, store.has, lambda name: store.link(name, COPY), lambda name: store.link(COPY, name)):
        with pytest.raises(BadName) as caught:
            act(name)
        assert not caught.value.retryable
    with pytest.raises(BadName):
        publish(store, name=name)
    assert s3.names(bucket) == []


def test_uploads_are_kept_in_the_bucket_until_they_are_discarded(store: S3Store, tmp_path: Path) -> None:
    keep_upload(store)
    elsewhere = S3Store(store.location, LocalStore(tmp_path / "another host"))
    for _ in range(2):
        file = elsewhere.open_upload(REQUEST, 2, 0)
        assert file is not None
        with file:
            assert Path(file.name).read_bytes() == b"uploaded"  # decoders open it by its name
            assert file.read() == b"uploaded"
    assert elsewhere.open_upload(REQUEST, 1, 0) is None
    assert elsewhere.open_upload(REQUEST, 2, 1) is None
    for _ in range(2):
        elsewhere.discard_upload(REQUEST, 2, 0)
    assert store.open_upload(REQUEST, 2, 0) is None
    assert files(tmp_path) == []


@pytest.mark.parametrize("request_id", ["", "..", "../../etc/passwd", REQUEST.upper(), f"{REQUEST}\n", f"{REQUEST}/x"])
def test_an_upload_needs_a_valid_request_id(store: S3Store, request_id: str) -> None:
    with pytest.raises(BadName):
        store.open_upload(request_id, 1, 0)
    with pytest.raises(BadName), store.stage() as staged:
        store.keep_upload(staged, request_id, 1, 0)


def test_a_sweep_deletes_what_a_crash_left_behind_here_and_in_the_bucket(
    store: S3Store, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    publish(store)
    keep_upload(store)
    left_behind = tmp_path / STAGING / "old.part"
    left_behind.write_bytes(b"x")
    changed = s3.client.head_object(Bucket=bucket, Key=f"some/pictures/.uploads/{REQUEST}.2.0")["LastModified"]
    a_day_later = int(changed.timestamp() + 86_400) * 1000
    assert store.sweep_staging(a_day_later) == 1
    assert not left_behind.exists()
    assert store.sweep_staging(a_day_later + 2_000) == 1
    assert s3.names(bucket) == [f"some/pictures/{NAME}"]


def test_parts_of_a_picture_whose_sender_was_killed_are_removed_a_day_later(
    store: S3Store, s3: S3Server, bucket: str
) -> None:
    ours, uploads, others = f"some/pictures/{NAME}", f"some/pictures/.uploads/{REQUEST}.1.0", "some/pictures/backup.tar"
    for key in (ours, uploads, others):
        begun = s3.client.create_multipart_upload(Bucket=bucket, Key=key)
        part = {"Bucket": bucket, "Key": key, "UploadId": begun["UploadId"], "PartNumber": 1}
        s3.client.upload_part(Body=b"the first part", **part)

    def left() -> set[str]:
        return {each["Key"] for each in s3.client.list_multipart_uploads(Bucket=bucket).get("Uploads", ())}

    initiated = s3.client.list_multipart_uploads(Bucket=bucket)["Uploads"][0]["Initiated"]
    a_day_later = int(initiated.timestamp() + 86_400) * 1000
    assert (store.sweep_staging(a_day_later - 60_000), left()) == (0, {ours, uploads, others})
    assert (store.sweep_staging(a_day_later + 60_000), left()) == (2, {others})


def test_anybody_can_get_a_picture_by_a_presigned_url(store: S3Store) -> None:
    publish(store)
    url = store.presigned_url(NAME, 60)
    assert url is not None
    assert requests.get(url, timeout=10).content == b"picture"
    assert "testing-secret" not in url


@pytest.mark.parametrize(
    ("url", "begin"),
    [
        ("s3://pictures/x?region=eu-west-1", "https://pictures.s3.eu-west-1.amazonaws.com/x/"),
        ("s3://my.pictures?region=eu-west-1&path_style=on", "https://s3.eu-west-1.amazonaws.com/my.pictures/"),
        ("s3://pictures?endpoint=http://minio.example:9000&path_style=on", "http://minio.example:9000/pictures/"),
        ("s3://pictures?endpoint=http://127.0.0.1:9000", "http://127.0.0.1:9000/pictures/"),
        ("s3://pictures?endpoint=https://s3.example&path_style=off", "https://pictures.s3.example/"),
    ],
)
def test_a_presigned_url_is_at_the_host_of_the_bucket(url: str, begin: str, tmp_path: Path) -> None:
    store = S3Store(S3Location.parse(url), LocalStore(tmp_path))
    presigned = store.presigned_url(NAME, 60)
    assert presigned is not None
    assert presigned.startswith(f"{begin}{NAME}?")
    assert "X-Amz-SignedHeaders=host&" in presigned  # a client sends no other header


def test_a_check_leaves_no_object(store: S3Store, s3: S3Server, bucket: str) -> None:
    store.verify()
    store.check()
    assert s3.names(bucket) == []


def test_there_is_room_without_limit(store: S3Store) -> None:
    assert store.free_bytes() > 10**18


# -- what an operator reads


def refusal(location: S3Location, folder: Path) -> S3Error:
    with pytest.raises(S3Error) as caught:
        S3Store(location, LocalStore(folder), SHORT, SHORT).verify()
    assert (caught.value.fault, caught.value.retryable) == (Fault.SERVICE, True)
    return caught.value


def test_a_missing_bucket_is_named(s3: S3Server, tmp_path: Path) -> None:
    problem = refusal(s3.location("no-such-bucket"), tmp_path)
    assert problem.remedy == "there is no bucket 'no-such-bucket': create it, or name another"
    assert problem.lasting
    assert str(problem) == "The storage cannot be used: its bucket does not exist."


def test_an_endpoint_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    problem = refusal(S3Location("pictures", endpoint=url, region=REGION), tmp_path)
    assert problem.remedy == f"{url} cannot be reached (EndpointConnectionError)"
    assert not problem.lasting


def test_missing_credentials_are_named(location: S3Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    problem = refusal(location, tmp_path)
    assert problem.remedy.startswith("there are no credentials: set AWS_ACCESS_KEY_ID")
    assert problem.lasting


def test_a_bucket_that_is_deleted_later_is_an_error_of_the_service(store: S3Store, s3: S3Server, bucket: str) -> None:
    publish(store)
    store.delete(NAME)
    s3.client.delete_bucket(Bucket=bucket)
    for act in (publish, content_of, lambda store: store.link(NAME, COPY), keep_upload):
        with pytest.raises(StoreError, match="its bucket does not exist") as caught:
            act(store)
        assert caught.value.retryable
        assert bucket not in str(caught.value)
    with pytest.raises(StoreError):  # a failure ends the time for which no check is made
        store.check()


def test_the_names_of_pictures_are_listed_and_no_others(store: S3Store) -> None:
    publish(store)
    publish(store, name=COPY)
    with store.stage() as staged:
        staged.file.write(b"upload")
        store.keep_upload(staged, REQUEST, 1, 0)
    assert sorted(store.names()) == [NAME, COPY]
