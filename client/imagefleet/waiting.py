"""Waiting for a request or a batch by long polling."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

from imagefleet.calls import batches, images
from imagefleet.calls.base import READ_S, Call
from imagefleet.errors import ConnectionLost, ImagefleetError, TimedOut
from imagefleet.flows import Flow, Send, Sleep
from imagefleet.models import Batch, ImageRequest, QueuePosition, Status
from imagefleet.retrying import OnRetry, Retries

LONG_POLL_S = 30
SHORTEST_POLL_S = 2
PACE_S = 1.0
State = TypeVar("State", bound=Status | Batch)


def for_request(
    request_id: str,
    progress: Callable[[Status], object] | None,
    faults_s: float,
    timeout_s: float | None,
    on_retry: OnRetry | None,
) -> Flow[ImageRequest]:
    """Wait until the request has ended; the request in full."""
    retries = Retries(faults_s, timeout_s, on_retry=on_retry)
    poll = _Polling(lambda wait, since, read_s: images.status(request_id, wait, since, read_s=read_s), progress, _news)
    while True:
        yield from _until_final(poll, retries, f"Request {request_id} is not finished yet; it continues.")
        try:
            result: ImageRequest = yield Send(images.details(request_id))
            return result
        except ImagefleetError as error:
            pause_s = retries.pause_s(error)
        yield Sleep(pause_s)
        poll.forget()


def for_batch(
    batch_id: str,
    progress: Callable[[Batch], object] | None,
    faults_s: float,
    timeout_s: float | None,
    on_retry: OnRetry | None,
) -> Flow[Batch]:
    """Wait until the batch has ended; the batch."""
    retries = Retries(faults_s, timeout_s, on_retry=on_retry)
    poll = _Polling(
        lambda wait, since, read_s: batches.details(batch_id, wait, since, read_s=read_s), progress, _batch_news
    )
    return (yield from _until_final(poll, retries, f"Batch {batch_id} is not finished yet; it continues."))


class _Polling(Generic[State]):
    """Reports each new state once, and limits the rate of polls if the server does not hold answers back."""

    def __init__(
        self,
        poll: Callable[[int, int | None, float], Call[State]],
        notify: Callable[[State], object] | None,
        news: Callable[[State], object],
    ) -> None:
        self._poll = poll
        self._notify = notify or (lambda _: None)
        self._news = news
        self._last: State | None = None
        self._polled_at = 0.0
        self._held = True
        self._longest_s = LONG_POLL_S

    def once(self, left_s: float) -> Flow[State]:
        """Poll once, for about `left_s` seconds at most."""
        if not self._held:
            yield Sleep(min(left_s, max(0.0, self._polled_at + PACE_S - time.monotonic())))
        self._polled_at = time.monotonic()
        wait = 0 if self._last is None else int(min(self._longest_s, left_s))
        since = None if self._last is None else self._last.version
        try:
            state: State = yield Send(self._poll(wait, since, wait + min(READ_S, left_s - wait + 1.0)))
        except ConnectionLost:
            if wait:  # something in between does not hold a connection as long as that
                held_s = int(time.monotonic() - self._polled_at)
                self._longest_s = min(self._longest_s, max(SHORTEST_POLL_S, held_s * 3 // 4))
            raise
        return self._update(state)

    def forget(self) -> None:
        """After a fault: ask for the current state at once, and report it even if it did not change."""
        self._last = None

    def _update(self, state: State) -> State:
        changed = self._last is None or self._news(state) != self._news(self._last)
        self._held = changed and state.version is not None
        self._last = state
        if changed:
            self._notify(state)
        return state


def _until_final(poll: _Polling[State], retries: Retries, unfinished: str) -> Flow[State]:
    while True:
        try:
            state = yield from poll.once(retries.left_s())
        except ImagefleetError as error:
            pause_s = retries.pause_s(error)
            yield Sleep(pause_s)
            poll.forget()
            continue
        if state.is_final:
            return state
        retries.reset()
        if retries.left_s() <= 0:
            raise TimedOut(unfinished)


def _news(status: Status) -> object:
    """What is news if it changes: times alone are not."""
    known = (status.status, status.progress, status.message, status.error, status.reason, status.version)
    return known, _queue_news(status.queue)


def _queue_news(queue: QueuePosition | None) -> object:
    return None if queue is None else (queue.position, queue.reason, queue.remedy)


def _batch_news(batch: Batch) -> object:
    return batch.status, batch.version, batch.counts
