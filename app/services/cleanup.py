"""Removes files that downloads and uploads left behind after a crash, a failure or a cancellation, expired input pictures and
keys, and what was sent to webhooks long ago.

The files are found by their rows in the database, never by listing the folder, so no other file is touched.
"""

import contextlib

from app.config import Settings
from app.db import clock, idempotency, images, inputs, webhook_deliveries, webhooks
from app.domain.image_request import IMAGES
from app.domain.images import PictureError, stored_names
from app.services import input_images
from app.services import inputs as input_pictures
from app.services.download import longest_ms
from app.services.ports import Ports
from app.services.uploads import discard

BATCH = 200
KEYS = 5_000  # more than the default limits let in between two sweeps
ABANDONED_MS = 600_000
STAGING_MS = 3_600_000
DAY_MS = 86_400_000
DELIVERIES_KEPT_MS = 30 * DAY_MS  # after they were delivered or given up
SCOPED_WEBHOOKS_KEPT_MS = 90 * DAY_MS  # those of single requests and batches


def abandoned_ms(settings: Settings) -> int:
    """How old the stored names of a download's files must be before the files count as abandoned, in ms."""
    return longest_ms(settings, IMAGES[1]) + ABANDONED_MS


class Cleanup:
    def __init__(self, ports: Ports) -> None:
        self.ports = ports

    def sweep(self, now: int | None = None) -> int:
        """Remove abandoned files, at most `BATCH` of each kind, and up to `KEYS` expired rows; returns how many in all.

        Safe at any time and in several processes at once. `now` is in ms since the epoch, the database's by default.
        """
        if now is None:
            now = self.ports.database.read(clock.now)
        return (
            self._pictures(now - abandoned_ms(self.ports.settings))
            + self._uploads(now - ABANDONED_MS)
            + self._staging(now - STAGING_MS)
            + self._inputs()
            + self.ports.database.write(lambda tx: idempotency.remove_expired(tx, now, KEYS))
            + self.ports.database.write(
                lambda tx: webhook_deliveries.remove_finished(tx, now - DELIVERIES_KEPT_MS, KEYS)
            )
            + self.ports.database.write(lambda tx: webhooks.remove_scoped(tx, now - SCOPED_WEBHOOKS_KEPT_MS, BATCH))
        )

    def _pictures(self, before_ms: int) -> int:
        # given up in a commit of its own first, so that a late download cannot complete its job with a removed file
        names = self.ports.database.write(lambda tx: images.give_up_intended(tx, before_ms, BATCH))
        removed = []
        for name in names:
            with contextlib.suppress(PictureError):
                for each in stored_names(name):
                    self.ports.store.delete(each)
                removed.append(name)
        if removed:
            self.ports.database.write(lambda tx: images.forget_intended(tx, removed))
        return len(removed)

    def _uploads(self, before_ms: int) -> int:
        return discard(self.ports, self.ports.database.read(lambda c: images.uploads_left_behind(c, before_ms, BATCH)))

    def _inputs(self) -> int:
        return input_pictures.discard(self.ports, self.ports.database.read(lambda c: inputs.expired(c, BATCH))) + (
            input_images.discard_ended(self.ports, BATCH)
        )

    def _staging(self, before_ms: int) -> int:
        with contextlib.suppress(PictureError):
            return self.ports.store.sweep_staging(before_ms)
        return 0
