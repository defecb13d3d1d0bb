"""What an extension does with the messages of a server: take jobs, paint them, and keep the results until confirmed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable

from imagefleet.errors import BadAnswer
from imagefleet.jobs import Job, Jobs, Message, Stopped
from imagefleet.painter import Draw, Painter
from imagefleet.transport import Transport
from imagefleet.wire import Fields, decode

FAILED = "image_generation_failed"
LEASE_LOST = "ERR_LEASE_LOST"
NOT_UNDERSTOOD = "ERR_INVALID_MESSAGE"
Say = Callable[[str], None]


class Workshop:
    """Paints up to `painters` jobs at once. `send` says whether a message went out; `say` hears each happening in a line."""

    def __init__(
        self, transport: Transport, draw: Draw, send: Callable[[Message], bool], say: Say, step_s: float
    ) -> None:
        self._send = send
        self._say = say
        self._painter = Painter(draw, transport, send, step_s)
        self._jobs = Jobs()
        self._waiting: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._painters = 0
        self._handlers: dict[str, Callable[[Fields], None]] = {
            "generate_image": self._generate,
            "cancel_generation": self._cancel,
            "image_generation_confirmed": self._confirmed,
            "error": self._error,
            "heartbeat_response": lambda _: None,
        }

    def open(self, painters: int) -> None:
        """Begin to work."""
        self._painters = painters
        for number in range(painters):
            threading.Thread(target=self._work, name=f"painter-{number}", daemon=True).start()

    def close(self) -> None:
        """Stop the work; only results that the server has not confirmed stay."""
        self._jobs.keep_only([job.request_id for job in self._jobs.reported()])
        for _ in range(self._painters):
            self._waiting.put(None)

    def ids(self) -> list[str]:
        """The requests that it works on or holds a result of."""
        return self._jobs.ids()

    def load(self) -> tuple[int, int]:
        """How many jobs are being worked on, and how many wait."""
        working = self._jobs.working()
        active = min(working, self._painters)
        return active, working - active

    def keep_only(self, request_ids: Iterable[str]) -> None:
        """The server knows of no others: drop them."""
        for request_id in self._jobs.keep_only(request_ids):
            self._say(f"job {request_id} is no longer ours")

    def deliver(self) -> None:
        """Tell every result that is held once more, as after a new connection."""
        for job in self._jobs.reported():
            self._hand_in(job)

    def take(self, text: str) -> None:
        """Act on one message; what cannot be read changes nothing."""
        try:
            fields = decode(text)
            self._handlers.get(fields.text("type"), self._unknown)(fields)
        except BadAnswer as error:
            self._say(f"ignored: {error}")

    def _generate(self, fields: Fields) -> None:
        job = Job.read(fields)
        known = self._jobs.add(job)
        if known is None:
            self._say(f"job {job.request_id}: {job.prompt!r:.70}")
            self._waiting.put(job)
        else:
            self._hand_in(known)

    def _cancel(self, fields: Fields) -> None:
        if self._jobs.drop(fields.text("request_id")):
            self._say(f"job {fields.text('request_id')} was called off")

    def _confirmed(self, fields: Fields) -> None:
        self._jobs.drop(fields.text("request_id"))
        self._say(f"job {fields.text('request_id')} is stored as {fields.optional_text('image_path')}")

    def _error(self, fields: Fields) -> None:
        """A complaint. A lost lease ends the work; a result that was not understood would not be the next time either."""
        self._say(f"the server says: {fields.optional_text('error')}")
        code, request_id = fields.optional_text("code"), fields.optional_text("request_id")
        is_result = request_id in [job.request_id for job in self._jobs.reported()]
        if request_id and (code == LEASE_LOST or (code == NOT_UNDERSTOOD and is_result)):
            self._jobs.drop(request_id)

    def _unknown(self, fields: Fields) -> None:
        self._say(f"ignored a message of the unknown type {fields.text('type')!r:.70}")

    def _work(self) -> None:
        while (job := self._waiting.get()) is not None:
            if not job.stopped.is_set():
                self._finish(job)

    def _finish(self, job: Job) -> None:
        """Paint, and hand the result in now, or when there is a connection again."""
        try:
            report = self._painter.paint(job)
        except Stopped:
            return
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one job, the next must be done
            report = job.failure("The extension failed", f"{type(error).__name__}: {error}", retryable=True)
        if self._jobs.report(job, report):
            self._say(f"job {job.request_id}: {report.get('reason', 'done')}")
            self._hand_in(job)

    def _hand_in(self, job: Job) -> None:
        """Tell the result, if there is one. Failures are not confirmed: told is done."""
        if job.report is not None and self._send(job.report) and job.report["type"] == FAILED:
            self._jobs.drop(job.request_id)
