"""Redis clients: time-outs and text."""

from __future__ import annotations

import socket
import time

import pytest
import redis

from app.adapters.redis_clients import redis_client


def test_a_command_times_out_and_is_not_sent_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = redis_client(f"redis://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.1)
        began = time.monotonic()
        with pytest.raises(redis.TimeoutError):
            client.publish("channel", "message")
        assert time.monotonic() - began < 2
        silent.settimeout(0.3)
        silent.accept()[0].close()
        with pytest.raises(TimeoutError):  # it connected only once
            silent.accept()


def test_text_is_returned_as_text(redis_url: str) -> None:
    client = redis_client(redis_url)
    client.set("test:text", "ä")
    assert client.get("test:text") == "ä"
    client.delete("test:text")
