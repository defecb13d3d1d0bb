"""A batch on a `ScriptedServer`: its items, and a stream of events that can be cut.

batch = ScriptedBatch(server, 500, cut_every=20)
batch.end(1, "completed")        # or batch.end_all() from another thread
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from itertools import islice
from typing import Any

from tests.support.scripted_server import RecordedRequest, Reply, ScriptedServer
from tests.support.wire_answers import EVENT_STREAM, NOW

BATCH = "770e8400-e29b-41d4-a716-446655440000"
FINAL = {"completed", "failed", "cancelled"}
PATH = f"/api/batches/{BATCH}"


class ScriptedBatch:
    """`cut_every`: a stream breaks after so many events; `lost`: events of these items are never sent."""

    def __init__(
        self, server: ScriptedServer, items: int, *, cut_every: int | None = None, lost: frozenset[int] = frozenset()
    ) -> None:
        self._news = threading.Condition()
        self._items = {index: _item(index) for index in range(1, items + 1)}
        self._events: list[dict[str, Any]] = []
        self._cut_every = cut_every
        self._lost = lost
        self._closing = server.closing
        server.on("GET", f"{PATH}/items", self._list)
        server.on("GET", f"{PATH}/events", self._stream)

    def end(self, index: int, status: str = "completed", **more: Any) -> None:
        """This item has ended."""
        with self._news:
            item = self._items[index]
            item.update(status=status, progress=100, **more)
            data = {"index": index, "requestId": item["requestId"], "status": status}
            if index not in self._lost:
                self._log("BatchItemEndedEvent", data)
            if all(each["status"] in FINAL for each in self._items.values()):
                self._log("BatchFinishedEvent", {"status": "completed"})
            self._news.notify_all()

    def end_all(self) -> None:
        """Every item has ended."""
        for index in self._items:
            self.end(index)

    def retry(self, index: int) -> None:
        """This item is tried again."""
        with self._news:
            old = self._items[index]["requestId"]
            self._items[index] = {**_item(index), "retryOf": old}
            self._log("BatchItemsRetriedEvent", {"items": 1})
            self._news.notify_all()

    def _log(self, kind: str, data: dict[str, Any]) -> None:
        self._events.append(
            {"type": kind, "batchId": BATCH, "seq": len(self._events) + 1, "timestamp": NOW, "data": data}
        )

    @property
    def _ended(self) -> bool:
        return bool(self._events) and self._events[-1]["type"] == "BatchFinishedEvent"

    def _list(self, request: RecordedRequest) -> Reply:
        after, limit = int(request.query.get("cursor", 0)), int(request.query["limit"])
        status = request.query.get("status")
        with self._news:
            later = (self._items[index] for index in range(after + 1, len(self._items) + 1))
            wanted = (dict(each) for each in later if status in (None, each["status"]))
            found = list(islice(wanted, limit + 1))
        more = {"nextCursor": found[limit - 1]["index"]} if len(found) > limit else {}
        return Reply({"items": found[:limit], **more, "timestamp": NOW})

    def _stream(self, request: RecordedRequest) -> Reply:
        after = int(request.headers.get("last-event-id", 0))
        with self._news:
            if self._ended and after >= len(self._events):
                return Reply(status=204)
        return Reply(self._pieces(after), headers=EVENT_STREAM, cut=self._cut_every is not None)

    def _pieces(self, after: int) -> Iterator[bytes]:
        yield b"retry: 2000\n\n"
        first = after
        while not self._closing.is_set() and (self._cut_every is None or after - first < self._cut_every):
            with self._news:
                if self._ended and after >= len(self._events):
                    return
                if after >= len(self._events):
                    self._news.wait(0.5)
                    continue
                event = self._events[after]
            after = event["seq"]
            yield f"id: {after}\nevent: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def _item(index: int) -> dict[str, Any]:
    return {
        "index": index,
        "requestId": str(uuid.uuid4()),
        "status": "accepted",
        "prompt": f"Panel {index}",
        "progress": 0,
    }
