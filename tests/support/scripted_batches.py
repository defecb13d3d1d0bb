"""A server with one batch, whose answers tests change. It has what the command needs, and counts what it is asked for."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from tests.support.scripted_server import RecordedRequest, Reply, ScriptedServer, refusal
from tests.support.wire_answers import EVENT_STREAM

BATCH = "0f0e0d0c-0b0a-4908-8706-050403020100"
BATCHES = "/api/batches"
ONE = f"{BATCHES}/{BATCH}"


def request_id(number: int, attempt: int = 1) -> str:
    """The id of an item's request."""
    return f"{attempt:08d}-0000-4000-8000-{number:012d}"


class ScriptedBatch:
    """A batch of `count` items at the server, all of them completed with a picture, but for the numbers in `failed`."""

    def __init__(
        self, server: ScriptedServer, count: int, *, failed: Sequence[int] = (), open_items: Sequence[int] = ()
    ) -> None:
        self.server = server
        self.count = count
        self.failed = frozenset(failed)
        self.open_items = set(open_items)
        self.attempts = dict.fromkeys(range(1, count + 1), 1)
        self.more: dict[str, Any] = {}
        self.status = "running" if open_items else "completed"
        self.changed = threading.Event()
        server.on("POST", BATCHES, self._accept)
        server.on("GET", ONE, lambda _: Reply(self.batch()))
        server.on("GET", f"{ONE}/items", self._items)
        server.on("GET", f"{ONE}/events", self._events)
        for number in self.attempts:
            self.serve(number)

    def serve(self, number: int) -> None:
        """Serve the item's request, and its picture."""
        path = self.path(number)
        content = self.content(number)
        image = {"imagePath": path, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        body = {**self._item(number), "metadata": {"model": "m", "prompt": f"Panel {number}"}, **self.more}
        if body["status"] == "completed":
            body["images"] = [image]
        self.server.on("GET", f"/api/images/{request_id(number, self.attempts[number])}", Reply(body))
        self.server.on("GET", path, Reply(content, headers={"Content-Type": "image/png"}))

    def path(self, number: int) -> str:
        """Where the picture is."""
        return f"/generated-images/{request_id(number, self.attempts[number])}_1.png"

    def content(self, number: int) -> bytes:
        """The picture."""
        return f"picture {number} of attempt {self.attempts[number]}".encode()

    def batch(self) -> dict[str, Any]:
        """The batch as it is answered."""
        ended = self.count - len(self.open_items)
        failed = len(self.failed - self.open_items)
        counts = {"total": self.count, "accepted": len(self.open_items), "completed": ended - failed, "failed": failed}
        return {"batchId": BATCH, "status": self.status, "name": "night", "counts": counts, "version": 1, **self.more}

    def downloads(self) -> list[str]:
        """The pictures that were asked for."""
        return [each.path for each in self.server.requests if each.path.startswith("/generated-images/")]

    def keys(self) -> list[str]:
        """The keys of all submissions."""
        return [each.headers["idempotency-key"] for each in self.server.requests_to("POST", BATCHES)]

    def _accept(self, _: RecordedRequest) -> Reply:
        return Reply(self.batch(), 201)

    def _item(self, number: int) -> dict[str, Any]:
        item = {"index": number, "customId": f"p{number}", "requestId": request_id(number, self.attempts[number])}
        if number in self.open_items:
            return {**item, "status": "processing", **self.more}
        if number in self.failed:
            return {**item, "status": "failed", "code": "ERR_TIMEOUT", "error": "It took too long.", **self.more}
        return {**item, "status": "completed", **self.more}

    def _items(self, request: RecordedRequest) -> Reply:
        after, limit = int(request.query.get("cursor", "0")), int(request.query.get("limit", "100"))
        found = [self._item(number) for number in range(after + 1, self.count + 1)]
        found = [item for item in found if item["status"] == request.query.get("status", item["status"])]
        page = {"items": found[:limit], **self.more}
        return Reply({**page, "nextCursor": found[limit - 1]["index"]} if len(found) > limit else page)

    def _events(self, request: RecordedRequest) -> Reply:
        last = int(request.headers.get("last-event-id", "0"))
        if last > self.count or (not self.open_items and last):
            return Reply(status=204)
        return Reply(self._pieces(last), headers=EVENT_STREAM)

    def _pieces(self, last: int) -> Iterator[bytes]:
        for number in range(last + 1, self.count + 1):
            item = self._item(number)
            if number not in self.open_items:
                yield _event(
                    "BatchItemEndedEvent",
                    number,
                    {"index": number, "requestId": item["requestId"], "status": item["status"]},
                )
        if self.open_items:
            self.server.closing.wait(20)
            return
        yield _event("BatchFinishedEvent", self.count + 1, {"status": self.status, "counts": {}})


def _event(kind: str, seq: int, data: dict[str, Any]) -> bytes:
    body = {"type": kind, "batchId": BATCH, "seq": seq, "timestamp": "2024-01-14T12:00:00.000Z", "data": data}
    return f"id: {seq}\nevent: {kind}\ndata: {json.dumps(body)}\n\n".encode()


__all__ = ["BATCH", "BATCHES", "ONE", "ScriptedBatch", "refusal", "request_id"]
