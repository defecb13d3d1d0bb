"""The archive of a batch: a zip that is made while it is sent, of pictures that are read one at a time."""

import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import BinaryIO

from zipstream import ZipStream

from app import logs
from app.db.images import StoredImage
from app.db.jobs import Job
from app.domain.file_names import picture_name
from app.domain.images import PictureError
from app.domain.states import Status
from app.services.batch_results import PAGE, BatchResults, ItemResult
from app.web.batch_indexes import Index
from app.web.batch_result_schemas import BatchItemResult, ResultPicture

CHUNK_BYTES = 65_536
PICTURES_ARE_COMPRESSED = 0  # the level for files that do not get smaller
REMOVED = "The picture was removed."
MISSING = "The file is missing on the server."
UNREADABLE = "The file could not be read on the server."

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class ArchivedItem:
    """What the archive contains of an item: less than the item, so that those of a large batch fit into memory."""

    request_id: str
    status: Status
    pictures: tuple[ResultPicture, ...]


class BatchArchive:
    """The archive of a batch of `total` items. What is completed while it is sent may be in it or not; the indexes tell."""

    def __init__(self, results: BatchResults, total: int, indexes: Mapping[str, Index]) -> None:
        self._results = results
        self._total = total
        self._indexes = indexes
        self._zip = ZipStream(compress_type=zipfile.ZIP_DEFLATED)
        self._archived: list[ArchivedItem] = []

    def stream(self, items: Iterable[ItemResult]) -> Iterator[bytes]:
        """The archive with the pictures of these items. If nobody reads on, no file stays open."""
        for item in items:
            pictures: list[ResultPicture] = []
            for picture in item.pictures:
                yield from self._add(item, picture, pictures)
            self._archived.append(ArchivedItem(item.job.id, item.job.status, tuple(pictures)))
        for name, index in self._indexes.items():
            self._zip.add(index(self._described()), name)
            yield from self._zip.all_files()
        yield from self._zip.footer()

    def _add(self, item: ItemResult, picture: StoredImage, pictures: list[ResultPicture]) -> Iterator[bytes]:
        """Add the picture, and to `pictures` what the indexes tell of it."""
        time.sleep(0)  # under gevent, a client that reads fast would starve the others
        if item.job.pictures_removed_at is not None:
            pictures.append(ResultPicture.of(picture, problem=REMOVED))
            return
        try:
            content = self._results.open(picture)
        except PictureError:
            pictures.append(ResultPicture.of(picture, problem=UNREADABLE))
            return
        if content is None:
            pictures.append(ResultPicture.of(picture, problem=MISSING))
            return
        name = picture_name(item.number, self._total, item.job.custom_id, picture.position, len(item.pictures))
        with content:
            reading = _Reading(content)
            self._zip.add(reading, name, size=picture.bytes, compress_level=PICTURES_ARE_COMPRESSED)
            yield from self._zip.all_files()
        pictures.append(ResultPicture.of(picture, name, UNREADABLE if reading.failed else None))

    def _described(self) -> Iterator[BatchItemResult]:
        """The archived items. Their prompts are read again."""
        archived = iter(self._archived)
        while page := list(islice(archived, PAGE)):
            requests = self._results.requests(item.request_id for item in page)
            for item in page:
                job = requests.get(item.request_id)
                if job is not None:  # or it was removed meanwhile
                    yield BatchItemResult.of(_as_of(job, item.status), item.pictures)


class _Reading:
    """A file in chunks. It ends where it cannot be read further: what was sent of the archive cannot be taken back."""

    def __init__(self, content: BinaryIO) -> None:
        self._content = content
        self.failed = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from iter(partial(self._content.read, CHUNK_BYTES), b"")
        except OSError:
            self.failed = True
            log.exception("A picture for an archive cannot be read", action="batch.archive")


def _as_of(job: Job, status: Status) -> Job:
    """The request as it was when the archive passed it."""
    return job if job.status is status else job._replace(status=status, error_code=None, error=None, reason=None)
