"""The input pictures of requests: found, copied for a request before it is submitted, sent to its extension, and removed."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

from sqlalchemy import Connection

from app.db import clock, images, inputs, job_inputs, jobs
from app.db.engine import Transaction
from app.db.images import StoredImage
from app.db.inputs import StoredInput
from app.db.job_inputs import JobInput
from app.domain.errors import Forbidden, InvalidRequest, NotFound, Unavailable, UnknownInput
from app.domain.ids import uuid7
from app.domain.images import PictureError, file_name
from app.domain.input_images import FIELD
from app.domain.input_references import InputReference, Role
from app.domain.input_urls import InputGrant
from app.domain.states import Status
from app.services.ports import Ports
from app.services.signing_keys import upload_key


@dataclass(frozen=True, slots=True)
class OpenedInput:
    """An input picture that an extension gets, opened."""

    picture: JobInput
    content: BinaryIO


class InputImages:
    def __init__(self, ports: Ports) -> None:
        self.ports = ports
        self._key = upload_key(ports)

    @contextlib.contextmanager
    def copied(self, references: Sequence[InputReference], user_id: str) -> Iterator[Sequence[JobInput]]:
        """The pictures that these references mean, with new files of their own, which are removed unless the `with` adds a
        request with them (see `keep`). Raises UnknownInput, InvalidRequest, Unavailable.
        """
        if not references:
            yield ()
            return
        found = self.ports.database.read(lambda c: _found(c, references, user_id))
        _check_mask(found)
        copies = self.ports.database.write(lambda tx: self._intend(tx, found))
        names = [each.file for each in copies]
        try:
            self._link(found, copies)
            yield copies
        except BaseException:
            self._give_up(names)
            raise

    def keep(self, tx: Transaction, job_id: str, copies: Sequence[JobInput]) -> None:
        """Give the copies to a new request. Raises Unavailable."""
        if not copies:
            return
        if not images.keep_intended(tx, [each.file for each in copies]):
            raise Unavailable("The input pictures were given up; send the request again.", retry_after_s=1)
        job_inputs.add(tx, job_id, copies)

    def opened(self, grant: InputGrant, signature: str) -> OpenedInput:
        """The picture at an address of `generate_image`, while the attempt that it was made for goes on.

        Raises Forbidden, NotFound, Unavailable.
        """
        key = self._key.value()
        picture = self.ports.database.read(lambda c: _granted(c, grant, key, signature))
        try:
            content = self.ports.store.open(picture.file)
        except PictureError as error:
            raise Unavailable(str(error), retry_after_s=5) from error
        if content is None:
            raise NotFound("Not found: the picture is not stored any more.")
        return OpenedInput(picture, content)

    def _intend(self, tx: Transaction, found: Sequence[JobInput]) -> list[JobInput]:
        copies = []
        for each in found:
            copy_id = uuid7(tx.now, self.ports.randomness.bytes(10))
            copies.append(replace(each, file=file_name(copy_id, tx.now)))
            images.intend(tx, copy_id, [copies[-1].file])
        return copies

    def _link(self, found: Sequence[JobInput], copies: Sequence[JobInput]) -> None:
        try:
            for old, new in zip(found, copies, strict=True):
                if not self.ports.store.link(old.file, new.file):
                    raise _unknown(f"{FIELD}[{old.position}]", "its picture was removed")
        except PictureError as error:
            raise Unavailable(str(error), retry_after_s=5) from error

    def _give_up(self, names: Sequence[str]) -> None:
        """Remove the files, unless a request has them: it is unknown whether a commit that failed has succeeded."""
        with contextlib.suppress(PictureError, Unavailable):  # then the sweep does it
            unused = self.ports.database.write(lambda tx: images.give_up(tx, names))
            for name in unused:
                self.ports.store.delete(name)
            self.ports.database.write(lambda tx: images.forget_intended(tx, unused))


def discard_ended(ports: Ports, limit: int) -> int:
    """Remove some pictures of requests that have ended, files first; returns how many."""
    removed = []
    for each in ports.database.read(lambda c: job_inputs.of_ended(c, limit)):
        with contextlib.suppress(PictureError):
            ports.store.delete(each[-1])
            removed.append(each)
    if removed:
        ports.database.write(lambda tx: job_inputs.remove(tx, removed))
    return len(removed)


def _found(connection: Connection, references: Sequence[InputReference], user_id: str) -> list[JobInput]:
    """The pictures with the files that they have now."""
    return [_of_reference(connection, number, each, user_id) for number, each in enumerate(references)]


def _of_reference(connection: Connection, number: int, reference: InputReference, user_id: str) -> JobInput:
    name = f"{FIELD}[{number}]"
    if reference.input_id is not None:
        uploaded = inputs.find(connection, reference.input_id)
        if uploaded is None or uploaded.user_id != user_id:
            raise _unknown(f"{name}.inputId", "there is no input picture of yours with this id, or it has expired")
        return _input(number, reference, uploaded)
    job = jobs.find(connection, reference.request_id or "")
    if job is None or job.user_id != user_id:
        raise _unknown(f"{name}.requestId", "there is no request of yours with this id")
    if job.status is not Status.COMPLETED:
        raise _unknown(f"{name}.requestId", f"the request is {job.status.value}, so it has no pictures")
    if job.pictures_removed_at is not None:
        raise _unknown(f"{name}.requestId", "the pictures of the request were removed")
    made = [each for each in images.of_job(connection, job.id) if each.position == reference.position]
    if not made:
        raise _unknown(f"{name}.position", f"the request has no picture {reference.position}; the first one is 0")
    return _input(number, reference, made[0])


def _input(number: int, reference: InputReference, picture: StoredInput | StoredImage) -> JobInput:
    return JobInput(
        position=number,
        role=reference.role,
        strength=reference.strength,
        file=picture.file,
        width=picture.width,
        height=picture.height,
        bytes=picture.bytes,
        sha256=picture.sha256,
    )


def _unknown(name: str, why: str) -> UnknownInput:
    return UnknownInput(f"{name} cannot be used: {why}.", field=name)


def _check_mask(found: Sequence[JobInput]) -> None:
    """Raises InvalidRequest unless a mask is as large as the first image."""
    mask = next((each for each in found if each.role == Role.MASK), None)
    if mask is None:
        return
    image = next(each for each in found if each.role == Role.IMAGE)
    if (mask.width, mask.height) != (image.width, image.height):
        raise InvalidRequest(
            f"{FIELD}[{mask.position}] is a mask of {mask.width} x {mask.height} pixels for an image of {image.width} x "
            f"{image.height}: both must have the same size.",
            field=f"{FIELD}[{mask.position}]",
        )


def _granted(connection: Connection, grant: InputGrant, key: bytes, signature: str) -> JobInput:
    grant.check(key, signature, clock.now(connection))
    job = jobs.find(connection, grant.request_id)
    if job is None or job.status is not Status.PROCESSING or job.attempt != grant.attempt:
        raise Forbidden("This address is outdated: the attempt that it was for has ended.")
    picture = next((each for each in job_inputs.of_job(connection, job.id) if each.position == grant.position), None)
    if picture is None:
        raise NotFound("Not found: the request has no such input picture.")
    return picture
