"""A TCP relay that can fall silent: it goes on to accept connections and to acknowledge data, and passes on nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

SIZE = 65_536


class SilentRelay:
    """A relay from `port` on 127.0.0.1 to `target`, an address or the path of a unix socket."""

    def __init__(self, target: tuple[str, int] | str, listener: socket.socket) -> None:
        self.port: int = listener.getsockname()[1]
        self._target = target
        self._listener = listener
        self._passes = threading.Event()
        self._passes.set()

    def fall_silent(self) -> None:
        """Pass on nothing from now on; what was sent stays acknowledged."""
        self._passes.clear()

    def speak(self) -> None:
        """Pass on again, also what was held back."""
        self._passes.set()

    def run(self) -> None:
        """Accept connections until the listener is closed."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with ExitStack() as open_ends, suppress(OSError):
            open_ends.enter_context(client)
            family = socket.AF_UNIX if isinstance(self._target, str) else socket.AF_INET
            server = open_ends.enter_context(socket.socket(family))
            server.connect(self._target)
            back = threading.Thread(target=self._copy, args=(server, client), daemon=True)
            back.start()
            self._copy(client, server)
            back.join()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(SIZE):
                self._passes.wait()
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def silent_relay(target: tuple[str, int] | str) -> Iterator[SilentRelay]:
    """A running relay."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        relay = SilentRelay(target, listener)
        threading.Thread(target=relay.run, name="silent-relay", daemon=True).start()
        yield relay
        relay.speak()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
