"""How gunicorn serves HTTP and sockets. What operators choose are the variables that app/config.py reads."""

from __future__ import annotations

import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import gevent

from app.config import BadSetting, Settings
from app.launch.checks import NotReady, check_ports, check_tls
from app.launch.parent_death import end_with_parent

if TYPE_CHECKING:
    import ssl

    from gunicorn.arbiter import Arbiter
    from gunicorn.workers.base import Worker

    from app.hub.hub import Hub

try:
    settings = Settings.from_env()
except BadSetting as problem:
    sys.exit(str(problem))

HOST = f"[{settings.host}]" if ":" in settings.host else settings.host
LEAVE_S = 2.0
HANDSHAKE_S = 10.0
MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108 - where Linux keeps files in memory

bind = [f"{HOST}:{port}" for port in (settings.port, settings.ws_port) if port]
workers = settings.web_processes

# Each connection is a greenlet, each open socket holds one for as long as it lives. Beyond the limit of a process new
# connections wait unanswered, so it lies above what one core can serve, and open files are allowed to match.
worker_class = "app.serving.worker.Worker"
worker_connections = 20_000

# A worker that says nothing for `timeout` seconds is stuck and is replaced. At SIGTERM requests under way have
# `graceful_timeout` seconds. A silent connection is kept for `keepalive` seconds, before its first request too.
timeout = 60
graceful_timeout = 20
# A head has to come within `keepalive`, too, and a body at a pace (app/serving/bodies.py).
keepalive = 5

# The application's own limits are narrower; these stop what never reaches it.
limit_request_line = 8190
limit_request_fields = 64
limit_request_field_size = 8190

# Nobody is believed here about whom he speaks for: app/web/proxies.py does that, for TRUSTED_PROXIES.
forwarded_allow_ips = ""

certfile, keyfile = (str(settings.tls.certificate), str(settings.tls.key)) if settings.tls else (None, None)

# Requests are logged by the application, as JSON with the correlation id.
accesslog = None
loglevel = {"info": "warning", "debug": "info"}.get(settings.log_level, settings.log_level)

# The control socket has one path for every gunicorn of a user: a second one would take over the first one's.
control_socket_disable = True

# The sign of life is a file that is touched each second; on a busy disk that can take longer than `timeout`.
worker_tmp_dir = str(MEMORY_FOLDER) if MEMORY_FOLDER.is_dir() else None


def on_starting(server: Arbiter) -> None:
    """Say in one line what would fail again and again, and let processes open as many files as they may."""
    if not (server.master_pid or "LISTEN_FDS" in os.environ):  # listeners handed over are bound already
        try:
            check_ports(settings)
            check_tls(settings)
        except NotReady as problem:
            sys.exit(str(problem))
    if settings.open_to_all:
        server.log.warning("AUTH_MODE=open: everybody who reaches this service may use it as anybody.")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * worker_connections
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most))


def ssl_context(_config: object, make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """TLS 1.2 or later; whoever does not shake hands, or not in time, is gone without a trace in the log."""
    context = make()
    wrap = context.wrap_socket

    def shake_hands(sock: socket.socket, **options: Any) -> ssl.SSLSocket:
        try:
            with gevent.Timeout(HANDSHAKE_S, TimeoutError):
                return wrap(sock, **options)
        except OSError:
            sock.close()
            raise gevent.GreenletExit from None

    context.wrap_socket = shake_hands
    return context


def post_fork(server: Arbiter, worker: Worker) -> None:
    """A worker ends with its master, even where that was killed."""
    end_with_parent(server.pid)


def post_worker_init(worker: Worker) -> None:
    """Before a worker stops for a signal its hub takes leave of those who are connected: gunicorn sends no close frames.

    What was loaded stays: to look through all of it for garbage, again and again, takes some 100 ms in which nobody is served.
    """
    gc.collect()
    gc.freeze()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, partial(_take_leave, worker, signal.getsignal(number)))


def worker_exit(server: Arbiter, worker: Worker) -> None:
    """The hub ends; there is none in a worker that could not begin."""
    if worker.booted:
        worker.wsgi.extensions["hub"].close()


def _take_leave(
    worker: Worker, stop: Callable[[int, FrameType | None], None], number: int, frame: FrameType | None
) -> None:
    # In a greenlet of its own: a signal may come while the loop itself runs, where nothing may wait.
    gevent.spawn(_leave, worker.wsgi.extensions["hub"], partial(stop, number, frame))


def _leave(hub: Hub, stop: Callable[[], None]) -> None:
    try:
        with gevent.Timeout(LEAVE_S, False):
            hub.shutdown()
    finally:
        stop()
