"""Fakes for the ports of `app.services.ports`, which record their calls, and a function that combines them.

The database and the store are always real: they are fast, and a fake would be less strict.
"""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from app.adapters.background import BackgroundRunner
from app.adapters.celery_app import QUEUES
from app.adapters.fetch_errors import AddressRefused, HostUnreachable
from app.adapters.metrics import PrometheusMetrics
from app.adapters.pictures import check_and_store_as_png
from app.adapters.renditions import render
from app.adapters.scanner import NoScanner
from app.adapters.store import LocalStore
from app.adapters.tokens_jwt import JsonWebTokens
from app.config import Settings
from app.db.engine import Database
from app.domain.previews import Preview
from app.domain.webhooks import Answer as Answered
from app.services.ports import Ports

# Tests submit without limits; those about limits set them.
UNLIMITED = {"RATE_LIMIT_MAX_REQUESTS": "0", "RATE_LIMIT_GLOBAL": "0"}

# The memory limit would be that of the test process: threads that set and reset it in turn would leave one behind.
render_in_thread = partial(render, memory_limit=lambda _: nullcontext())
Answer = bytes | Exception | Callable[[], bytes]


class FakeTasks:
    """Counts the wake-ups."""

    def __init__(self) -> None:
        self.assigns = 0
        self.downloads = 0
        self.reuses = 0
        self.deliveries = 0
        self.queues: dict[str, str | None] = dict.fromkeys(QUEUES, "a worker")

    def assign(self) -> None:
        """Count a wake-up."""
        self.assigns += 1

    def download(self) -> None:
        """Count a wake-up."""
        self.downloads += 1

    def reuse(self) -> None:
        """Count a wake-up."""
        self.reuses += 1

    def deliver(self) -> None:
        """Count a wake-up."""
        self.deliveries += 1

    def started(self, task: str) -> None:
        """Do nothing: wake-ups are not coalesced here."""

    def workers(self) -> Mapping[str, str | None]:
        """What `queues` says."""
        return self.queues


class DeferredRunner(BackgroundRunner):
    """Runs its actions when the test calls `run_all`; as in the real one, a newer action replaces one with the same key."""

    def __init__(self) -> None:
        super().__init__("hints")
        self.waiting: dict[str, Callable[[], object]] = {}

    def submit(self, key: str, action: Callable[[], object]) -> None:
        """Keep the action for `run_all`."""
        self.waiting[key] = action

    def run_all(self) -> None:
        """Run all waiting actions."""
        while self.waiting:
            self.waiting.pop(next(iter(self.waiting)))()


class FakeBus:
    """Records what was published. `unreachable_hubs` names the hubs that do not receive."""

    def __init__(self) -> None:
        self.to_hubs: list[tuple[str, dict[str, Any]]] = []
        self.changes: list[dict[str, Any]] = []
        self.unreachable_hubs: set[str] = set()
        self.previews: dict[tuple[str, int], Preview] = {}

    def publish_to_hub(self, hub_id: str, message: Mapping[str, Any]) -> bool:
        """Record the message; returns whether the hub received it."""
        self.to_hubs.append((hub_id, dict(message)))
        return hub_id not in self.unreachable_hubs

    def publish_change(self, change: Mapping[str, Any]) -> None:
        """Record the change."""
        self.changes.append(dict(change))

    def publish_preview(self, preview: Preview) -> None:
        """Keep the preview."""
        self.previews[preview.request_id, preview.position] = preview

    def preview(self, request_id: str, position: int) -> Preview | None:
        """The kept preview."""
        return self.previews.get((request_id, position))

    def check(self) -> None:
        """Always possible."""

    def is_available(self) -> bool:
        """Always true."""
        return True

    def sent(self, kind: str) -> list[dict[str, Any]]:
        """The messages of this type that were sent to extensions."""
        messages = [message["message"] for _, message in self.to_hubs if "message" in message]
        return [message for message in messages if message["type"] == kind]


class FakeFetch:
    """A simulated web: `answers` maps each URL to its bytes, an exception to raise, or a function that returns the bytes."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.requested: list[str] = []
        self._lock = threading.Lock()

    def fetch(self, url: str, *, into: BinaryIO, max_bytes: int, timeout_ms: int) -> None:
        """Write the content of the URL. Raises HostUnreachable for unknown URLs."""
        with self._lock:
            self.requested.append(url)
        answer = self.answers.get(url, HostUnreachable("Host not found."))
        if isinstance(answer, Exception):
            raise answer
        into.write(answer if isinstance(answer, bytes) else answer())


class FakePost:
    """Simulated receivers: `answers` maps each URL to an answer, an exception to raise, or a function that returns it.

    Others answer 204.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Answered | Exception | Callable[[], Answered]] = {}
        self.sent: list[Sent] = []
        self.refused: set[str] = set()
        self._lock = threading.Lock()

    def check(self, url: str) -> None:
        """Raises AddressRefused for the URLs in `refused`."""
        if url in self.refused:
            raise AddressRefused("It is not at a public address.")

    def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_ms: int) -> Answered:
        """Record what was sent; answer or raise."""
        with self._lock:
            self.sent.append(Sent(url, body, dict(headers)))
        answer = self.answers.get(url, Answered(204, b""))
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Answered) else answer()


@dataclasses.dataclass(frozen=True)
class Sent:
    """What a webhook received."""

    url: str
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class FakeRandomness:
    """Tokens and bytes that count upwards; the jitter is always `jitter_value`."""

    def __init__(self) -> None:
        self.jitter_value = 1.0
        self._count = 0
        self._lock = threading.Lock()

    def token(self) -> str:
        """token-1, token-2 …"""
        return f"token-{self._next()}"

    def bytes(self, size: int) -> bytes:
        """The count as this many bytes."""
        return self._next().to_bytes(size, "big")

    def jitter(self) -> float:
        """Return `jitter_value`."""
        return self.jitter_value

    def _next(self) -> int:
        with self._lock:
            self._count += 1
            return self._count


@dataclasses.dataclass(frozen=True)
class Bench:
    """The ports of the services under test, and the fakes among them under their own types."""

    ports: Ports
    store: LocalStore
    tasks: FakeTasks
    bus: FakeBus
    fetch: FakeFetch
    post: FakePost
    randomness: FakeRandomness

    @property
    def database(self) -> Database:
        """The database among the ports."""
        return self.ports.database

    def with_ports(self, **changes: Any) -> Bench:
        """The same with these ports replaced."""
        return dataclasses.replace(self, ports=dataclasses.replace(self.ports, **changes))

    def with_settings(self, **changes: Any) -> Bench:
        """The same with these settings changed."""
        return self.with_ports(settings=dataclasses.replace(self.ports.settings, **changes))

    def files(self) -> list[str]:
        """The names of all files in the store, including unfinished ones and uploads."""
        return sorted(path.name for path in self.store.root.rglob("*") if path.is_file())


def bench(database: Database, folder: Path) -> Bench:
    """Ports on this database: pictures are fetched from `FakeFetch`, really checked, and stored in `folder`."""
    store, tasks, bus, fetch, randomness = LocalStore(folder), FakeTasks(), FakeBus(), FakeFetch(), FakeRandomness()
    post = FakePost()
    settings = dataclasses.replace(Settings.from_env(UNLIMITED), storage_path=folder)
    ports = Ports(
        settings,
        database,
        tasks,
        bus,
        store,
        fetch,
        post,
        NoScanner(),
        check_and_store_as_png,
        randomness,
        JsonWebTokens(settings),
        render_in_thread,
        PrometheusMetrics(),
    )
    return Bench(ports, store, tasks, bus, fetch, post, randomness)
