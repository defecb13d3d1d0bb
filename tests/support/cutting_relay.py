"""A TCP relay that ends every connection after a while, as some proxies do with streams."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

SIZE = 65_536


class CuttingRelay:
    """A relay from `port` on 127.0.0.1 to a port of it, which cuts each connection `after_s` seconds after it was made."""

    def __init__(self, target: int, after_s: float, listener: socket.socket) -> None:
        self.port: int = listener.getsockname()[1]
        self.cuts = 0
        self._target = target
        self._after_s = after_s
        self._listener = listener

    def run(self) -> None:
        """Accept connections until the listener is closed."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self._target)) as server:
            cut = threading.Timer(self._after_s, self._cut, (client, server))
            cut.start()
            back = threading.Thread(target=_copy, args=(server, client), daemon=True)
            back.start()
            _copy(client, server)
            back.join()
            cut.cancel()

    def _cut(self, *ends: socket.socket) -> None:
        self.cuts += 1
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(SIZE):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def cutting_relay(target: int, after_s: float) -> Iterator[CuttingRelay]:
    """A running relay."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        relay = CuttingRelay(target, after_s, listener)
        threading.Thread(target=relay.run, name="cutting-relay", daemon=True).start()
        yield relay
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
