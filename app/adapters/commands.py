"""Commands to Redis as bare as they can be: for what is asked at every step of every request.

redis-py keeps times and counts for observers around each command and around each loan of a connection, which costs as much
again as the command. Here are the same connections, and nothing around them.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from typing import Any

import redis
from redis.exceptions import NoScriptError


class Commands:
    """Asks Redis over connections of a client's pool, which stay here; there are as many as ever asked at one moment."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._idle: list[Any] = []
        self._told: list[Any] = []  # those on which an answer is left

    def ask(self, *command: str | int) -> Any:
        """Redis's answer to one command. Raises RedisError; then it may or may not have been carried out."""
        connection = self._take()
        try:
            connection.send_packed_command(_packed(command))
            answer = connection.read_response()
        except redis.ResponseError:
            self._idle.append(connection)  # a whole answer: the connection is as good as before
            raise
        except BaseException:
            self._give_up(connection)  # an answer that comes late must not be taken for the next one's
            raise
        self._idle.append(connection)
        return answer

    def tell(self, *command: str | int) -> None:
        """Send one command, and leave its answer to whoever tells something next: it is there by then, so nobody waits for it.

        Raises RedisError where it could not be sent, and, once it is sent, where the one told before was not carried out.
        """
        problem = self._hear_out()
        connection = self._take()
        try:
            connection.send_packed_command(_packed(command))
        except BaseException:
            self._give_up(connection)
            raise
        self._told.append(connection)
        if problem is not None:
            raise problem

    @property
    def answered(self) -> bool:
        """True where the answer to what was told before has come: to tell something now is to wait for nobody."""
        return bool(self._told) and bool(self._told[-1].can_read())

    def _hear_out(self) -> redis.RedisError | None:
        """Read an answer that is left, and what was wrong with it."""
        if not self._told:
            return None
        connection = self._told.pop()
        try:
            connection.read_response()
        except redis.ResponseError as refusal:
            self._idle.append(connection)
            return refusal
        except redis.RedisError as problem:
            self._give_up(connection)
            return problem
        except BaseException:
            self._give_up(connection)
            raise
        self._idle.append(connection)
        return None

    def _take(self) -> Any:
        """A connection that stands, and on which nothing is waiting to be read."""
        while self._idle:
            connection = self._idle.pop()
            with contextlib.suppress(redis.RedisError):
                if not connection.can_read():
                    return connection
            self._give_up(connection)
        return self._client.connection_pool.get_connection()

    def _give_up(self, connection: Any) -> None:
        connection.disconnect()
        self._client.connection_pool.release(connection)


def _packed(command: Sequence[str | int]) -> list[bytes]:
    """As it goes there (https://redis.io/docs/latest/develop/reference/protocol-spec/): redis-py's own way takes twice as long."""
    parts = [b"*%d\r\n" % len(command)]
    for word in command:
        said = word.encode() if isinstance(word, str) else b"%d" % word
        parts.append(b"$%d\r\n%b\r\n" % (len(said), said))
    return [b"".join(parts)]


class Script:
    """A Lua script that Redis carries out as one step (https://redis.io/docs/latest/develop/programmability/eval-intro/).

    It is called by its SHA-1; a Redis that does not know it yet is sent the text.
    """

    def __init__(self, commands: Commands, text: str) -> None:
        self._commands = commands
        self._text = text
        self._sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        """What the script returns. Raises as `Commands.ask`."""
        try:
            return self._commands.ask("EVALSHA", self._sha, len(keys), *keys, *args)
        except NoScriptError:
            return self._commands.ask("EVAL", self._text, len(keys), *keys, *args)
