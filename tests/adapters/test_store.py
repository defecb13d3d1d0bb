"""Picture files appear atomically."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from app.adapters.store import STAGING, BadName, LocalStore, StoreError
from tests.support.disks import read_only

REQUEST = "550e8400-e29b-41d4-a716-446655440000"
NAME = f"{REQUEST}_1705238520000.png"
HOSTILE_NAMES = [
    "",
    ".",
    "..",
    "../secret.png",
    f"../{NAME}",
    f"{STAGING}/{NAME}",
    f"{NAME}\0",
    f"{NAME}/..",
    "/etc/passwd",
    "secret.png",
    "a" * 5_000,
]


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "deep" / "images")


def publish(store: LocalStore, content: bytes = b"picture", name: str = NAME) -> None:
    with store.stage() as staged:
        staged.file.write(content)
        store.publish(staged, name)


def write_half(store: LocalStore, error: Exception) -> None:
    with store.stage() as staged:
        staged.file.write(b"half")
        raise error


def staged_files(store: LocalStore) -> list[str]:
    return sorted(path.name for path in (store.root / STAGING).iterdir())


def content_of(store: LocalStore, name: str = NAME) -> bytes | None:
    file = store.open(name)
    if file is None:
        return None
    with file:
        return file.read()


def test_a_published_picture_can_be_read(store: LocalStore) -> None:
    publish(store)
    assert content_of(store) == b"picture"
    assert staged_files(store) == []


def test_a_picture_does_not_exist_before_it_is_published(store: LocalStore) -> None:
    with store.stage() as staged:
        staged.file.write(b"half")
        assert content_of(store) is None
        assert len(staged_files(store)) == 1
    assert content_of(store) is None


def test_a_file_that_is_not_published_leaves_nothing(store: LocalStore) -> None:
    with pytest.raises(ZeroDivisionError):
        write_half(store, ZeroDivisionError())
    assert staged_files(store) == []


def test_publishing_again_replaces_the_picture(store: LocalStore) -> None:
    publish(store, b"first")
    publish(store, b"second")
    assert content_of(store) == b"second"


def test_an_open_picture_stays_readable_after_it_is_replaced_and_deleted(store: LocalStore) -> None:
    publish(store, b"first")
    file = store.open(NAME)
    assert file is not None
    publish(store, b"second")
    store.delete(NAME)
    with file:
        assert file.read() == b"first"


COPY = "650e8400-e29b-41d4-a716-446655440000_1705238520001.png"


def test_a_second_name_shares_the_bytes_and_each_name_is_deleted_on_its_own(store: LocalStore) -> None:
    for first, second in ((NAME, COPY), (COPY, NAME)):
        publish(store, name=first)
        assert store.link(first, second)
        assert (store.root / first).samefile(store.root / second)
        store.delete(first)
        assert content_of(store, second) == b"picture"
        store.delete(second)


def test_replacing_a_picture_leaves_its_second_name_alone(store: LocalStore) -> None:
    publish(store)
    store.link(NAME, COPY)
    publish(store, b"another")
    assert content_of(store, COPY) == b"picture"


def test_a_second_name_that_exists_stays_as_it_is(store: LocalStore) -> None:
    publish(store)
    publish(store, b"another", COPY)
    assert store.link(NAME, COPY)
    assert content_of(store, COPY) == b"another"


def test_a_picture_that_does_not_exist_gets_no_second_name(store: LocalStore) -> None:
    assert not store.has(NAME)
    assert not store.link(NAME, COPY)
    assert not store.has(COPY)


@pytest.mark.parametrize("number", [errno.EPERM, errno.EXDEV, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_picture_is_copied_where_links_are_impossible(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def impossible(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", impossible)
    publish(store)
    assert store.link(NAME, COPY)
    assert not (store.root / NAME).samefile(store.root / COPY)
    store.delete(NAME)
    assert content_of(store, COPY) == b"picture"
    assert staged_files(store) == []


@pytest.mark.parametrize("vanishes", ["before a link is made", "before it is copied"])
def test_a_picture_that_is_deleted_meanwhile_gets_no_second_name(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, vanishes: str
) -> None:
    link = os.link

    def late(*args: Any, **more: Any) -> None:
        store.delete(NAME)
        if vanishes == "before it is copied":
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        link(*args, **more)

    monkeypatch.setattr(os, "link", late)
    publish(store)
    assert not store.link(NAME, COPY)
    assert not store.has(COPY)


def test_a_link_that_the_disk_refuses_is_reported(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    publish(store)
    with pytest.raises(StoreError, match="No space left on device"):
        store.link(NAME, COPY)


def test_a_second_name_is_synced_to_the_disk(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(store)
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_ino))
    store.link(NAME, COPY)
    assert synced == [store.root.stat().st_ino]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_name_gets_no_second_one_and_is_none(store: LocalStore, name: str) -> None:
    publish(store)
    for old, new in ((name, COPY), (NAME, name)):
        with pytest.raises(BadName):
            store.link(old, new)
    with pytest.raises(BadName):
        store.has(name)


def test_a_link_among_the_pictures_gets_no_second_name(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (store.root / NAME).symlink_to(tmp_path / "secret")
    assert not store.link(NAME, COPY)
    assert not store.has(COPY)


def test_deleting_twice_is_no_error(store: LocalStore) -> None:
    publish(store)
    store.delete(NAME)
    store.delete(NAME)
    assert store.open(NAME) is None


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_name_is_refused(store: LocalStore, name: str) -> None:
    (store.root.parent / "secret.png").write_bytes(b"secret")
    assert store.open(name) is None
    with pytest.raises(BadName) as caught:
        store.delete(name)
    assert not caught.value.retryable
    with pytest.raises(BadName), store.stage() as staged:
        store.publish(staged, name)
    assert (store.root.parent / "secret.png").exists()


def test_a_link_among_the_pictures_is_not_followed(store: LocalStore) -> None:
    (store.root.parent / "secret.png").write_bytes(b"secret")
    (store.root / NAME).symlink_to(store.root.parent / "secret.png")
    with pytest.raises(StoreError):
        store.open(NAME)
    publish(store)
    assert content_of(store) == b"picture"
    assert (store.root.parent / "secret.png").read_bytes() == b"secret"


def test_the_root_may_be_a_link(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(store.root)
    linked = LocalStore(tmp_path / "link")
    publish(linked)
    assert content_of(store) == b"picture"


def test_a_staging_directory_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / STAGING).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="must be a directory"):
        LocalStore(tmp_path / "images")


def test_a_root_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for root in (tmp_path / "file", tmp_path / "file" / "images"):
        with pytest.raises(StoreError, match="The directory for pictures cannot be created"):
            LocalStore(root)


def test_uploads_are_kept_until_they_are_discarded(store: LocalStore) -> None:
    with store.stage() as staged:
        staged.file.write(b"uploaded")
        store.keep_upload(staged, REQUEST, 2, 0)
    for _ in range(2):
        file = store.open_upload(REQUEST, 2, 0)
        assert file is not None
        with file:
            assert file.read() == b"uploaded"
    assert store.open_upload(REQUEST, 1, 0) is None
    assert store.open_upload(REQUEST, 2, 1) is None
    assert content_of(store) is None
    store.discard_upload(REQUEST, 2, 0)
    store.discard_upload(REQUEST, 2, 0)
    assert store.open_upload(REQUEST, 2, 0) is None
    assert staged_files(store) == []


@pytest.mark.parametrize("request_id", ["", "..", "../../etc/passwd", REQUEST.upper(), f"{REQUEST}\n", f"{REQUEST}/x"])
def test_an_upload_needs_a_valid_request_id(store: LocalStore, request_id: str) -> None:
    with pytest.raises(BadName):
        store.open_upload(request_id, 1, 0)
    with pytest.raises(BadName), store.stage() as staged:
        store.keep_upload(staged, request_id, 1, 0)


def test_a_sweep_deletes_only_what_a_crash_left_behind(store: LocalStore) -> None:
    publish(store)
    ages = {"old.part": 100, "new.part": 1, f"{REQUEST}.1.0.upload": 86_500, f"{REQUEST}.2.0.upload": 86_400}
    for name, age_s in ages.items():
        path = store.root / STAGING / name
        path.write_bytes(b"x")
        os.utime(path, (1_000_000 - age_s, 1_000_000 - age_s))
    (store.root / STAGING / "directory").mkdir()
    assert store.sweep_staging((1_000_000 - 50) * 1000) == 2
    assert staged_files(store) == [f"{REQUEST}.2.0.upload", "directory", "new.part"]
    assert content_of(store) == b"picture"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_an_error_of_the_disk_is_reported_and_leaves_no_file(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, number: int, step: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path if step == "replace" else os, step, refuse)
    with pytest.raises(StoreError, match=os.strerror(number)) as caught:
        publish(store)
    assert caught.value.retryable
    assert content_of(store) is None
    assert staged_files(store) == []


def test_a_full_disk_is_reported_and_leaves_no_file(store: LocalStore) -> None:
    with pytest.raises(StoreError, match="No space left on device") as caught:
        write_half(store, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert caught.value.retryable
    assert staged_files(store) == []


def test_a_deleted_directory_is_reported_and_not_created_again(store: LocalStore) -> None:
    (store.root / STAGING).rmdir()
    store.root.rmdir()
    with pytest.raises(StoreError, match="No such file or directory"):
        publish(store)
    with pytest.raises(StoreError):
        store.sweep_staging(0)
    assert store.open(NAME) is None
    assert not store.root.exists()


def test_a_staging_directory_that_was_removed_is_made_again(store: LocalStore) -> None:
    (store.root / STAGING).rmdir()
    publish(store)
    assert content_of(store) == b"picture"
    assert (store.root / STAGING).stat().st_mode & 0o777 == 0o700


def test_a_check_leaves_no_file(store: LocalStore) -> None:
    store.check()
    assert staged_files(store) == []


def test_a_check_reports_a_disk_that_cannot_be_written(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    read_only(monkeypatch)
    with pytest.raises(StoreError, match="Read-only file system"):
        store.check()


def test_publishing_syncs_the_file_and_its_directory(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    sync = os.fsync

    def record(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").resolve())
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    with store.stage() as staged:
        staged.file.write(b"picture")
        store.publish(staged, NAME)
        assert synced == [staged.path.resolve(), store.root.resolve()]


def test_the_names_of_pictures_and_renditions_are_listed_and_no_others(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    stem = "550e8400-e29b-41d4-a716-446655440000_1705238520000"
    for name in (f"{stem}.png", f"{stem}.256.webp", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / f"{stem}.jpeg").symlink_to(tmp_path / "notes.txt")
    (tmp_path / f"{stem}.webp").mkdir()
    assert sorted(store.names()) == [f"{stem}.256.webp", f"{stem}.png"]
