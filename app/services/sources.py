"""The sources of reported pictures: a data URL, an upload to this service, or an external URL."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from app.db import images
from app.db.jobs import Job
from app.domain import data_urls
from app.domain.images import PictureError
from app.domain.upload_urls import UploadLocation
from app.domain.urls import BadUrl, WebUrl
from app.services.ports import Ports


class UploadMissing(PictureError):
    """The upload that the extension reported as its picture is missing or incomplete."""


def first_host(urls: Iterable[str]) -> str | None:
    """The host of the first URL that is neither a data URL nor an upload; None if there is no such URL."""
    external = (url for url in urls if _is_external(url))
    try:
        return next((WebUrl.parse(url).host for url in external), None)
    except BadUrl:  # its download will fail and say why
        return None


def _is_external(url: str) -> bool:
    return not data_urls.is_data_url(url) and UploadLocation.from_url(url) is None


class Sources:
    def __init__(self, ports: Ports) -> None:
        self.ports = ports

    @contextlib.contextmanager
    def opened(self, job: Job, url: str) -> Iterator[BinaryIO]:
        """The content of `url`, to read from the beginning. Raises PictureError, and OSError if the disk fails."""
        upload = UploadLocation.from_url(url)
        with contextlib.ExitStack() as files:
            if data_urls.is_data_url(url):
                staged = files.enter_context(self.ports.store.stage())
                staged.file.write(data_urls.decode(url, self.ports.settings.max_image_bytes))
                yield staged.file
            elif upload is not None and upload.request_id == job.id:
                yield files.enter_context(self._uploaded(job, upload))
            else:
                yield files.enter_context(self._fetched(url))

    def public_url(self, url: str) -> str | None:
        """The URL to show to clients; None for data URLs and uploads."""
        return url if _is_external(url) else None

    def _uploaded(self, job: Job, location: UploadLocation) -> BinaryIO:
        # an upload of another attempt may come from another extension
        if location.attempt == job.attempt and self.ports.database.read(lambda c: images.has_upload(c, location)):
            file = self.ports.store.open_upload(*location)
            if file is not None:
                return file
        raise UploadMissing(UploadMissing.__doc__)

    @contextlib.contextmanager
    def _fetched(self, url: str) -> Iterator[BinaryIO]:
        settings = self.ports.settings
        with self.ports.store.stage() as staged:
            file: BinaryIO = staged.file
            self.ports.fetch.fetch(
                url, into=file, max_bytes=settings.max_image_bytes, timeout_ms=settings.download_timeout_ms
            )
            yield file
