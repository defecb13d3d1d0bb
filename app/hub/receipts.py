"""Records which offers an extension has received, so that their leases last as long as work may take."""

from __future__ import annotations

import time
from collections.abc import Iterable

from app import logs
from app.domain.errors import Unavailable
from app.hub.offers import Offer
from app.services.generation import Generation

MAX_DELAY_S = 1.0
REMEMBERED = 64  # reported requests

log = logs.get(__name__)


class Receipts:
    """The proofs of receipt of one session that are still to be recorded.

    They are recorded a little later: a report that comes soon proves as much, and is a commit anyway.
    """

    def __init__(self, generation: Generation, offer_timeout_ms: int) -> None:
        self.delay_s = min(MAX_DELAY_S, offer_timeout_ms / 20_000)  # long before the offer's own lease ends
        self._generation = generation
        self._waiting: list[tuple[float, Offer]] = []
        self._reported: dict[str, float] = {}  # by request, when it was last reported on

    @property
    def waiting(self) -> bool:
        """True where there is something to record."""
        return bool(self._waiting)

    def add(self, offers: Iterable[Offer]) -> None:
        """These offers were received."""
        now_s = time.monotonic()
        self._waiting += [(now_s, offer) for offer in offers]

    def reported(self, request_id: str, received_s: float) -> None:
        """A report on the request was accepted; `received_s` is when it came, by `time.monotonic`."""
        self._reported.pop(request_id, None)
        self._reported[request_id] = received_s
        if len(self._reported) > REMEMBERED:
            del self._reported[next(iter(self._reported))]

    def record(self, min_age_s: float) -> None:
        """Record those that were added at least so long ago. What cannot be recorded now, the next call records."""
        latest_s = time.monotonic() - min_age_s
        try:
            while self._waiting and self._waiting[0][0] <= latest_s:
                _, offer = self._waiting[0]
                if not self._reported_since(offer):
                    self._generation.handed_over(offer.request_id, offer.lease)
                del self._waiting[0]
        except Unavailable:
            log.warning("Proofs of receipt could not be recorded", action="offer.unnoted", offers=len(self._waiting))

    def _reported_since(self, offer: Offer) -> bool:
        """True where a report that came after the offer was made has recorded as much, or ended the attempt."""
        return self._reported.get(offer.request_id, float("-inf")) > offer.made_s
