"""The client's side of one WebSocket."""

from __future__ import annotations

import pytest

from imagefleet.extension.connection import Closed, connected
from tests.support.scripted_server import ScriptedServer


def test_nothing_is_sent_after_a_graceful_close(scripted: ScriptedServer) -> None:
    with connected(scripted.ws_url, silence_s=5) as connection:
        peer = scripted.sockets.next()
        connection.close_gracefully({"type": "heartbeat"})
        with pytest.raises(Closed, match="the extension is stopping"):
            connection.send({"type": "generation_progress"})

    assert peer.closed.wait(5)
    assert [message["type"] for message in peer.received] == ["heartbeat"]
