"""The events of a batch, for a live stream."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from app.container import Services
from app.db.batches import LoggedBatchEvent
from app.domain.clock import wire_time
from app.web.batch_schemas import StreamedBatchEvent
from app.web.streams import FeedPage


@dataclass(frozen=True, slots=True)
class BatchFeed:
    """The events of one batch; only of `owner`'s, if one is given. A batch that runs again continues its numbers."""

    services: Services
    id: str
    owner: str | None

    def after(self, seq: int) -> FeedPage:
        """As `Feed.after`."""
        page = self.services.batch_lookup.events_after(self.id, seq, self.owner)
        events = [(event.seq, event.type, _stored(self.id, event)) for event in page.events]
        return FeedPage(events, page.batch.finished_at is not None and not page.more, page.more)

    def unstored(self, change: Mapping[str, Any]) -> tuple[str, BaseModel] | None:
        """None: every change of a batch is stored."""


def _stored(batch_id: str, event: LoggedBatchEvent) -> StreamedBatchEvent:
    return StreamedBatchEvent(
        type=event.type,
        batch_id=batch_id,
        seq=event.seq,
        timestamp=wire_time(event.at),
        data={to_camel(name): value for name, value in event.data.items()},
    )
