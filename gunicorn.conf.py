"""gunicorn's settings for HTTP and sockets. Operators configure the variables that app/config.py reads instead."""

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

from app import metrics_folders
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
    metrics_folders.claim(settings.metrics_folder, "web")
except BadSetting as problem:
    sys.exit(str(problem))

HOST = f"[{settings.host}]" if ":" in settings.host else settings.host
SHUTDOWN_S = 2.0
HANDSHAKE_S = 10.0
MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108 - where Linux keeps files in memory

bind = [f"{HOST}:{port}" for port in (settings.port, settings.ws_port) if port]
workers = settings.web_processes

# Each connection is a greenlet, and an open WebSocket holds its greenlet for as long as it lives. Beyond this limit of a
# process new connections wait, so it is above what one core can serve, and the limit of open files is raised to match.
worker_class = "app.serving.worker.Worker"
worker_connections = 20_000

# A worker without a heartbeat for `timeout` seconds is stuck and is replaced. After SIGTERM, requests in progress have
# `graceful_timeout` seconds. An idle connection is closed after `keepalive` seconds, before its first request too, and a
# request's head must arrive within that time; bodies must arrive at a pace (app/serving/bodies.py).
timeout = 60
graceful_timeout = 20
keepalive = 5

# The application has stricter limits; these are for what never reaches it.
limit_request_line = 8190
limit_request_fields = 64
limit_request_field_size = 8190

# gunicorn trusts no X-Forwarded-* header: app/web/proxies.py handles them, for TRUSTED_PROXIES.
forwarded_allow_ips = ""

certfile, keyfile = (str(settings.tls.certificate), str(settings.tls.key)) if settings.tls else (None, None)

# Requests are logged by the application, as JSON with the correlation id.
accesslog = None
loglevel = {"info": "warning", "debug": "info"}.get(settings.log_level, settings.log_level)

# The control socket has the same path for every gunicorn of a user: a second one would take over that of the first.
control_socket_disable = True

# The heartbeat is a file that is touched each second; on a busy disk that can take longer than `timeout`.
worker_tmp_dir = str(MEMORY_FOLDER) if MEMORY_FOLDER.is_dir() else None


def on_starting(server: Arbiter) -> None:
    """Refuse to start, in one line, where every worker would fail; raise the limit of open files."""
    if not (server.master_pid or "LISTEN_FDS" in os.environ):  # listeners handed over are bound already
        try:
            check_ports(settings)
            check_tls(settings)
        except NotReady as problem:
            sys.exit(str(problem))
    if settings.open_to_all:
        server.log.warning("AUTH_MODE=open: everyone who can reach this service can use it as any user.")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * worker_connections
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most))


def ssl_context(_config: object, make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """TLS 1.2 or later. A client that fails the handshake, or takes too long, is disconnected without a line in the log."""
    context = make()
    wrap = context.wrap_socket

    def handshake(sock: socket.socket, **options: Any) -> ssl.SSLSocket:
        try:
            with gevent.Timeout(HANDSHAKE_S, TimeoutError):
                return wrap(sock, **options)
        except OSError:
            sock.close()
            raise gevent.GreenletExit from None

    context.wrap_socket = handshake
    return context


def post_fork(server: Arbiter, worker: Worker) -> None:
    """A worker ends with its master, even if the master is killed."""
    end_with_parent(server.pid)


def post_worker_init(worker: Worker) -> None:
    """Shut the hub down before a worker stops for a signal, because gunicorn sends no close frames to WebSockets.

    The objects loaded so far are never garbage: a full collection that visits them pauses the worker for about 100 ms.
    """
    gc.collect()
    gc.freeze()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, partial(_shut_down_first, worker, signal.getsignal(number)))


def worker_exit(server: Arbiter, worker: Worker) -> None:
    """Close the hub; a worker that failed to boot has none."""
    if worker.booted:
        worker.wsgi.extensions["hub"].close()


def _shut_down_first(
    worker: Worker, stop: Callable[[int, FrameType | None], None], number: int, frame: FrameType | None
) -> None:
    # In its own greenlet: the signal may arrive while the event loop itself runs, which must not wait.
    gevent.spawn(_shut_down, worker.wsgi.extensions["hub"], partial(stop, number, frame))


def _shut_down(hub: Hub, stop: Callable[[], None]) -> None:
    try:
        with gevent.Timeout(SHUTDOWN_S, False):
            hub.shutdown()
    finally:
        stop()
