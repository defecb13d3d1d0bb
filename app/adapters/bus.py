"""Messages between processes over Redis pub/sub, delivered at most once. The database has what a lost one announced."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import redis

from app import logs
from app.adapters.background import BackgroundRunner
from app.adapters.redis_clients import blocking_client
from app.domain.errors import Unavailable
from app.domain.previews import KEPT_S, Preview

CHANGES = "imagefleet:changes"
CHECKED, CHECKED_MS = "imagefleet:checked", 1_000
SILENCE_S = 15.0
READ_S = 1.0
RECONNECT_S = 0.5

OnMessage = Callable[[str, dict[str, Any]], None]

log = logs.get(__name__)


def hub_channel(hub_id: str) -> str:
    """The channel of the web process `hub_id`."""
    return f"imagefleet:hub:{hub_id}"


def _preview_key(request_id: str, position: int) -> str:
    return f"imagefleet:preview:{request_id}:{position}"


class RedisBus:
    """The publishing side."""

    def __init__(self, client: redis.Redis, background: BackgroundRunner) -> None:
        self._client = client
        self._background = background

    def publish_to_hub(self, hub_id: str, message: Mapping[str, Any]) -> bool:
        """Publish to one web process. False if it is certain that no process received the message.

        After an error that is uncertain, so the result is True: the offer's short lease decides.
        """
        try:
            return self._client.publish(hub_channel(hub_id), json.dumps(message)) > 0
        except redis.RedisError as problem:
            log.warning("A message could not be published", action="bus.failed", problem=str(problem))
            return True

    def publish_change(self, change: Mapping[str, Any]) -> None:
        """Publish to all watchers, in the background. Of several waiting changes of one job or batch, only the newest is sent."""
        text = json.dumps(change)
        self._background.submit(
            f"change:{change.get('batchId') or change['requestId']}", lambda: self._client.publish(CHANGES, text)
        )

    def publish_preview(self, preview: Preview) -> None:
        """Keep the preview, and publish to all watchers that there is one: few of them want its bytes."""
        notice = {
            "requestId": preview.request_id,
            "preview": {"position": preview.position, "progress": preview.progress},
        }
        kept = json.dumps(asdict(preview))
        try:
            with self._client.pipeline(transaction=False) as commands:
                commands.set(_preview_key(preview.request_id, preview.position), kept, ex=KEPT_S)
                commands.publish(CHANGES, json.dumps(notice))
                commands.execute()
        except redis.RedisError as problem:
            log.warning("A preview could not be published", action="bus.failed", problem=str(problem))

    def preview(self, request_id: str, position: int) -> Preview | None:
        """The preview of this picture that is kept; None if there is none, or if Redis cannot be reached."""
        try:
            kept = self._client.get(_preview_key(request_id, position))
        except redis.RedisError as problem:
            log.warning("A preview could not be read", action="bus.failed", problem=str(problem))
            return None
        return None if kept is None else Preview(**json.loads(kept))

    def check(self) -> None:
        """Write and remove a key. Raises Unavailable, with Redis's own reason."""
        try:
            self._client.set(CHECKED, "1", px=CHECKED_MS)
            self._client.delete(CHECKED)
        except redis.RedisError as problem:
            raise Unavailable(str(problem)) from problem

    def is_available(self) -> bool:
        """True if Redis answers a ping."""
        try:
            return self._client.ping()
        except redis.RedisError:
            return False


class Listener:
    """The subscribing side: one for each process, on a thread of its own.

    `on_message(channel, message)` is called for each message. `after_gap()` is called after every (re)connection, since
    what was published in between is lost. A connection on which nothing arrives for `SILENCE_S` counts as dead, as it may
    be half-open; so something must be published on one of the channels more often than that.
    """

    def __init__(self, url: str, channels: list[str], on_message: OnMessage, after_gap: Callable[[], None]) -> None:
        # Without a time-out of the client: each read below has one, and this class detects silence.
        self._client = blocking_client(url, connect_s=2.0)
        self._channels = channels
        self._on_message = on_message
        self._after_gap = after_gap
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bus-listener", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stop listening soon."""
        self._closing.set()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._listen()
            except Exception as problem:  # noqa: BLE001 - redis-py raises ValueError and OSError too when a socket dies
                log.warning("The subscription was interrupted", action="bus.interrupted", problem=str(problem))
                self._closing.wait(RECONNECT_S)

    def _listen(self) -> None:
        with self._client.pubsub() as subscription:  # type: ignore[no-untyped-call]
            subscription.subscribe(*self._channels)
            received_at = time.monotonic()
            while not self._closing.is_set():
                received = subscription.get_message(timeout=READ_S)
                if received is not None:
                    received_at = time.monotonic()
                    self._handle(received)
                elif time.monotonic() - received_at > SILENCE_S:
                    raise TimeoutError(f"nothing was received for {SILENCE_S:g} s")

    def _handle(self, received: Mapping[str, Any]) -> None:
        if received["type"] == "subscribe" and received["channel"] == self._channels[-1]:
            self._after_gap()
        elif received["type"] == "message":
            self._on_message(received["channel"], json.loads(received["data"]))
