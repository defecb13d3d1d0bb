"""One socket: everything that leaves goes through one bounded queue and one writer, which is there while something waits.

What comes is read by the session when it wants to hear something; while it acts, nothing is read, which holds the sender up.
"""

from __future__ import annotations

import _thread
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simple_websocket import ConnectionClosed, Server
from wsproto.connection import ConnectionState
from wsproto.events import Ping
from wsproto.utilities import ProtocolError

from app import logs
from app.domain import json_text
from app.domain.close_codes import CloseCode
from app.domain.flow_control import Flow
from app.domain.messages import Message
from app.hub.socket_slots import SocketSlot
from app.hub.wire_socket import WireSocket

QUEUED = 128
UNREAD = 32
PARTING_S = 1.0
MESSAGES_BURST_S = 4.0
# Who says more than may be said is slowed down; who goes on for so long without a pause is sent away.
MESSAGES_OVER_S = 10.0
BYTES_OVER_S = 60.0

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Offer:
    """A request that was put before the extension under a lease; the pong to a ping sent behind it proves receipt.

    `made_s` is when that was, by the clock of `time.monotonic`.
    """

    request_id: str
    lease: str
    made_s: float = field(default_factory=time.monotonic, compare=False)


@dataclass(frozen=True, slots=True)
class _Out:
    """Something to write: a text and the offer it carries, a ping, or a close with its code."""

    text: str | None = None
    offer: Offer | None = None
    close: tuple[CloseCode, str] | None = None


class Abuse(Exception):
    """Whoever speaks here says too much, or nonsense: the socket is to be closed."""


class Connection:
    """A WebSocket of this process. `base_url` is the http(s) address under which its extension reached us.

    `messages_per_s` is how many messages are taken a second, beyond some at once; 0 for any number.
    """

    def __init__(self, ws: Server, base_url: str, messages_per_s: int = 0, slot: SocketSlot | None = None) -> None:
        self.id = str(uuid.uuid4())
        self.base_url = base_url
        self.extension_id: str | None = None
        self.closing = False
        self._slot = slot
        self._ws = ws
        self._wire: WireSocket = ws.sock
        self._lock = threading.Lock()
        self._out: list[_Out] = []
        self._writing = False
        self._parted = threading.Event()
        self._unproven: list[Offer] = []
        self._asked: list[Offer] | None = None  # offers that the ping under way is to prove; None where none is
        self._before_pong: int | None = None  # messages still to be taken that may have come before the pong
        self._messages = Flow(messages_per_s, MESSAGES_BURST_S, time.monotonic())

    @property
    def silence_s(self) -> float:
        """How long nothing at all has come from the other side, in seconds."""
        return time.monotonic() - self._wire.heard_at

    def receive(self, timeout_s: float) -> str | bytes | None:
        """The next message; None where none came in time, or a sign of life came alone.

        Raises ConnectionClosed, and Abuse where too much comes.
        """
        self._slow_down()
        read = self._ws.input_buffer
        if not read:
            self.check_open()
            self._hear(timeout_s)
        if not read:
            self.check_open()
            return None
        if self._before_pong:
            self._before_pong -= 1
        self._messages.spend(1, time.monotonic())
        received: str | bytes = read.pop(0)
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
            time.sleep(wait_s)

    def _hear(self, timeout_s: float) -> bool:
        """Take in what comes next, whatever it is; False where nothing does any more, or not within the time."""
        ws = self._ws
        try:
            piece = self._wire.read(timeout_s)
            if piece:
                # what the library's own reader does
                ws.ws.receive_data(piece)
                ws.connected = ws._handle_events() and ws.connected
            elif piece is not None:
                ws.connected = False
        except (OSError, ProtocolError):
            ws.connected = False
            return False
        return bool(piece)

    def let_in(self) -> None:
        """The other side has authenticated."""
        if self._slot is not None:
            self._slot.authenticated()

    def send(self, message: Message) -> None:
        """Have the message sent."""
        self._put(_Out(message.to_json()))

    def answer(self, message: Message) -> None:
        """Send what the session has to say, and nobody else."""
        self._put_now(_Out(message.to_json()))

    def pass_on(self, body: Mapping[str, Any]) -> None:
        """Have a message sent that another process made."""
        self._put(_Out(json_text.encoded(body)))

    def offer(self, offer: Offer, body: Mapping[str, Any]) -> None:
        """Have a request put before the extension."""
        self._put(_Out(json_text.encoded(self._with_whole_address(body)), offer))

    def ping(self) -> None:
        """Ask for a sign of life, unless one is asked for already; for the session alone."""
        if self._asked is None:
            self._put_now(_Out())

    def check_open(self) -> None:
        """Raises ConnectionClosed where the socket is closed, by us or as far as was read."""
        if not self._ws.connected:
            raise ConnectionClosed

    def check_there(self) -> None:
        """Raises ConnectionClosed where the other side is known to be gone, read or not. It may be called by any thread."""
        self.check_open()
        if self._wire.is_gone:
            raise ConnectionClosed

    def await_answer(self, timeout_s: float) -> None:
        """Wait for the pong to a ping, for `timeout_s` at most. Raises ConnectionClosed where the socket is gone."""
        ends = time.monotonic() + timeout_s
        self.ping()
        while self._asked is None or not self._ws.pong_received:
            left_s = ends - time.monotonic()
            self.check_open()
            if left_s <= 0 or len(self._ws.input_buffer) >= UNREAD:
                return
            self._hear(left_s)
        self.proven()  # nothing was offered yet; the next ping is that of the first offer

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

    def close(self, code: CloseCode, reason: str) -> None:
        """Have the socket closed, after what waits to be sent, also where the other side does not answer."""
        self._put(_Out(close=(code, reason)))

    def part(self) -> None:
        """The session is over: let the writer finish and the other side answer, for a short while."""
        self.close(CloseCode.GOING_AWAY, "")  # for a socket that is closed already: nothing is sent
        ends = time.monotonic() + PARTING_S
        while self._ws.ws.state is not ConnectionState.CLOSED and (left_s := ends - time.monotonic()) > 0:
            if not self._hear(left_s):
                break
        self._parted.set()
        self._wire.close()

    def _put(self, out: _Out) -> None:
        with self._lock:
            if self.closing:
                return
            self.closing = out.close is not None
            slow = len(self._out) >= QUEUED
            if not slow:
                self._out.append(out)
            begins, self._writing = not self._writing, True
        if slow:
            log.warning("A socket reads too slowly", action="socket.slow", extension_id=self.extension_id)
            self.closing = True
            self._wire.close()
        elif begins:
            self._begin_to_write()

    def _put_now(self, out: _Out) -> None:
        """Write it here and now, where nothing else is being written: whoever has the session has nothing else to do."""
        with self._lock:
            at_once = not (self.closing or self._writing)
            if at_once:
                self._writing = True
        if not at_once:
            self._put(out)
        elif self._written(out):
            with self._lock:
                self._writing = bool(self._out)
            if self._writing:  # what was put there meanwhile is for a writer of its own
                self._begin_to_write()

    def _begin_to_write(self) -> None:
        # a Thread of threading costs 70 µs and waits until it has begun, this 10
        _thread.start_new_thread(self._write, ())

    def _next(self) -> _Out | None:
        with self._lock:
            self._writing = bool(self._out)
            return self._out.pop(0) if self._out else None

    def _write(self) -> None:
        while (out := self._next()) is not None and self._written(out):
            pass

    def _written(self, out: _Out) -> bool:
        """False where nothing can be written after it."""
        try:
            if out.close is not None:
                self._ws.close(*out.close)
                self._parted.wait(PARTING_S)
                self._wire.close()
                return False
            if out.text is not None:
                self._ws.send(out.text)
            if out.text is None or out.offer is not None:
                self._prove(out.offer)
        except ConnectionClosed:
            self.closing = True  # whoever read that it is closed parts from it
            return False
        except (ProtocolError, OSError):
            self.closing = True
            self._wire.close()
            return False
        return True

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
