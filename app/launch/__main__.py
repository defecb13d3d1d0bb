"""`make run`: the whole service on this machine, from one command until Ctrl-C."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

from app.config import BadSetting, Settings
from app.environment import Environment
from app.launch.banner import banner
from app.launch.checks import NotReady, check_ports, check_tls, writable_folder
from app.launch.console import print_block, print_error, print_line
from app.launch.embedded import FOLDER, embedded_redis
from app.launch.health import is_healthy
from app.launch.process import Command
from app.launch.procfile import read_procfile
from app.launch.schema import migrate
from app.launch.storage import check_storage
from app.launch.supervisor import Supervisor
from app.service_address import local_authority, scheme

NAME = "imagefleet"
REDIS = FOLDER.resolve()
DATA = REDIS.parent
PROCFILE = Path("Procfile")

# Seconds that each may take to end: a little more than it gives its own work (gunicorn.conf.py, worker/__main__.py).
GRACE_S = {"web": 30.0, "worker": 35.0}
START_S = 60.0
MAX_QUICK_EXITS = 4
POLL_S = 0.1


def environment(settings: Settings, redis_url: str) -> dict[str, str]:
    """The processes' environment: each setting whose default is decided here."""
    # not resolved: in a venv, python is a link to a folder without the other programs
    programs = str(Path(sys.executable).parent)
    return {
        "PORT": str(settings.port),
        "WS_PORT": str(settings.ws_port or ""),
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": redis_url,
        "LOG_FORMAT": _log_format(settings),
        "PATH": os.pathsep.join([programs, os.environ.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "1",
    }


def _log_format(settings: Settings) -> str:
    """The processes write into a pipe; what LOG_FORMAT=auto means is decided by where it is printed."""
    return "text" if settings.log_format == "auto" and sys.stdout.isatty() else settings.log_format


def extension(settings: Settings) -> Command:
    """The reference extension, so that the first request succeeds without a browser.

    Over TLS it connects to the name in the certificate; SSL_CERT_FILE is the authority of a certificate of your own.
    """
    local = f"{scheme(settings)}://{local_authority(settings, settings.port)}"
    server = (settings.tls and settings.public_url) or local
    python_path = os.pathsep.join(filter(None, ["client", os.environ.get("PYTHONPATH")]))
    argv = (sys.executable, "-m", "imagefleet", "extension", "--server", server)
    return Command("extension", argv, env={"PYTHONPATH": python_path, "PYTHONUNBUFFERED": "1"})


async def wait_until_ready(
    supervisor: Supervisor, name: str, condition: Callable[[], Awaitable[bool]], output: str = "see its output above"
) -> None:
    """Wait until a process is ready. Raises NotReady if it exits again and again, or takes too long."""
    deadline = time.monotonic() + START_S
    while not await condition():
        if supervisor.quick_exits[name] >= MAX_QUICK_EXITS or time.monotonic() >= deadline:
            raise NotReady(f"{name} does not start; {output}.")
        await asyncio.sleep(POLL_S)


async def redis_url(supervisor: Supervisor, until_exit: ExitStack) -> str:
    """REDIS_URL, or the URL of an embedded server that is started here."""
    if url := Environment(os.environ).text("REDIS_URL", ""):
        return url
    for folder in (DATA, REDIS):
        writable_folder(folder, "REDIS_URL")
    server = until_exit.enter_context(embedded_redis(REDIS))
    supervisor.start(Command("redis", tuple(server.command)))
    output = f"see its output in {server.log}"
    await wait_until_ready(supervisor, "redis", lambda: asyncio.to_thread(server.is_ready), output)
    return server.url


async def launch(settings: Settings, *, demo: bool) -> None:
    """Start everything in order and keep it running until a signal arrives. Raises NotReady."""
    processes = read_procfile(PROCFILE)
    check_ports(settings)
    check_tls(settings)
    await asyncio.to_thread(check_storage, settings)
    with ExitStack() as until_exit:
        async with Supervisor(print_line, print_line) as supervisor:
            env = environment(settings, await redis_url(supervisor, until_exit))
            await asyncio.to_thread(migrate, settings)
            for name, argv in processes.items():
                supervisor.start(Command(name, argv, GRACE_S.get(name, 10.0), env))
            await wait_until_ready(supervisor, "web", lambda: is_healthy(settings))
            if demo:
                supervisor.start(extension(settings))
            print_block(banner(settings, demo=demo))
            await supervisor.run()
        print_line(NAME, "stopped")


def main() -> int:
    """Returns the exit status: 0 after a requested stop, 1 where a check failed, 2 for a bad setting."""
    try:
        settings = Settings.from_env()
        demo = Environment(os.environ).choice("DEMO", "on", "on", "off") == "on"
        # with AUTH_MODE=required the reference extension has no token to connect with
        asyncio.run(launch(settings, demo=demo and not settings.auth_required))
    except (BadSetting, NotReady) as problem:
        print_error(problem)
        return 2 if isinstance(problem, BadSetting) else 1
    except KeyboardInterrupt:  # before anything was started
        return 128 + signal.SIGINT
    return 0


if __name__ == "__main__":
    sys.exit(main())
