"""An image host that stalls, truncates responses, fails, is slow, or is unreachable."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.chaos import pictures
from tests.chaos.pictures import Stamp
from tests.chaos.plan import Source

STALL_S = 4.0
SLOW_S = 1.0
SECOND_HEAVY_S = 1.5
HEAVY_PX = 3_000

Key = tuple[int, int, int, int]


class ImageHost:
    """Serves pictures; the URL identifies the picture. Downloads are counted, and each returns a different picture.

    `on_heavy(key, port)` is called before a heavy picture is sent to the client with that port; the function that it
    returns is called after the picture has been sent.
    """

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.fetches: Counter[Key] = Counter()
        self.on_heavy: Callable[[Key, int], Callable[[], None] | None] | None = None
        self._lock = threading.Lock()
        self._address = address
        self._server = _Server((address, 0), self)
        self.port = int(self._server.server_address[1])
        self._serve()

    def url(self, stamp: Stamp, source: Source) -> str:
        """The URL of that picture."""
        path = f"{stamp.number}/{stamp.extension}/{stamp.offer}/{stamp.position}/{source.name}.png"
        return f"http://{self._address}:{self.port}/{path}"

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def restart(self) -> None:
        """Listen again on the same port."""
        self._server = _Server((self._address, self.port), self)
        self._serve()

    def count(self, key: Key) -> int:
        """Count a download; returns its number, from 1."""
        with self._lock:
            self.fetches[key] += 1
            return self.fetches[key]

    def _serve(self) -> None:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="image-host", daemon=True).start()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], host: ImageHost) -> None:
        self.host = host
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore it: the client was killed or timed out."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        *numbers, name = self.path.strip("/").split("/")
        number, extension, offer, position = map(int, numbers)
        source = Source[name.removesuffix(".png")]
        key = (number, extension, offer, position)
        nth = self.server.host.count(key)
        if source is Source.GONE or (source is Source.FLAKY and nth == 1):
            self.send_error(404 if source is Source.GONE else 500)
            return
        time.sleep(_pause_s(source, nth))
        size = HEAVY_PX if source is Source.HEAVY else 8
        data = pictures.draw(Stamp(number, extension, offer, position, nth), size)
        hook = self.server.host.on_heavy if source is Source.HEAVY else None
        then = hook(key, self.client_address[1]) if hook else None
        self._send(data, whole=not (source is Source.BREAK and nth == 1))
        if then is not None:
            threading.Thread(target=then, name="after-heavy", daemon=True).start()

    def _send(self, data: bytes, *, whole: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "image/png")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data if whole else data[: len(data) // 2])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is from the base class
        """Log nothing."""


def _pause_s(source: Source, nth: int) -> float:
    if source is Source.STALL and nth == 1:
        return STALL_S
    if source is Source.HEAVY:
        return SECOND_HEAVY_S if nth == 2 else 0.0
    return SLOW_S if source is Source.SLOW else 0.0
