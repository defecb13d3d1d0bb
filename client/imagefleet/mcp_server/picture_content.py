"""Pictures as content of a result, small enough for the programs that show them."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from mcp.types import ImageContent

from imagefleet.async_transport import AsyncTransport
from imagefleet.calls.base import Call, nothing
from imagefleet.errors import ImagefleetError
from imagefleet.flows import Flow, NextPiece, Open
from imagefleet.mcp_server.answers import Picture
from imagefleet.models import ImageRequest, StoredPicture

# Programs refuse results of more than about a megabyte, and base64 makes four bytes of three.
MAX_BYTES = 700_000
FULL_SIZE = "full size"
_SIGNATURES = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}


async def shown(transport: AsyncTransport, found: ImageRequest) -> tuple[list[Picture], list[ImageContent]]:
    """The pictures of a request, and what can be shown of them: all together are at most `MAX_BYTES` large.

    One that is too large in full size is shown as a thumbnail; one that cannot be fetched is not shown.
    """
    pictures, contents = listed(transport, found), []
    for picture, image in zip(pictures, found.images, strict=True):
        most = MAX_BYTES // len(pictures)
        for name, url in _candidates(image, most):
            content = await _fetched(transport, url, most)
            if content is not None:
                picture.shown = name
                contents.append(content)
                break
    return pictures, contents


def listed(transport: AsyncTransport, found: ImageRequest) -> list[Picture]:
    """The pictures of a request with their addresses; nothing is shown of them."""
    return [
        Picture(
            url=transport.url(image.signed_url or image.image_path),
            width=image.width,
            height=image.height,
            bytes=image.bytes,
        )
        for image in found.images
    ]


def _candidates(image: StoredPicture, most: int) -> Iterator[tuple[str, str]]:
    """The files that could be shown of a picture, the largest first."""
    if image.bytes is None or image.bytes <= most:
        yield FULL_SIZE, image.signed_url or image.image_path
    for side in sorted((each for each in image.thumbnails if each.isdecimal()), key=int, reverse=True):
        yield f"a thumbnail of at most {side} px", image.thumbnails[side]


async def _fetched(transport: AsyncTransport, url: str, most: int) -> ImageContent | None:
    try:
        content = await transport.run(_bounded(url, most))
    except ImagefleetError:
        return None
    kind = next((kind for signature, kind in _SIGNATURES.items() if content and content.startswith(signature)), None)
    if content is None or kind is None:
        return None
    return ImageContent(type="image", data=base64.b64encode(content).decode(), mime_type=kind)


def _bounded(url: str, most: int) -> Flow[bytes | None]:
    """The file at this address; None if it is larger than that."""
    content = bytearray()
    yield Open(Call("GET", url, headers={"Accept": "image/*"}, read=nothing), as_file=True)
    while (piece := (yield NextPiece())) is not None:
        content += piece
        if len(content) > most:
            return None
    return bytes(content)
