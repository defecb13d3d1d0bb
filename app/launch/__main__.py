"""`make run`: everything that the service needs, on this machine, from one command until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

from app.config import BadSetting, Settings
from app.launch.banner import greeting
from app.launch.checks import NotReady, check_folders, check_ports, check_tls, writable_folder
from app.launch.console import complain, say, tell
from app.launch.embedded import embedded_redis
from app.launch.health import is_healthy, local_authority, scheme
from app.launch.procfile import read_procfile
from app.launch.schema import migrate
from app.launch.service import Service
from app.launch.supervisor import Supervisor

US = "imagefleet"
DATA = Path("data").resolve()
PROCFILE = Path("Procfile")

# How long each may take to end, in seconds: what it gives its own work (gunicorn.conf.py, worker/__main__.py) and a bit.
GRACE_S = {"web": 30.0, "worker": 35.0}
START_S = 60.0
FUTILE_STARTS = 4
POLL_S = 0.1


def given(variable: str) -> str:
    """A variable of the environment; "" counts as not set."""
    return os.environ.get(variable, "").strip()


def environment(settings: Settings, redis_url: str) -> dict[str, str]:
    """What the processes are told: each setting that has a default of its own here, spelled out."""
    programs = str(
        Path(sys.executable).parent
    )  # not resolved: in a venv, python is a link and its siblings are not there
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


def extension(settings: Settings) -> Service:
    """The reference extension, so that the first request is done without a browser.

    Over TLS it asks for the name that the certificate is for; SSL_CERT_FILE names who vouches for one of your own.
    """
    local = f"{scheme(settings)}://{local_authority(settings, settings.port)}"
    server = (settings.tls and settings.public_url) or local
    python_path = os.pathsep.join(filter(None, ["client", given("PYTHONPATH")]))
    command = (sys.executable, "-m", "imagefleet", "extension", "--server", server)
    return Service("extension", command, env={"PYTHONPATH": python_path, "PYTHONUNBUFFERED": "1"})


async def answering(
    supervisor: Supervisor, name: str, condition: Callable[[], Awaitable[bool]], said: str = "what it said stands above"
) -> None:
    """Wait until a service answers. Raises NotReady where it ends again and again, or where it takes too long."""
    deadline = time.monotonic() + START_S
    while not await condition():
        if supervisor.short_lives[name] >= FUTILE_STARTS or time.monotonic() >= deadline:
            raise NotReady(f"{name} does not start; {said}.")
        await asyncio.sleep(POLL_S)


async def redis_url(supervisor: Supervisor, until_exit: ExitStack) -> str:
    """REDIS_URL, or that of a server that is started for it."""
    if url := given("REDIS_URL"):
        return url
    for folder in (DATA, DATA / "redis"):
        writable_folder(folder, "REDIS_URL")
    server = until_exit.enter_context(embedded_redis(DATA / "redis"))
    supervisor.start(Service("redis", tuple(server.command)))
    said = f"what it said is in {server.log}"
    await answering(supervisor, "redis", lambda: asyncio.to_thread(server.answers), said)
    return server.url


def wants_demo() -> bool:
    """False where DEMO=off leaves the reference extension out. Raises BadSetting."""
    demo = given("DEMO").lower() or "on"
    if demo not in {"on", "off"}:
        raise BadSetting(f"DEMO={demo!r} cannot be used: it must be one of off, on.")
    return demo == "on"


async def launch(settings: Settings, *, demo: bool) -> None:
    """Start everything in order and keep it running until somebody asks us to stop. Raises NotReady."""
    processes = read_procfile(PROCFILE)
    check_ports(settings)
    check_tls(settings)
    check_folders(settings)
    with ExitStack() as until_exit:
        async with Supervisor(say, say) as supervisor:
            env = environment(settings, await redis_url(supervisor, until_exit))
            await asyncio.to_thread(migrate, settings)
            for name, command in processes.items():
                supervisor.start(Service(name, command, GRACE_S.get(name, 10.0), env))
            await answering(supervisor, "web", lambda: is_healthy(settings))
            if demo:
                supervisor.start(extension(settings))
            tell(greeting(settings, demo=demo))
            await supervisor.run()
        say(US, "stopped")


def main() -> int:
    """Returns the exit status: 0 after a stop that was asked for, 1 where something is in the way, 2 for a bad setting."""
    try:
        settings = Settings.from_env()
        # the reference extension has no token, and a name that nobody could have made one for
        asyncio.run(launch(settings, demo=wants_demo() and not settings.auth_required))
    except (BadSetting, NotReady) as problem:
        complain(problem)
        return 2 if isinstance(problem, BadSetting) else 1
    except KeyboardInterrupt:  # before there was anything to stop
        return 128 + signal.SIGINT
    return 0


if __name__ == "__main__":
    sys.exit(main())
