"""Finished pictures as OpenAI's clients expect them: addresses, or the files in base64.

Files are read and sent piece by piece: ten pictures of 10 MiB would otherwise be 140 MB of one process's memory.
"""

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO

from flask import Response

from app.container import Services
from app.db.images import StoredImage
from app.db.jobs import Job
from app.domain.errors import InvalidRequest, NotFound
from app.domain.images import Rendition
from app.services.lookup import JobDetails
from app.web import reported_values
from app.web.api import JSON, json_text
from app.web.openai.schemas import PNG, DeliveredPicture, ImagesResponse, OutputFormat
from app.web.picture_addresses import PictureAddresses

PIECE_BYTES = 3 * 65_536  # three bytes become four characters
HERE = "\x00"  # stands for a file in base64; no text of a picture contains it
_MARK = json.dumps(HERE)  # with its quotes: without them, a text could look the same


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text with files in it, in base64."""

    parts: Sequence[bytes | tuple[BinaryIO, int]]

    def __len__(self) -> int:
        return sum(len(part) if isinstance(part, bytes) else 4 * -(-part[1] // 3) for part in self.parts)

    def __iter__(self) -> Iterator[bytes]:
        for part in self.parts:
            if isinstance(part, bytes):
                yield part
            else:
                yield from _in_base64(part[0])


@dataclass(frozen=True, slots=True)
class Files:
    """Opens pictures in the format that a call asks for."""

    services: Services
    output_format: OutputFormat

    def open(self, image: StoredImage) -> BinaryIO:
        """Raises NotFound if it is not stored any more; InvalidRequest, Unavailable if it cannot be converted."""
        file = self.services.ports.store.open(image.file) if self.output_format == PNG else self._converted(image)
        if file is None:
            raise NotFound("The picture is not stored any more.")
        return file

    def _converted(self, image: StoredImage) -> BinaryIO | None:
        try:
            return self.services.renditions.open(image, Rendition(self.output_format))
        except InvalidRequest as refusal:  # of the format, which has another name here
            detail = refusal.detail.replace("format", "output_format", 1)
            raise InvalidRequest(detail, field="output_format") from refusal


def images_response(
    details: JobDetails[Job], addresses: PictureAddresses, output_format: OutputFormat
) -> ImagesResponse:
    """The addresses of the pictures."""
    urls = [addresses.of(image.file, output_format) for image in details.images]
    return _response(details, [{"url": url} for url in urls], output_format)


def images_in_base64(details: JobDetails[Job], files: Files) -> Response:
    """The pictures themselves. Raises NotFound if one is not stored any more."""
    body = json_text(_response(details, [{"b64_json": HERE}] * len(details.images), files.output_format))
    with ExitStack() as opened:
        encoded = encode(body, details.images, files, opened)
        response = Response(encoded, content_type=JSON)
        response.content_length = len(encoded)
        response.call_on_close(opened.pop_all().close)
    return response


def encode(text: str, images: Sequence[StoredImage], files: Files, opened: ExitStack) -> Encoded:
    """The JSON text with the files in place of `HERE`. They are opened now. Raises as `Files.open`."""
    parts: list[bytes | tuple[BinaryIO, int]] = []
    first, *others = text.split(_MARK)
    parts.append(first.encode())
    for image, piece in zip(images, others, strict=True):
        file = opened.enter_context(files.open(image))
        length = file.seek(0, 2)
        file.seek(0)
        parts += [b'"', (file, length), b'"', piece.encode()]
    return Encoded(parts)


def size(image: StoredImage) -> str:
    """The size of the picture in the notation of requests."""
    return f"{image.width}x{image.height}"


def _response(details: JobDetails[Job], data: Iterable[dict[str, str]], output_format: OutputFormat) -> ImagesResponse:
    revised = reported_values.revised_prompt(details.job.source_metadata)
    return ImagesResponse(
        created=(details.job.generated_at or details.job.updated_at) // 1000,
        output_format=output_format,
        size=size(details.images[0]),
        data=[DeliveredPicture(**each, revised_prompt=revised) for each in data],
    )


def _in_base64(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(PIECE_BYTES):
        yield base64.b64encode(piece)
