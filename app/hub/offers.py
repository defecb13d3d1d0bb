"""Offers on a socket, and the proof that the extension's side has received them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from simple_websocket import Server

from app.hub.wire_socket import send_ping


@dataclass(frozen=True, slots=True)
class Offer:
    """A request that is offered to the extension under a lease; `made_s` is the time of `time.monotonic` at its sending."""

    request_id: str
    lease: str
    made_s: float = field(default_factory=time.monotonic, compare=False)


class OfferProofs:
    """A ping is sent behind each offer: its pong proves that the other side has received all that was sent before it.

    One ping is in flight at a time, so that a pong is known to be its answer.
    """

    def __init__(self, ws: Server) -> None:
        self._ws = ws
        self._unpinged: list[Offer] = []
        self._in_flight: list[Offer] | None = None  # what the ping in flight is to prove; None where there is no ping
        self._messages_before_pong: int | None = None

    @property
    def ping_in_flight(self) -> bool:
        """True from a ping until its pong was taken into account."""
        return self._in_flight is not None

    @property
    def pong_received(self) -> bool:
        """True where the ping in flight is answered."""
        return self._in_flight is not None and bool(self._ws.pong_received)

    @property
    def needs_ping(self) -> bool:
        """True where an offer was sent while another ping was in flight."""
        return bool(self._unpinged)

    def ping(self, offer: Offer | None = None) -> None:
        """Ping behind `offer`, which was just sent; where a ping is in flight, the next one proves it."""
        if offer is not None:
            self._unpinged.append(offer)
        if self._in_flight is None:
            self._in_flight, self._unpinged = self._unpinged, []
            self._ws.pong_received = False
            send_ping(self._ws)

    def message_taken(self) -> None:
        """A message that had been received was taken from the buffer."""
        if self._messages_before_pong:
            self._messages_before_pong -= 1

    def take(self) -> list[Offer] | None:
        """The offers that the pong proves, once all messages that came before it were taken; None before that.

        A heartbeat that was sent before the offer was read does not name it, and must not count as leaving it out.
        """
        if not self.pong_received:
            return None
        if self._messages_before_pong is None:
            self._messages_before_pong = len(self._ws.input_buffer)
        if self._messages_before_pong:
            return None
        proven, self._in_flight, self._messages_before_pong = self._in_flight, None, None
        return proven
