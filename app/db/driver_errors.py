"""What each error of a database driver becomes: the table is in docs/reliability.md, "Errors of the database"."""

from enum import StrEnum

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, NotSupportedError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.db.statement_deadline import StatementTimeout

DEFECTS = (DataError, IntegrityError, NotSupportedError, ProgrammingError)
# SQLSTATE: serialization failure, deadlock, idle-in-transaction time-out, transaction time-out
ROLLED_BACK = {"40001", "40P01", "25P03", "25P04"}


class Outcome(StrEnum):
    RETRY = "retry"  # the transaction was rolled back, and another run may succeed
    UNAVAILABLE = "unavailable"  # 503, or a later attempt of a worker
    DEFECT = "defect"  # of this program or its schema: raised as it is


def outcome(error: DBAPIError | PoolTimeout) -> Outcome:
    """What this error, as SQLAlchemy raised it, becomes."""
    if isinstance(error, DEFECTS):
        return Outcome.DEFECT
    return Outcome.RETRY if isinstance(error, DBAPIError) and _is_undone(error) else Outcome.UNAVAILABLE


def hide_values(error: DBAPIError) -> None:
    """Remove the values of rows and parameters from the error's texts, which will be logged."""
    for each in (error, error.orig):
        if isinstance(each, BaseException) and each.args:
            text = type(error.orig).__name__ if isinstance(error, DataError) else str(each.args[0])
            each.args = (text.partition("\n")[0],)  # PostgreSQL's DETAIL, in the next line, quotes the row


def _is_undone(error: DBAPIError) -> bool:
    """True if the transaction was certainly rolled back, and a retry may succeed."""
    if getattr(error.orig, "sqlstate", None) in ROLLED_BACK:
        return True
    if isinstance(error.orig, StatementTimeout):
        return False  # the next attempt would be waited for as long
    # A pooled connection was broken. Without a statement it was the commit that failed, and its outcome is unknown.
    return error.connection_invalidated and error.statement is not None
