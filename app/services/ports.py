"""The interfaces that services use. `app.adapters` implements them, tests have fakes, `app.container` connects them."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from app.config import Settings
from app.db.engine import Database
from app.db.jobs import Job
from app.domain.access import Credential
from app.domain.images import ImageLimits, Picture, Rendition
from app.domain.previews import Preview
from app.domain.states import Step
from app.domain.webhooks import Answer


class Tasks(Protocol):
    """Wakes workers. A wake-up is a hint: it may be lost, and the sweep makes up for it."""

    def assign(self) -> None:
        """Wake a dispatcher: a job waits, or an extension is free."""

    def download(self) -> None:
        """Wake a downloader: pictures are due to be fetched."""

    def reuse(self) -> None:
        """Wake a worker: a request that others follow has ended."""

    def deliver(self) -> None:
        """Wake a worker that sends to webhooks: deliveries are due."""

    def started(self, task: str) -> None:
        """The task of this name begins to read: later commits need another wake-up."""

    def workers(self) -> Mapping[str, str | None]:
        """For each queue of tasks a worker that takes from it; None if there is none. Raises Unavailable."""


class Bus(Protocol):
    """Publishes to other processes, at most once: what is lost is recovered from the database."""

    def publish_to_hub(self, hub_id: str, message: Mapping[str, Any]) -> bool:
        """Publish to the web process `hub_id`; False if certainly no process received it."""

    def publish_change(self, change: Mapping[str, Any]) -> None:
        """Notify all watchers that a job changed."""

    def publish_preview(self, preview: Preview) -> None:
        """Keep the preview for a short time, in place of an earlier one, and notify the watchers of its request."""

    def preview(self, request_id: str, position: int) -> Preview | None:
        """The preview of this picture that is kept, or None."""

    def check(self) -> None:
        """Check that the bus can be written. Raises Unavailable, with the reason."""

    def is_available(self) -> bool:
        """True if the bus works at the moment."""


class Fetch(Protocol):
    def fetch(self, url: str, *, into: BinaryIO, max_bytes: int, timeout_ms: int) -> None:
        """Write the file into `into`. Raises FetchError."""


class Post(Protocol):
    """Sends to webhooks, whose addresses are as untrusted as those of pictures."""

    def check(self, url: str) -> None:
        """Raises PictureError if the URL itself shows that nothing can be sent to it."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_ms: int) -> Answer:
        """Send the JSON and return the receiver's answer, whatever it is. Raises PictureError if there is none."""


class Store(Protocol):
    """Stores pictures and their renditions, and uploads until they are downloaded.

    Every method raises a PictureError whose fault is the service's (Fault.SERVICE) if the storage fails.
    """

    def stage(self) -> AbstractContextManager[Any]:
        """A new empty file. Its `file` can be written and read back; it is removed after the `with`, unless it was published."""

    def publish(self, staged: Any, name: str) -> None:
        """Make the file the picture `name`, durably and atomically."""

    def keep_upload(self, staged: Any, request_id: str, attempt: int, position: int) -> None:
        """Keep the file as an upload, in the same way."""

    def open_upload(self, request_id: str, attempt: int, position: int) -> BinaryIO | None:
        """The uploaded file, to read; None if there is none."""

    def discard_upload(self, request_id: str, attempt: int, position: int) -> None:
        """Remove the uploaded file, if there is one."""

    def open(self, name: str) -> BinaryIO | None:
        """The picture, to read and seek; None if there is none. The name may be untrusted."""

    def has(self, name: str) -> bool:
        """True if there is a picture of this name."""

    def link(self, name: str, new_name: str) -> bool:
        """Give the picture a second name, durably and atomically; False if there is none. Each name is deleted on its own."""

    def presigned_url(self, name: str, lifetime_s: int) -> str | None:
        """An address at which anybody can get the picture directly from the storage for this time; None if there is none."""

    def delete(self, name: str) -> None:
        """Remove the picture, if there is one."""

    def names(self) -> Iterator[str]:
        """The names of all pictures and their renditions, in any order, as they are found."""

    def check(self) -> None:
        """Check that files can be written."""

    def probe(self) -> None:
        """Write a file, read it again and delete it, each time that this is called."""

    def free_bytes(self) -> int:
        """Free disk space in bytes."""

    def sweep_staging(self, before_ms: int) -> int:
        """Remove unpublished files that were last changed before this time (ms); returns how many."""


class Scanner(Protocol):
    def scan(self, source: BinaryIO) -> None:
        """Raises PictureError if something was found, or if the scan failed."""


class ImageValidator(Protocol):
    def __call__(
        self,
        source: BinaryIO,
        target: BinaryIO,
        limits: ImageLimits,
        thumbnails: Mapping[Rendition, BinaryIO] | None = None,
    ) -> Picture:
        """Write the picture in `source` into `target` as a clean PNG. Raises PictureError.

        Files of `thumbnails` that stay empty are to be made later.
        """


class Renderer(Protocol):
    def __call__(self, source: BinaryIO, target: BinaryIO, rendition: Rendition) -> None:
        """Write the rendition of the stored picture in `source` into `target`. Raises PictureError."""


class Tokens(Protocol):
    def issue(self, credential: Credential, scope: str, now_s: int, key: bytes) -> str:
        """A token for the credential, signed with `key`."""

    def read(self, token: str, key: bytes) -> Credential:
        """Verify the token and return its credential. Raises Unauthorized."""

    def unverified_id(self, token: str) -> str | None:
        """The token's `jti`, without verification; None if this is not a token."""


class Randomness(Protocol):
    def token(self) -> str:
        """A fresh secret of 128 bits or more, as text."""

    def bytes(self, size: int) -> bytes:
        """Fresh random bytes."""

    def jitter(self) -> float:
        """A number from 0 to 1."""


class Metrics(Protocol):
    """Counts for monitoring; see `app.adapters.metrics`. It never fails."""

    def http_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """An HTTP request was answered."""

    def rate_limited(self, route: str) -> None:
        """A rate limit refused a request."""

    def socket_opened(self) -> None:
        """An extension's socket was opened."""

    def socket_closed(self) -> None:
        """An extension's socket was closed."""

    def submitted(self, requests: int = 1) -> None:
        """So many requests were accepted."""

    def job_moved(self, step: Step, job: Job) -> None:
        """The job took the step, which was committed."""

    def stored(self, size: int) -> None:
        """Pictures of so many bytes were stored."""

    def download_failed(self, fault: str) -> None:
        """An attempt to fetch pictures failed."""

    def webhook_attempted(self, outcome: str, seconds: float) -> None:
        """An attempt to send to a webhook ended."""

    def swept(self, sweep: str, seconds: float) -> None:
        """A periodic task ended."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The configuration and the interfaces that every service uses."""

    settings: Settings
    database: Database
    tasks: Tasks
    bus: Bus
    store: Store
    fetch: Fetch
    post: Post
    scanner: Scanner
    validator: ImageValidator
    randomness: Randomness
    tokens: Tokens
    renderer: Renderer
    metrics: Metrics
