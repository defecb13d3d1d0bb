"""Messages to the extension that holds a request."""

from __future__ import annotations

import pytest

from app.db.engine import Transaction
from app.domain.messages import HeartbeatResponse
from app.services import extension_messages
from tests.support.harness import Harness

MESSAGE = HeartbeatResponse(timestamp="2024-01-14T12:00:00.000Z")


def send_message(harness: Harness, extension_id: str | None) -> list[tuple[str, dict[str, object]]]:
    harness.bench.database.write(lambda tx: extension_messages.send(harness.bench.ports, tx, extension_id, MESSAGE))
    return harness.bench.bus.to_hubs


def test_a_message_is_sent_over_the_web_process_that_holds_the_socket(harness: Harness) -> None:
    harness.connect("e1", hub="hub-3")
    message = {"type": "heartbeat_response", "timestamp": "2024-01-14T12:00:00.000Z"}
    assert send_message(harness, "e1") == [("hub-3", {"do": "send", "connection": "e1-socket-1", "message": message})]


@pytest.mark.parametrize("extension_id", [None, "nobody", "gone"])
def test_a_disconnected_extension_receives_no_message(harness: Harness, extension_id: str | None) -> None:
    harness.services.extensions.disconnected(harness.connect("gone").connection_id)
    assert send_message(harness, extension_id) == []


def test_a_message_is_not_sent_if_its_transaction_is_rolled_back(harness: Harness) -> None:
    harness.connect("e1")

    def work(tx: Transaction) -> None:
        extension_messages.send(harness.bench.ports, tx, "e1", MESSAGE)
        raise RuntimeError("the process dies")

    with pytest.raises(RuntimeError):
        harness.bench.database.write(work)
    assert harness.bench.bus.to_hubs == []
