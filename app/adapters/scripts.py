"""A Lua script that Redis carries out as one step (https://redis.io/docs/latest/develop/programmability/eval-intro/).

redis-py's own way to call one keeps times and counts for observers around each command, which costs as much again as the
command; every submission calls two. Here are the same pool and the same connections, and nothing around them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import redis
from redis.exceptions import NoScriptError


class Script:
    """Calls one script by its SHA-1, and sends the text of it to a Redis that does not know it yet."""

    def __init__(self, client: redis.Redis, text: str) -> None:
        self._client = client
        self._text = text
        self._sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        """What the script returns. Raises RedisError; then it may or may not have been carried out."""
        pool = self._client.connection_pool
        connection = pool.get_connection()
        try:
            try:
                return _ask(connection, "EVALSHA", self._sha, len(keys), *keys, *args)
            except NoScriptError:
                return _ask(connection, "EVAL", self._text, len(keys), *keys, *args)
        except redis.ResponseError:
            raise  # a whole answer: the connection is as good as before
        except BaseException:
            connection.disconnect()  # an answer that comes late must not be taken for the next one's
            raise
        finally:
            pool.release(connection)


def _ask(connection: Any, *command: str | int) -> Any:
    connection.send_command(*command)
    return connection.read_response()
