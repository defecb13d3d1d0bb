"""How long the pictures of a request are kept after it is completed."""

from typing import Any

from app.db.compare_and_set import FromNow
from app.db.engine import Transaction
from app.db.jobs import Job
from app.services.ports import Ports
from app.services.tiers import UserTiers


class Lifetimes:
    def __init__(self, ports: Ports) -> None:
        self.retention = ports.settings.retention
        self.tiers = UserTiers(ports)

    def columns(self, tx: Transaction, job: Job) -> dict[str, Any]:
        """The column of a request that is completed by this statement: when its pictures are due to be removed."""
        if job.keep_days is None and self.retention.is_off:
            return {}
        tier = self.tiers.of(tx.connection, job.user_id)
        lifetime_ms = self.retention.lifetime_ms(job.keep_days, tier.name)
        return {} if lifetime_ms is None else {"remove_at": FromNow(lifetime_ms)}
