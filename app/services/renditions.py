"""Renditions of stored pictures: those that were not made with the picture are made when somebody wants one.

The same one is made once in a process, whoever waits for it, and only a few at the same time.
"""

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import BinaryIO

from app import logs
from app.db import images
from app.db.images import StoredImage
from app.domain.errors import InvalidRequest, Unavailable
from app.domain.images import CONVERTED_SIDES, PictureError, Rendition, rendition_name
from app.services.ports import Ports

AT_ONCE = 16  # that are made or wait for a decoder in this process
RETRY_S = 5
BUSY = "This service makes too many thumbnails and conversions at the moment."

log = logs.get(__name__)


class Renditions:
    def __init__(self, ports: Ports) -> None:
        self.ports = ports
        self._making: dict[str, Future[bool]] = {}
        self._lock = threading.Lock()

    def open(self, picture: StoredImage, rendition: Rendition) -> BinaryIO | None:
        """The rendition, to read and seek; None if the picture's file is gone. Raises as `ensure`, and PictureError."""
        name = rendition_name(picture.file, rendition)
        content = self.ports.store.open(name)
        if content is None and self.ensure(picture, rendition):
            content = self.ports.store.open(name)
        return content

    def ensure(self, picture: StoredImage, rendition: Rendition) -> bool:
        """Make the rendition unless it is stored; False if the picture's file is gone.

        Raises InvalidRequest if the format cannot hold the picture, Unavailable if it cannot be made at the moment.
        """
        most = CONVERTED_SIDES.get(rendition)
        if most is not None and max(picture.width, picture.height) > most:
            raise InvalidRequest(
                f"format cannot be {rendition}: the picture has {picture.width} x {picture.height} pixels, and this format "
                f"holds at most {most:,} in each direction.",
                field="format",
            )
        try:
            return self._once(rendition_name(picture.file, rendition), partial(self._made, picture.file, rendition))
        except PictureError as error:
            log.warning("A rendition was not made", action="rendition.failed", file=picture.file, problem=str(error))
            raise Unavailable(str(error), retry_after_s=RETRY_S) from error

    def _once(self, name: str, make: Callable[[], bool]) -> bool:
        """Make it, or wait until another thread has, for the same result or error. Raises Unavailable."""
        with self._lock:
            making = self._making.get(name)
            others = making is not None
            if making is None:
                if len(self._making) >= AT_ONCE:
                    raise Unavailable(BUSY, retry_after_s=RETRY_S)
                making = self._making[name] = Future()
        if others:
            return making.result()
        try:
            making.set_result(make())
        except BaseException as error:
            making.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._making[name]
        return making.result()

    def _made(self, file: str, rendition: Rendition) -> bool:
        """Raises PictureError."""
        store, name = self.ports.store, rendition_name(file, rendition)
        if store.has(name):
            return True
        picture = store.open(file)
        if picture is None:
            return False
        # decoders open files by their paths, which pictures in other storages do not have
        with picture, store.stage() as source, store.stage() as target:
            shutil.copyfileobj(picture, source.file)
            self.ports.renderer(source.file, target.file, rendition)
            store.publish(target, name)
        return self._still_wanted(file, name)

    def _still_wanted(self, file: str, name: str) -> bool:
        """Whoever removes a picture removes its row first: then nobody else would remove what was just made."""
        if self.ports.database.read(lambda c: images.of_file(c, file)) is not None:
            return True
        self.ports.store.delete(name)
        return False
