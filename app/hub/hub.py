"""The sockets of one web process, and its subscription to the bus."""

import threading
import uuid
from collections.abc import Mapping
from typing import Any

from simple_websocket import Server

from app import logs
from app.adapters.background import BackgroundRunner
from app.adapters.bus import CHANGES, Listener, hub_channel
from app.container import Services
from app.domain.access import Credential
from app.domain.close_codes import CloseCode
from app.domain.errors import Unavailable
from app.domain.messages import Authenticate
from app.hub.connection import Connection
from app.hub.offers import Offer
from app.hub.session import Session
from app.hub.socket_slots import SocketSlot, SocketSlots
from app.hub.wire_socket import watch_frames
from app.services.auth_throttle import AuthThrottle

log = logs.get(__name__)


class Hub:
    """Holds this process's connections, forwards bus messages to them and reports that the process is alive."""

    def __init__(self, services: Services, throttle: AuthThrottle) -> None:
        self.id = str(uuid.uuid4())
        self.services = services
        self.throttle = throttle
        self.slots = SocketSlots(services.settings.limits)
        self._connections: dict[str, Connection] = {}
        self._closing = threading.Event()
        self._background = BackgroundRunner("hub")
        self._listener = Listener(
            services.settings.redis_url, [CHANGES, hub_channel(self.id)], self._on_message, self._after_gap
        )
        self._presence = threading.Thread(target=self._report_alive, name="hub-presence", daemon=True)

    def start(self) -> None:
        """Start to listen and to report that the process is alive. Call it once, in the process that serves."""
        self._listener.start()
        self._presence.start()

    def serve(self, ws: Server, base_url: str, slot: SocketSlot, token: str | None = None) -> None:
        """Serve one socket until it closes. `token` is from its handshake; one in `authenticate` takes precedence."""

        def admit(authenticate: Authenticate) -> Credential | None:
            bearer = authenticate.token or token
            return self.throttle.admit_extension(slot.network, authenticate.extension_id, bearer)

        watch_frames(ws, self.services.settings.max_message_bytes)
        connection = Connection(ws, base_url, self.services.settings.limits.socket_messages_per_s, slot)
        if self._closing.is_set():
            connection.close(CloseCode.GOING_AWAY, "the server is shutting down")
        self._connections[connection.id] = connection
        metrics = self.services.ports.metrics
        metrics.socket_opened()
        try:
            Session(connection, self.services, self.id, admit).run()
        except Exception:
            log.exception("A session failed", action="session.broken", extension_id=connection.extension_id)
            connection.close(CloseCode.SERVER_ERROR, "internal error")
        finally:
            metrics.socket_closed()
            connection.finish()
            del self._connections[connection.id]

    def shutdown(self) -> None:
        """Close every socket, so that its extension reconnects elsewhere, and end long polls. New sockets are closed at once."""
        self._closing.set()
        self.services.watching.stop()
        for connection in list(self._connections.values()):
            connection.close(CloseCode.GOING_AWAY, "the server is shutting down")

    def close(self) -> None:
        """Stop listening and release the sockets, because the process ends."""
        self.shutdown()
        self._listener.close()
        try:
            self.services.extensions.hub_stopped(self.id)
        except Unavailable:  # then a sweep notices that it no longer reports
            log.warning("The end of a web process could not be recorded", action="hub.unnoted")

    def _on_message(self, channel: str, message: dict[str, Any]) -> None:
        if channel == CHANGES:
            self.services.watching.notify(message)
            return
        connection = self._connections.get(message.get("connection", ""))
        match message["do"]:
            case "offer":
                self._offer(connection, message)
            case "send" if connection:
                connection.send_raw(message["message"])
            case "replace" if connection:
                connection.close(CloseCode.REPLACED, "replaced by a newer connection")

    def _offer(self, connection: Connection | None, message: Mapping[str, Any]) -> None:
        request_id, lease = message["requestId"], message["lease"]
        if connection is None or connection.closing:
            self._background.submit(lease, lambda: self.services.dispatch.not_delivered(request_id, lease))
        else:
            connection.send_offer(Offer(request_id, lease), message["message"])

    def _after_gap(self) -> None:
        self._background.submit("catch-up", self.services.watching.catch_up)

    def _report_alive(self) -> None:
        known_before = False
        while not self._closing.is_set():
            # The listener receives this too. If it stops arriving, the listener reconnects.
            self.services.ports.bus.publish_to_hub(self.id, {"do": "echo"})
            try:
                known = self.services.extensions.hub_heartbeat(self.id)
                if known_before and not known:
                    self._reconnect_all()
                known_before = True
                self.services.watching.catch_up()
                # In the background: updating ten thousand rows of a slow database must not delay the next report.
                self._background.submit("last-seen", self.services.extensions.record_last_seen)
            except Exception as problem:  # noqa: BLE001 - without this loop, the sockets count as lost
                log.warning(
                    "This web process could not report that it is alive", action="hub.unseen", problem=str(problem)
                )
            self._closing.wait(self.services.settings.hub_timeout_ms / 4000)

    def _reconnect_all(self) -> None:
        """This process was declared lost together with its sockets, so the extensions must authenticate again."""
        log.warning(
            "This web process had been declared lost", action="hub.given_up", connections=len(self._connections)
        )
        for connection in list(self._connections.values()):
            connection.close(CloseCode.RESTARTING, "please reconnect")
