"""The extensions, the queue and the models."""

from __future__ import annotations

from imagefleet.models.base import Answer, Many, Time


class Pause(Answer):
    """Until when an extension gets no work, and why."""

    until: Time | None = None
    reason: str | None = None


class PausedPart(Answer):
    """Something that an operator paused: `scope` is everything (`all`), or what `model`, `user_id` or `extension_id` names.

    `state` is paused, draining or drained; it ends by itself at `until`.
    """

    scope: str
    model: str | None = None
    user_id: str | None = None
    extension_id: str | None = None
    state: str | None = None
    since: Time | None = None
    until: Time | None = None
    note: str | None = None
    paused_by: str | None = None


class ExtensionState(Answer):
    """An extension. `standing` is free, busy, paused, draining, drained, unavailable or away; `since` is when it (dis)connected.

    `active` is the number of requests it holds, `request_ids` their IDs; `failures` counts consecutive failures.
    """

    extension_id: str
    standing: str
    connected: bool | None = None
    since: Time | None = None
    last_seen_at: Time | None = None
    last_success_at: Time | None = None
    version: str | None = None
    capabilities: Many[str] = ()
    available: bool | None = None
    max_concurrent: int | None = None
    active: int | None = None
    request_ids: Many[str] = ()
    failures: int | None = None
    pause: Pause | None = None
    paused_by_operator: PausedPart | None = None
    web_process: str | None = None


class WaitingRequests(Answer):
    """How many requests for a model wait in a class, and since when the first of them."""

    model: str
    priority: str
    depth: int
    operation: str | None = None
    oldest_since: Time | None = None
    oldest_seconds: float | None = None


class ModelSlots(Answer):
    """The extensions that make a model and take work now; `*` are those that make any."""

    model: str
    operation: str | None = None
    extensions: int = 0
    total: int = 0
    busy: int = 0


class Slots(Answer):
    """How many requests the extensions that take work now hold (`busy`), of how many they take at once (`total`)."""

    extensions: int = 0
    total: int = 0
    busy: int = 0
    by_model: Many[ModelSlots] = ()


class ModelThroughput(Answer):
    """How many requests for a model were completed."""

    model: str
    operation: str | None = None
    completed: int = 0


class Throughput(Answer):
    """How many requests were completed in the last `window_seconds`."""

    window_seconds: int | None = None
    completed: int = 0
    by_model: Many[ModelThroughput] = ()


class QueueState(Answer):
    """The state of the queue, about a second old."""

    waiting: int
    queues: Many[WaitingRequests] = ()
    paused: Many[PausedPart] = ()
    slots: Slots = Slots()
    throughput: Throughput = Throughput()
    timestamp: Time | None = None


class Model(Answer):
    """A model that a connected extension makes pictures with."""

    id: str
    owned_by: str | None = None


class Health(Answer):
    """The health of the service: `status` is healthy, degraded or unhealthy; the parts are True if they work."""

    status: str
    timestamp: Time | None = None
    uptime: float | None = None
    environment: str | None = None
    database: bool | None = None
    redis: bool | None = None
    storage: bool | None = None


class Token(Answer):
    """A token made from a key: it has the key's `scope`, and is valid for `expires_in` seconds."""

    token: str
    token_type: str | None = None
    expires_in: int | None = None
    scope: str | None = None


class SocketInfo(Answer):
    """Where extensions connect."""

    url: str
    active_connections: int | None = None
    protocol: str | None = None
    timestamp: Time | None = None
