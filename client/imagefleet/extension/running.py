"""Runs the reference extension as a program: default ID, log lines, and shutdown on SIGTERM or Ctrl-C."""

from __future__ import annotations

import contextlib
import re
import secrets
import signal
import socket
import threading
from datetime import datetime

import click

from imagefleet.extension import Extension
from imagefleet.output.terminal import plain

END_S = 1.0


def default_id() -> str:
    """A unique ID that contains the host name."""
    host = re.sub(r"[^A-Za-z0-9-]+", "-", socket.gethostname()).strip("-")[:60] or "host"
    return f"reference-{host}-{secrets.token_hex(3)}"


def run_until_signal(extension: Extension) -> None:
    """Work until SIGTERM or Ctrl-C; a second one ends it at once."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_run, args=(extension, ended), name="extension", daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):
        while not ended.wait(1.0):
            pass
    extension.stop()
    ended.wait(END_S)
    log_line("stopped")


def log_line(line: str) -> None:
    """Print a line with the local time. A closed stdout does not stop the extension."""
    with contextlib.suppress(OSError, ValueError):
        click.echo(f"{datetime.now().astimezone():%H:%M:%S} {plain(line)}")


def _run(extension: Extension, ended: threading.Event) -> None:
    try:
        extension.run()
    finally:
        ended.set()


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
