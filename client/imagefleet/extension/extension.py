"""The reference extension: does what the browser extension does, on machines without a browser.

`Extension` owns the connection: it authenticates, sends heartbeats, and reconnects until it is stopped. `job_runner.py`
runs the jobs; the drawing function is a parameter.
"""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from imagefleet.client import Client
from imagefleet.defaults import VERSION
from imagefleet.errors import BadAnswer, ImagefleetError
from imagefleet.extension import messages
from imagefleet.extension.connection import Closed, Connection, connected
from imagefleet.extension.drawing import draw
from imagefleet.extension.job_runner import JobRunner, Log
from imagefleet.extension.jobs import Message
from imagefleet.extension.messages import AuthenticationSuccess, ErrorReport, ServerMessage
from imagefleet.extension.renderer import Draw
from imagefleet.retrying import pauses
from imagefleet.transport import Transport

REPLACED = 4000


@dataclass(frozen=True, slots=True)
class Settings:
    """How an extension works. `models` lists the models that it offers; empty means all.

    `operations` are what its drawing function can do with input pictures (`imagefleet.extension.input_images.OPERATIONS`, or some of
    them); a function that ignores `Picture.inputs` can do none.

    Times are in seconds: `step_s` is the pause after each progress report, `heartbeat_s` the heartbeat interval,
    `silence_s` how long the server may be silent, `first_pause_s` to `max_pause_s` the pause before a reconnect.
    """

    server: str
    extension_id: str
    websocket_url: str | None = None
    models: tuple[str, ...] = ()
    concurrent: int = 1
    token: str | None = None
    step_s: float = 0.1
    heartbeat_s: float = 20.0
    silence_s: float = 60.0
    first_pause_s: float = 0.5
    max_pause_s: float = 30.0
    operations: tuple[str, ...] = ()


class Extension:
    """Works for the server until it is stopped; `log` is called with a line for each event."""

    def __init__(self, settings: Settings, log: Log, draw: Draw = draw) -> None:
        self._settings = settings
        self._log = log
        transport = Transport(settings.server)
        self._runner = JobRunner(transport, draw, self._send, log, settings.step_s, settings.operations)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._open: Connection | None = None
        self._connection: Connection | None = None  # the same, once authenticated

    def run(self) -> None:
        """Work until `stop`; blocks."""
        threading.Thread(target=self._send_heartbeats, name="heartbeat", daemon=True).start()
        self._runner.start(self._settings.concurrent)
        waits = self._pauses()
        while not self._stopping.is_set():
            if self._serve_connection():
                waits = self._pauses()
            self._stopping.wait(next(waits))

    def stop(self) -> None:
        """Give unfinished jobs back, close the connection, and make `run` return; takes a second at most."""
        with self._lock:
            self._stopping.set()
            opened, welcomed = self._open, self._connection
            self._connection = None
        self._runner.stop()
        if welcomed is not None:
            welcomed.close_gracefully(self._heartbeat(available=False))
        elif opened is not None:
            opened.abort()

    def _serve_connection(self) -> bool:
        """Connect and work until the connection ends. True if it was authenticated, so that a reconnect may be quick."""
        welcomed = False
        try:
            with self._connected() as connection:
                self._authenticate(connection)
                welcomed = True
                while True:
                    self._runner.handle(connection.receive())
        except (Closed, ImagefleetError) as error:
            if self._stopping.is_set():
                return False
            self._log(f"{str(error).rstrip('.')}; trying again")
            if error.code == REPLACED:
                # Another extension uses the same ID: without a long pause the two would replace each other for ever.
                self._stopping.wait(self._settings.max_pause_s * random.uniform(0.5, 1.0))
            return welcomed

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Connection]:
        with connected(self._url(), self._settings.silence_s) as connection:
            try:
                with self._lock:
                    self._open = connection
                    self._raise_if_stopping()
                yield connection
            finally:
                with self._lock:
                    self._open = self._connection = None

    def _raise_if_stopping(self) -> None:
        if self._stopping.is_set():
            raise Closed("the extension is stopping")

    def _url(self) -> str:
        if self._settings.websocket_url:
            return self._settings.websocket_url
        with Client(self._settings.server, key=self._settings.token, patience_s=0.0) as server:
            return server.websocket_url()

    def _authenticate(self, connection: Connection) -> None:
        """Authenticate when the server requests it; drop the jobs that it no longer assigns to this extension."""
        _expect(connection, "authentication_required")
        connection.send(self._authenticate_message())
        answer = _expect(connection, "authentication_success")
        connection.settled()
        if isinstance(answer, AuthenticationSuccess) and answer.active_request_ids is not None:
            self._runner.retain(answer.active_request_ids)
        with self._lock:
            self._raise_if_stopping()
            self._connection = connection
        self._log(f"connected to {connection.url} as {self._settings.extension_id}")
        self._runner.deliver()

    def _authenticate_message(self) -> Message:
        metadata = {
            "version": VERSION,
            "capabilities": self._capabilities(),
            "maxConcurrent": self._settings.concurrent,
        }
        message = {"type": "authenticate", "extensionId": self._settings.extension_id, "metadata": metadata}
        token = {"token": self._settings.token} if self._settings.token else {}
        return {**message, **token, "activeRequestIds": self._runner.ids()}

    def _capabilities(self) -> list[str]:
        """The models and operations. An older server reads operations as models, so all models are named by `*` then."""
        models, operations = self._settings.models, self._settings.operations
        if operations and not models:
            models = ("*",)
        return ["image-generation", *models, *operations]

    def _send(self, message: Message) -> bool:
        """Send the message; False if it is not connected. The reading thread reports a broken connection."""
        with self._lock:
            connection = self._connection
        if connection is None:
            return False
        try:
            connection.send(message)
        except Closed:
            return False
        return True

    def _send_heartbeats(self) -> None:
        """Send heartbeats, each with a ping, which even a server that ignores heartbeats answers."""
        while not self._stopping.wait(self._settings.heartbeat_s):
            with self._lock:
                connection = self._connection
            if connection is not None and self._send(self._heartbeat(available=True)):
                with contextlib.suppress(Closed):
                    connection.ping()

    def _heartbeat(self, *, available: bool) -> Message:
        active, waiting = self._runner.load()
        status = {"available": available, "queueSize": waiting, "activeRequests": active}
        message = {"type": "heartbeat", "extensionId": self._settings.extension_id, "status": status}
        return {**message, "activeRequestIds": self._runner.ids()}

    def _pauses(self) -> Iterator[float]:
        return pauses(self._settings.first_pause_s, self._settings.max_pause_s)


def _expect(connection: Connection, kind: str) -> ServerMessage:
    """The next message, which must be of this type. Raises BadAnswer, with the error text of the server if there is one."""
    message = messages.read(connection.receive())
    if message.type != kind:
        reported = message.error if isinstance(message, ErrorReport) else None
        problem = reported or f"it sent {message.type!r:.70} instead of {kind}"
        raise BadAnswer(f"The server did not accept the extension: {problem}")
    return message
