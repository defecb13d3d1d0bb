"""Exit codes of the command, and the one-sentence message that explains each error."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click

from imagefleet.errors import BadAnswer, ConnectionLost, ImagefleetError, TlsFailed, UnknownHost, Unreachable
from imagefleet.terminal import plain, retry_advice

FAILED = 1
WRONG_USE = 2
UNREACHABLE = 3
NOT_FINISHED = 4
NOT_UNDERSTOOD = 5
NOT_SAVED = 6
SOME_FAILED = 7
INTERRUPTED = 130

UNAUTHORIZED = 401

CODES = """\b
Exit codes:
  0    done
  1    the server refused, or the request failed or was cancelled
  2    the command line is wrong
  3    the server cannot be reached
  4    the request is not finished yet
  5    the server sent a response that this program does not understand
  6    a file could not be written
  7    some items of a batch failed
  130  interrupted with Ctrl-C"""

# The first matching class decides.
_EXITS: tuple[tuple[type[ImagefleetError], int, str], ...] = (
    (ConnectionLost, UNREACHABLE, "If you were submitting, check with `imagefleet list` before you try again."),
    (UnknownHost, UNREACHABLE, "Check --server or IMAGEFLEET_URL."),
    (TlsFailed, UNREACHABLE, "Check --server or IMAGEFLEET_URL."),
    (Unreachable, UNREACHABLE, "Start the server, or choose another with --server or IMAGEFLEET_URL."),
    (BadAnswer, NOT_UNDERSTOOD, "Check that --server or IMAGEFLEET_URL is the address of an Imagefleet server."),
    (ImagefleetError, FAILED, ""),
)


@contextmanager
def errors_as_exit_codes() -> Iterator[None]:
    """Turn errors into a one-sentence message and an exit code, never a traceback."""
    try:
        yield
    except ImagefleetError as error:
        code, advice = next((code, advice) for kind, code, advice in _EXITS if isinstance(error, kind))
        if error.status == UNAUTHORIZED:
            advice = "Log in with `imagefleet login`, or set IMAGEFLEET_API_KEY."
        _exit(" ".join(part for part in (error.detail, retry_advice(error), advice, _reference(error)) if part), code)
    except KeyboardInterrupt:
        _exit("Interrupted.", INTERRUPTED)
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        _exit(f"Cannot write {error.filename or 'the file'}: {error.strerror}. Choose another --output.", NOT_SAVED)


def fail(sentence: str, code: int = FAILED) -> NoReturn:
    """End the command with a message and an exit code."""
    _exit(sentence, code)


def _exit(sentence: str, code: int) -> NoReturn:
    click.echo(f"imagefleet: {plain(sentence)}", err=True)
    raise click.exceptions.Exit(code)


def _reference(error: ImagefleetError) -> str:
    """The error code and correlation ID, with which an operator finds the error in the server's logs."""
    marks = [mark for mark in (error.code, error.correlation_id and f"correlation id {error.correlation_id}") if mark]
    return f"({', '.join(marks)})" if marks else ""
