"""What a crash, a lock or an operator's pause has left undone in batches."""

from functools import partial

from app.db import batches
from app.db.engine import Transaction
from app.domain.batches import BatchStatus
from app.services.batch_changes import LockedBatch
from app.services.batch_control import BatchControl
from app.services.ports import Ports

AT_ONCE = 100


class BatchSweep:
    def __init__(self, ports: Ports, control: BatchControl) -> None:
        self.ports = ports
        self.control = control

    def sweep(self) -> None:
        """Release items of running batches, hold those of paused ones, and complete what is being cancelled."""
        for batch_id in self.ports.database.read(partial(batches.neglected, limit=AT_ONCE)):
            status = self.ports.database.write(partial(self._fill, batch_id))
            if status is BatchStatus.PAUSED:
                self.control.hold(batch_id)
            elif status is BatchStatus.CANCELLED:
                self.control.cancel_items(batch_id, waiting_only=False)

    def _fill(self, batch_id: str, tx: Transaction) -> BatchStatus | None:
        batch = LockedBatch.find(self.ports, tx, batch_id)
        if batch is None:
            return None
        if batch.row.finished_at is None and batch.row.status is not BatchStatus.PAUSED:
            batch.save()
        return batch.row.status
