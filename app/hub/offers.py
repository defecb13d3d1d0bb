"""Offers on a socket, and the proof that the extension has received them."""

import time
from dataclasses import dataclass, field

from simple_websocket import Server

from app.hub.wire_socket import send_ping


@dataclass(frozen=True, slots=True)
class Offer:
    """A request offered to the extension under a lease. `made_s` is the value of `time.monotonic` when it was sent."""

    request_id: str
    lease: str
    made_s: float = field(default_factory=time.monotonic, compare=False)


class OfferProofs:
    """Sends a ping after each offer; its pong proves that the extension has received everything sent before the ping.

    Only one ping is in flight at a time, so each pong belongs to a known ping.
    """

    def __init__(self, ws: Server) -> None:
        self._ws = ws
        self._unpinged: list[Offer] = []
        self._in_flight: list[Offer] | None = None  # the offers that the ping in flight proves; None without a ping
        self._messages_before_pong: int | None = None

    @property
    def ping_in_flight(self) -> bool:
        """True from a ping until `take` has processed its pong."""
        return self._in_flight is not None

    @property
    def pong_received(self) -> bool:
        """True if the pong of the ping in flight has been received."""
        return self._in_flight is not None and bool(self._ws.pong_received)

    @property
    def needs_ping(self) -> bool:
        """True if an offer was sent while another ping was in flight."""
        return bool(self._unpinged)

    def ping(self, offer: Offer | None = None) -> None:
        """Send a ping after `offer`, which was just sent. If a ping is in flight, the next ping proves the offer."""
        if offer is not None:
            self._unpinged.append(offer)
        if self._in_flight is None:
            self._in_flight, self._unpinged = self._unpinged, []
            self._ws.pong_received = False
            send_ping(self._ws)

    def message_received(self) -> None:
        """Count a message that the session took from the buffer."""
        if self._messages_before_pong:
            self._messages_before_pong -= 1

    def take(self) -> list[Offer] | None:
        """Return the offers that the pong proves once all messages received before it are handled; None before that.

        A heartbeat that was sent before the extension read the offer does not list it. That must not count as a loss.
        """
        if not self.pong_received:
            return None
        if self._messages_before_pong is None:
            self._messages_before_pong = len(self._ws.input_buffer)
        if self._messages_before_pong:
            return None
        proven, self._in_flight, self._messages_before_pong = self._in_flight, None, None
        return proven
