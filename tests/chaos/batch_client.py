"""A client with a batch: it sends it until it is answered, pauses and resumes it, cancels the rest, tries again what failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.chaos.caller import AGAIN_S, Caller
from tests.chaos.history import BatchAcknowledged, BatchPaused, Records
from tests.chaos.plan import PlannedBatch
from tests.support.service import Answer

POLL_S = 0.7
ENDED = ("completed", "cancelled")
NOTHING_TO_DO = (400, 409)  # nothing has failed, or the batch has ended


class BatchClient(Caller):
    """It ends once its batch has ended and everything that is planned with it is done, or when it is stopped."""

    def __init__(
        self, plan: PlannedBatch, webs: Sequence[str], records: Records, webhook: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(f"batch-client-{plan.number}", plan.number, plan.at_s, webs, records)
        self.plan = plan
        self._webhook = webhook
        self.batch_id: str | None = None
        self._retried = not plan.retries

    @property
    def submitted(self) -> bool:
        """True once nothing more is to be added to the batch."""
        return self.batch_id is not None and self._retried

    def _execute(self) -> None:
        self._submit()
        began = time.monotonic()
        due = sorted(self._actions(), key=lambda each: each[0])
        while not self._stopping.is_set():
            while due and time.monotonic() >= began + due[0][0]:
                due.pop(0)[1]()
            status = self._status()
            if status in ENDED and not due:
                if self._retried:
                    return
                self._retry()
            elif status == "paused":  # by a request to pause that was not answered in time, and was sent again
                self._insist("resume")
            self._stopping.wait(POLL_S)

    def _actions(self) -> list[tuple[float, Callable[[], object]]]:
        """What is planned with the batch, and how many seconds after its submission."""
        plan, actions = self.plan, list[tuple[float, Callable[[], object]]]()
        if plan.pause_after_s is not None:
            actions.append((plan.pause_after_s, self._pause))
        if plan.cancel_after_s is not None:
            actions.append((plan.cancel_after_s, lambda: self._insist("cancel", {"scope": "waiting"})))
        return actions

    def _submit(self) -> None:
        """Send it with its key until it is answered, and once more to the other process."""
        items = [
            {
                "customId": f"item-{item.number}",
                "prompt": f"chaos {item.number}",
                "model": item.model,
                "parameters": {"numberOfImages": item.images},
            }
            for item in self.plan.items
        ]
        body: dict[str, Any] = {
            "items": items,
            "concurrency": self.plan.concurrency,
            "name": f"batch {self.plan.number}",
        }
        if self._webhook is not None:
            body["webhook"] = self._webhook
        answers_left = 2
        while answers_left and not self._stopping.is_set():
            answer = self._call("POST", "/api/batches", body, key=f"chaos-batch-{self.plan.number}")
            if answer is not None and answer.status == 201:
                self.batch_id = answer.json["batchId"]
                self._records.batches.append(BatchAcknowledged(self.plan.number, answer.json["batchId"]))
                answers_left -= 1
                self._web = next(self._webs)
            self._stopping.wait(AGAIN_S)

    def _pause(self) -> None:
        if self._insist("pause"):
            begun = time.time()
            self._stopping.wait(self.plan.pause_s)
            pause = BatchPaused(self.plan.number, self.batch_id or "", begun, time.time())
            self._insist("resume")
            self._records.pauses.append(pause)

    def _retry(self) -> None:
        self._insist("retry", {"status": "failed"})
        self._retried = True

    def _insist(self, control: str, body: Mapping[str, Any] | None = None) -> bool:
        """Send it until it is answered; True if it was done, False if there is nothing to do it with any more."""
        while not self._stopping.is_set():
            answer = self._call("POST", f"/api/batches/{self.batch_id}/{control}", body or {}, NOTHING_TO_DO)
            if answer is not None and answer.status in {200, *NOTHING_TO_DO}:
                return answer.status == 200
            self._stopping.wait(AGAIN_S)
        return False

    def _status(self) -> str | None:
        answer: Answer | None = self._call("GET", f"/api/batches/{self.batch_id}")
        return str(answer.json["status"]) if answer is not None and answer.status == 200 else None
