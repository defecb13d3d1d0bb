"""Connections to PostgreSQL that take statements straight to libpq (`psycopg.pq`), several in one go where nobody has to know
what came of one before the next is said.

A cursor of psycopg takes as long as its question does, and each way there and back as long again. SQLAlchemy's own
statements go by cursors as ever; what is not sent yet is sent before them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import psycopg
from psycopg import generators
from psycopg.abc import PQGen
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, PipelineStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

Row = Sequence[Any]

BEGIN, COMMIT, ROLLBACK = "BEGIN", "COMMIT", "ROLLBACK"
_REFUSED = {ExecStatus.FATAL_ERROR, ExecStatus.PIPELINE_ABORTED}


class Answer:
    """What comes of one statement; whoever asks for it before it has come waits for it. Once it is there it needs no connection."""

    __slots__ = ("_connection", "_done", "_rowcount", "_rows", "text", "values")

    def __init__(self, connection: DirectConnection, text: str, values: Sequence[Any]) -> None:
        self._connection = connection
        self._rows: list[Row] | None = None
        self._rowcount = 0
        self._done = b""
        self.text = text
        self.values = values

    def come(self, result: PGresult) -> None:
        """This came. Raises psycopg.Error where the server refused the statement."""
        _look(result)
        self._rowcount = result.command_tuples or 0
        self._done = result.command_status or b""
        self._rows = self._connection.rows(result)

    def fetchall(self) -> list[Row]:
        """All rows."""
        if self._rows is None:
            self._connection.send()
        if self._rows is None:
            raise psycopg.InterfaceError("the transaction ended before this was sent")
        return self._rows

    def fetchone(self) -> Row | None:
        """The first row, or None."""
        rows = self.fetchall()
        return rows[0] if rows else None

    @property
    def rowcount(self) -> int:
        """How many rows were inserted, changed or removed, or are here."""
        self.fetchall()
        return self._rowcount

    @property
    def done(self) -> str:
        """What the server calls what it did: `COMMIT`, `INSERT 0 1`."""
        self.fetchall()
        return self._done.decode()

    def close(self) -> None:
        """There is nothing to give back."""


class DirectConnection(psycopg.Connection[Any]):
    """A connection with `ask` and `tell`, whose statements have the server's own placeholders: `$1` and so on."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._unsent: list[Answer] = []
        self._names: dict[str, bytes] = {}  # of the statements that are prepared, by their texts
        self._adapting = Transformer(self)

    def ask(self, text: str, values: Sequence[Any] = ()) -> Answer:
        """What comes of a statement. Raises psycopg.Error, also for what was only told before it."""
        answer = self.tell(text, values)
        self.send()
        return answer

    def tell(self, text: str, values: Sequence[Any] = ()) -> Answer:
        """Have a statement sent with what is asked next, at the end of the transaction at last: what is wrong with it is raised
        there."""
        if self._begins_with_this():
            self._unsent.append(Answer(self, BEGIN, ()))
        answer = Answer(self, text, self._adapting.dump_sequence(values, [PyFormat.TEXT] * len(values)))
        self._unsent.append(answer)
        return answer

    def send(self) -> None:
        """Send what is not sent yet and wait for what comes. Raises psycopg.Error."""
        if (
            self.pgconn.pipeline_status != PipelineStatus.OFF
        ):  # what comes would be taken for the answer to something else
            raise psycopg.OperationalError("the connection was left in the middle of an answer")
        answers, self._unsent = self._unsent, []
        if len(answers) == 1 and answers[0].text in self._names:
            self._send_alone(answers[0])
        elif answers:
            self._send_together(answers)

    def commit(self) -> None:
        """As psycopg's; what is not sent yet goes in one go with it. Raises psycopg.Error, also where something was refused before
        and nobody undid it: there the server would undo it without a word."""
        if (self._unsent or self._in_transaction()) and self.ask(COMMIT).done != COMMIT:
            raise psycopg.errors.InFailedSqlTransaction("what was to be committed was undone")

    def rollback(self) -> None:
        """As psycopg's, but what is prepared is kept: nobody makes or removes tables over these connections."""
        self._unsent.clear()
        if self._in_transaction():
            self.ask(ROLLBACK)

    def cursor(self, *args: Any, **more: Any) -> Any:
        """As psycopg's; what is not sent yet comes before whatever it is used for."""
        self.send()
        return super().cursor(*args, **more)

    def rows(self, result: PGresult) -> list[Row]:
        """The rows of a result, with their values as Python has them."""
        if result.status != ExecStatus.TUPLES_OK:
            return []
        self._adapting.set_pgresult(result)
        return self._adapting.load_rows(0, result.ntuples, tuple)

    def _in_transaction(self) -> bool:
        return self.pgconn.transaction_status != TransactionStatus.IDLE

    def _begins_with_this(self) -> bool:
        return not (self.autocommit or self._unsent or self._in_transaction())

    def _send_alone(self, answer: Answer) -> None:
        self.pgconn.send_query_prepared(self._names[answer.text], answer.values)
        _take([answer.come], self.wait(generators.execute(self.pgconn)))

    def _send_together(self, answers: Sequence[Answer]) -> None:
        """Of what follows a refused one the server does nothing
        (https://www.postgresql.org/docs/current/libpq-pipeline-mode.html)."""
        server = self.pgconn
        server.enter_pipeline_mode()
        steps: list[Callable[[PGresult], None]] = []
        names = dict(self._names)
        for answer in answers:
            if answer.text not in names:
                names[answer.text] = name = b"direct_%d" % len(names)
                server.send_prepare(name, answer.text.encode())
                steps.append(partial(self._know, answer.text, name))
            server.send_query_prepared(names[answer.text], answer.values)
            steps.append(answer.come)
        server.pipeline_sync()
        results = self.wait(_results(server, len(steps)))
        server.exit_pipeline_mode()
        _take(steps, results)

    def _know(self, text: str, name: bytes, result: PGresult) -> None:
        _look(result)
        self._names[text] = name


def _results(server: PGconn, many: int) -> PQGen[list[PGresult]]:
    """Those of a pipeline of so many steps."""
    yield from generators.send(server)
    results: list[PGresult] = []
    for _ in range(many + 1):  # and one that says that the pipeline ends
        results += yield from generators.fetch_many(server)
    return results


def _take(steps: Sequence[Callable[[PGresult], None]], results: Sequence[PGresult]) -> None:
    """Each step takes its result; a connection that ended has fewer, and mostly an error for its last word."""
    for step, result in zip(steps, results, strict=False):
        step(result)
    if len(results) < len(steps):
        raise psycopg.OperationalError("the connection ended before all had come")


def _look(result: PGresult) -> None:
    if result.status in _REFUSED:
        raise error_from_result(result)
