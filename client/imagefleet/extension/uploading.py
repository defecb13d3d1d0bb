"""Sending a picture to the server: by the upload it offers, or inside a data: URL."""

from __future__ import annotations

import base64

from imagefleet.calls.base import Call, reading
from imagefleet.errors import ImagefleetError
from imagefleet.extension.messages import Upload
from imagefleet.extension.parameters import BadJob
from imagefleet.models.base import Answer
from imagefleet.transport import Transport

UPLOAD_PATIENCE_S = 8.0


class Uploaded(Answer):
    """The answer to an upload: the address of the picture, for the report."""

    image_url: str


def deliver(transport: Transport, upload: Upload | None, position: int, content: bytes) -> str:
    """The URL of the picture: returned by the upload, or a data: URL if there is no upload or it failed."""
    if upload is None:
        return _data_url(content)
    if upload.max_bytes is not None and len(content) > upload.max_bytes:
        raise BadJob(f"The picture has {len(content)} bytes; the maximum is {upload.max_bytes}.")
    try:
        return _put(transport, upload, position, content)
    except ImagefleetError:
        return _data_url(content)


def _put(transport: Transport, upload: Upload, position: int, content: bytes) -> str:
    url = upload.url
    if position:
        url += f"{'&' if '?' in url else '?'}position={position}"
    headers = {"Content-Type": "image/png", **upload.headers}
    call = Call("PUT", url, headers=headers, body=content, read=reading(Uploaded))
    return transport.fetch(call, patience_s=UPLOAD_PATIENCE_S).image_url


def _data_url(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
