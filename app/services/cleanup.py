"""Removing files that nobody will come for: of downloads and uploads that a crash, a failure or a cancellation ended.

What is removed is found by rows, never by looking which files there are, so nobody else's file is ever touched.
"""

from __future__ import annotations

import contextlib

from app.config import Settings
from app.db import clock, images
from app.db.engine import Transaction
from app.domain.image_request import IMAGES
from app.domain.images import PictureError
from app.services.download import longest_ms
from app.services.ports import Ports
from app.services.uploads import discard

BATCH = 200
MOST_IMAGES = IMAGES[1]
ABANDONED_MS = 600_000
STAGING_MS = 3_600_000


def abandoned_ms(settings: Settings) -> int:
    """After how long the files of a download are nobody's, in ms: it writes their names down when it begins."""
    return longest_ms(settings, MOST_IMAGES) + ABANDONED_MS


class Cleanup:
    """Keeps the folder of pictures free of what belongs to no completed request."""

    def __init__(self, ports: Ports) -> None:
        self.ports = ports

    def sweep(self, now: int | None = None) -> int:
        """Remove what was left behind, some hundred of each kind at most; returns how many files that were.

        Safe at any time and in several processes at once. `now` is in ms since the epoch, the database's by default.
        """
        if now is None:
            now = self.ports.database.read(clock.now)
        return (
            self._pictures(now - abandoned_ms(self.ports.settings))
            + self._uploads(now - ABANDONED_MS)
            + self._staging(now - STAGING_MS)
        )

    def _pictures(self, before_ms: int) -> int:
        # Given up first, in a commit of its own: a download that is late finds that out before it completes its job.
        names = self.ports.database.write(lambda tx: images.give_up_intended(tx, before_ms, BATCH))
        removed = [name for name in names if self._removed(name)]

        def forget(tx: Transaction) -> None:
            images.forget_intended(tx, removed)

        if removed:
            self.ports.database.write(forget)
        return len(removed)

    def _removed(self, name: str) -> bool:
        with contextlib.suppress(PictureError):
            self.ports.store.delete(name)
            return True
        return False

    def _uploads(self, before_ms: int) -> int:
        return discard(self.ports, self.ports.database.read(lambda c: images.uploads_left_behind(c, before_ms, BATCH)))

    def _staging(self, before_ms: int) -> int:
        with contextlib.suppress(PictureError):
            return self.ports.store.sweep_staging(before_ms)
        return 0
