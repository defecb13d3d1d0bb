"""The reference extension: what a browser extension does for the service, for machines without a browser.

`Extension` keeps the connection: it introduces itself, sends heartbeats, and connects again for ever. The work is done
in `workshop.py`; what draws is handed in.
"""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from imagefleet.client import Imagefleet
from imagefleet.connection import Closed, Connection
from imagefleet.defaults import VERSION
from imagefleet.drawing import draw
from imagefleet.endurance import pauses
from imagefleet.errors import BadAnswer, ImagefleetError
from imagefleet.jobs import Message
from imagefleet.painter import Draw
from imagefleet.transport import Transport
from imagefleet.wire import Fields, decode
from imagefleet.workshop import Say, Workshop

REPLACED = 4000


@dataclass(frozen=True, slots=True)
class Settings:
    """How an extension works. `models` names what it can do; none means everything.

    Times are in seconds: `step_s` pauses after each report of progress, `heartbeat_s` lies between heartbeats,
    `silence_s` is how long the server may say nothing, `first_pause_s` to `most_pause_s` lie between connections.
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
    most_pause_s: float = 30.0


class Extension:
    """Works for the server until it is stopped; `say` hears each happening in one line."""

    def __init__(self, settings: Settings, say: Say, draw: Draw = draw) -> None:
        self._settings = settings
        self._say = say
        self._workshop = Workshop(Transport(settings.server), draw, self._send, say, settings.step_s)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._open: Connection | None = None
        self._connection: Connection | None = None  # the same, once the server has let the extension in

    def run(self) -> None:
        """Work until `stop`; blocks."""
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()
        self._workshop.open(self._settings.concurrent)
        waits = self._waits()
        while not self._stopping.is_set():
            if self._one_connection():
                waits = self._waits()
            self._stopping.wait(next(waits))

    def stop(self) -> None:
        """Give back what is not done, close the connection, and let `run` end; takes a second at most."""
        with self._lock:
            self._stopping.set()
            opened, welcomed = self._open, self._connection
            self._connection = None
        self._workshop.close()
        if welcomed is not None:
            welcomed.goodbye(self._heartbeat(available=False))
        elif opened is not None:
            opened.abort()

    def _one_connection(self) -> bool:
        """Connect and serve until it ends. True where the next may come soon: the server had let the extension in."""
        welcomed = False
        try:
            with self._connected() as connection:
                self._greet(connection)
                welcomed = True
                while True:
                    self._workshop.take(connection.receive())
        except (Closed, ImagefleetError) as error:
            if self._stopping.is_set():
                return False
            self._say(f"{str(error).rstrip('.')}; trying again")
            if error.code == REPLACED:
                # Another goes by the same id: the two pushing each other out at once would go on for ever.
                self._stopping.wait(self._settings.most_pause_s * random.uniform(0.5, 1.0))
            return welcomed

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Connection]:
        connection = Connection(self._url(), self._settings.silence_s)
        try:
            with self._lock:
                self._open = connection
                self._check_going_on()
            yield connection
        finally:
            with self._lock:
                self._open = self._connection = None
            connection.close()

    def _check_going_on(self) -> None:
        if self._stopping.is_set():
            raise Closed("the extension ends")

    def _url(self) -> str:
        if self._settings.websocket_url:
            return self._settings.websocket_url
        with Imagefleet(self._settings.server, key=self._settings.token, patience_s=0.0) as server:
            return server.websocket_url()

    def _greet(self, connection: Connection) -> None:
        """Say who this is once asked; go on with what both sides still know of."""
        _expect(connection, "authentication_required")
        connection.send(self._introduction())
        answer = _expect(connection, "authentication_success")
        connection.settled()
        still_held = answer.texts("active_request_ids")
        if still_held is not None:
            self._workshop.keep_only(still_held)
        with self._lock:
            self._check_going_on()
            self._connection = connection
        self._say(f"connected to {connection.url} as {self._settings.extension_id}")
        self._workshop.deliver()

    def _introduction(self) -> Message:
        capabilities = ["image-generation", *self._settings.models]
        metadata = {"version": VERSION, "capabilities": capabilities, "maxConcurrent": self._settings.concurrent}
        message = {"type": "authenticate", "extensionId": self._settings.extension_id, "metadata": metadata}
        token = {"token": self._settings.token} if self._settings.token else {}
        return {**message, **token, "activeRequestIds": self._workshop.ids()}

    def _send(self, message: Message) -> bool:
        """Send where there is a connection; that it broke is for its reader to tell."""
        with self._lock:
            connection = self._connection
        if connection is None:
            return False
        try:
            connection.send(message)
        except Closed:
            return False
        return True

    def _beat(self) -> None:
        """A heartbeat now and then, and a ping, which even a server that answers no heartbeats answers."""
        while not self._stopping.wait(self._settings.heartbeat_s):
            with self._lock:
                connection = self._connection
            if connection is not None and self._send(self._heartbeat(available=True)):
                with contextlib.suppress(Closed):
                    connection.ping()

    def _heartbeat(self, *, available: bool) -> Message:
        active, waiting = self._workshop.load()
        status = {"available": available, "queueSize": waiting, "activeRequests": active}
        message = {"type": "heartbeat", "extensionId": self._settings.extension_id, "status": status}
        return {**message, "activeRequestIds": self._workshop.ids()}

    def _waits(self) -> Iterator[float]:
        return pauses(self._settings.first_pause_s, self._settings.most_pause_s)


def _expect(connection: Connection, kind: str) -> Fields:
    """The next message, which must be of this type. Raises BadAnswer with the server's words where it is another."""
    fields = decode(connection.receive())
    if fields.optional_text("type") != kind:
        words = fields.optional_text("error") or f"it said {fields.optional_text('type')!r:.70} instead of {kind}"
        raise BadAnswer(f"The server did not let the extension in: {words}")
    return fields
