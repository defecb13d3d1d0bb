"""Comparing the rows of pictures with the stored files, both ways, and repairing what can be repaired."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import islice
from typing import BinaryIO

from app.db import clock, jobs, stored_files
from app.db.images import StoredImage
from app.domain.images import parse_rendition_name
from app.services.ports import Ports
from app.services.removal import MISSING, Removal, delete_files

YOUNG_MS = 3_600_000
PIECE_BYTES = 2**20


class Problem(StrEnum):
    """What is wrong: a file that no row names, or a picture without a file, or with another one than was stored."""

    ORPHAN = "orphan"
    MISSING = "missing"
    SIZE = "size"
    CHECKSUM = "checksum"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with this file, and whether it was repaired."""

    problem: Problem
    file: str
    repaired: bool = False


class Verification:
    def __init__(self, ports: Ports) -> None:
        self.ports = ports
        self.removal = Removal(ports)

    def run(self, *, repair: bool = False, deep: bool = False) -> Iterator[Finding]:
        """What is wrong, as it is found; `deep` compares checksums too. Safe while the service runs. Raises PictureError."""
        yield from self._orphans(repair=repair)
        for job_id, pictures in stored_files.pictures(self.ports.database):
            yield from self._of_request(job_id, pictures, repair=repair, deep=deep)

    def _orphans(self, *, repair: bool) -> Iterator[Finding]:
        names = self.ports.store.names()
        while page := list(islice(names, stored_files.PAGE)):
            # after the listing: files have rows before they are made
            young = self.ports.database.read(clock.now) - YOUNG_MS
            pictures = {name: _picture_of(name) for name in page}
            known = self.ports.database.read(partial(stored_files.named, names=list(set(pictures.values()))))
            for name, picture in pictures.items():
                if picture in known or _stamp_ms(picture) > young:
                    continue
                if repair:
                    self.ports.store.delete(name)
                yield Finding(Problem.ORPHAN, name, repair)

    def _of_request(self, job_id: str, pictures: list[StoredImage], *, repair: bool, deep: bool) -> Iterator[Finding]:
        found = {picture.file: self._problem_of(picture, deep=deep) for picture in pictures}
        wrong = {file: problem for file, problem in found.items() if problem is not None}
        if not wrong or not self._still_has_pictures(job_id):
            return
        lost = repair and all(problem is Problem.MISSING for problem in found.values())
        if lost:
            _, names = self.ports.database.write(partial(self.removal.mark, job_id=job_id, reason=MISSING))
            delete_files(self.ports, names)  # the renditions may be there
        for file, problem in wrong.items():
            yield Finding(problem, file, lost)

    def _problem_of(self, picture: StoredImage, *, deep: bool) -> Problem | None:
        content = self.ports.store.open(picture.file)
        if content is None:
            return Problem.MISSING
        with content:
            if content.seek(0, 2) != picture.bytes:
                return Problem.SIZE
            content.seek(0)
            return Problem.CHECKSUM if deep and _sha256(content) != picture.sha256 else None

    def _still_has_pictures(self, job_id: str) -> bool:
        """False if they were removed, or the request was, while the files were looked at."""
        job = self.ports.database.read(lambda c: jobs.find(c, job_id))
        return job is not None and job.pictures_removed_at is None


def _picture_of(name: str) -> str:
    """The picture that a file is, or that it is a rendition of."""
    found = parse_rendition_name(name)
    return name if found is None else found[0]


def _stamp_ms(picture: str) -> int:
    """When the file of this name was begun, in ms since the epoch."""
    return int(picture.partition("_")[2].partition(".")[0])


def _sha256(content: BinaryIO) -> str:
    digest = hashlib.sha256()
    while piece := content.read(PIECE_BYTES):
        digest.update(piece)
    return digest.hexdigest()
