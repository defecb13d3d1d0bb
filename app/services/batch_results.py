"""The results of a batch, read in pages so that those of a large batch take little memory."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from sqlalchemy import Connection

from app.db import batch_items, images, jobs
from app.db.images import StoredImage
from app.db.jobs import Job
from app.domain.states import Status
from app.services.ports import Ports

PAGE = 100


@dataclass(frozen=True, slots=True)
class ItemResult:
    """An item of a batch, and its pictures once it is completed."""

    job: Job
    pictures: Sequence[StoredImage] = ()

    @property
    def number(self) -> int:
        """Its number in the batch, from 1."""
        return self.job.batch_index or 0


class BatchResults:
    def __init__(self, ports: Ports) -> None:
        self.ports = ports

    def items(self, batch_id: str) -> Iterator[ItemResult]:
        """The batch's items in their order, each as it is when its page is read; of several tries the newest."""
        after: int | None = 0
        while after is not None:
            page = self.ports.database.read(partial(_page, batch_id=batch_id, after=after))
            yield from page
            after = page[-1].number if len(page) == PAGE else None

    def requests(self, ids: Iterable[str]) -> dict[str, Job]:
        """The requests with these ids that still exist, by their ids."""
        return {job.id: job for job in self.ports.database.read(lambda c: jobs.find_all(c, ids))}

    def open(self, picture: StoredImage) -> BinaryIO | None:
        """The picture's file, to read; None if there is none. Raises PictureError if the storage fails."""
        return self.ports.store.open(picture.file)


def _page(connection: Connection, batch_id: str, after: int) -> list[ItemResult]:
    found = batch_items.page(connection, batch_id, None, after, PAGE)
    pictures = images.of_jobs(connection, (job.id for job in found if job.status is Status.COMPLETED))
    return [ItemResult(job, pictures.get(job.id, ())) for job in found]
