"""Stores pictures as objects of a bucket. Each appears atomically, with its SHA-256.

Unfinished pictures are files of this host: decoders and scanners open them by their names. Uploads are objects, since another
host may download them.
"""

import base64
import contextlib
import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from app.adapters.s3_client import CHECK, WORK, Patience, s3_clients
from app.adapters.s3_errors import S3Error, is_missing, s3_errors, wrong_region
from app.adapters.s3_file import ReadFailed, streamed
from app.adapters.store import PROBE, STAGING, UPLOAD_RETENTION_MS, BadName, LocalStore, StagedFile, StoreError
from app.domain.ids import is_request_id
from app.domain.images import is_stored_name
from app.storage_settings import S3Location

UPLOADS = ".uploads/"
CHECKED = ".check"
CHECKED_FOR_S = 30.0  # a check that succeeded, or anything that was stored, so that checks cost little
# Larger files are sent in parts, each of which is tried again on its own.
PARTS_FROM_BYTES = 32 * 2**20
IN_PARTS = TransferConfig(multipart_threshold=PARTS_FROM_BYTES, multipart_chunksize=16 * 2**20, use_threads=False)
PIECE_BYTES = 2**20
UPLOAD_WITHIN_S = 60.0
UNLIMITED_BYTES = 2**62
CACHE_CONTROL = "public, max-age=31536000, immutable"  # a picture never changes
CONTENT_TYPES = {".png": "image/png", ".webp": "image/webp", ".jpeg": "image/jpeg"}

Key = dict[str, str]


class S3Store:
    """A Store whose pictures are `PREFIX/NAME` and whose uploads are `PREFIX/.uploads/REQUEST.ATTEMPT.POSITION`.

    The client is made when it is first needed, which must be after a fork.
    """

    def __init__(
        self, location: S3Location, unfinished: LocalStore, patience: Patience = WORK, check_patience: Patience = CHECK
    ) -> None:
        self.location = location
        self._unfinished = unfinished
        self._patience = patience, check_patience
        self._clients: list[Any] = []
        self._lock = threading.Lock()
        self._works_until = float("-inf")

    def stage(self) -> AbstractContextManager[StagedFile]:
        """Create an empty file on this host. An OSError inside the `with` is raised as StoreError."""
        return self._unfinished.stage()

    def publish(self, staged: StagedFile, name: str) -> None:
        """Make the file the picture `name`, durably. Raises BadName, StoreError."""
        self._send(staged, self._picture(name), CONTENT_TYPES[Path(name).suffix], CACHE_CONTROL)

    def keep_upload(self, staged: StagedFile, request_id: str, attempt: int, position: int) -> None:
        """Keep the file until its download task takes it. Raises BadName, StoreError."""
        self._send(staged, self._upload(request_id, attempt, position), "application/octet-stream", "no-store")

    def open_upload(self, request_id: str, attempt: int, position: int) -> BinaryIO | None:
        """A copy of the upload on this host, which is removed when it is closed. Raises BadName, StoreError."""
        source = self._open(self._upload(request_id, attempt, position))
        if source is None:
            return None
        with source, contextlib.ExitStack() as unless_complete:
            try:
                # with a name: scanners and decoders may open it by that
                folder = self._unfinished.root / STAGING
                copy = unless_complete.enter_context(tempfile.NamedTemporaryFile(dir=folder, suffix=".part"))
                _copy(source, copy, time.monotonic() + UPLOAD_WITHIN_S)
            except OSError as error:
                raise StoreError(f"The upload cannot be read: {error.strerror}.") from error
            unless_complete.pop_all()
        return cast("BinaryIO", copy)

    def discard_upload(self, request_id: str, attempt: int, position: int) -> None:
        """Delete the upload if there is one. Raises BadName, StoreError."""
        self._delete(self._upload(request_id, attempt, position))

    def open(self, name: str) -> BinaryIO | None:
        """Open the picture `name` for reading; None if there is none. The name may be untrusted. Raises StoreError."""
        return self._open(self._picture(name)) if is_stored_name(name) else None

    def has(self, name: str) -> bool:
        """True if there is a picture of this name. Raises BadName, StoreError."""
        key = self._picture(name)
        with s3_errors("The picture cannot be found", self.location):
            return self._exists(key)

    def link(self, name: str, new_name: str) -> bool:
        """Copy the picture inside the storage, durably; False if there is none.

        A picture that has the new name already stays as it is. Raises BadName, StoreError.
        """
        old, new = self._picture(name), self._picture(new_name)
        with s3_errors("The picture cannot be stored", self.location):
            if self._exists(new):
                return self._exists(old)
            try:
                self._client.copy_object(CopySource=old, **new)
            except ClientError as error:
                if is_missing(error):
                    return False
                raise
            return True

    def presigned_url(self, name: str, lifetime_s: int) -> str | None:
        """An address at which anybody can get the picture for this time. It is made here, without a request."""
        key = self._picture(name)
        with s3_errors("The picture has no address", self.location):
            url: str = self._client.generate_presigned_url("get_object", Params=key, ExpiresIn=lifetime_s)
            return url

    def delete(self, name: str) -> None:
        """Delete the picture `name` if there is one. Raises BadName, StoreError."""
        self._delete(self._picture(name))

    def names(self) -> Iterator[str]:
        """The names of pictures and renditions, listed page by page. Raises StoreError."""
        with s3_errors("The pictures cannot be listed", self.location):
            for page in self._client.get_paginator("list_objects_v2").paginate(**self._listed("")):
                names = (each["Key"].removeprefix(self.location.prefix) for each in page.get("Contents", ()))
                yield from filter(is_stored_name, names)

    def check(self) -> None:
        """Write and remove a small file here and in the storage; the latter only if nothing was stored in the last seconds.

        Raises StoreError.
        """
        self._unfinished.check()
        if time.monotonic() < self._works_until:
            return
        with s3_errors("The storage cannot be written", self.location):
            self._write_and_delete()

    def verify(self) -> None:
        """Check everything that settings can make wrong: the bucket, its region, the rights. Raises StoreError, S3Error."""
        self._unfinished.check()
        with s3_errors("The storage cannot be used", self.location, logged=False):
            found = self._check_client.head_bucket(Bucket=self.location.bucket)
            region = found.get("BucketRegion")
            # boto3 would ask AWS for the right one again and again; other servers name what they like
            if not self.location.endpoint and self.location.region and region not in {None, self.location.region}:
                raise S3Error("It is in another region.", wrong_region(self.location, region), lasting=True)
            self._exists(self._key(CHECKED))
            self._write_and_delete()

    def probe(self) -> None:
        """As `verify`, and read what was written. Raises StoreError, S3Error."""
        self.verify()
        key = self._key(CHECKED)
        with s3_errors("The storage cannot be used", self.location, logged=False):
            self._check_client.put_object(Body=PROBE, **_checksum(hashlib.sha256(PROBE)), **key)
            read = self._check_client.get_object(**key)["Body"].read()
            self._check_client.delete_object(**key)
        if read != PROBE:
            raise StoreError("A file was read back with other contents than were written.")

    def _write_and_delete(self) -> None:
        key = self._key(CHECKED)
        self._check_client.put_object(Body=b"", **_checksum(hashlib.sha256()), **key)
        self._check_client.delete_object(**key)
        self._works_until = time.monotonic() + CHECKED_FOR_S

    def free_bytes(self) -> int:
        """A number that stands for no limit."""
        return UNLIMITED_BYTES

    def sweep_staging(self, before_ms: int) -> int:
        """Delete unfinished files of this host last changed before `before_ms` (ms since the epoch), and of the storage uploads and
        the parts of pictures whose sender was killed that are a day older. Returns how many.
        """
        swept = self._unfinished.sweep_staging(before_ms)
        with s3_errors("Uploads that were left behind cannot be deleted", self.location):
            pages = self._client.get_paginator("list_objects_v2").paginate(**self._listed(UPLOADS))
            found = [each for page in pages for each in page.get("Contents", ())]
            old = [each["Key"] for each in found if _ms(each["LastModified"]) < before_ms - UPLOAD_RETENTION_MS]
            for key in old:
                self._client.delete_object(Bucket=self.location.bucket, Key=key)
        return swept + len(old) + self._abort_sent_in_parts(before_ms - UPLOAD_RETENTION_MS)

    def _abort_sent_in_parts(self, before_ms: float) -> int:
        """No list of the bucket shows the parts of an incomplete object, but they are stored and paid for."""
        with s3_errors("Parts that were left behind cannot be deleted", self.location):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(**self._listed(""))
            found = [each for page in pages for each in page.get("Uploads", ()) if self._is_ours(each["Key"])]
            old = [each for each in found if _ms(each["Initiated"]) < before_ms]
            for each in old:
                with contextlib.suppress(self._client.exceptions.NoSuchUpload):  # complete by now, or aborted elsewhere
                    self._client.abort_multipart_upload(
                        Bucket=self.location.bucket, Key=each["Key"], UploadId=each["UploadId"]
                    )
        return len(old)

    def _is_ours(self, key: str) -> bool:
        """True for the keys that this class makes: others may use the bucket too."""
        name = key.removeprefix(self.location.prefix)
        return is_stored_name(name) or name.startswith(UPLOADS)

    @property
    def _client(self) -> Any:
        return self._made()[0]

    @property
    def _check_client(self) -> Any:
        return self._made()[1]

    def _made(self) -> list[Any]:
        with self._lock:
            if not self._clients:
                self._clients = s3_clients(self.location, *self._patience)
            return self._clients

    def _send(self, staged: StagedFile, key: Key, content_type: str, cache_control: str) -> None:
        self._works_until = float("-inf")
        with s3_errors("The picture cannot be stored", self.location):
            file: Any = staged.file
            file.flush()
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            described = {"ContentType": content_type, "CacheControl": cache_control}
            if size < PARTS_FROM_BYTES:
                digest = hashlib.file_digest(file, "sha256")
                file.seek(0)
                self._client.put_object(Body=file, **_checksum(digest), **described, **key)
            else:
                self._client.upload_fileobj(
                    file, *key.values(), ExtraArgs={"ChecksumAlgorithm": "SHA256", **described}, Config=IN_PARTS
                )
        self._works_until = time.monotonic() + CHECKED_FOR_S

    def _open(self, key: Key) -> BinaryIO | None:
        with s3_errors("The picture cannot be read", self.location):
            try:
                found = self._client.get_object(**key)
            except ClientError as error:
                if is_missing(error):
                    return None
                raise
        etag = found["ETag"]

        def open_from(at: int) -> Any:
            rest = self._client.get_object(Range=f"bytes={at}-", IfMatch=etag, **key)
            if not rest.get("ContentRange", "").startswith(f"bytes {at}-"):
                rest["Body"].close()
                raise ReadFailed("the storage sent another part of the picture")
            return rest["Body"]

        return streamed(found["Body"], found["ContentLength"], open_from)

    def _exists(self, key: Key) -> bool:
        try:
            self._client.head_object(**key)
        except ClientError as error:
            if is_missing(error):
                return False
            raise
        return True

    def _delete(self, key: Key) -> None:
        with s3_errors("The picture cannot be deleted", self.location):
            self._client.delete_object(**key)

    def _picture(self, name: str) -> Key:
        if not is_stored_name(name):
            raise BadName(f"{name[:100]!r} is not the name of a picture.")
        return self._key(name)

    def _upload(self, request_id: str, attempt: int, position: int) -> Key:
        if not is_request_id(request_id):
            raise BadName(f"{request_id[:100]!r} is not the id of a request.")
        return self._key(f"{UPLOADS}{request_id}.{int(attempt)}.{int(position)}")

    def _key(self, name: str) -> Key:
        return {"Bucket": self.location.bucket, "Key": self.location.prefix + name}

    def _listed(self, folder: str) -> dict[str, str]:
        return {"Bucket": self.location.bucket, "Prefix": self.location.prefix + folder}


def _copy(source: BinaryIO, target: Any, until: float) -> None:
    """Copy all of it. Raises OSError; ReadFailed when the time is over."""
    while piece := source.read(PIECE_BYTES):
        if time.monotonic() > until:
            raise ReadFailed("the storage is too slow")
        target.write(piece)
    target.seek(0)


def _checksum(digest: Any) -> dict[str, str]:
    """What makes the storage compare, and keep, the SHA-256."""
    return {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": base64.b64encode(digest.digest()).decode()}


def _ms(at: datetime) -> float:
    return at.timestamp() * 1000
