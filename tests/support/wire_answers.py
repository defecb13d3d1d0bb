"""Answers of the API as it documents them, for scripted servers."""

from __future__ import annotations

from typing import Any

from tests.support.scripted_server import Reply

ID = "550e8400-e29b-41d4-a716-446655440000"
NOW = "2024-01-14T12:00:00.000Z"
GENERATE = "/api/images/generate"
IMAGE = f"/api/images/{ID}"
STATUS = f"{IMAGE}/status"
EVENTS = f"{IMAGE}/events"
EVENT_STREAM = {"Content-Type": "text/event-stream; charset=utf-8"}


def accepted() -> Reply:
    """An answer to a submission."""
    return Reply(
        {"requestId": ID, "status": "accepted", "message": "submitted", "correlationId": "c1", "timestamp": NOW}
    )


def status(name: str, version: int | None, **fields: Any) -> Reply:
    """An answer about the status; without a version it has only the fields of the original contract."""
    numbered = {} if version is None else {"version": version}
    return Reply({"requestId": ID, "status": name, "progress": 0, "timestamp": NOW, **numbered, **fields})


def result(name: str = "completed", **fields: Any) -> Reply:
    """An answer about the whole request."""
    return Reply(
        {"requestId": ID, "status": name, "timestamp": NOW, "metadata": {"model": "m", "prompt": "p"}, **fields}
    )


def image(path: str, content: bytes = b"", **fields: Any) -> dict[str, Any]:
    """An item of `images`."""
    return {"imageUrl": f"https://images.example{path}", "imagePath": path, "bytes": len(content), **fields}


def stream(*pieces: bytes, cut: bool = False) -> Reply:
    """An event stream."""
    return Reply(pieces, headers=EVENT_STREAM, cut=cut)


def event(kind: str, seq: int, status: str = "processing") -> bytes:
    """An event of the event stream."""
    data = (
        f'{{"type":"{kind}","requestId":"{ID}","seq":{seq},"status":"{status}","timestamp":"{NOW}","data":{{"n":1}}}}'
    )
    return f"id: {seq}\nevent: {kind}\ndata: {data}\n\n".encode()
