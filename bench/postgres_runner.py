"""`python -m bench.postgres_runner <pid>`: the PostgreSQL server of the tests, with durable commits as in production."""

from __future__ import annotations

import sys

from tests.support import postgres_runner

CONFIGURATION = "fsync=on\nsynchronous_commit=on\nfull_page_writes=on\nmax_connections=200\nshared_buffers=512MB\nmax_wal_size=4GB\n"

if __name__ == "__main__":
    postgres_runner.CONFIGURATION = CONFIGURATION
    postgres_runner.run_until_end_of(int(sys.argv[1]))
