"""Limits on the sockets of this process: in total, for each address, and for those that have not authenticated yet."""

import threading
from collections import Counter

from app.domain import networks
from app.domain.errors import TooManySockets, Unavailable
from app.limits import Limits

RETRY_AFTER_S = 5
TOTAL = "total"  # counted beside each network


class SocketSlot:
    """The slot of one socket, taken before the socket is accepted. `network` is its address, or its IPv6 network.

    `counts` are those that the socket is counted in: of all sockets, then of those that have not authenticated.
    """

    def __init__(self, network: str, counts: list[Counter[str]], lock: threading.Lock) -> None:
        self.network = network
        self._counts = counts
        self._lock = lock

    def authenticated(self) -> None:
        """Stop counting the socket as unauthenticated. Idempotent."""
        self._leave(keep=1)

    def release(self) -> None:
        """Free the slot. Idempotent."""
        self._leave(keep=0)

    def _leave(self, *, keep: int) -> None:
        with self._lock:
            for count in self._counts[keep:]:
                _add(count, self.network, -1)
            del self._counts[keep:]


class SocketSlots:
    """Gives slots up to the limits. One address may take half of the slots for unauthenticated sockets."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._all: Counter[str] = Counter()
        self._unauthenticated: Counter[str] = Counter()

    def take(self, address: str) -> SocketSlot:
        """Take a slot. Raises Unavailable or TooManySockets, with the time to retry after, if none is free."""
        network = networks.network(address)
        counts = [self._all, self._unauthenticated]
        with self._lock:
            self._check(network)
            for count in counts:
                _add(count, network, 1)
        return SocketSlot(network, counts, self._lock)

    def _check(self, network: str) -> None:
        limits = self._limits
        if _full(self._all[TOTAL], limits.max_sockets):
            raise Unavailable("This process has reached its maximum number of sockets.", retry_after_s=RETRY_AFTER_S)
        if _full(self._all[network], limits.max_sockets_per_address):
            raise TooManySockets(
                f"Your address already has {limits.max_sockets_per_address} open sockets.", retry_after_s=RETRY_AFTER_S
            )
        if _full(self._unauthenticated[TOTAL], limits.max_unauthenticated_sockets):
            raise Unavailable("Too many sockets have not authenticated yet.", retry_after_s=RETRY_AFTER_S)
        if _full(self._unauthenticated[network], (limits.max_unauthenticated_sockets + 1) // 2):
            raise TooManySockets(
                "Too many sockets of your address have not authenticated yet.", retry_after_s=RETRY_AFTER_S
            )


def _full(count: int, limit: int) -> bool:
    return bool(limit) and count >= limit


def _add(counts: Counter[str], network: str, by: int) -> None:
    for name in (TOTAL, network):
        counts[name] += by
        if not counts[name]:
            del counts[name]
