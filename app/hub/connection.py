"""One WebSocket of this process: a bounded queue for what is sent, and reading at a bounded rate.

The session reads when it is ready for the next message; while it works, nothing is read, which slows the sender down.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any

from simple_websocket import ConnectionClosed, Server
from wsproto.connection import ConnectionState
from wsproto.utilities import ProtocolError

from app import logs
from app.domain import json_text
from app.domain.close_codes import CloseCode
from app.domain.flow_control import Flow
from app.domain.messages import Message
from app.hub.offers import Offer, OfferProofs
from app.hub.send_queue import Frame, SendQueue
from app.hub.socket_slots import SocketSlot
from app.hub.wire_socket import WireSocket, read_frames

MAX_UNREAD = 32
CLOSE_TIMEOUT_S = 1.0
MESSAGES_BURST_S = 4.0
# A sender over a limit is slowed down; one that goes on for so long without a pause is disconnected.
MESSAGES_OVER_S = 10.0
BYTES_OVER_S = 60.0

log = logs.get(__name__)


class Abuse(Exception):
    """The other side sends too much, or nonsense: the socket is to be closed."""


class Connection:
    """A WebSocket of this process. `base_url` is the http(s) address under which its extension reached us.

    `messages_per_s` limits the messages received, beyond a burst; 0 is no limit.
    """

    def __init__(self, ws: Server, base_url: str, messages_per_s: int = 0, slot: SocketSlot | None = None) -> None:
        self.id = str(uuid.uuid4())
        self.base_url = base_url
        self.extension_id: str | None = None
        self._slot = slot
        self._ws = ws
        self._wire: WireSocket = ws.sock
        self._queue = SendQueue(self._write, self._close_slow_reader)
        self._finished = threading.Event()
        self._proofs = OfferProofs(ws)
        self._messages = Flow(messages_per_s, MESSAGES_BURST_S, time.monotonic())

    @property
    def closing(self) -> bool:
        """True once nothing more is sent."""
        return self._queue.closing

    @property
    def silence_s(self) -> float:
        """Seconds since anything was received, pongs included."""
        return time.monotonic() - self._wire.received_at

    def receive(self, timeout_s: float) -> str | bytes | None:
        """The next message; None where none came in time, or where a pong came alone.

        Raises ConnectionClosed, and Abuse where too much comes.
        """
        self._throttle()
        unread = self._ws.input_buffer
        if not unread:
            self.check_open()
            self._read(timeout_s)
        if not unread:
            self.check_open()
            return None
        self._proofs.message_taken()
        self._messages.spend(1, time.monotonic())
        received: str | bytes = unread.pop(0)
        return received

    def mark_authenticated(self) -> None:
        """The other side has authenticated."""
        if self._slot is not None:
            self._slot.authenticated()

    def send(self, message: Message) -> None:
        """Queue the message. Any thread may call it."""
        self._queue.put(Frame(message.to_json()))

    def send_now(self, message: Message) -> None:
        """Send the message before returning, unless others are being sent. For the session's thread only."""
        self._queue.put_now(Frame(message.to_json()))

    def send_raw(self, body: Mapping[str, Any]) -> None:
        """Queue a message that another process made."""
        self._queue.put(Frame(json_text.encode(body)))

    def send_offer(self, offer: Offer, body: Mapping[str, Any]) -> None:
        """Queue `body`, which offers a request to the extension."""
        self._queue.put(Frame(json_text.encode(self._with_absolute_upload_url(body)), offer))

    def ping(self) -> None:
        """Send a ping unless one is in flight. For the session's thread only."""
        if not self._proofs.ping_in_flight:
            self._queue.put_now(Frame())

    def check_open(self) -> None:
        """Raises ConnectionClosed where the socket is closed, by us or as far as was read."""
        if not self._ws.connected:
            raise ConnectionClosed

    def check_peer(self) -> None:
        """Raises ConnectionClosed where the other side is known to be gone, read or not. Any thread may call it."""
        self.check_open()
        if self._wire.is_gone:
            raise ConnectionClosed

    def await_pong(self, timeout_s: float) -> None:
        """Send a ping and wait for its pong, `timeout_s` at most. Raises ConnectionClosed where the socket is gone."""
        ends = time.monotonic() + timeout_s
        self.ping()
        while not self._proofs.pong_received:
            left_s = ends - time.monotonic()
            self.check_open()
            if left_s <= 0 or len(self._ws.input_buffer) >= MAX_UNREAD:
                return
            self._read(left_s)
        self.take_proven()  # it proves no offer yet; the first offer has a ping of its own

    def take_proven(self) -> list[Offer]:
        """Offers that have been proven received since the last call. Call it when the last message has been handled."""
        proven = self._proofs.take()
        if proven is None:
            return []
        if self._proofs.needs_ping:
            self.ping()
        return proven

    def close(self, code: CloseCode, reason: str) -> None:
        """Close the socket after what waits to be sent, also where the other side does not answer."""
        self._queue.put(Frame(close=(code, reason)))

    def finish(self) -> None:
        """The session is over: give the writer and the other side's close a short time, then close the TCP connection."""
        self.close(CloseCode.GOING_AWAY, "")  # without effect unless the socket is gone already
        ends = time.monotonic() + CLOSE_TIMEOUT_S
        while self._ws.ws.state is not ConnectionState.CLOSED and (left_s := ends - time.monotonic()) > 0:
            if not self._read(left_s):
                break
        self._finished.set()
        self._wire.close()

    def _throttle(self) -> None:
        """Wait until the next message may be taken."""
        now = time.monotonic()
        wait_s = self._messages.wait_s(now)
        if self._messages.over_for_s(now) > MESSAGES_OVER_S:
            raise Abuse("You send more messages than are accepted here.")
        if self._wire.over_for_s > BYTES_OVER_S:
            raise Abuse("You send more bytes than are accepted here.")
        if wait_s:
            time.sleep(wait_s)

    def _read(self, timeout_s: float) -> bool:
        """Read once and handle what came; False where nothing came in time or the connection is over."""
        try:
            return read_frames(self._ws, timeout_s)
        except (OSError, ProtocolError):
            self._ws.connected = False
            return False

    def _write(self, frame: Frame) -> bool:
        """Send one frame; False where no other may follow."""
        try:
            if frame.close is not None:
                self._write_close(*frame.close)
                return False
            if frame.text is not None:
                self._ws.send(frame.text)
            if frame.text is None or frame.offer is not None:
                self._proofs.ping(frame.offer)
        except ConnectionClosed:
            self._queue.closing = True  # the session finds it closed too, and finishes
            return False
        except (ProtocolError, OSError):
            self._queue.closing = True
            self._wire.close()
            return False
        return True

    def _write_close(self, code: CloseCode, reason: str) -> None:
        self._ws.close(code, reason)
        self._finished.wait(CLOSE_TIMEOUT_S)
        self._wire.close()

    def _close_slow_reader(self) -> None:
        log.warning("A socket reads too slowly", action="socket.slow", extension_id=self.extension_id)
        self._wire.close()

    def _with_absolute_upload_url(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        upload = body.get("upload")
        if not isinstance(upload, Mapping) or not str(upload.get("url", "")).startswith("/"):
            return body
        return {**body, "upload": {**upload, "url": f"{self.base_url}{upload['url']}"}}
