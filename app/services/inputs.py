"""Input pictures of users: received, checked and cleaned as results are, and kept until they expire."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import BinaryIO

from app.db import images, inputs
from app.db.engine import Transaction
from app.db.inputs import StoredInput
from app.domain.errors import InvalidImage, NotFound, QuotaExceeded, Unavailable
from app.domain.ids import uuid7
from app.domain.images import Fault, ImageLimits, Picture, PictureError, file_name
from app.services.admission import Admission
from app.services.ports import Ports
from app.services.quotas import Quotas
from app.services.received_files import receive_picture


class Inputs:
    def __init__(self, ports: Ports, admission: Admission) -> None:
        self.ports = ports
        self.admission = admission
        self.quotas = Quotas(ports)

    def receive(self, user_id: str, stream: BinaryIO, length: int | None = None) -> StoredInput:
        """Store the picture in `stream` for the user; `length` is the Content-Length, if there was one.

        Raises InvalidRequest, InvalidImage, PayloadTooLarge, QuotaExceeded, Unavailable.
        """
        self.admission.check()
        with self.ports.database.local_lock(user_id):
            input_id, name = self.ports.database.write(lambda tx: self._intend(tx, user_id))
        with self._removed_after(name, BaseException):
            picture = self._save(stream, length, name)
        # another error removes nothing, since the commit may have succeeded
        with self._removed_after(name, QuotaExceeded), self.ports.database.local_lock(user_id):
            return self.ports.database.write(lambda tx: self._add(tx, user_id, input_id, name, picture))

    def find(self, input_id: str, owner: str | None) -> StoredInput:
        """The picture, unless it has expired; None is any owner. Raises NotFound."""
        found = self.ports.database.read(lambda c: inputs.find(c, input_id))
        return _owned(found, owner)

    def remove(self, input_id: str, owner: str | None) -> StoredInput:
        """Remove the picture; requests that were made with it keep theirs. Raises NotFound."""

        def work(tx: Transaction) -> StoredInput:
            found = _owned(inputs.find(tx.connection, input_id), owner)
            inputs.expire(tx, found.id)
            return found

        found = self.ports.database.write(work)
        discard(self.ports, [found])
        return found

    def _intend(self, tx: Transaction, user_id: str) -> tuple[str, str]:
        """A new id, and the name of its file."""
        self.quotas.check_input(tx, user_id)
        input_id = uuid7(tx.now, self.ports.randomness.bytes(10))
        name = file_name(input_id, tx.now)
        images.intend(tx, input_id, [name])
        return input_id, name

    def _save(self, stream: BinaryIO, length: int | None, name: str) -> Picture:
        settings = self.ports.settings
        limits = ImageLimits(settings.max_image_bytes, settings.max_image_pixels, settings.max_image_side)
        try:
            with self.ports.store.stage() as source, self.ports.store.stage() as clean:
                receive_picture(stream, source.file, length, settings.max_image_bytes)
                self.ports.scanner.scan(source.file)  # before any decoder sees it
                picture = self.ports.validator(source.file, clean.file, limits)
                self.ports.store.publish(clean, name)
                return picture
        except PictureError as error:
            if error.fault is Fault.SERVICE:
                raise Unavailable(str(error), retry_after_s=5) from error
            raise InvalidImage(str(error)) from error

    def _add(self, tx: Transaction, user_id: str, input_id: str, name: str, picture: Picture) -> StoredInput:
        if not images.keep_intended(tx, [name]):
            raise Unavailable("The upload took too long; send it again.", retry_after_s=1)
        self.quotas.check_input(tx, user_id)  # again: others may have been received meanwhile
        expires_at = tx.now + self.ports.settings.input_ttl_ms
        stored = StoredInput(
            id=input_id,
            user_id=user_id,
            file=name,
            created_at=tx.now,
            expires_at=expires_at,
            **asdict(picture),
        )
        inputs.add(tx, stored)
        return stored

    @contextlib.contextmanager
    def _removed_after(self, name: str, error: type[BaseException]) -> Iterator[None]:
        try:
            yield
        except error:
            with contextlib.suppress(PictureError):  # then the sweep does it
                self.ports.store.delete(name)
                self.ports.database.write(lambda tx: images.forget_intended(tx, [name]))
            raise


def discard(ports: Ports, some: Sequence[StoredInput]) -> int:
    """Remove these pictures, files first; returns how many. The next sweep retries those that could not be removed."""
    removed = []
    for each in some:
        with contextlib.suppress(PictureError):
            ports.store.delete(each.file)
            removed.append(each.id)
    if removed:
        ports.database.write(lambda tx: inputs.remove(tx, removed))
    return len(removed)


def _owned(found: StoredInput | None, owner: str | None) -> StoredInput:
    if found is None or owner not in (None, found.user_id):
        raise NotFound("Not found: there is no input picture of this id, or it has expired.")
    return found
