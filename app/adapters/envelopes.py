"""A task's message as Celery would put it into Redis, made once for each task and filled in for each send.

`send_task` works out the same things anew each time, which costs more than all else that a request asks of a web process.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from celery import Celery


class Envelope:
    """The messages of one task, which is told nothing: `text` is one of them, `queue` the list in Redis that it belongs to."""

    def __init__(self, celery: Celery, task: str) -> None:
        self.queue: str = celery.amqp.router.route({}, task)["queue"].name
        self._message = _as_sent(celery, task, self.queue)

    def text(self, headers: Mapping[str, Any]) -> str:
        """A message that no other is like: workers tell them apart by their ids and tags."""
        task_id = str(uuid.uuid4())
        told = {"id": task_id, "root_id": task_id, **headers}
        return json.dumps(
            {
                **self._message,
                "headers": {**self._message["headers"], **told},
                "properties": {
                    **self._message["properties"],
                    "correlation_id": task_id,
                    "delivery_tag": str(uuid.uuid4()),
                },
            }
        )


def _as_sent(celery: Celery, task: str, queue: str) -> dict[str, Any]:
    """What Celery sends for the task: sent in memory, and taken out again."""
    with Celery("envelopes", broker="memory://", set_as_current=False) as scratch:
        scratch.conf.update({name: celery.conf[name] for name in ("task_serializer", "task_ignore_result", "timezone")})
        with scratch.connection_for_write() as connection:
            scratch.send_task(task, queue=queue, connection=connection, retry=False)
            channel: Any = connection.default_channel
            message: dict[str, Any] = channel._get(queue)
            return message
