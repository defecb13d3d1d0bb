"""A benchmark stream that is refused reconnects as clients do, and reports what it received."""

from __future__ import annotations

import socket
import threading

from bench.load.loop import Loop
from bench.load.streams import Streams

RESPONSES = (
    b"HTTP/1.1 503 Service Unavailable\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\nevent: ImageGenerationAssignedEvent\n",
)


def test_a_refused_stream_is_opened_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            for received in RESPONSES:
                asked, _ = server.accept()
                with asked:
                    asked.recv(65_536)
                    asked.sendall(received)

        answering = threading.Thread(target=answer, daemon=True)
        answering.start()
        opened = Streams(Loop()).open(server.getsockname()[1], ["one"], 1, "a key")
        answering.join(10)
    assert (opened["count"], opened["silent"]) == (1, [])
    assert [received.split("\r\n")[0] for received in opened["lost"]] == ["HTTP/1.1 503 Service Unavailable"]
