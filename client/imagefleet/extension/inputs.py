"""Fetches the input pictures of a job, and checks that they are what the server announced."""

from __future__ import annotations

import hashlib
import time

from imagefleet.calls.base import Call, nothing
from imagefleet.errors import ImagefleetError
from imagefleet.extension.jobs import BadInput, Job
from imagefleet.extension.messages import InputImage
from imagefleet.extension.picture_files import UnreadablePicture, size_of
from imagefleet.extension.variation import Inputs
from imagefleet.retrying import Retries
from imagefleet.transport import Transport

MIB = 1024 * 1024
# A server that accepts larger pictures may send larger ones.
MAX_BYTES = 20 * MIB
FETCH_PATIENCE_S = 8.0
Size = tuple[int, int]


def fetch(transport: Transport, job: Job) -> Inputs | None:
    """The pictures that the job starts from; None if it has none. Raises BadInput, which names the picture."""
    if not job.inputs:
        return None
    most = max(MAX_BYTES, job.upload.max_bytes or 0) if job.upload else MAX_BYTES
    names = _names(job.inputs)
    files = [_fetched(transport, each, name, most) for each, name in zip(job.inputs, names, strict=True)]
    sizes = [_size(content, name) for content, name in zip(files, names, strict=True)]
    images = [at for at, each in enumerate(job.inputs) if not each.is_mask]
    mask = next((at for at, each in enumerate(job.inputs) if each.is_mask), None)
    size = sizes[images[0]]
    if mask is not None and sizes[mask] != size:
        raise BadInput(f"The mask has {_text(sizes[mask])} px, and the picture has {_text(size)}.", retryable=False)
    strengths = [job.inputs[at].strength for at in images if job.inputs[at].strength is not None]
    return Inputs(
        tuple(files[at] for at in images),
        size,
        None if mask is None else files[mask],
        strengths[0] if strengths else None,
    )


def _names(inputs: tuple[InputImage, ...]) -> list[str]:
    names, count = [], 0
    for each in inputs:
        count += not each.is_mask
        names.append("The mask" if each.is_mask else f"Input picture {count}")
    return names


def _fetched(transport: Transport, source: InputImage, name: str, most: int) -> bytes:
    retries = Retries(FETCH_PATIENCE_S)
    while True:
        try:
            content = _read(transport, source.url, name, most)
            break
        except ImagefleetError as error:
            try:
                pause_s = retries.pause_s(error)
            except ImagefleetError:
                raise BadInput(f"{name} cannot be fetched: {error}", retryable=True) from error
            time.sleep(pause_s)
    if hashlib.sha256(content).hexdigest() != source.sha256:
        text = f"{name} is not the file that the server announced: its SHA-256 is another one."
        raise BadInput(text, retryable=True)
    return content


def _read(transport: Transport, url: str, name: str, most: int) -> bytes:
    content = bytearray()
    with transport.open(Call("GET", url, headers={"Accept": "image/png, image/jpeg, image/webp"}, read=nothing)) as pieces:
        for piece in pieces:
            content += piece
            if len(content) > most:
                raise BadInput(f"{name} has more than {most // MIB} MiB.", retryable=False)
    return bytes(content)


def _size(content: bytes, name: str) -> Size:
    try:
        return size_of(content)
    except UnreadablePicture as error:
        raise BadInput(f"{name} cannot be used: {error}.", retryable=False) from None


def _text(size: Size) -> str:
    return f"{size[0]} × {size[1]}"
