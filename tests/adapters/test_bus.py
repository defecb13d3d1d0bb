"""Publishing to other processes over a real Redis."""

from __future__ import annotations

import json
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from app.adapters import bus
from app.adapters.background import BackgroundRunner
from app.adapters.bus import CHANGES, Listener, RedisBus, hub_channel
from app.adapters.redis_clients import redis_client
from app.domain.previews import KEPT_S, Preview
from tests.support.fakes import DeferredRunner
from tests.support.redis import running_redis
from tests.support.waiting import until

UNREACHABLE = "redis://127.0.0.1:1/0"


class Receiver:
    """Records what a listener received and how often it has subscribed."""

    def __init__(self) -> None:
        self.received: list[tuple[str, dict[str, Any]]] = []
        self.subscribed = 0

    def on_message(self, channel: str, message: dict[str, Any]) -> None:
        self.received.append((channel, message))

    def after_gap(self) -> None:
        self.subscribed += 1

    def bodies(self) -> list[dict[str, Any]]:
        return [body for _, body in self.received]


Open = Callable[..., AbstractContextManager[Receiver]]


@pytest.fixture
def hub(redis_url: str) -> str:
    return f"hub-{uuid.uuid4()}"


@pytest.fixture
def client(redis_url: str) -> redis.Redis:
    return redis_client(redis_url)


@pytest.fixture
def publisher(client: redis.Redis) -> Iterator[RedisBus]:
    background = BackgroundRunner("test")
    yield RedisBus(client, background)
    background.close()


@contextmanager
def listening(redis_url: str, hub: str) -> Iterator[Receiver]:
    """The listener of the web process `hub`."""
    receiver = Receiver()
    listener = Listener(redis_url, [CHANGES, hub_channel(hub)], receiver.on_message, receiver.after_gap)
    listener.start()
    until(lambda: receiver.subscribed, what="the listener to subscribe")
    try:
        yield receiver
    finally:
        listener.close()


def listeners(client: redis.Redis) -> list[dict[str, str]]:
    return [each for each in client.client_list(_type="pubsub") if int(each["sub"]) == 2]


def test_a_message_to_a_web_process_is_received_by_that_process_only(
    redis_url: str, hub: str, publisher: RedisBus
) -> None:
    with listening(redis_url, hub) as receiver, listening(redis_url, hub + "-other") as other:
        assert publisher.publish_to_hub(hub, {"do": "send", "text": "ä\n\ud800"}) is True
        until(lambda: receiver.received)
        assert receiver.received == [(hub_channel(hub), {"do": "send", "text": "ä\n\ud800"})]
        assert publisher.publish_to_hub(hub + "-other", {"do": "last"}) is True
        until(lambda: other.received)
        assert other.bodies() == [{"do": "last"}]


def test_a_message_without_a_subscriber_is_reported(hub: str, publisher: RedisBus) -> None:
    assert publisher.publish_to_hub(hub, {"do": "echo"}) is False


def test_without_redis_a_message_counts_as_received(hub: str) -> None:
    unavailable = RedisBus(redis_client(UNREACHABLE, timeout_s=0.2), BackgroundRunner("test"))
    assert unavailable.publish_to_hub(hub, {"do": "echo"}) is True
    assert unavailable.is_available() is False


def test_a_preview_is_kept_for_a_while_and_announced_without_its_bytes(
    redis_url: str, hub: str, publisher: RedisBus, client: redis.Redis
) -> None:
    with listening(redis_url, hub) as receiver:
        for at in (1, 2):
            publisher.publish_preview(Preview(hub, 1, 40, "image/webp", "AA==", at))
        until(lambda: len(receiver.received) == 2)
    assert receiver.bodies() == [{"requestId": hub, "preview": {"position": 1, "progress": 40}}] * 2
    assert publisher.preview(hub, 1) == Preview(hub, 1, 40, "image/webp", "AA==", 2)
    assert publisher.preview(hub, 0) is None
    assert 0 < client.ttl(f"imagefleet:preview:{hub}:1") <= KEPT_S
    unavailable = RedisBus(redis_client(UNREACHABLE, timeout_s=0.2), BackgroundRunner("test"))
    unavailable.publish_preview(Preview(hub, 1, 40, "image/webp", "AA==", 3))
    assert unavailable.preview(hub, 1) is None


def test_redis_is_available(publisher: RedisBus) -> None:
    assert publisher.is_available() is True


def test_every_web_process_receives_changes(redis_url: str, hub: str, publisher: RedisBus) -> None:
    with listening(redis_url, hub) as one, listening(redis_url, hub + "-other") as two:
        publisher.publish_change({"requestId": hub, "version": 2})
        for receiver in (one, two):
            until(lambda receiver=receiver: (CHANGES, {"requestId": hub, "version": 2}) in receiver.received)  # type: ignore[misc]


def test_of_several_waiting_changes_of_one_job_only_the_newest_is_published(
    redis_url: str, hub: str, client: redis.Redis
) -> None:
    background = DeferredRunner()
    slow = RedisBus(client, background)
    slow.publish_change({"requestId": f"{hub}-a", "version": 2})
    slow.publish_change({"requestId": f"{hub}-a", "version": 3})
    slow.publish_change({"requestId": f"{hub}-b", "version": 1})
    with listening(redis_url, hub) as receiver:
        background.run_all()
        until(lambda: f"{hub}-b" in [body.get("requestId") for body in receiver.bodies()])
        changes = [body for body in receiver.bodies() if str(body.get("requestId")).startswith(hub)]
    assert changes == [{"requestId": f"{hub}-a", "version": 3}, {"requestId": f"{hub}-b", "version": 1}]


def test_a_listener_whose_connection_is_killed_subscribes_again_and_reports_the_gap(
    redis_url: str, hub: str, publisher: RedisBus, client: redis.Redis
) -> None:
    with listening(redis_url, hub) as receiver:
        for n in (1, 2, 3):
            for each in listeners(client):
                client.client_kill_filter(_id=each["id"])
            until(lambda n=n: receiver.subscribed > n, what="the listener to subscribe again")  # type: ignore[misc]
            assert publisher.publish_to_hub(hub, {"n": n}) is True
            until(lambda n=n: {"n": n} in receiver.bodies())  # type: ignore[misc]


def test_an_invalid_message_does_not_end_the_listener(
    redis_url: str, hub: str, publisher: RedisBus, client: redis.Redis
) -> None:
    with listening(redis_url, hub) as receiver:
        client.publish(hub_channel(hub), "no JSON {")
        until(lambda: publisher.publish_to_hub(hub, {"n": 1}) and {"n": 1} in receiver.bodies())


def test_a_handler_that_raises_does_not_end_the_listener(redis_url: str, hub: str, publisher: RedisBus) -> None:
    receiver = Receiver()

    def on_message(channel: str, message: dict[str, Any]) -> None:
        if message.get("bad"):
            raise KeyError("do")
        receiver.on_message(channel, message)

    listener = Listener(redis_url, [CHANGES, hub_channel(hub)], on_message, receiver.after_gap)
    listener.start()
    until(lambda: receiver.subscribed)
    publisher.publish_to_hub(hub, {"bad": True})
    until(lambda: publisher.publish_to_hub(hub, {"n": 1}) and {"n": 1} in receiver.bodies())
    listener.close()


def test_a_silent_connection_is_replaced(redis_url: str, hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus, "SILENCE_S", 0.05)
    monkeypatch.setattr(bus, "READ_S", 0.02)
    with listening(redis_url, hub) as receiver:
        until(lambda: receiver.subscribed >= 3, what="the listener to reconnect")


def test_a_listener_started_before_redis_subscribes_once_redis_is_running(
    hub: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus, "RECONNECT_S", 0.01)
    receiver = Receiver()
    with tempfile.TemporaryDirectory(prefix="imagefleet-redis-") as folder:
        channels = [CHANGES, hub_channel(hub)]
        url = f"unix://{folder}/redis.sock?db=0"
        listener = Listener(url, channels, receiver.on_message, receiver.after_gap)
        listener.start()
        try:
            with running_redis(Path(folder)) as server:
                assert server.url == url
                until(lambda: receiver.subscribed)
        finally:
            listener.close()


def test_closing_a_listener_ends_its_subscription(
    redis_url: str, hub: str, publisher: RedisBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus, "READ_S", 0.02)
    with listening(redis_url, hub):
        assert publisher.publish_to_hub(hub, {}) is True
    until(lambda: publisher.publish_to_hub(hub, {}) is False, what="the subscription to end")


def test_messages_are_json(redis_url: str, hub: str, publisher: RedisBus, client: redis.Redis) -> None:
    subscription = client.pubsub()  # type: ignore[no-untyped-call]
    subscription.subscribe(hub_channel(hub))
    until(lambda: subscription.get_message(timeout=1))
    publisher.publish_to_hub(hub, {"text": "ä"})
    received = until(lambda: subscription.get_message(timeout=1))
    assert json.loads(received["data"]) == {"text": "ä"}
    subscription.close()
