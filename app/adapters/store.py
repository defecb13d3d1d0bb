"""Stores pictures as files in one directory. Each file appears atomically."""

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from app.domain.ids import is_request_id
from app.domain.images import Fault, PictureError, is_stored_name

STAGING = ".staging"
UPLOAD = ".upload"
UPLOAD_RETENTION_MS = 86_400_000
# The file system has no hard links, or no more of them for this file, or the two names are on different ones.
NO_LINK = {errno.EPERM, errno.EACCES, errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
PAGE_BYTES = 4_096  # a file that takes space on the disk
PROBE = bytes(range(256)) * (PAGE_BYTES // 256)


class StoreError(PictureError):
    """The storage failed. A retry may help once an operator has repaired it."""

    fault = Fault.SERVICE
    retryable = True


class BadName(StoreError):
    """The name is invalid. No file was touched."""

    retryable = False


@dataclass(frozen=True, slots=True)
class StagedFile:
    """An unfinished file: `file` can be written and read back. It is removed after its `with`, unless published."""

    path: Path
    file: BinaryIO


class LocalStore:
    """Pictures are in `root`; unfinished files and uploads are in `root/.staging`, so that a rename publishes them.

    `root` may be a symbolic link. Links inside it are not followed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._staging = root / STAGING
        with _store_errors("The directory for pictures cannot be created"):
            root.mkdir(parents=True, exist_ok=True)
            self._staging.mkdir(mode=0o700, exist_ok=True)
        if self._staging.is_symlink():
            raise StoreError("The directory for unfinished pictures must be a directory, not a link to one.")

    @contextlib.contextmanager
    def stage(self) -> Iterator[StagedFile]:
        """Create an empty file. An OSError inside the `with` is raised as StoreError."""
        path = self._staging / f"{secrets.token_hex(16)}.part"
        try:
            with _store_errors("The picture cannot be written"), self._create(path) as file:
                yield StagedFile(path, file)
        finally:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def publish(self, staged: StagedFile, name: str) -> None:
        """Make the file the picture `name`, durably. Raises BadName, StoreError."""
        self._move(staged, self._picture(name))

    def keep_upload(self, staged: StagedFile, request_id: str, attempt: int, position: int) -> None:
        """Keep the file until its download task takes it. Raises BadName, StoreError."""
        self._move(staged, self._upload(request_id, attempt, position))

    def open_upload(self, request_id: str, attempt: int, position: int) -> BinaryIO | None:
        return _open(self._upload(request_id, attempt, position))

    def discard_upload(self, request_id: str, attempt: int, position: int) -> None:
        _unlink(self._upload(request_id, attempt, position))

    def open(self, name: str) -> BinaryIO | None:
        """Open the picture `name` for reading; None if there is none. The name may be untrusted."""
        return _open(self._picture(name)) if is_stored_name(name) else None

    def has(self, name: str) -> bool:
        """True if there is a picture of this name. Raises BadName, StoreError."""
        with _store_errors("The picture cannot be found"):
            try:
                return stat.S_ISREG(self._picture(name).lstat().st_mode)
            except FileNotFoundError:
                return False

    def link(self, name: str, new_name: str) -> bool:
        """Give the picture a second name, durably; False if there is none. It is copied where no link can be made.

        A picture that has the new name already stays as it is. Raises BadName, StoreError.
        """
        old, new = self._picture(name), self._picture(new_name)
        if not self.has(name):
            return False
        try:
            os.link(old, new, follow_symlinks=False)
        except FileExistsError:
            return True
        except FileNotFoundError:  # deleted meanwhile
            return False
        except OSError as error:
            if error.errno in NO_LINK:
                return self._copy(name, new_name)
            raise StoreError(f"The picture cannot be stored: {error.strerror or 'the disk failed'}.") from error
        with _store_errors("The picture cannot be stored"):
            _sync_directory(self.root)
        return True

    def presigned_url(self, name: str, lifetime_s: int) -> str | None:
        """None: a folder has no addresses."""
        return None

    def delete(self, name: str) -> None:
        """Delete the picture `name` if there is one. Raises BadName, StoreError."""
        _unlink(self._picture(name))

    def names(self) -> Iterator[str]:
        """The names of pictures and renditions in any order, read from the folder piece by piece. Raises StoreError."""
        with _store_errors("The folder of pictures cannot be listed"), os.scandir(self.root) as entries:
            for entry in entries:
                if is_stored_name(entry.name) and entry.is_file(follow_symlinks=False):
                    yield entry.name

    def check(self) -> None:
        """Write and remove a small file. Raises StoreError if the disk is full, read-only or gone."""
        with self.stage() as staged:
            staged.file.write(bytes(PAGE_BYTES))

    def probe(self) -> None:
        """Write a small file, read it again and remove it. Raises StoreError."""
        with self.stage() as staged:
            staged.file.write(PROBE)
            staged.file.flush()
            os.fsync(staged.file.fileno())
            with _with_flags(staged.path, "rb", os.O_RDONLY) as again:
                if again.read() != PROBE:
                    raise StoreError("A file was read back with other contents than were written.")

    def free_bytes(self) -> int:
        with _store_errors("The free space for pictures cannot be determined"):
            return shutil.disk_usage(self.root).free

    def sweep_staging(self, before_ms: int) -> int:
        """Delete unfinished files last changed before `before_ms` (ms since the epoch); return how many.

        Uploads are normally deleted with their jobs, so this deletes them only a day later.
        """
        with _store_errors("Unfinished pictures cannot be listed"):
            files = [entry for entry in os.scandir(self._staging) if entry.is_file(follow_symlinks=False)]
        return sum(
            _unlink_if_older(Path(entry.path), before_ms - (UPLOAD_RETENTION_MS if entry.name.endswith(UPLOAD) else 0))
            for entry in files
        )

    def _create(self, path: Path) -> BinaryIO:
        """A new file. The directory for unfinished files is made again if somebody removed it, but not the root, which may be a
        disk that is not mounted."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        try:
            return _with_flags(path, "w+b", flags)
        except FileNotFoundError:
            self._staging.mkdir(mode=0o700, exist_ok=True)
            return _with_flags(path, "w+b", flags)

    def _copy(self, name: str, new_name: str) -> bool:
        source = self.open(name)
        if source is None:
            return False
        with source, self.stage() as staged:
            shutil.copyfileobj(source, staged.file)
            self.publish(staged, new_name)
        return True

    def _picture(self, name: str) -> Path:
        if not is_stored_name(name):
            raise BadName(f"{name[:100]!r} is not the name of a picture.")
        return self.root / name

    def _upload(self, request_id: str, attempt: int, position: int) -> Path:
        if not is_request_id(request_id):
            raise BadName(f"{request_id[:100]!r} is not the id of a request.")
        return self._staging / f"{request_id}.{int(attempt)}.{int(position)}{UPLOAD}"

    def _move(self, staged: StagedFile, path: Path) -> None:
        with _store_errors("The picture cannot be stored"):
            staged.file.flush()
            os.fsync(staged.file.fileno())
            staged.path.replace(path)
            _sync_directory(path.parent)


@contextlib.contextmanager
def _store_errors(what: str) -> Iterator[None]:
    """Turn an OSError into a StoreError that says what failed and why."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{what}: {error.strerror or 'the disk failed'}.") from error


def _open(path: Path) -> BinaryIO | None:
    with _store_errors("The picture cannot be read"):
        try:
            return _with_flags(path, "rb", os.O_RDONLY)
        except FileNotFoundError:
            return None


def _with_flags(path: Path, mode: Literal["rb", "w+b"], flags: int) -> BinaryIO:
    """A file with its path as its name: other processes may have to open it."""
    flags |= os.O_NOFOLLOW | os.O_CLOEXEC
    return open(path, mode, opener=lambda name, _: os.open(name, flags, 0o644))


def _unlink(path: Path) -> None:
    with _store_errors("The picture cannot be deleted"):
        path.unlink(missing_ok=True)


def _unlink_if_older(path: Path, before_ms: int) -> bool:
    with _store_errors("An unfinished picture cannot be deleted"):
        try:
            if path.lstat().st_mtime_ns // 1_000_000 >= before_ms:
                return False
            path.unlink()
        except FileNotFoundError:  # published or deleted meanwhile
            return False
    return True


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
