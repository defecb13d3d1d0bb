"""The entry point of Celery's command line: `celery -A celery_config …`. Other code imports app.adapters.celery_app.

`python -m worker` runs its workers, the Procfile its beat.
"""

from __future__ import annotations

import logging
import os
import signal
import sys

from celery.signals import beat_init, setup_logging

from app import logs
from app.adapters.celery_app import make_celery
from app.config import BadSetting, Settings
from app.launch.console import print_error

CHATTY = ("celery.app.trace", "celery.beat", "celery.worker.strategy")  # several lines a task, and a tick is a task


@setup_logging.connect
def _configure_logs(loglevel: int, **_: object) -> None:
    """Workers and beat log as the web does; `loglevel` is that of their command line."""
    logs.configure(logging.getLevelName(loglevel), Settings.from_env().log_format)
    for name in CHATTY:
        logging.getLogger(name).setLevel(loglevel if loglevel <= logging.DEBUG else logging.WARNING)


@beat_init.connect
def _exit_at_once_when_stopped(**_: object) -> None:
    """Celery raises SystemExit wherever beat happens to be, and inside a Redis command it is lost: beat went on for ever.

    There is nothing to be saved: the schedule is in memory, and the next beat makes up for a tick that was not sent.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))


try:
    celery = make_celery(Settings.from_env())
except BadSetting as problem:  # an exception would become a traceback of Celery's command line
    print_error(problem)
    sys.exit(2)
