"""Previews of pictures that are being made: checked and cleaned as pictures are, and kept for those who watch the request."""

import base64
import time
from typing import BinaryIO

from app.db import jobs
from app.domain import previews
from app.domain.errors import NotFound
from app.domain.images import Rendition
from app.domain.previews import Preview
from app.domain.states import Status
from app.services.lookup import owned
from app.services.ports import Ports

IN_PROGRESS = frozenset({Status.PROCESSING, Status.DOWNLOADING})


class Previews:
    def __init__(self, ports: Ports) -> None:
        self.ports = ports

    def receive(self, request_id: str, position: int, progress: int, data: str) -> None:
        """Show a preview in base64, which the holder of the request has sent.

        Raises BadImage if it cannot be shown, and a PictureError of this service if it cannot be checked now.
        """
        content = previews.decoded(data)
        stage = self.ports.store.stage
        with stage() as source, stage() as clean, stage() as smaller:
            source.file.write(content)
            self.ports.scanner.scan(source.file)  # before any decoder sees it
            self.ports.validator(source.file, clean.file, previews.LIMITS, {Rendition.LARGE: smaller.file})
            # A clean PNG stays as it is. What was another picture would be too large as PNG.
            converted = _content(smaller.file)
            mime_type, shown = ("image/webp", converted) if converted else ("image/png", _content(clean.file))
        at = time.time_ns() // 1_000_000
        text = base64.b64encode(shown).decode()
        self.ports.bus.publish_preview(Preview(request_id, position, progress, mime_type, text, at))

    def latest(self, request_id: str, position: int, owner: str | None = None) -> Preview:
        """The latest preview of a picture that is being made, of a request of `owner`, if one is given. Raises NotFound."""
        job = self.ports.database.read(lambda c: owned(jobs.find_summary(c, request_id), request_id, owner))
        found = self.kept(request_id, position) if job.status in IN_PROGRESS else None
        if found is None:
            raise NotFound(f"Not found: there is no preview of picture {position} of this request.")
        return found

    def kept(self, request_id: str, position: int) -> Preview | None:
        """The latest preview of this picture; None if there is none, or if it is too old."""
        return self.ports.bus.preview(request_id, position)


def _content(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read()
