"""Pictures as files of one directory, each there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from app.domain.images import PictureError, is_file_name

STAGING = ".staging"
UPLOAD = ".upload"
UPLOADS_STAY_MS = 86_400_000
_REQUEST_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class StoreError(PictureError):
    """The disk did not do what it should; trying again may help once somebody has looked at it."""

    retryable = True


class BadName(StoreError):
    """A name that no picture and no upload has. Nothing was touched."""

    retryable = False


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A file in the making: write to `file`, which can be read back. It is gone after its `with`, unless published."""

    path: Path
    file: BinaryIO


class LocalStore:
    """Pictures lie in `root`; files in the making and uploads in `root/.staging`, so that renaming moves them.

    `root` may be a symbolic link, as operators mount disks; nothing inside it is followed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._staging = root / STAGING
        with _sentences("The directory for pictures cannot be made"):
            root.mkdir(parents=True, exist_ok=True)
            self._staging.mkdir(mode=0o700, exist_ok=True)
        if self._staging.is_symlink():
            raise StoreError("The directory for unfinished pictures must be a directory, not a link to one.")

    @contextlib.contextmanager
    def stage(self) -> Iterator[StagedFile]:
        """An empty file to write to. What the disk refuses inside the `with` is raised as StoreError."""
        path = self._staging / f"{secrets.token_hex(16)}.part"
        try:
            with _sentences("The picture cannot be written"), _create(path) as file:
                yield StagedFile(path, file)
        finally:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def publish(self, staged: StagedFile, name: str) -> None:
        """Make the file the picture `name`, on the disk for good when this returns. Raises BadName, StoreError."""
        self._settle(staged, self._picture(name))

    def keep_upload(self, staged: StagedFile, request_id: str, attempt: int, position: int) -> None:
        """Put the file aside until its download comes for it. Raises BadName, StoreError."""
        self._settle(staged, self._upload(request_id, attempt, position))

    def open_upload(self, request_id: str, attempt: int, position: int) -> BinaryIO | None:
        """What `keep_upload` put aside; None where there is nothing."""
        return _open(self._upload(request_id, attempt, position))

    def discard_upload(self, request_id: str, attempt: int, position: int) -> None:
        """Forget what was put aside, if anything was."""
        _unlink(self._upload(request_id, attempt, position))

    def open(self, name: str) -> BinaryIO | None:
        """The picture `name`, to read; None where there is none. The name may be anything a stranger typed."""
        return _open(self._picture(name)) if is_file_name(name) else None

    def delete(self, name: str) -> None:
        """Remove the picture `name`; it is no error that there is none. Raises BadName, StoreError."""
        _unlink(self._picture(name))

    def free_bytes(self) -> int:
        """How much room the disk has for us. Raises StoreError."""
        with _sentences("The room for pictures cannot be found out"):
            return shutil.disk_usage(self.root).free

    def sweep_staging(self, before_ms: int) -> int:
        """Remove unfinished files last changed before then (ms since the epoch); returns how many.

        Uploads are forgotten by whoever knows their jobs; only those that nobody came for within a day more are removed.
        """
        with _sentences("Unfinished pictures cannot be listed"):
            files = [entry for entry in os.scandir(self._staging) if entry.is_file(follow_symlinks=False)]
        return sum(
            _unlink_if_older(Path(entry.path), before_ms - (UPLOADS_STAY_MS if entry.name.endswith(UPLOAD) else 0))
            for entry in files
        )

    def _picture(self, name: str) -> Path:
        if not is_file_name(name):
            raise BadName(f"{name[:100]!r} is not a name that pictures have.")
        return self.root / name

    def _upload(self, request_id: str, attempt: int, position: int) -> Path:
        if not _REQUEST_ID.fullmatch(request_id):
            raise BadName(f"{request_id[:100]!r} is not the id of a request.")
        return self._staging / f"{request_id}.{int(attempt)}.{int(position)}{UPLOAD}"

    def _settle(self, staged: StagedFile, path: Path) -> None:
        with _sentences("The picture cannot be stored"):
            staged.file.flush()
            os.fsync(staged.file.fileno())
            staged.path.replace(path)
            _sync_directory(path.parent)


@contextlib.contextmanager
def _sentences(what: str) -> Iterator[None]:
    """An error of the disk as a StoreError that says what failed and why."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{what}: {error.strerror or 'the disk failed'}.") from error


def _create(path: Path) -> BinaryIO:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o644), "w+b")


def _open(path: Path) -> BinaryIO | None:
    with _sentences("The picture cannot be read"):
        try:
            return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
        except FileNotFoundError:
            return None


def _unlink(path: Path) -> None:
    with _sentences("The picture cannot be removed"):
        path.unlink(missing_ok=True)


def _unlink_if_older(path: Path, before_ms: int) -> bool:
    with _sentences("An unfinished picture cannot be removed"):
        try:
            if path.lstat().st_mtime_ns // 1_000_000 >= before_ms:
                return False
            path.unlink()
        except FileNotFoundError:  # its maker was faster
            return False
    return True


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
