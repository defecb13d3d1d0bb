"""Records which offers an extension has received, so that their leases are extended to the whole attempt."""

import time
from collections.abc import Iterable

from app import logs
from app.domain.errors import Unavailable
from app.hub.offers import Offer
from app.services.generation import Generation

MAX_DELAY_S = 1.0
MAX_REPORTED = 64

log = logs.get(__name__)


class Receipts:
    """The proofs of receipt of one session that have not been recorded yet.

    They are recorded with a delay: a report that follows soon proves the same and needs a commit anyway.
    """

    def __init__(self, generation: Generation, offer_timeout_ms: int) -> None:
        self.delay_s = min(MAX_DELAY_S, offer_timeout_ms / 20_000)  # well before the offer's short lease ends
        self._generation = generation
        self._waiting: list[tuple[float, Offer]] = []
        self._reported: dict[str, float] = {}  # request id: time of the last report

    @property
    def waiting(self) -> bool:
        """True if there is something to record."""
        return bool(self._waiting)

    def add(self, offers: Iterable[Offer]) -> None:
        """Add offers that were received just now."""
        now_s = time.monotonic()
        self._waiting += [(now_s, offer) for offer in offers]

    def reported(self, request_id: str, received_s: float) -> None:
        """A report on the request was accepted, which was received at `received_s` (`time.monotonic`)."""
        self._reported.pop(request_id, None)
        self._reported[request_id] = received_s
        if len(self._reported) > MAX_REPORTED:
            del self._reported[next(iter(self._reported))]

    def record(self, min_age_s: float) -> None:
        """Record those added at least `min_age_s` ago. If the database is unavailable, the next call tries again."""
        latest_s = time.monotonic() - min_age_s
        try:
            while self._waiting and self._waiting[0][0] <= latest_s:
                _, offer = self._waiting[0]
                if not self._reported_since(offer):
                    self._generation.offer_received(offer.request_id, offer.lease)
                del self._waiting[0]
        except Unavailable:
            log.warning("Proofs of receipt could not be recorded", action="offer.unnoted", offers=len(self._waiting))

    def _reported_since(self, offer: Offer) -> bool:
        """True if a report since the offer has extended the lease already, or has ended the attempt."""
        return self._reported.get(offer.request_id, float("-inf")) > offer.made_s
