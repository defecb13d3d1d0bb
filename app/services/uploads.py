"""Uploads by extensions, for pictures whose URL works only in their own browser."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from app.db import images, jobs
from app.db.engine import Transaction
from app.domain.errors import AlreadyUploaded, Forbidden, InvalidRequest, NotFound, Unavailable
from app.domain.images import PictureError
from app.domain.messages import IMAGES
from app.domain.states import Status
from app.domain.upload_urls import UploadGrant, UploadLocation
from app.services.ports import Ports
from app.services.received_files import check_length, receive_picture
from app.services.signing_keys import upload_key

STALE_MS = 300_000  # after this an incomplete upload counts as aborted


@dataclass(frozen=True, slots=True)
class Receipt:
    """A complete upload: its size, its SHA-256 (hex), and the `path` by which the report refers to it."""

    position: int
    sha256: str
    bytes: int
    path: str


class Uploads:
    def __init__(self, ports: Ports) -> None:
        self.ports = ports
        self._key = upload_key(ports)

    def receive(
        self,
        request_id: str,
        attempt: int,
        expires_at: int,
        signature: str,
        position: int,
        stream: BinaryIO,
        length: int | None,
    ) -> Receipt:
        """Store the picture in `stream` until its download; `length` is the Content-Length, if there was one.

        Raises Forbidden, NotFound, InvalidRequest, AlreadyUploaded, PayloadTooLarge, Unavailable. `expires_at` in ms.
        """
        grant = UploadGrant(request_id, attempt, expires_at)
        location = UploadLocation(request_id, attempt, position)
        self.ports.database.write(lambda tx: self._admit(tx, grant, signature, location, length))
        with self._released_unless_kept(location):
            sha256, size = self._save(stream, length, location)
        self.ports.database.write(lambda tx: self._complete(tx, location, sha256, size))
        return Receipt(position, sha256, size, location.path)

    def _admit(
        self, tx: Transaction, grant: UploadGrant, signature: str, location: UploadLocation, length: int | None
    ) -> None:
        grant.check(self._key.value_in(tx), signature, tx.now)
        if not 0 <= location.position < IMAGES:
            raise InvalidRequest(f"position must be a whole number from 0 to {IMAGES - 1}.")
        check_length(length, self.ports.settings.max_image_bytes)
        _check_held(tx, location)
        if not images.reserve_upload(tx, location, tx.now - STALE_MS):
            raise AlreadyUploaded(
                f"Image {location.position} of this attempt was already uploaded, or is being uploaded."
            )

    def _complete(self, tx: Transaction, location: UploadLocation, sha256: str, size: int) -> None:
        # the job may have changed during the upload; the sweep then removes the file
        _check_held(tx, location)
        if not images.complete_upload(tx, location, sha256, size):
            raise Unavailable("The upload took too long; send it again.", retry_after_s=1)

    @contextlib.contextmanager
    def _released_unless_kept(self, location: UploadLocation) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.ports.database.write(lambda tx: images.release_upload(tx, location))
            raise

    def _save(self, stream: BinaryIO, length: int | None, location: UploadLocation) -> tuple[str, int]:
        try:
            with self.ports.store.stage() as staged:
                sha256, size = receive_picture(stream, staged.file, length, self.ports.settings.max_image_bytes)
                self.ports.store.keep_upload(staged, *location)
                return sha256, size
        except PictureError as error:
            raise Unavailable(str(error), retry_after_s=5) from error


def discard(ports: Ports, locations: Iterable[UploadLocation]) -> int:
    """Remove these uploads, files first; returns how many. The next sweep retries those that could not be removed."""
    removed = []
    for location in locations:
        with contextlib.suppress(PictureError):
            ports.store.discard_upload(*location)
            removed.append(location)
    if removed:
        ports.database.write(lambda tx: images.forget_uploads(tx, removed))
    return len(removed)


def _check_held(tx: Transaction, location: UploadLocation) -> None:
    job = jobs.find(tx.connection, location.request_id)
    if job is None:
        raise NotFound(f"Not found: there is no request {location.request_id}.")
    if job.status is not Status.PROCESSING or job.attempt != location.attempt:
        raise Forbidden("This upload address is outdated: the attempt that it was for has ended.")
