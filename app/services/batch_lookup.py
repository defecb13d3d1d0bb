"""What clients read about batches: lists, counts, items, events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from app.db import batch_items, batches, clock
from app.db.batches import Batch, LoggedBatchEvent
from app.db.jobs import Job
from app.domain.batches import BatchStatus, Estimate, estimate
from app.domain.errors import NotFound
from app.domain.states import Status
from app.services import long_polling
from app.services.credential_status import NO_CREDENTIAL, CredentialStatus
from app.services.ports import Ports
from app.services.watching import Watching

MEASURED = 50  # items whose durations an estimate is made of
EVENTS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class BatchDetails:
    """A batch as of `at` (ms): how many of its items are in each status, when the first was started (ms), and in how long the
    rest will have ended."""

    batch: Batch
    counts: Mapping[Status, int]
    started_at: int | None = None
    estimate: Estimate | None = None
    at: int = 0


@dataclass(frozen=True, slots=True)
class BatchPage:
    """Some batches, newest first; `cursor` continues the list and is None at its end."""

    batches: Sequence[BatchDetails]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Some items in their order; `cursor` continues the list and is None at its end."""

    items: Sequence[Job]
    cursor: int | None


@dataclass(frozen=True, slots=True)
class EventPage:
    """A batch and its next events; `more` if there are others after them already."""

    batch: Batch
    events: Sequence[LoggedBatchEvent]
    more: bool


class BatchLookup:
    """With an `owner`, batches of other users are not found."""

    def __init__(self, ports: Ports, watching: Watching) -> None:
        self.ports = ports
        self.watching = watching

    def details(self, batch_id: str, owner: str | None = None) -> BatchDetails:
        """The batch with its counts. Raises NotFound."""

        def work(connection: Connection) -> BatchDetails:
            return details_of(connection, owned(batches.find(connection, batch_id), batch_id, owner), measured=True)

        return self.ports.database.read(work)

    def page(self, user_id: str | None, cursor: str | None, limit: int) -> BatchPage:
        """The batches of a user, or of all users (None), newest first, starting after `cursor`."""

        def work(connection: Connection) -> BatchPage:
            found = batches.page(connection, user_id, cursor, limit + 1)
            shown = [details_of(connection, batch) for batch in found[:limit]]
            return BatchPage(shown, shown[-1].batch.id if len(found) > limit else None)

        return self.ports.database.read(work)

    def items(
        self, batch_id: str, status: Status | None, cursor: int, limit: int, owner: str | None = None
    ) -> ItemPage:
        """The batch's items after number `cursor`. Raises NotFound."""

        def work(connection: Connection) -> ItemPage:
            owned(batches.find(connection, batch_id), batch_id, owner)
            found = batch_items.page(connection, batch_id, status, cursor, limit + 1)
            return ItemPage(found[:limit], found[limit - 1].batch_index if len(found) > limit else None)

        return self.ports.database.read(work)

    def events_after(self, batch_id: str, seq: int, owner: str | None = None) -> EventPage:
        """The batch and its events after the one numbered `seq`. Raises NotFound."""

        def work(connection: Connection) -> EventPage:
            batch = owned(batches.find(connection, batch_id), batch_id, owner)
            found = batches.events_after(connection, batch_id, seq, batch.last_event, EVENTS_AT_ONCE)
            return EventPage(batch, found, bool(found) and found[-1].seq < batch.last_event)

        return self.ports.database.read(work)

    def await_news(
        self,
        batch_id: str,
        wait_s: float,
        since: int | None = None,
        owner: str | None = None,
        credential: CredentialStatus = NO_CREDENTIAL,
    ) -> None:
        """Wait until the batch has a version newer than `since` (by default: than the current one), or has ended, or
        `wait_s` seconds are over.

        Raises NotFound, and Unauthorized if the caller's credential is revoked or expires meanwhile.
        """

        def version() -> int | None:
            batch = self.ports.database.read(lambda c: owned(batches.find(c, batch_id), batch_id, owner))
            return None if batch.finished_at is not None else batch.version

        long_polling.await_news(self.watching, batch_id, version, wait_s, since, credential)


def owned(batch: Batch | None, batch_id: str, owner: str | None) -> Batch:
    """The batch, if there is one and it belongs to `owner`; None for any owner. Raises NotFound."""
    if batch is None or owner not in (None, batch.user_id):
        raise NotFound(f"Not found: there is no batch {batch_id}.")
    return batch


def details_of(connection: Connection, batch: Batch, *, measured: bool = False) -> BatchDetails:
    """The batch with its counts, and if it is `measured` with an estimate of the rest."""
    if batch.finished_at is not None:
        return BatchDetails(batch, _counts(batch, {}), batch.started_at)
    released = batch_items.released(connection, batch.id)
    expected, at = None, 0
    if measured and batch.status is BatchStatus.RUNNING:
        expected = estimate(batch.total - batch.ended, batch_items.last_completed(connection, batch.id, MEASURED))
        at = clock.now(connection)
    started = (
        batch.started_at
        if released.started_at is None
        else min(released.started_at, batch.started_at or released.started_at)
    )
    return BatchDetails(batch, _counts(batch, released.by_status), started, expected, at)


def _counts(batch: Batch, released: Mapping[Status, int]) -> dict[Status, int]:
    """How many items are in each status; those that are not released are accepted."""
    begun = {status: released.get(status, 0) for status in (Status.PROCESSING, Status.DOWNLOADING)}
    return {
        Status.ACCEPTED: max(0, batch.total - batch.ended - sum(begun.values())),
        **begun,
        Status.COMPLETED: batch.completed,
        Status.FAILED: batch.failed,
        Status.CANCELLED: batch.cancelled,
    }
