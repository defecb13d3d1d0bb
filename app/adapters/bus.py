"""Telling other processes over Redis pub/sub. At most once: what is lost is found again in the database."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import redis

from app import logs
from app.adapters.background import Background
from app.adapters.commands import Commands
from app.adapters.redis_clients import patient_client

CHANGES = "imagefleet:changes"
SILENCE_S = 15.0
READ_S = 1.0
RECONNECT_S = 0.5

Hear = Callable[[str, dict[str, Any]], None]


log = logs.get(__name__)


def hub_channel(hub_id: str) -> str:
    """Where the web process `hub_id` listens."""
    return f"imagefleet:hub:{hub_id}"


class RedisBus:
    """The speaking side."""

    def __init__(self, commands: Commands, background: Background) -> None:
        self._commands = commands
        self._background = background

    def to_hub(self, hub_id: str, message: Mapping[str, Any]) -> bool:
        """Tell the web process; False where certainly nobody heard it.

        An error proves nothing either way, so it counts as heard: the offer's own short lease decides.
        """
        try:
            return int(self._commands.ask("PUBLISH", hub_channel(hub_id), json.dumps(message))) > 0
        except redis.RedisError as problem:
            log.warning("Redis did not take a message", action="bus.failed", problem=str(problem))
            return True

    def changed(self, change: Mapping[str, Any]) -> None:
        """Tell everybody who watches; of several changes of one job that wait to be sent, the newest is enough."""
        key = f"changed:{change['requestId']}"
        self._background.soon(key, lambda: self._commands.tell("PUBLISH", CHANGES, json.dumps(change)))

    def answers(self) -> bool:
        """True where Redis answers at the moment."""
        try:
            return bool(self._commands.ask("PING"))
        except redis.RedisError:
            return False


class Listener:
    """The hearing side: one a process, on a thread of its own, for as long as the process lives.

    `hear(channel, message)` gets each message. `after_gap()` is called after every (re)connection: what was said in
    between is lost. A connection on which nothing came for 15 s counts as dead, so somebody must speak on one of the
    channels more often than that.
    """

    def __init__(self, url: str, channels: list[str], hear: Hear, after_gap: Callable[[], None]) -> None:
        # No time-out of its own: each read below has one, and silence is judged here.
        self._client = patient_client(url, connect_s=2.0)
        self._channels = channels
        self._hear = hear
        self._after_gap = after_gap
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bus-listener", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening soon."""
        self._closing.set()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._listen()
            except Exception as problem:  # noqa: BLE001 - redis-py raises ValueError and OSError too when a socket dies
                log.warning("Listening was interrupted", action="bus.interrupted", problem=str(problem))
                self._closing.wait(RECONNECT_S)

    def _listen(self) -> None:
        with self._client.pubsub(push_handler_func=_as_it_is) as subscription:  # type: ignore[no-untyped-call]
            subscription.subscribe(*self._channels)
            heard_at = time.monotonic()
            while not self._closing.is_set():
                said = subscription.get_message(timeout=READ_S)
                if said is not None:
                    heard_at = time.monotonic()
                    self._take(said)
                elif time.monotonic() - heard_at > SILENCE_S:
                    raise TimeoutError(f"nothing was heard for {SILENCE_S:g} s")

    def _take(self, said: Mapping[str, Any]) -> None:
        if said["type"] == "subscribe" and said["channel"] == self._channels[-1]:
            self._after_gap()
        elif said["type"] == "message":
            self._hear(said["channel"], json.loads(said["data"]))


def _as_it_is(message: list[Any]) -> list[Any]:
    """What redis-py would write a line of the log about, looking for its logger each time."""
    return message
