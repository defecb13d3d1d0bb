"""Speaking to whoever holds a request."""

from __future__ import annotations

import pytest

from app.db.engine import Transaction
from app.domain.messages import HeartbeatResponse
from app.services import extension_messages
from tests.support.crew import Crew

WORD = HeartbeatResponse(timestamp="2024-01-14T12:00:00.000Z")


def tell(crew: Crew, extension_id: str | None) -> list[tuple[str, dict[str, object]]]:
    crew.bench.database.write(lambda tx: extension_messages.send(crew.bench.ports, tx, extension_id, WORD))
    return crew.bench.bus.to_hubs


def test_a_word_travels_over_the_web_process_that_holds_the_socket(crew: Crew) -> None:
    crew.join("e1", hub="hub-3")
    message = {"type": "heartbeat_response", "timestamp": "2024-01-14T12:00:00.000Z"}
    assert tell(crew, "e1") == [("hub-3", {"do": "send", "connection": "e1-socket-1", "message": message})]


@pytest.mark.parametrize("extension_id", [None, "nobody", "gone"])
def test_to_whoever_is_not_connected_nothing_is_said(crew: Crew, extension_id: str | None) -> None:
    crew.services.extensions.disconnected(crew.join("gone").connection_id)
    assert tell(crew, extension_id) == []


def test_a_word_of_a_change_that_was_not_made_is_not_said(crew: Crew) -> None:
    crew.join("e1")

    def work(tx: Transaction) -> None:
        extension_messages.send(crew.bench.ports, tx, "e1", WORD)
        raise RuntimeError("the process dies")

    with pytest.raises(RuntimeError):
        crew.bench.database.write(work)
    assert crew.bench.bus.to_hubs == []
