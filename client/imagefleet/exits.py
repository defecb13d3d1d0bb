"""How the command ends: an exit code for each kind of end, and one sentence that names what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import click

from imagefleet.errors import BadAnswer, ConnectionLost, ImagefleetError, TimedOut, Unreachable
from imagefleet.terminal import plain

FAILED = 1
UNREACHABLE = 3
NOT_FINISHED = 4
NOT_UNDERSTOOD = 5
NOT_SAVED = 6
INTERRUPTED = 130

CODES = """\b
Exit codes:
  0    done
  1    the server refused, or the request failed or was cancelled
  2    the command line is wrong
  3    the server cannot be reached
  4    the request is not finished yet
  5    the server answered something that this program does not understand
  6    a file could not be written
  130  interrupted with Ctrl-C"""

# The first class that an error belongs to decides.
_ENDS: tuple[tuple[type[ImagefleetError], int, str], ...] = (
    (ConnectionLost, UNREACHABLE, "If you were submitting, look with `imagefleet list` before you try again."),
    (Unreachable, UNREACHABLE, "Start the server, or name another with --server or IMAGEFLEET_URL."),
    (TimedOut, NOT_FINISHED, "Follow it with `imagefleet get --wait`."),
    (BadAnswer, NOT_UNDERSTOOD, "Check that --server or IMAGEFLEET_URL names an Imagefleet server."),
    (ImagefleetError, FAILED, ""),
)


@contextmanager
def told_in_a_sentence() -> Iterator[None]:
    """Errors end the command with a sentence and their exit code; never with a traceback."""
    try:
        yield
    except ImagefleetError as error:
        code, advice = next((code, advice) for kind, code, advice in _ENDS if isinstance(error, kind))
        _end(" ".join(part for part in (error.detail, _again(error), advice, _marks(error)) if part), code)
    except KeyboardInterrupt:
        _end("Interrupted.", INTERRUPTED)
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        _end(f"Cannot write {error.filename or 'the file'}: {error.strerror}. Choose another --output.", NOT_SAVED)


def fail(sentence: str, code: int = FAILED) -> None:
    """End the command."""
    _end(sentence, code)


def _end(sentence: str, code: int) -> None:
    click.echo(f"imagefleet: {plain(sentence)}", err=True)
    raise click.exceptions.Exit(code)


def _again(error: ImagefleetError) -> str:
    return f"Try again in {error.retry_after_s:.0f} s." if error.retry_after_s else ""


def _marks(error: ImagefleetError) -> str:
    """What the operator of the server needs to find the case."""
    marks = [mark for mark in (error.code, error.correlation_id and f"correlation id {error.correlation_id}") if mark]
    return f"({', '.join(marks)})" if marks else ""
