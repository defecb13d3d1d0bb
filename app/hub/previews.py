"""The previews that one extension sends with its progress: rarely enough, and refused without harm to the request."""

import time
from collections.abc import Callable

from app import logs
from app.domain.errors import MalformedMessage
from app.domain.images import Fault, PictureError
from app.domain.messages import ImageGenerationProgress
from app.domain.previews import EVERY_S
from app.services.previews import Previews

MOST_REFUSED = 20

log = logs.get(__name__)


class PreviewIntake:
    """Passes previews on. `now` is a clock in seconds."""

    def __init__(self, service: Previews, now: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._now = now
        self._taken_at: dict[tuple[str, int], float] = {}  # by request and position
        self._refused = 0

    def take(self, report: ImageGenerationProgress) -> None:
        """Show the report's preview, unless another one of the same picture was taken within the last second.

        Raises MalformedMessage if it cannot be used. After `MOST_REFUSED` of these, all others are ignored.
        """
        if report.preview is None or self._refused == MOST_REFUSED or self._is_too_early(report):
            return
        preview = report.preview
        try:
            self._service.receive(report.request_id, preview.position, int(report.progress), preview.data)
        except PictureError as problem:
            if problem.fault is Fault.SERVICE:
                log.warning("A preview could not be checked", action="preview.unchecked", problem=str(problem))
                return
            self._refused += 1
            ignored = " No more previews are taken on this connection." if self._refused == MOST_REFUSED else ""
            raise MalformedMessage(f"preview cannot be used: {problem}{ignored}") from problem

    def _is_too_early(self, report: ImageGenerationProgress) -> bool:
        assert report.preview is not None
        now, picture = self._now(), (report.request_id, report.preview.position)
        self._taken_at = {key: at for key, at in self._taken_at.items() if now - at < EVERY_S}
        if picture in self._taken_at:
            return True
        self._taken_at[picture] = now
        return False
