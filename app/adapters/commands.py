"""Commands to Redis as bare as they can be: for what is asked at every step of every request.

redis-py keeps times and counts for observers around each command, which costs as much again as the command. Here are the
same pool and the same connections, and nothing around them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import redis
from redis.exceptions import NoScriptError


def ask(client: redis.Redis, *command: str | int) -> Any:
    """Redis's answer to one command. Raises RedisError; then it may or may not have been carried out."""
    pool = client.connection_pool
    connection: Any = pool.get_connection()
    try:
        connection.send_command(*command)
        return connection.read_response()
    except redis.ResponseError:
        raise  # a whole answer: the connection is as good as before
    except BaseException:
        connection.disconnect()  # an answer that comes late must not be taken for the next one's
        raise
    finally:
        pool.release(connection)


class Script:
    """A Lua script that Redis carries out as one step (https://redis.io/docs/latest/develop/programmability/eval-intro/).

    It is called by its SHA-1; a Redis that does not know it yet is sent the text.
    """

    def __init__(self, client: redis.Redis, text: str) -> None:
        self._client = client
        self._text = text
        self._sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        """What the script returns. Raises as `ask`."""
        try:
            return ask(self._client, "EVALSHA", self._sha, len(keys), *keys, *args)
        except NoScriptError:
            return ask(self._client, "EVAL", self._text, len(keys), *keys, *args)
