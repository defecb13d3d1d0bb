"""Bare commands and scripts on a real Redis: known or not, slow or gone."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from app.adapters.commands import Commands, Script
from app.adapters.redis_clients import redis_client
from tests.support.redis import running_redis

ECHO = "return {KEYS[1], ARGV[1], ARGV[2]}"
FOR_EVER = "while redis.call('GET', KEYS[1]) ~= 'no' do end"


def test_it_is_carried_out_with_its_keys_and_arguments(redis_url: str) -> None:
    assert Script(Commands(redis_client(redis_url)), ECHO)(["a"], ["b", 3]) == ["a", "b", "3"]


def test_a_redis_that_forgot_it_is_told_again(redis_url: str) -> None:
    client = redis_client(redis_url)
    script = Script(Commands(client), ECHO)
    script(["a"], ["b", 3])
    client.script_flush()
    assert script(["a"], ["b", 3]) == ["a", "b", "3"]
    assert script(["a"], ["b", 3]) == ["a", "b", "3"]


def test_one_that_fails_says_so_and_costs_no_connection(redis_url: str) -> None:
    client = redis_client(redis_url)
    script = Script(Commands(client), "return redis.call('INCR', KEYS[1], 'too much')")
    connections = client.connection_pool.get_connection_count
    for _ in range(3):
        with pytest.raises(redis.ResponseError):
            script(["a"], [])
    assert sum(count for count, _ in connections()) == 1
    assert Script(Commands(client), ECHO)(["a"], ["b", 3]) == ["a", "b", "3"]


@pytest.fixture
def own_redis() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="imagefleet-test-") as folder, running_redis(Path(folder)) as server:
        yield server.url


def test_an_answer_that_comes_too_late_is_nobody_elses(own_redis: str) -> None:
    other = redis_client(own_redis, 20)
    other.config_set("lua-time-limit", 50)
    client = redis_client(own_redis, 0.2)
    with pytest.raises(redis.TimeoutError):
        Script(Commands(client), FOR_EVER)(["a"], [])
    other.script_kill()
    assert Script(Commands(client), ECHO)(["a"], ["b", 3]) == ["a", "b", "3"]


def test_a_connection_that_broke_meanwhile_is_made_anew(own_redis: str) -> None:
    script = Script(Commands(redis_client(own_redis)), ECHO)
    script(["a"], ["b", 3])
    redis_client(own_redis).client_kill_filter(_type="normal", skipme=True)
    assert script(["a"], ["b", 3]) == ["a", "b", "3"]
