"""Bare commands and scripts on a real Redis: known or not, slow or gone."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from app.adapters.commands import Commands, Script
from app.adapters.redis_clients import redis_client
from tests.support.redis import running_redis
from tests.support.waiting import until

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


def test_what_is_told_is_carried_out_one_after_the_other(redis_url: str) -> None:
    client = redis_client(redis_url)
    commands = Commands(client)
    for n in range(20):
        commands.tell("RPUSH", "told", n)
    commands.tell("PING")
    assert client.lrange("told", 0, -1) == [str(n) for n in range(20)]
    assert sum(count for count, _ in client.connection_pool.get_connection_count()) == 2
    client.delete("told")


def test_what_was_not_carried_out_is_heard_of_by_who_tells_next_once_that_is_sent(redis_url: str) -> None:
    client = redis_client(redis_url)
    commands = Commands(client)
    commands.tell("RPUSH", "told", 1, 2)
    commands.tell("INCR", "told")
    with pytest.raises(redis.ResponseError):
        commands.tell("RPUSH", "told", 3)
    commands.tell("PING")
    assert client.lrange("told", 0, -1) == ["1", "2", "3"]
    client.delete("told")


def test_an_answer_that_is_left_is_not_taken_for_what_is_asked(redis_url: str) -> None:
    commands = Commands(redis_client(redis_url))
    commands.tell("ECHO", "told")
    assert commands.ask("ECHO", "asked") == "asked"
    commands.tell("ECHO", "told")
    assert [commands.ask("ECHO", str(n)) for n in range(3)] == ["0", "1", "2"]


def test_many_may_tell_at_once(redis_url: str) -> None:
    client = redis_client(redis_url)
    commands = Commands(client)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: commands.tell("RPUSH", "told", n), range(200)))
    for _ in range(8):
        commands.tell("PING")
    until(lambda: client.llen("told") == 200, what="all that was told")
    assert commands.ask("ECHO", "asked") == "asked"
    client.delete("told")


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


def test_what_is_told_over_a_connection_that_broke_meanwhile_goes_over_another(own_redis: str) -> None:
    client = redis_client(own_redis)
    commands = Commands(redis_client(own_redis))
    commands.tell("SET", "told", 1)
    until(lambda: client.get("told") == "1", what="what was told first")
    client.client_kill_filter(_type="normal", skipme=True)
    commands.tell("SET", "told", 2)
    until(lambda: client.get("told") == "2", what="what was told then")


def test_it_is_known_whether_who_tells_something_has_to_wait(own_redis: str) -> None:
    client = redis_client(own_redis, timeout_s=0.5)
    commands = Commands(client)
    assert not commands.answered  # there is no connection yet
    commands.tell("PING")
    until(lambda: commands.answered, 5, "the answer")
    client.client_pause(2_000)
    commands.tell("PING")
    assert not commands.answered


def test_who_tells_a_redis_that_does_not_answer_waits_no_longer_than_who_asks(own_redis: str) -> None:
    other = redis_client(own_redis, 20)
    commands = Commands(redis_client(own_redis, 0.2))
    commands.tell("PING")
    commands.tell("PING")
    other.client_pause(1_000)
    commands.tell("SET", "told", 1)
    with pytest.raises(redis.TimeoutError):
        commands.tell("PING")
    assert other.ping()  # now it answers again
    commands.tell("SET", "told", 2)
    until(lambda: other.get("told") == "2", what="what was told then")


def test_a_connection_that_broke_meanwhile_is_made_anew(own_redis: str) -> None:
    script = Script(Commands(redis_client(own_redis)), ECHO)
    script(["a"], ["b", 3])
    redis_client(own_redis).client_kill_filter(_type="normal", skipme=True)
    assert script(["a"], ["b", 3]) == ["a", "b", "3"]
