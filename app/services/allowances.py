"""What one user may do: the tier, and how much of each quota is used."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from app.db import batch_items, clock, inputs, usage
from app.domain.tiers import Tier
from app.services.ports import Ports
from app.services.quotas import DAY_MS
from app.services.tiers import UserTiers


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit of one user, and how much of it is used. `name` is that of the setting."""

    name: str
    limit: int
    used: int


@dataclass(frozen=True, slots=True)
class Allowance:
    """The user's tier, and the quotas that are set."""

    tier: Tier
    quotas: tuple[Quota, ...]


class Allowances:
    def __init__(self, ports: Ports) -> None:
        self.ports = ports
        self.tiers = UserTiers(ports)

    def of(self, user_id: str) -> Allowance:
        """Those of this user. Raises Unavailable."""

        def work(connection: Connection) -> Allowance:
            return Allowance(self.tiers.of(connection, user_id), tuple(self._quotas(connection, user_id)))

        return self.ports.database.read(work)

    def _quotas(self, connection: Connection, user_id: str) -> Iterator[Quota]:
        """Quotas of 0 are none."""
        limits = self.ports.settings.limits
        counted: dict[str, tuple[int, Callable[[int], int]]] = {
            "QUOTA_WAITING": (limits.quota_waiting, lambda most: usage.count_waiting(connection, user_id, most)),
            "QUOTA_BATCH_ITEMS": (
                limits.quota_batch_items,
                lambda most: batch_items.held_of_user(connection, user_id, most),
            ),
            "QUOTA_PER_DAY": (
                limits.quota_per_day,
                lambda most: usage.count_since(connection, user_id, clock.now(connection) - DAY_MS, most),
            ),
            "QUOTA_STORED_BYTES": (limits.quota_stored_bytes, lambda _: usage.bytes_stored(connection, user_id)),
            "QUOTA_INPUTS": (limits.quota_inputs, lambda most: inputs.count(connection, user_id, most)),
        }
        for name, (limit, count) in counted.items():
            if limit:
                yield Quota(name, limit, count(limit))
