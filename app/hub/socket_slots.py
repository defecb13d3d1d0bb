"""Room for sockets: how many this process holds, in all, for one address, and of those that have not said who they are."""

from __future__ import annotations

import threading
from collections import Counter

from app.domain.errors import TooManySockets, Unavailable
from app.domain.networks import network
from app.limits import Limits

AGAIN_S = 5


class SocketSlot:
    """One socket's place, from before it is accepted to its end."""

    def __init__(self, slots: SocketSlots, whose: str) -> None:
        self.whose = whose
        self.known = self.left = False
        self._seats = slots

    def authenticated(self) -> None:
        """It has said who it is."""
        self._seats.authenticated(self)

    def leave(self) -> None:
        """It is over. Twice is no error."""
        self._seats.leave(self)


class SocketSlots:
    """Gives out seats while there are some; an address may have no more than half of those for strangers."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._all = self._strangers = 0
        self._by_address: Counter[str] = Counter()
        self._strangers_by_address: Counter[str] = Counter()

    def take(self, address: str) -> SocketSlot:
        """A seat. Raises Unavailable or TooManySockets, with the time to come back, where there is none."""
        whose = network(address)
        with self._lock:
            self._check(whose)
            self._count(whose, 1)
            self._count_stranger(whose, 1)
        return SocketSlot(self, whose)

    def authenticated(self, slot: SocketSlot) -> None:
        """It is nobody unknown any more."""
        with self._lock:
            if not (slot.known or slot.left):
                slot.known = True
                self._count_stranger(slot.whose, -1)

    def leave(self, slot: SocketSlot) -> None:
        """Its place is free."""
        with self._lock:
            if not slot.left:
                slot.left = True
                self._count(slot.whose, -1)
                if not slot.known:
                    self._count_stranger(slot.whose, -1)

    def _check(self, whose: str) -> None:
        limits = self._limits
        if _full(self._all, limits.max_sockets):
            raise Unavailable("This process has reached its maximum number of sockets.", retry_after_s=AGAIN_S)
        if _full(self._by_address[whose], limits.max_sockets_per_address):
            raise TooManySockets(
                f"Your address already has {limits.max_sockets_per_address} open sockets.", retry_after_s=AGAIN_S
            )
        if _full(self._strangers, limits.max_unauthenticated_sockets):
            raise Unavailable("Too many sockets have not authenticated yet.", retry_after_s=AGAIN_S)
        if _full(self._strangers_by_address[whose], (limits.max_unauthenticated_sockets + 1) // 2):
            raise TooManySockets("Too many sockets of your address have not authenticated yet.", retry_after_s=AGAIN_S)

    def _count(self, whose: str, by: int) -> None:
        self._all += by
        _add(self._by_address, whose, by)

    def _count_stranger(self, whose: str, by: int) -> None:
        self._strangers += by
        _add(self._strangers_by_address, whose, by)


def _full(count: int, most: int) -> bool:
    return bool(most) and count >= most


def _add(counts: Counter[str], whose: str, by: int) -> None:
    counts[whose] += by
    if not counts[whose]:
        del counts[whose]
