"""One connection's life: it authenticates, reports, is told; every refusal is answered and harms nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from simple_websocket import ConnectionClosed

from app import logs
from app.adapters import clock
from app.container import Services
from app.db.fleet import Socket
from app.domain import messages
from app.domain.close_codes import CloseCode
from app.domain.errors import MalformedMessage, Refusal, TooManyFailures, Unauthorized, Unavailable
from app.domain.messages import Authenticate, Heartbeat, Incoming, Report
from app.hub.connection import Abuse, Connection, Offer
from app.hub.socket_credential import SocketCredential
from app.services.generation import Holder

SHORT_TURN_S = 1.0
PING_AFTER_S = 25.0  # whoever sends heartbeats every 20 s is not asked for signs of life
PING_SPREAD = 0.2
ANSWER_S = 1.0  # whoever is there answers a ping sooner, or does not read just now
REMEMBERED = 64  # requests that were reported on
UNAVAILABLE_TRIES = 10
UNAVAILABLE_PAUSE_S = 1.0

T = TypeVar("T")

log = logs.get(__name__)


class Session:
    """Speaks with one extension until its socket closes."""

    def __init__(self, connection: Connection, services: Services, hub_id: str, credential: SocketCredential) -> None:
        self.connection = connection
        self.services = services
        self.settings = services.settings
        self.hub_id = hub_id
        self._credential = credential
        self._proofs: list[tuple[float, Offer]] = []  # that are not noted yet, and when they came
        self._reported: dict[str, float] = {}  # requests that were reported on of late, and when that was last
        self._bad = 0  # messages in a row that nobody can understand
        # not for all who came at the same moment at the same moment: others would wait behind their pings
        longest_s = min(PING_AFTER_S, self.settings.heartbeat_timeout_ms / 2000)
        self._ping_after_s = longest_s * (1 - PING_SPREAD * services.ports.randomness.jitter())

    def run(self) -> None:
        """The whole life. Returns when the socket is closed."""
        try:
            self.connection.send(messages.AuthenticationRequired(timestamp=clock.now()))
            hello = self._hear_hello()
            if hello is not None:
                self._serve(hello)
        except ConnectionClosed:
            pass
        except Abuse as abuse:
            self._refuse(Refusal(str(abuse)))
            self.connection.close(CloseCode.FLOODING, "too much, or nonsense")
        except Unauthorized as refusal:
            self._turn_away(refusal)
        except TooManyFailures as refusal:
            self._refuse(refusal)
            self.connection.close(CloseCode.TRY_AGAIN_LATER, "too much that is no good came from there")
        except Unavailable:
            self.connection.close(CloseCode.RESTARTING, "the database is away; please connect again")
        finally:
            self.connection.part()

    # -- before authentication: nothing but `authenticate` is heard

    def _hear_hello(self) -> Authenticate | None:
        ends = time.monotonic() + self.settings.authentication_timeout_ms / 1000
        while (left := ends - time.monotonic()) > 0:
            received = self.connection.receive(left)
            if received is None:
                continue
            try:
                message = _parse(received)
            except MalformedMessage as refusal:
                self._refuse(refusal)
                self._understood(False)
                continue
            if isinstance(message, Authenticate):
                return message
            self._refuse(Refusal("Send authenticate first: nothing else is heard before it."))
            self._understood(False)
        self._refuse(Refusal(f"No authenticate came within {self.settings.authentication_timeout_ms} ms."))
        self.connection.close(CloseCode.NOT_AUTHENTICATED, "not authenticated in time")
        return None

    # -- after it

    def _serve(self, hello: Authenticate) -> None:
        connection = self.connection
        connection.extension_id = hello.extension_id
        holder = Holder(hello.extension_id, connection.id)
        try:
            self._once_possible(partial(self._welcome, hello))
            with self._credential.lasting(self._token_ended):
                while True:
                    self._credential.check()
                    received = connection.receive(self._turn_s())
                    if received is not None:
                        self._take(holder, received)
                    else:
                        self._mind_silence()
                    self._note_proofs(self._proof_after_s)
        finally:
            try:
                self._note_proofs(0)
            finally:
                self._goodbye()

    def _welcome(self, hello: Authenticate) -> None:
        """A process that was frozen or slow finds greetings whose senders have long gone elsewhere: they change nothing."""
        connection = self.connection
        self._credential.admit(hello)
        connection.await_answer(ANSWER_S)
        socket = Socket(self.hub_id, connection.id)
        welcome = self.services.extensions.connected(hello, socket, connection.check_there, self._credential.token_id)
        connection.let_in()
        held = None if hello.active_request_ids is None else welcome.held
        self.connection.send(
            messages.AuthenticationSuccess(
                extension_id=hello.extension_id, timestamp=clock.now(), active_request_ids=held
            )
        )
        log.info("An extension connected", action="extension.connected", extension_id=hello.extension_id)

    def _goodbye(self) -> None:
        extension_id = self.connection.extension_id
        log.info("An extension is gone", action="extension.disconnected", extension_id=extension_id)
        try:
            self.services.extensions.disconnected(self.connection.id)
        except Unavailable:  # then the sweep finds it: no lease outlives its silence
            log.warning("A disconnect was not noted", action="extension.unnoted", extension_id=extension_id)

    def _take(self, holder: Holder, received: str | bytes) -> None:
        request_id = correlation_id = None
        try:
            message = _parse(received)
            self._understood(True)
            if isinstance(message, Report):
                request_id, correlation_id = message.request_id, message.correlation_id
            with logs.correlated(correlation_id):
                self._once_possible(partial(self._act, holder, message))
        except Refusal as refusal:
            self._refuse(refusal, request_id)
            if isinstance(refusal, MalformedMessage):
                self._understood(False)

    def _understood(self, it_was: bool) -> None:
        """Raises Abuse once too many messages in a row were not."""
        self._bad = 0 if it_was else self._bad + 1
        if self._bad and self._bad == self.settings.limits.max_bad_messages:
            raise Abuse(f"{self._bad} messages in a row could not be understood.")

    def _once_possible(self, action: Callable[[], T]) -> T:
        """A result is not lost to a database that is away for a moment: it is kept here meanwhile, and nothing more read."""
        for _ in range(UNAVAILABLE_TRIES - 1):
            try:
                return action()
            except Unavailable:
                time.sleep(UNAVAILABLE_PAUSE_S)
        return action()

    def _act(self, holder: Holder, message: Incoming) -> None:
        if isinstance(message, Heartbeat):
            self._beat(holder, message)
        elif isinstance(message, Authenticate):
            raise Refusal("You are authenticated already.")
        else:
            log.info("An extension reports", action=message.type, request_id=message.request_id)
            came_s = time.monotonic()
            answer = self.services.generation.report(holder, message)
            self._remember(message.request_id, came_s)
            if answer is not None:
                self.connection.answer(answer)

    def _beat(self, holder: Holder, beat: Heartbeat) -> None:
        if beat.extension_id != holder.extension_id:
            raise Refusal("heartbeat.extensionId must be the one that you authenticated with.")
        if self.services.extensions.heard(holder, beat):
            self.connection.answer(messages.HeartbeatResponse(timestamp=clock.now()))
        else:
            self.connection.close(CloseCode.REPLACED, "replaced by a newer connection")

    def _note_proofs(self, after_s: float) -> None:
        """Note those that came `after_s` ago or earlier: soon a report may prove as much, and is a commit anyway.

        What cannot be noted now is noted at the next turn.
        """
        now_s = time.monotonic()
        self._proofs += [(now_s, offer) for offer in self.connection.proven()]
        try:
            while self._proofs and self._proofs[0][0] <= now_s - after_s:
                _, offer = self._proofs[0]
                if not self._was_reported_since(offer):
                    self.services.generation.handed_over(offer.request_id, offer.lease)
                del self._proofs[0]
        except Unavailable:
            log.warning("Proofs of receipt could not be noted", action="offer.unnoted", offers=len(self._proofs))

    def _remember(self, request_id: str, came_s: float) -> None:
        self._reported.pop(request_id, None)
        self._reported[request_id] = came_s
        if len(self._reported) > REMEMBERED:
            del self._reported[next(iter(self._reported))]

    def _was_reported_since(self, offer: Offer) -> bool:
        """True where a report that was taken after the offer was made has said that it is in hand, or that it is over."""
        return self._reported.get(offer.request_id, float("-inf")) > offer.made_s

    @property
    def _proof_after_s(self) -> float:
        """Long before the offer's own lease is over."""
        return min(SHORT_TURN_S, self.settings.offer_timeout_ms / 20_000)

    def _turn_s(self) -> float:
        """How long to listen before there is something else to do: ten thousand that turn each second are a busy core."""
        if self._proofs:
            return self._proof_after_s
        silence_s = self.connection.silence_s
        due_s = self._ping_after_s if silence_s < self._ping_after_s else self.settings.heartbeat_timeout_ms / 1000
        return max(SHORT_TURN_S, due_s - silence_s)

    def _mind_silence(self) -> None:
        silence_s = self.connection.silence_s
        if silence_s * 1000 > self.settings.heartbeat_timeout_ms:
            self.connection.close(CloseCode.SILENT, "nothing was heard for too long")
        elif silence_s >= self._ping_after_s:
            self.connection.ping()

    def _token_ended(self) -> None:
        """Whoever is listening hears nothing of it: the close that the other side answers ends the session."""
        try:
            self._credential.check()
        except Unauthorized as refusal:
            self._turn_away(refusal)

    def _turn_away(self, refusal: Unauthorized) -> None:
        if not self.connection.closing:
            self._refuse(refusal)
            self.connection.close(CloseCode.NOT_AUTHENTICATED, "no token that is good")

    def _refuse(self, refusal: Refusal, request_id: str | None = None) -> None:
        log.info("A message was refused", action="message.refused", code=refusal.code, detail=refusal.detail)
        self.connection.send(
            messages.Error(error=refusal.detail, timestamp=clock.now(), code=refusal.code, request_id=request_id)
        )


def _parse(received: str | bytes) -> Incoming:
    if isinstance(received, bytes):
        raise MalformedMessage("Invalid message format: send text frames; binary ones are not understood.")
    return messages.parse(received)
