"""Exit codes of the command, and the one-sentence message that explains each error."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click

from imagefleet.errors import (
    BadAnswer,
    ConnectionLost,
    ImagefleetError,
    TlsFailed,
    Unauthorized,
    UnknownHost,
    Unreachable,
)
from imagefleet.output.terminal import echo, give_up_output, plain, retry_advice

DONE = 0
FAILED = 1
WRONG_USE = 2
UNREACHABLE = 3
NOT_FINISHED = 4
NOT_UNDERSTOOD = 5
NOT_SAVED = 6
SOME_FAILED = 7
FAULT = 70
INTERRUPTED = 130
PIPE_CLOSED = 141

DEBUG = "IMAGEFLEET_DEBUG"

CODES = """\b
Exit codes:
  0    done
  1    the server refused, or the request failed or was cancelled
  2    the command line or the profile is wrong
  3    the server cannot be reached
  4    it is not finished yet
  5    the server sent a response that this program does not understand
  6    a file could not be read or written
  7    some items of a batch failed
  70   an error in this program
  130  interrupted with Ctrl-C
  141  nothing reads the output any more"""

# The first matching class decides.
_EXITS: tuple[tuple[type[ImagefleetError], int, str], ...] = (
    (ConnectionLost, UNREACHABLE, "If you were submitting, check with `imagefleet list` before you try again."),
    (UnknownHost, UNREACHABLE, "Check --server, IMAGEFLEET_URL or the profile."),
    (TlsFailed, UNREACHABLE, "Check --server, IMAGEFLEET_URL or the profile."),
    (
        Unreachable,
        UNREACHABLE,
        "Start the server, or choose another with --server, IMAGEFLEET_URL or `imagefleet login`.",
    ),
    (
        BadAnswer,
        NOT_UNDERSTOOD,
        "Check that --server, IMAGEFLEET_URL or the profile has the address of an Imagefleet server.",
    ),
    (ImagefleetError, FAILED, ""),
)


@contextmanager
def errors_as_exit_codes() -> Iterator[None]:
    """Turn errors into a one-sentence message and an exit code, never a traceback."""
    try:
        yield
    except ImagefleetError as error:
        code, advice = next((code, advice) for kind, code, advice in _EXITS if isinstance(error, kind))
        _exit(_sentence(error, advice), code)
    except KeyboardInterrupt:
        _exit("Interrupted.", INTERRUPTED)
    except OSError as error:
        _exit_after(error)
    except click.ClickException as error:
        with contextlib.suppress(OSError):  # nothing reads the sentence
            error.show()
        raise click.exceptions.Exit(error.exit_code) from None
    except (click.exceptions.Exit, click.Abort):
        raise
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        what = f"{type(error).__name__}: {error}"
        _exit(f"An error in this program: {what}. Set {DEBUG}=1 to see where, and report it.", FAULT)


def fail(sentence: str, code: int = FAILED) -> NoReturn:
    """End the command with a message and an exit code."""
    _exit(sentence, code)


def _exit_after(error: OSError) -> NoReturn:
    if error.errno == errno.EPIPE:
        give_up_output()
        raise click.exceptions.Exit(PIPE_CLOSED)
    why = error.strerror or str(error)
    if error.filename is None:  # what was printed: the files of this program have names
        give_up_output()
        _exit(f"The output cannot be written: {why}.", NOT_SAVED)
    if isinstance(error, FileNotFoundError):
        _exit(f"There is no {error.filename}.", NOT_SAVED)
    _exit(f"{error.filename} cannot be used: {why}. Choose another one.", NOT_SAVED)


def _exit(sentence: str, code: int) -> NoReturn:
    with contextlib.suppress(OSError):  # nothing reads that either
        echo(f"imagefleet: {plain(sentence)}", err=True)
    raise click.exceptions.Exit(code)


def _sentence(error: ImagefleetError, advice: str) -> str:
    if isinstance(error, Unauthorized):
        advice = "Run `imagefleet login`, or set IMAGEFLEET_API_KEY to a key that the operator gave you."
    parts = (error.detail, retry_advice(error), advice, _reference(error))
    return " ".join(part for part in parts if part)


def _reference(error: ImagefleetError) -> str:
    """The error code and correlation ID, with which an operator finds the error in the server's logs."""
    marks = [mark for mark in (error.code, error.correlation_id and f"correlation id {error.correlation_id}") if mark]
    return f"({', '.join(marks)})" if marks else ""
