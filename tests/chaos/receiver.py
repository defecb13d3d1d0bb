"""A receiver of webhooks: it verifies and records what arrives, and is away, slow or broken by a plan until it is well."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

from tests.chaos.history import Records
from tests.chaos.hook_history import Arrival
from tests.chaos.receiver_plan import ReceiverPlan, Reply

HANGS_S = 2.5  # longer than an attempt may take
ELSEWHERE = "/elsewhere"  # where it redirects to


class HookReceiver:
    """Listens on a port of 127.0.0.1. `secrets` verify what arrives, by path."""

    def __init__(self, plan: ReceiverPlan, records: Records) -> None:
        self.secrets: dict[str, str] = {}
        self.gone: set[str] = set()  # paths that answer 410 to their first event
        self._plan = plan
        self._records = records
        self._replies = itertools.cycle(plan.replies)
        self._lock = threading.Lock()
        self._well = threading.Event()
        self._server = _Server(0, self)
        self._port = int(self._server.server_address[1])
        self._absences = threading.Thread(target=self._be_away, name="receiver-absences", daemon=True)

    def url(self, path: str) -> str:
        """The address of a webhook."""
        return f"http://127.0.0.1:{self._port}{path}"

    def start(self) -> None:
        """Listen, and begin with the plan."""
        self._listen()
        self._absences.start()

    def recover(self) -> None:
        """From now on, listen and take everything."""
        self._well.set()
        self._absences.join()

    def stop(self) -> None:
        """Stop listening."""
        self.recover()
        self._server.shutdown()
        self._server.server_close()

    def reply(self, path: str) -> Reply:
        """What to do with the next attempt at this path."""
        with self._lock:
            if path in self.gone:
                self.gone.remove(path)
                return Reply.GONE
            reply = next(self._replies)
        return Reply.TAKES if self._well.is_set() else reply

    def note(self, path: str, headers: Mapping[str, str], body: bytes, reply: Reply) -> None:
        """Record an attempt."""
        arrival = Arrival(
            time.time(), path, headers.get("webhook-id", ""), self._verifies(path, headers, body), body, reply
        )
        self._records.arrivals.append(arrival)

    def _verifies(self, path: str, headers: Mapping[str, str], body: bytes) -> bool:
        try:
            Webhook(self.secrets[path]).verify(body, {name.lower(): value for name, value in headers.items()})
        except (KeyError, WebhookVerificationError):
            return False
        return True

    def _listen(self) -> None:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="receiver", daemon=True).start()

    def _be_away(self) -> None:
        began = time.monotonic()
        for at_s, seconds in self._plan.absences:
            if self._well.wait(max(0.0, began + at_s - time.monotonic())):
                return
            self._server.shutdown()
            self._server.server_close()
            self._well.wait(seconds)
            self._server = _Server(self._port, self)
            self._listen()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, receiver: HookReceiver) -> None:
        self.receiver = receiver
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore it: the worker was killed or its time was over."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver = self.server.receiver
        reply = receiver.reply(self.path)
        receiver.note(self.path, dict(self.headers), body, reply)
        if reply is Reply.HANGS:
            time.sleep(HANGS_S)
        if reply in {Reply.CLOSES, Reply.HANGS}:
            return
        self.send_response(reply)
        if reply is Reply.REDIRECTS:
            self.send_header("Location", ELSEWHERE)
        if reply is Reply.BUSY:
            self.send_header("Retry-After", "7")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST  # noqa: N815 - the name that the server calls

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is from the base class
        """Log nothing."""
