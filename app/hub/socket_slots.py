"""Limits on the sockets of this process: in total, for each address, and for those that have not authenticated yet."""

from __future__ import annotations

import threading
from collections import Counter

from app.domain import networks
from app.domain.errors import TooManySockets, Unavailable
from app.limits import Limits

RETRY_AFTER_S = 5


class SocketSlot:
    """The slot of one socket, taken before the socket is accepted. `network` is its address, or its IPv6 network."""

    def __init__(self, slots: SocketSlots, network: str) -> None:
        self.network = network
        self.is_authenticated = self.released = False
        self._slots = slots

    def authenticated(self) -> None:
        """Stop counting the socket as unauthenticated."""
        self._slots.authenticated(self)

    def release(self) -> None:
        """Free the slot. Idempotent."""
        self._slots.release(self)


class SocketSlots:
    """Hands out slots up to the limits. One address may take half of the slots for unauthenticated sockets."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._all = self._unauthenticated = 0
        self._by_network: Counter[str] = Counter()
        self._unauthenticated_by_network: Counter[str] = Counter()

    def take(self, address: str) -> SocketSlot:
        """Take a slot. Raises Unavailable or TooManySockets, with the time to retry after, if none is free."""
        network = networks.network(address)
        with self._lock:
            self._check(network)
            self._count(network, 1)
            self._count_unauthenticated(network, 1)
        return SocketSlot(self, network)

    def authenticated(self, slot: SocketSlot) -> None:
        """Stop counting the slot's socket as unauthenticated."""
        with self._lock:
            if not (slot.is_authenticated or slot.released):
                slot.is_authenticated = True
                self._count_unauthenticated(slot.network, -1)

    def release(self, slot: SocketSlot) -> None:
        """Free the slot."""
        with self._lock:
            if not slot.released:
                slot.released = True
                self._count(slot.network, -1)
                if not slot.is_authenticated:
                    self._count_unauthenticated(slot.network, -1)

    def _check(self, network: str) -> None:
        limits = self._limits
        if _full(self._all, limits.max_sockets):
            raise Unavailable("This process has reached its maximum number of sockets.", retry_after_s=RETRY_AFTER_S)
        if _full(self._by_network[network], limits.max_sockets_per_address):
            raise TooManySockets(
                f"Your address already has {limits.max_sockets_per_address} open sockets.", retry_after_s=RETRY_AFTER_S
            )
        if _full(self._unauthenticated, limits.max_unauthenticated_sockets):
            raise Unavailable("Too many sockets have not authenticated yet.", retry_after_s=RETRY_AFTER_S)
        if _full(self._unauthenticated_by_network[network], (limits.max_unauthenticated_sockets + 1) // 2):
            raise TooManySockets(
                "Too many sockets of your address have not authenticated yet.", retry_after_s=RETRY_AFTER_S
            )

    def _count(self, network: str, by: int) -> None:
        self._all += by
        _add(self._by_network, network, by)

    def _count_unauthenticated(self, network: str, by: int) -> None:
        self._unauthenticated += by
        _add(self._unauthenticated_by_network, network, by)


def _full(count: int, limit: int) -> bool:
    return bool(limit) and count >= limit


def _add(counts: Counter[str], network: str, by: int) -> None:
    counts[network] += by
    if not counts[network]:
        del counts[network]
