"""The entry point of Celery's command line: `celery -A celery_config …`. Other code imports app.adapters.celery_app.

`python -m worker` starts the workers, and the Procfile starts beat.
"""

import logging
import os
import signal
import sys

from celery.signals import beat_init, setup_logging

from app import logs
from app.adapters.celery_app import make_celery
from app.config import BadSetting, Settings
from app.launch.console import print_error

VERBOSE = ("celery.app.trace", "celery.beat", "celery.worker.strategy")  # they log several lines for each task


@setup_logging.connect
def _configure_logs(loglevel: int, **_: object) -> None:
    """Make workers and beat log like the web processes. `loglevel` is from their command line."""
    logs.configure(logging.getLevelName(loglevel), Settings.from_env().log_format)
    for name in VERBOSE:
        logging.getLogger(name).setLevel(loglevel if loglevel <= logging.DEBUG else logging.WARNING)


@beat_init.connect
def _exit_on_signals(**_: object) -> None:
    """Exit without Celery's handler, which raises SystemExit: inside a Redis command that is swallowed and beat goes on.

    Nothing has to be saved: the schedule is in memory, and the next beat makes up for a missed tick.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))


try:
    celery = make_celery(Settings.from_env())
except BadSetting as problem:  # Celery's command line would print a traceback
    print_error(problem)
    sys.exit(2)
