"""One socket: everything that leaves goes through one bounded queue and one writer."""

from __future__ import annotations

import queue
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simple_websocket import ConnectionClosed, Server
from wsproto.events import Ping

from app import logs
from app.domain import messages
from app.domain.buckets import Flow
from app.domain.messages import Message
from app.hub.seats import Seat
from app.hub.wire_socket import WireSocket

QUEUED = 128
UNREAD = 32
PARTING_S = 1.0
MESSAGES_BURST_S = 4.0
# Who says more than may be said is slowed down; who goes on for so long without a pause is sent away.
MESSAGES_OVER_S = 10.0
BYTES_OVER_S = 60.0

GOING_AWAY = 1001
SERVER_ERROR = 1011
RESTARTING = 1012
LATER = 1013
REPLACED = 4000
NOT_AUTHENTICATED = 4001
FLOODING = 4003
SILENT = 4004

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Offer:
    """A request that was put before the extension under a lease; the pong to a ping sent behind it proves receipt."""

    request_id: str
    lease: str


@dataclass(frozen=True, slots=True)
class _Out:
    """Something to write: a text and the offer it carries, a ping, or a close with its code."""

    text: str | None = None
    offer: Offer | None = None
    close: tuple[int, str] | None = None


class Abuse(Exception):
    """Whoever speaks here says too much, or nonsense: the socket is to be closed."""


class Connection:
    """A WebSocket of this process. `base_url` is the http(s) address under which its extension reached us.

    `messages_per_s` is how many messages are taken a second, beyond some at once; 0 for any number.
    """

    def __init__(self, ws: Server, base_url: str, messages_per_s: int = 0, seat: Seat | None = None) -> None:
        self.id = str(uuid.uuid4())
        self.base_url = base_url
        self.extension_id: str | None = None
        self.closing = False
        self._seat = seat
        self._ws = ws
        self._wire: WireSocket = ws.sock
        self._wire.hold_while(lambda: ws.connected and len(ws.input_buffer) >= UNREAD)
        self._out: queue.Queue[_Out] = queue.Queue(QUEUED)
        self._unproven: list[Offer] = []
        self._asked: list[Offer] | None = None  # offers that the ping under way is to prove; None where none is
        self._before_pong: int | None = None  # messages still to be taken that may have come before the pong
        self._pause = threading.Event()
        self._messages = Flow(messages_per_s, MESSAGES_BURST_S, time.monotonic())
        self._writer = threading.Thread(target=self._write, name="socket-writer", daemon=True)
        self._writer.start()

    @property
    def silence_s(self) -> float:
        """How long nothing at all has come from the other side, in seconds."""
        return time.monotonic() - self._wire.heard_at

    def receive(self, timeout_s: float) -> str | bytes | None:
        """The next message, None where none came in time. Raises ConnectionClosed, and Abuse where too much comes."""
        self._slow_down()
        received: str | bytes | None = self._ws.receive(timeout=timeout_s)
        if received is not None and self._before_pong:
            self._before_pong -= 1
        if received is not None:
            self._messages.spend(1, time.monotonic())
        self._wire.room()
        return received

    def _slow_down(self) -> None:
        """Wait until the next message may be taken: what is not read holds its sender up."""
        now = time.monotonic()
        wait_s = self._messages.wait_s(now)
        if self._messages.over_for_s(now) > MESSAGES_OVER_S:
            raise Abuse("You send more messages than are taken here.")
        if self._wire.over_for_s > BYTES_OVER_S:
            raise Abuse("You send more bytes than are taken here.")
        if wait_s:
            self._pause.wait(wait_s)

    def let_in(self) -> None:
        """The other side has authenticated."""
        if self._seat is not None:
            self._seat.authenticated()

    def send(self, message: Message) -> None:
        """Have the message sent."""
        self._put(_Out(messages.encode(message)))

    def pass_on(self, body: Mapping[str, Any]) -> None:
        """Have a message sent that another process made."""
        self._put(_Out(messages.json_text(body)))

    def offer(self, offer: Offer, body: Mapping[str, Any]) -> None:
        """Have a request put before the extension."""
        self._put(_Out(messages.json_text(self._with_whole_address(body)), offer))

    def ping(self) -> None:
        """Ask for a sign of life, unless one is asked for already."""
        if self._asked is None:
            self._put(_Out())

    def check_open(self) -> None:
        """Raises ConnectionClosed where the socket is known to be gone."""
        if not self._ws.connected:
            raise ConnectionClosed

    def await_answer(self, timeout_s: float) -> None:
        """Wait for the pong to a ping, for `timeout_s` at most. Raises ConnectionClosed where the socket is gone."""
        ends, pause_s = time.monotonic() + timeout_s, 0.001
        self.ping()
        while (self._asked is None or not self._ws.pong_received) and time.monotonic() < ends:
            self.check_open()
            self._pause.wait(pause_s)
            pause_s = min(2 * pause_s, 0.05)
        self.check_open()

    def proven(self) -> list[Offer]:
        """Offers that the extension's side has certainly received since this was last asked.

        They are told once all that came before their proof was taken: a heartbeat that was sent before the offer was read
        does not mention it, and must not count as leaving it out. Ask when the message taken last has been dealt with.
        """
        if self._asked is None or not self._ws.pong_received:
            return []
        if self._before_pong is None:
            self._before_pong = len(self._ws.input_buffer)
        if self._before_pong:
            return []
        received, self._asked, self._before_pong = self._asked, None, None
        if self._unproven:
            self.ping()
        return received

    def close(self, code: int, reason: str) -> None:
        """Have the socket closed, after what waits to be sent."""
        if not self.closing:
            self.closing = True
            try:
                self._out.put_nowait(_Out(close=(code, reason)))
            except queue.Full:
                self._wire.close()

    def part(self) -> None:
        """The session is over: let the writer finish and the other side answer, for a short while."""
        self.close(1000, "")
        self._writer.join(PARTING_S)
        self._ws.thread.join(PARTING_S)
        self._wire.close()

    def _put(self, out: _Out) -> None:
        if self.closing:
            return
        try:
            self._out.put_nowait(out)
        except queue.Full:
            log.warning("A socket reads too slowly", action="socket.slow", extension_id=self.extension_id)
            self.closing = True
            self._wire.close()

    def _write(self) -> None:
        try:
            while True:
                out = self._out.get()
                if out.close is not None:
                    self._ws.close(*out.close)
                    return
                if out.text is not None:
                    self._ws.send(out.text)
                self._prove(out.offer)
        except (ConnectionClosed, OSError):
            self.closing = True
            self._wire.close()

    def _prove(self, offer: Offer | None) -> None:
        """Send a ping behind offers that are not proven yet; one at a time, so that a pong is known to be its answer."""
        if offer is not None:
            self._unproven.append(offer)
        if self._asked is None:
            self._asked, self._unproven = self._unproven, []
            self._ws.pong_received = False
            self._wire.send(self._ws.ws.send(Ping()))

    def _with_whole_address(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        upload = body.get("upload")
        if not isinstance(upload, Mapping) or not str(upload.get("url", "")).startswith("/"):
            return body
        return {**body, "upload": {**upload, "url": f"{self.base_url}{upload['url']}"}}
