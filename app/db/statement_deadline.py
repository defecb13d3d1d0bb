"""Connections to PostgreSQL whose statements have a deadline on this side.

No option of TCP or of the server helps when something in between (a proxy, a frozen server) acknowledges what is sent and never
answers.
"""

import time
from typing import Any

import psycopg
from psycopg.abc import RV, PQGen

STATEMENT_TIMEOUT_S = 6.0  # of a statement or a commit, with its waits for locks


class StatementTimeout(psycopg.OperationalError):
    """The server did not answer in time. It may still execute the statement, or have executed it."""


class LimitedConnection(psycopg.Connection[Any]):
    """A connection that is given up when a statement takes longer than `STATEMENT_TIMEOUT_S`."""

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """As psycopg's, which calls it for each round trip. Raises StatementTimeout."""
        limit_s = STATEMENT_TIMEOUT_S if timeout is None else timeout
        ends = time.monotonic() + limit_s
        try:
            return super().wait(gen, interval, limit_s)
        except psycopg.OperationalError as error:
            if time.monotonic() < ends:
                raise
            self.close()  # its state is unknown
            raise StatementTimeout(f"PostgreSQL did not answer within {limit_s:g} s.") from error
