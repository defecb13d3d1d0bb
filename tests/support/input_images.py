"""Input pictures of jobs, and the servers that have them."""

from __future__ import annotations

import hashlib
import io
from typing import Any

from PIL import Image

from tests.support.fake_generators import generated_png
from tests.support.scripted_server import Behaviour, Reply, ScriptedServer
from tests.support.service import Service

CORS = {"Access-Control-Allow-Origin": "*"}


def png(image: Image.Image) -> bytes:
    """The picture as a PNG file."""
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def half_mask(width: int, height: int) -> bytes:
    """A mask whose right half is transparent: there the picture may change."""
    mask = Image.new("RGBA", (width, height), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (width // 2, 0, width, height))
    return png(mask)


def offered(
    server: ScriptedServer, name: str, content: bytes, *replies: Behaviour, role: str = "image", **fields: Any
) -> dict[str, Any]:
    """An entry of `inputImages`: `content` is what it announces, and what is at its address unless there are replies."""
    path = f"/inputs/{name}"
    server.on("GET", path, *(replies or [Reply(content, headers={**CORS, "Content-Type": "image/png"})]))
    digest = hashlib.sha256(content).hexdigest()
    return {"url": f"{server.url}{path}?signature=s", "sha256": digest, "mimeType": "image/png", "role": role, **fields}


def picture(width: int, height: int) -> tuple[bytes, bytes]:
    """A picture as a PNG file, and its pixels: three bytes each."""
    content = generated_png(width, height)
    return content, Image.open(io.BytesIO(content)).convert("RGB").tobytes()


def uploaded(service: Service, content: bytes) -> str:
    """Upload an input picture to the real service; returns its id."""
    answer = service.post("/api/inputs", content, Content_Type="image/png")
    assert answer.status == 201, answer.content
    input_id: str = answer.json["inputId"]
    return input_id
