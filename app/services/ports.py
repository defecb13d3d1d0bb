"""The ports that services may touch. `app.adapters` has the real ones; tests have fakes; `app.container` joins them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from app.config import Settings
from app.db.engine import Database
from app.domain.access import Credential
from app.domain.images import ImageLimits, Picture


class Tasks(Protocol):
    """Wakes workers. A wake-up is a hint: it may be lost, and the sweep makes up for it."""

    def assign(self) -> None:
        """A job waits, or an extension is free: have a dispatcher match them."""

    def download(self) -> None:
        """Pictures are due to be fetched."""

    def started(self, task: str) -> None:
        """The task of this name begins to read: what is committed from now on needs another one."""


class Bus(Protocol):
    """Publishes to other processes. At most once: what is lost is found again in the database."""

    def publish_to_hub(self, hub_id: str, message: Mapping[str, Any]) -> bool:
        """Publish to the web process `hub_id`; False where certainly no process received it."""

    def publish_change(self, change: Mapping[str, Any]) -> None:
        """Notify all watchers that a job changed."""

    def is_available(self) -> bool:
        """True where the bus works at the moment."""


class Fetch(Protocol):
    """Fetches a file from a URL that a stranger gave."""

    def fetch(self, url: str, *, into: BinaryIO, max_bytes: int, timeout_ms: int) -> None:
        """Write the file into `into`. Raises FetchError."""


class Staged(Protocol):
    """A file in the making."""

    file: BinaryIO


class Store(Protocol):
    """Keeps pictures, and uploads until their download comes for them. Raises StoreError."""

    def stage(self) -> AbstractContextManager[Any]:
        """An empty file to write to."""

    def publish(self, staged: Any, name: str) -> None:
        """Make the file the picture `name`."""

    def keep_upload(self, staged: Any, request_id: str, attempt: int, position: int) -> None:
        """Put the file aside until its download comes."""

    def open_upload(self, request_id: str, attempt: int, position: int) -> BinaryIO | None:
        """What was put aside."""

    def discard_upload(self, request_id: str, attempt: int, position: int) -> None:
        """Forget what was put aside."""

    def open(self, name: str) -> BinaryIO | None:
        """The picture, to read; None where there is none."""

    def delete(self, name: str) -> None:
        """Remove the picture."""

    def free_bytes(self) -> int:
        """How much room there is."""

    def sweep_staging(self, before_ms: int) -> int:
        """Remove what was left unfinished before then."""


class Scanner(Protocol):
    """Looks for what would harm those who open a file."""

    def scan(self, source: BinaryIO) -> None:
        """Returns where nothing was found. Raises PictureError where something was, or where nobody could look."""


class ImageValidator(Protocol):
    """Judges pictures."""

    def __call__(self, source: BinaryIO, target: BinaryIO, limits: ImageLimits) -> Picture:
        """Write the picture in `source` into `target` as a clean PNG. Raises BadImage."""


class Tokens(Protocol):
    """Makes and reads tokens that are signed."""

    def issue(self, credential: Credential, scope: str, now_s: int, key: bytes) -> str:
        """A token that says what the credential says, signed with `key`."""

    def read(self, token: str, key: bytes) -> Credential:
        """What the token says. Raises Unauthorized where it is not good."""

    def unverified_id(self, token: str) -> str | None:
        """The `jti` that a token gives itself, whether it is good or not; None for what is no token."""


class Randomness(Protocol):
    """Randomness."""

    def token(self) -> str:
        """A fresh secret of 128 bits or more, as text."""

    def bytes(self, size: int) -> bytes:
        """Fresh random bytes."""

    def jitter(self) -> float:
        """A number from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything a service may use."""

    settings: Settings
    database: Database
    tasks: Tasks
    bus: Bus
    store: Store
    fetch: Fetch
    scanner: Scanner
    validator: ImageValidator
    randomness: Randomness
    tokens: Tokens
