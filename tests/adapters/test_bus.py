"""Telling other processes, on a real Redis."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import redis

from app.adapters import bus
from app.adapters.background import Background
from app.adapters.bus import CHANGES, Listener, RedisBus, hub_channel
from app.adapters.commands import Commands
from app.adapters.redis_clients import redis_client
from tests.support.waiting import until

NOWHERE = "redis://127.0.0.1:1/0"


class Ear:
    """What a listener heard, and how often it began to listen."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.begun = 0

    def hear(self, channel: str, message: dict[str, Any]) -> None:
        self.heard.append((channel, message))

    def after_gap(self) -> None:
        self.begun += 1

    def bodies(self) -> list[dict[str, Any]]:
        return [body for _, body in self.heard]


Open = Callable[..., AbstractContextManager[Ear]]


@pytest.fixture
def hub(redis_url: str) -> str:
    return f"hub-{uuid.uuid4()}"


@pytest.fixture
def client(redis_url: str) -> redis.Redis:
    return redis_client(redis_url)


@pytest.fixture
def speaker(client: redis.Redis) -> Iterator[RedisBus]:
    background = Background("test")
    yield RedisBus(Commands(client), background)
    background.close()


@contextmanager
def listening(redis_url: str, hub: str) -> Iterator[Ear]:
    """Somebody listens as the web process `hub`."""
    ear = Ear()
    listener = Listener(redis_url, [CHANGES, hub_channel(hub)], ear.hear, ear.after_gap)
    listener.start()
    until(lambda: ear.begun, what="the listener to begin")
    try:
        yield ear
    finally:
        listener.close()


def listeners(client: redis.Redis) -> list[dict[str, str]]:
    return [each for each in client.client_list(_type="pubsub") if int(each["sub"]) == 2]


def test_a_web_process_hears_what_it_is_told_and_no_other(redis_url: str, hub: str, speaker: RedisBus) -> None:
    with listening(redis_url, hub) as ear, listening(redis_url, hub + "-other") as other:
        assert speaker.to_hub(hub, {"do": "send", "text": "ä\n\ud800"}) is True
        until(lambda: ear.heard)
        assert ear.heard == [(hub_channel(hub), {"do": "send", "text": "ä\n\ud800"})]
        assert other.heard == []


def test_where_nobody_listens_that_is_said(hub: str, speaker: RedisBus) -> None:
    assert speaker.to_hub(hub, {"do": "echo"}) is False


def test_where_redis_is_away_nothing_is_certain(hub: str) -> None:
    away = RedisBus(Commands(redis_client(NOWHERE, timeout_s=0.2)), Background("test"))
    assert away.to_hub(hub, {"do": "echo"}) is True
    assert away.answers() is False


def test_redis_answers(speaker: RedisBus) -> None:
    assert speaker.answers() is True


def test_everybody_hears_of_changes(redis_url: str, hub: str, speaker: RedisBus) -> None:
    with listening(redis_url, hub) as one, listening(redis_url, hub + "-other") as two:
        speaker.changed({"requestId": hub, "version": 2})
        for ear in (one, two):
            until(lambda ear=ear: (CHANGES, {"requestId": hub, "version": 2}) in ear.heard)  # type: ignore[misc]


def test_of_changes_that_wait_to_be_sent_the_newest_is_enough(redis_url: str, hub: str, client: redis.Redis) -> None:
    kept: list[tuple[str, Callable[[], object]]] = []

    class Slow(Background):
        def soon(self, key: str, action: Callable[[], object]) -> None:
            kept.append((key, action))

    slow = RedisBus(Commands(client), Slow("test"))
    slow.changed({"requestId": "a", "version": 2})
    slow.changed({"requestId": "a", "version": 3})
    slow.changed({"requestId": "b", "version": 1})
    assert [key for key, _ in kept] == ["changed:a", "changed:a", "changed:b"]


def test_a_listener_whose_connection_is_killed_listens_again_and_says_so(
    redis_url: str, hub: str, speaker: RedisBus, client: redis.Redis
) -> None:
    with listening(redis_url, hub) as ear:
        for n in (1, 2, 3):
            for each in listeners(client):
                client.client_kill_filter(_id=each["id"])
            until(lambda n=n: ear.begun > n, what="the listener to begin again")  # type: ignore[misc]
            assert speaker.to_hub(hub, {"n": n}) is True
            until(lambda n=n: {"n": n} in ear.bodies())  # type: ignore[misc]


def test_rubbish_on_a_channel_does_not_end_the_listening(
    redis_url: str, hub: str, speaker: RedisBus, client: redis.Redis
) -> None:
    with listening(redis_url, hub) as ear:
        client.publish(hub_channel(hub), "no JSON {")
        until(lambda: speaker.to_hub(hub, {"n": 1}) and {"n": 1} in ear.bodies())


def test_a_hearer_that_breaks_does_not_end_the_listening(redis_url: str, hub: str, speaker: RedisBus) -> None:
    ear = Ear()

    def hear(channel: str, message: dict[str, Any]) -> None:
        if message.get("bad"):
            raise KeyError("do")
        ear.hear(channel, message)

    listener = Listener(redis_url, [CHANGES, hub_channel(hub)], hear, ear.after_gap)
    listener.start()
    until(lambda: ear.begun)
    speaker.to_hub(hub, {"bad": True})
    until(lambda: speaker.to_hub(hub, {"n": 1}) and {"n": 1} in ear.bodies())
    listener.close()


def test_a_connection_on_which_nothing_comes_counts_as_dead(
    redis_url: str, hub: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus, "SILENCE_S", 0.05)
    monkeypatch.setattr(bus, "READ_S", 0.02)
    with listening(redis_url, hub) as ear:
        until(lambda: ear.begun >= 3, what="the listener to connect anew")


def test_a_listener_begins_once_redis_is_there(hub: str, monkeypatch: pytest.MonkeyPatch, redis_url: str) -> None:
    ear = Ear()
    listener = Listener(NOWHERE, [CHANGES, hub_channel(hub)], ear.hear, ear.after_gap)
    monkeypatch.setattr(bus, "RECONNECT_S", 0.01)
    listener.start()
    listener._client = redis.Redis.from_url(redis_url, decode_responses=True)
    until(lambda: ear.begun)
    listener.close()


def test_a_closed_listener_listens_no_more(
    redis_url: str, hub: str, speaker: RedisBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus, "READ_S", 0.02)
    with listening(redis_url, hub):
        assert speaker.to_hub(hub, {}) is True
    until(lambda: speaker.to_hub(hub, {}) is False, what="nobody to listen")


def test_words_are_json(redis_url: str, hub: str, speaker: RedisBus, client: redis.Redis) -> None:
    subscription = client.pubsub()  # type: ignore[no-untyped-call]
    subscription.subscribe(hub_channel(hub))
    until(lambda: subscription.get_message(timeout=1))
    speaker.to_hub(hub, {"text": "ä"})
    said = until(lambda: subscription.get_message(timeout=1))
    assert json.loads(said["data"]) == {"text": "ä"}
    subscription.close()
