"""Partial images of a stream: previews of its request, as events of OpenAI's API."""

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from app.domain.image_request import IMAGES
from app.domain.previews import Preview
from app.services.previews import Previews
from app.web.api import json_text
from app.web.openai.event_types import Kind
from app.web.openai.schemas import AUTO, PNG, ImagesRequest, PartialImageEvent


class PartialImages:
    """The partial images that one call gets: as many of each image as it asks for, spread over the progress."""

    def __init__(self, previews: Previews, request_id: str, body: ImagesRequest, kind: Kind) -> None:
        self._previews = previews
        self._request_id = request_id
        self._most = body.previews
        self._images = int(body.parameters().get("numberOfImages", IMAGES[0]))
        self._common = {
            "type": f"{kind}.partial_image",
            "size": body.size or AUTO,
            "quality": str(body.quality or AUTO),
            "background": str((body.model_extra or {}).get("background") or AUTO),
        }
        self._sent: Counter[int] = Counter()
        self._newest: dict[int, int] = {}

    def earlier(self) -> Iterator[bytes]:
        """The previews that are there already, of a request that this call has joined."""
        for position in range(self._images if self._most else 0):
            yield from self.next_of(position)

    def next_of(self, position: int) -> Iterator[bytes]:
        """The newest preview of this image as an event, if it is this image's turn."""
        if self._sent[position] == self._most:
            return
        found = self._previews.kept(self._request_id, position)
        if found is None or found.at == self._newest.get(position) or not self._is_due(found):
            return
        self._newest[position] = found.at
        yield self._event(found)
        self._sent[position] += 1

    def _is_due(self, preview: Preview) -> bool:
        """Each has its part of the progress: otherwise all would be of the first seconds."""
        return preview.progress * (self._most + 1) >= 100 * self._sent[preview.position]

    def _event(self, preview: Preview) -> bytes:
        values: dict[str, Any] = {
            **self._common,
            "b64_json": preview.data,
            "partial_image_index": self._sent[preview.position],
            "created_at": int(time.time()),
            "output_format": preview.mime_type.removeprefix("image/") or PNG,
        }
        event = PartialImageEvent(**values)
        return f"event: {event.type}\ndata: {json_text(event)}\n\n".encode()
