"""One connection from its authentication to its end. A message that is refused is answered and changes nothing."""

import contextlib
import re
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from simple_websocket import ConnectionClosed

from app import logs
from app.container import Services
from app.db.fleet import ExtensionState, Socket
from app.domain import messages
from app.domain.access import Credential
from app.domain.clock import wire_now, wire_time
from app.domain.close_codes import CloseCode
from app.domain.errors import LeaseLost, MalformedMessage, Refusal, TooManyFailures, Unauthorized, Unavailable
from app.domain.messages import Authenticate, Heartbeat, ImageGenerationProgress, Incoming, Report, UnusableReport
from app.hub.connection import Abuse, Connection
from app.hub.previews import PreviewIntake
from app.hub.receipts import Receipts
from app.hub.wire_socket import MessageTooLarge
from app.services.credential_status import NO_CREDENTIAL, CredentialStatus
from app.services.generation import Holder

MIN_RECEIVE_S = 1.0
PING_AFTER_S = 25.0  # an extension that sends heartbeats every 20 s needs no pings
PING_SPREAD = 0.2
PONG_TIMEOUT_S = 1.0
UNAVAILABLE_TRIES = 10
UNAVAILABLE_PAUSE_S = 1.0

_REQUEST_ID = re.compile(rf'"requestId"\s*:\s*"({messages.ID.pattern})"')

T = TypeVar("T")
# Checks the extension's token. Returns None if none is required; raises Unauthorized, TooManyFailures, Unavailable.
Admit = Callable[[Authenticate], Credential | None]

log = logs.get(__name__)


class Session:
    """Exchanges messages with one extension until its socket closes."""

    def __init__(self, connection: Connection, services: Services, hub_id: str, admit: Admit) -> None:
        self.connection = connection
        self.services = services
        self.settings = services.settings
        self.hub_id = hub_id
        self._admit = admit
        self._credential = NO_CREDENTIAL
        self._receipts = Receipts(services.generation, self.settings.offer_timeout_ms)
        self._previews = PreviewIntake(services.previews)
        self._malformed = 0  # messages in a row
        # With jitter, so that extensions that connected at the same time are not pinged at the same time.
        longest_s = min(PING_AFTER_S, self.settings.heartbeat_timeout_ms / 2000)
        self._ping_after_s = longest_s * (1 - PING_SPREAD * services.ports.randomness.jitter())

    def run(self) -> None:
        """Serve the connection. Returns once the socket is closed or a close is queued."""
        try:
            self.connection.send(messages.AuthenticationRequired(timestamp=wire_now()))
            authenticate = self._await_authenticate()
            if authenticate is not None:
                self._serve(authenticate)
        except ConnectionClosed:
            pass
        except Abuse as abuse:
            self._send_error(Refusal(str(abuse)))
            self.connection.close(CloseCode.FLOODING, "too many or invalid messages")
        except MessageTooLarge:
            self.connection.close(CloseCode.MESSAGE_TOO_BIG, self._too_large())
        except Unauthorized as refusal:
            self._reject(refusal)
        except TooManyFailures as refusal:
            self._send_error(refusal)
            self.connection.close(CloseCode.TRY_AGAIN_LATER, "too many invalid tokens from this address")
        except Unavailable:
            self.connection.close(CloseCode.RESTARTING, "the database is unavailable; please reconnect")

    # -- before authentication

    def _await_authenticate(self) -> Authenticate | None:
        deadline = time.monotonic() + self.settings.authentication_timeout_ms / 1000
        while (left_s := deadline - time.monotonic()) > 0:
            received = self.connection.receive(left_s)
            if received is None:
                continue
            try:
                message = _parse(received)
                if isinstance(message, Authenticate):
                    return message
                refusal = Refusal("Send authenticate first: no other message is accepted before it.")
            except MalformedMessage as malformed:
                refusal = malformed
            self._send_error(refusal)
            self._count_malformed()
        self._send_error(
            Refusal(f"No authenticate was received within {self.settings.authentication_timeout_ms / 1000:g} seconds.")
        )
        self.connection.close(CloseCode.NOT_AUTHENTICATED, "not authenticated in time")
        return None

    # -- after it

    def _serve(self, authenticate: Authenticate) -> None:
        self.connection.extension_id = authenticate.extension_id
        holder = Holder(authenticate.extension_id, self.connection.id)
        try:
            self._retry_while_unavailable(partial(self._authenticate, authenticate))
            with self._credential.monitored(self._on_token_end):
                while True:
                    self._receive_one(holder)
        except MessageTooLarge as large:
            self._end_attempt_of_large(holder, large)
            raise
        finally:
            try:
                self._record_receipts(0)
            finally:
                self._disconnect()

    def _receive_one(self, holder: Holder) -> None:
        self._credential.check()
        received = self.connection.receive(self._receive_timeout_s())
        if received is not None:
            self._handle(holder, received)
        else:
            self._check_silence()
        self._record_receipts(self._receipts.delay_s)

    def _authenticate(self, authenticate: Authenticate) -> None:
        """Register the extension unless it has disconnected meanwhile: it may be connected elsewhere already."""
        connection, credential = self.connection, self._admit(authenticate)
        self._credential = CredentialStatus(self.services.access, credential)
        connection.await_pong(PONG_TIMEOUT_S)
        socket, token_id = Socket(self.hub_id, connection.id), None if credential is None else credential.id
        held = self.services.extensions.connected(authenticate, socket, connection.check_peer, token_id)
        connection.mark_authenticated()
        connection.send(
            messages.AuthenticationSuccess(
                extension_id=authenticate.extension_id,
                timestamp=wire_now(),
                active_request_ids=None if authenticate.active_request_ids is None else held,
                limits=messages.MessageLimits(
                    max_message_bytes=self.settings.max_message_bytes, max_image_bytes=self.settings.max_image_bytes
                ),
            )
        )
        log.info("An extension connected", action="extension.connected", extension_id=authenticate.extension_id)

    def _disconnect(self) -> None:
        extension_id = self.connection.extension_id
        log.info("An extension disconnected", action="extension.disconnected", extension_id=extension_id)
        try:
            self.services.extensions.disconnected(self.connection.id)
        except Unavailable:  # then a sweep finds it: the leases expire without heartbeats
            log.warning("A disconnect was not recorded", action="extension.unnoted", extension_id=extension_id)

    def _handle(self, holder: Holder, received: str | bytes) -> None:
        request_id = correlation_id = None
        try:
            message = _parse(received)
            self._malformed = 0
            if isinstance(message, Report):
                request_id, correlation_id = message.request_id, message.correlation_id
            with logs.correlated(correlation_id):
                self._retry_while_unavailable(partial(self._execute, holder, message))
        except UnusableReport as refusal:
            self._end_attempt(partial(self.services.generation.unusable, holder, refusal))
            self._refuse(refusal, refusal.request_id)
        except Refusal as refusal:
            self._refuse(refusal, request_id)

    def _refuse(self, refusal: Refusal, request_id: str | None) -> None:
        self._send_error(refusal, request_id)
        if isinstance(refusal, MalformedMessage):
            self._count_malformed()

    def _end_attempt_of_large(self, holder: Holder, large: MessageTooLarge) -> None:
        named = _REQUEST_ID.search(large.head)
        request_id = None if named is None else named[1]
        self._end_attempt(partial(self.services.generation.too_large, holder, request_id, self._too_large()))
        self._send_error(MalformedMessage(self._too_large()), request_id)

    def _end_attempt(self, end: Callable[[], None]) -> None:
        """End an attempt for a report that cannot be used, unless the extension does not hold the request (any more)."""
        with contextlib.suppress(LeaseLost):
            self._retry_while_unavailable(end)

    def _too_large(self) -> str:
        return (
            f"The extension's message has more than {self.settings.max_message_bytes:,} characters. "
            "Pictures must be uploaded (`upload` in generate_image)."
        )

    def _count_malformed(self) -> None:
        """Raise Abuse after too many invalid messages in a row."""
        self._malformed += 1
        if self._malformed == self.settings.limits.max_bad_messages:
            raise Abuse(f"{self._malformed} messages in a row were invalid.")

    def _retry_while_unavailable(self, action: Callable[[], T]) -> T:
        """Retry, so that no report is lost while the database is unavailable. No messages are received meanwhile."""
        for _ in range(UNAVAILABLE_TRIES - 1):
            try:
                return action()
            except Unavailable:
                time.sleep(UNAVAILABLE_PAUSE_S)
        return action()

    def _execute(self, holder: Holder, message: Incoming) -> None:
        if isinstance(message, Heartbeat):
            self._heartbeat(holder, message)
        elif isinstance(message, Authenticate):
            raise Refusal("You are already authenticated.")
        else:
            self._report(holder, message)

    def _report(self, holder: Holder, report: Report) -> None:
        is_progress = isinstance(report, ImageGenerationProgress)  # the most frequent report by far
        (log.debug if is_progress else log.info)(
            "An extension reported", action=report.type, request_id=report.request_id
        )
        received_s = time.monotonic()
        reply = self.services.generation.report(holder, report)
        self._receipts.reported(report.request_id, received_s)
        if reply is not None:
            self.connection.send_now(reply)
        if isinstance(report, ImageGenerationProgress):
            self._take_preview(report)

    def _take_preview(self, report: ImageGenerationProgress) -> None:
        try:
            self._previews.take(report)
        except MalformedMessage as refusal:  # the rest of the message was used
            self._send_error(refusal, report.request_id)

    def _heartbeat(self, holder: Holder, heartbeat: Heartbeat) -> None:
        if heartbeat.extension_id != holder.extension_id:
            raise Refusal("heartbeat.extensionId must be the extensionId that you authenticated with.")
        if (state := self.services.extensions.heartbeat(holder, heartbeat)) is not None:
            self.connection.send_now(_heartbeat_response(state))
        elif self.services.extensions.is_connected(holder.extension_id):
            self.connection.close(CloseCode.REPLACED, "replaced by a newer connection")
        else:  # a sweep declared this process or the extension lost
            self.connection.close(CloseCode.RESTARTING, "please reconnect")

    def _record_receipts(self, min_age_s: float) -> None:
        self._receipts.add(self.connection.take_proven())
        self._receipts.record(min_age_s)

    def _receive_timeout_s(self) -> float:
        """How long to wait for a message until something else is due. Waking often would cost much CPU with many sockets."""
        if self._receipts.waiting:
            return self._receipts.delay_s
        silence_s = self.connection.silence_s
        due_s = self._ping_after_s if silence_s < self._ping_after_s else self.settings.heartbeat_timeout_ms / 1000
        return max(MIN_RECEIVE_S, due_s - silence_s)

    def _check_silence(self) -> None:
        silence_s = self.connection.silence_s
        if silence_s * 1000 > self.settings.heartbeat_timeout_ms:
            self.connection.close(CloseCode.SILENT, "no message for too long")
        elif silence_s >= self._ping_after_s:
            self.connection.ping()

    def _on_token_end(self) -> None:
        """Called on another thread while the session waits for a message. The peer's reply to the close ends that wait."""
        try:
            self._credential.check()
        except Unauthorized as refusal:
            self._reject(refusal)

    def _reject(self, refusal: Unauthorized) -> None:
        if not self.connection.closing:
            self._send_error(refusal)
            self.connection.close(CloseCode.NOT_AUTHENTICATED, "no valid token")

    def _send_error(self, refusal: Refusal, request_id: str | None = None) -> None:
        log.info("A message was refused", action="message.refused", code=refusal.code, detail=refusal.detail)
        self.connection.send(
            messages.Error(error=refusal.detail, timestamp=wire_now(), code=refusal.code, request_id=request_id)
        )


def _heartbeat_response(state: ExtensionState) -> messages.HeartbeatResponse:
    if not state.cooldown_until:
        return messages.HeartbeatResponse(timestamp=wire_now())
    until = wire_time(state.cooldown_until)
    return messages.HeartbeatResponse(timestamp=wire_now(), paused_until=until, pause_reason=state.cooldown_reason)


def _parse(received: str | bytes) -> Incoming:
    if isinstance(received, bytes):
        detail = "Invalid message format: send text frames; binary frames are not accepted."
        raise messages.refusal_of(received.decode(errors="replace"), detail)
    return messages.parse(received)
