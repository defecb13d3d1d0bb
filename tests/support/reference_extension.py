"""The reference extension in this process, with a drawing function that tests control."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from imagefleet.extension import OPERATIONS, Extension, Settings
from imagefleet.extension.drawing import Picture, ReportProgress, draw
from imagefleet.extension.renderer import Draw
from tests.support.scripted_server import ScriptedServer
from tests.support.scripted_socket import Peer
from tests.support.service import Service

JOB = "550e8400-e29b-41d4-a716-446655440000"


class ControlledRenderer:
    """Draws tiny pictures, and variations as they are; after `hold`, no drawing is finished until `release`."""

    def __init__(self) -> None:
        self.drawn: list[Picture] = []
        self.content: bytes | None = None
        self._free = threading.Event()
        self._free.set()

    def hold(self) -> None:
        self._free.clear()

    def release(self) -> None:
        self._free.set()

    def draw(self, picture: Picture, watch: ReportProgress) -> bytes:
        """Draw in ten steps, and wait while held."""
        self.drawn.append(picture)
        for tenth in range(10):
            watch(tenth / 10)
        while not self._free.wait(0.01):
            watch(0.95)
        small = Picture(picture.prompt, 16, 16, picture.index)
        return self.content or draw(picture if picture.inputs else small)


class RunningExtension:
    """A running extension: its drawing function and its log lines."""

    def __init__(self, scripted: ScriptedServer, **settings: Any) -> None:
        self.renderer = ControlledRenderer()
        self.log_lines: list[str] = []
        chosen = {"websocket_url": scripted.ws_url, "step_s": 0.0, "first_pause_s": 0.02, "max_pause_s": 0.1}
        self.extension = Extension(
            Settings(scripted.url, "e1", **{**chosen, **settings}), self.log_lines.append, self.renderer.draw
        )
        self.thread = threading.Thread(target=self.extension.run, name="extension", daemon=True)
        self.thread.start()

    def has_logged(self, words: str) -> bool:
        return any(words in line for line in list(self.log_lines))


@contextlib.contextmanager
def running_extension(scripted: ScriptedServer, **settings: Any) -> Iterator[RunningExtension]:
    """Run the extension until the end of the `with`."""
    running = RunningExtension(scripted, **settings)
    try:
        yield running
    finally:
        running.extension.stop()
        running.thread.join(5)


@contextlib.contextmanager
def running_reference_extension(
    service: Service, model: str, *, step_s: float = 0.0, draw: Draw = draw
) -> Iterator[list[str]]:
    """Run a reference extension of a real service for one model; yields its log lines."""
    log_lines: list[str] = []
    settings = Settings(
        service.url(), f"reference-{model}", models=(model,), step_s=step_s, operations=OPERATIONS, first_pause_s=0.1
    )
    extension = Extension(settings, log_lines.append, draw)
    running = threading.Thread(target=extension.run, daemon=True)
    running.start()
    try:
        yield log_lines
    finally:
        extension.stop()
        running.join(5)


def send_job(peer: Peer, request_id: str = JOB, **fields: Any) -> None:
    """Send a job for one picture of 64 x 48 px; the fields are those of the wire."""
    chosen = {
        "prompt": "A fox",
        "model": "dall-e-3",
        "parameters": {"width": 64, "height": 48, "quality": "hd"},
        "userId": "cli-user",
        "correlationId": "c1",
        **fields,
    }
    peer.send("generate_image", requestId=request_id, **chosen)
