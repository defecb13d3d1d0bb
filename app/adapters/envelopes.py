"""A task's message as Celery would put it into Redis, made once for each task and filled in for each send.

`send_task` works out the same things anew each time, which costs more than all else that a request asks of a web process.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from celery import Celery

CORRELATION_HEADER = "correlation_id"
ID, CORRELATION_ID = "<id>", "<correlation id>"  # what is filled in


class Envelope:
    """The messages of one task, which is told nothing: `text` is one of them, `queue` the list in Redis that it belongs to."""

    def __init__(self, celery: Celery, task: str) -> None:
        self.queue: str = celery.amqp.router.route({}, task)["queue"].name
        message = _as_sent(celery, task, self.queue)
        message["headers"] |= {"id": ID, "root_id": ID, CORRELATION_HEADER: CORRELATION_ID}
        message["properties"] |= {"correlation_id": ID, "delivery_tag": ID}
        self._before, self._behind = (part.split(ID) for part in json.dumps(message).split(f'"{CORRELATION_ID}"'))

    def text(self, correlation_id: str | None) -> str:
        """A message that no other is like: workers tell them apart by their ids and tags, which may be the same."""
        its = str(uuid.uuid4())
        return f"{its.join(self._before)}{json.dumps(correlation_id)}{its.join(self._behind)}"


def _as_sent(celery: Celery, task: str, queue: str) -> dict[str, Any]:
    """What Celery sends for the task: sent in memory, and taken out again."""
    with Celery("envelopes", broker="memory://", set_as_current=False) as scratch:
        scratch.conf.update({name: celery.conf[name] for name in ("task_serializer", "task_ignore_result", "timezone")})
        with scratch.connection_for_write() as connection:
            scratch.send_task(task, queue=queue, connection=connection, retry=False)
            channel: Any = connection.default_channel
            message: dict[str, Any] = channel._get(queue)
            return message
