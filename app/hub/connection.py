"""One WebSocket of this process: messages are sent through a bounded queue and received at a bounded rate.

The session reads only when it is ready for the next message. That is the backpressure on the sender.
"""

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
from app.hub.wire_socket import MessageTooLarge, WireSocket, read_frames

MAX_UNREAD = 32
CLOSE_TIMEOUT_S = 1.0
# A peer that is still sending when its connection is closed may never read why; the largest picture takes less than this.
LARGE_CLOSE_TIMEOUT_S = 20.0
MESSAGES_BURST_S = 4.0
# A sender above a rate limit is slowed down. One that stays above it for this long is disconnected.
MESSAGES_OVER_S = 10.0
BYTES_OVER_S = 60.0

log = logs.get(__name__)


class Abuse(Exception):
    """The peer sends too much or only invalid messages; its socket must be closed."""


class Connection:
    """A WebSocket of this process.

    `base_url` is the http(s) URL by which the extension reached this server. `messages_per_s` limits the messages
    received, after a burst; 0 means no limit.
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
        self._too_large: MessageTooLarge | None = None
        self._messages = Flow(messages_per_s, MESSAGES_BURST_S, time.monotonic())

    @property
    def closing(self) -> bool:
        """True once nothing more is going to be sent."""
        return self._queue.closing

    @property
    def silence_s(self) -> float:
        """Seconds since any frame was received, including pongs."""
        return time.monotonic() - self._wire.received_at

    def receive(self, timeout_s: float) -> str | bytes | None:
        """Return the next message, or None after the time-out or after a frame that is no message, such as a pong.

        Raises ConnectionClosed, MessageTooLarge (after the messages before it), and Abuse if the peer sends too much.
        """
        self._throttle()
        unread = self._ws.input_buffer
        if not unread and self._too_large is None:
            self.check_open()
            self._read(timeout_s)
        if not unread:
            if self._too_large is not None:
                raise self._too_large
            self.check_open()
            return None
        self._proofs.message_received()
        self._messages.spend(1, time.monotonic())
        received: str | bytes = unread.pop(0)
        return received

    def mark_authenticated(self) -> None:
        """Count this socket as authenticated."""
        if self._slot is not None:
            self._slot.authenticated()

    def send(self, message: Message) -> None:
        """Queue the message. Thread-safe."""
        self._queue.put(Frame(message.to_json()))

    def send_now(self, message: Message) -> None:
        """Send the message before returning, unless others are queued. Only for the session's thread."""
        self._queue.put_now(Frame(message.to_json()))

    def send_raw(self, body: Mapping[str, Any]) -> None:
        """Queue a message that another process built."""
        self._queue.put(Frame(json_text.encode(body)))

    def send_offer(self, offer: Offer, body: Mapping[str, Any]) -> None:
        """Queue `body`, the message that offers a request to the extension."""
        self._queue.put(Frame(json_text.encode(self._with_absolute_urls(body)), offer))

    def ping(self) -> None:
        """Send a ping unless one is in flight. Only for the session's thread."""
        if not self._proofs.ping_in_flight:
            self._queue.put_now(Frame())

    def check_open(self) -> None:
        """Raise ConnectionClosed if this server closed the socket or has read the end of the stream."""
        if not self._ws.connected:
            raise ConnectionClosed

    def check_peer(self) -> None:
        """Raise ConnectionClosed also if the peer has disconnected but the end is unread. Thread-safe."""
        self.check_open()
        if self._wire.is_gone:
            raise ConnectionClosed

    def await_pong(self, timeout_s: float) -> None:
        """Send a ping and wait up to `timeout_s` for its pong. Raises ConnectionClosed if the socket is closed."""
        deadline = time.monotonic() + timeout_s
        self.ping()
        while not self._proofs.pong_received:
            left_s = deadline - time.monotonic()
            self.check_open()
            if left_s <= 0 or len(self._ws.input_buffer) >= MAX_UNREAD or self._too_large is not None:
                return
            self._read(left_s)
        self.take_proven()  # this pong proves no offer; the first offer is followed by its own ping

    def take_proven(self) -> list[Offer]:
        """Return the offers whose receipt was proven since the last call. Call it after handling each message."""
        proven = self._proofs.take()
        if proven is None:
            return []
        if self._proofs.needs_ping:
            self.ping()
        return proven

    def close(self, code: CloseCode, reason: str) -> None:
        """Close the socket after sending what is queued, even if the peer does not answer the close."""
        self._queue.put(Frame(close=(code, reason)))

    def finish(self) -> None:
        """End the session: wait briefly for the writer and the peer's close frame, then close the TCP connection."""
        self.close(CloseCode.GOING_AWAY, "")  # has no effect if the session has sent a close already
        deadline = time.monotonic() + self._close_timeout_s
        while self._ws.ws.state is not ConnectionState.CLOSED and (left_s := deadline - time.monotonic()) > 0:
            if not self._read(left_s):
                break
        self._finished.set()
        self._wire.close()

    @property
    def _close_timeout_s(self) -> float:
        return CLOSE_TIMEOUT_S if self._too_large is None else LARGE_CLOSE_TIMEOUT_S

    def _throttle(self) -> None:
        """Wait until the rate limit permits the next message."""
        now = time.monotonic()
        wait_s = self._messages.wait_s(now)
        if self._messages.over_for_s(now) > MESSAGES_OVER_S:
            raise Abuse("You send more messages than this server accepts.")
        if self._wire.over_for_s > BYTES_OVER_S:
            raise Abuse("You send more bytes than this server accepts.")
        if wait_s:
            time.sleep(wait_s)

    def _read(self, timeout_s: float) -> bool:
        """Read once and process the frames; False if nothing was received in time or the connection has ended.

        A message that is too large is kept as an error until the messages before it are handled.
        """
        try:
            return read_frames(self._ws, timeout_s)
        except MessageTooLarge as large:
            self._too_large = large
            return True
        except (OSError, ProtocolError):
            self._ws.connected = False
            return False

    def _write(self, frame: Frame) -> bool:
        """Send one frame; return False if no other may follow."""
        try:
            if frame.close is not None:
                self._write_close(*frame.close)
                return False
            if frame.text is not None:
                self._ws.send(frame.text)
            if frame.text is None or frame.offer is not None:
                self._proofs.ping(frame.offer)
        except ConnectionClosed:
            self._queue.closing = True  # the session notices it too and finishes
            return False
        except (ProtocolError, OSError):
            self._queue.closing = True
            self._wire.close()
            return False
        return True

    def _write_close(self, code: CloseCode, reason: str) -> None:
        self._ws.close(code, reason)
        self._finished.wait(self._close_timeout_s)
        self._wire.close()

    def _close_slow_reader(self) -> None:
        log.warning("A socket reads too slowly", action="socket.slow", extension_id=self.extension_id)
        self._wire.close()

    def _with_absolute_urls(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """The offer with the address of this service before those of uploads and input pictures, unless they have one."""
        absolute = dict(body)
        if isinstance(upload := body.get("upload"), Mapping):
            absolute["upload"] = self._absolute(upload)
        if isinstance(inputs := body.get("inputImages"), list):
            absolute["inputImages"] = [self._absolute(each) for each in inputs]
        return absolute

    def _absolute(self, target: Mapping[str, Any]) -> Mapping[str, Any]:
        url = str(target.get("url", ""))
        return {**target, "url": f"{self.base_url}{url}"} if url.startswith("/") else target
