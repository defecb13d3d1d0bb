"""`python -m bench.postgres_guard <pid>`: the PostgreSQL of tests, but durable, as one that is measured must be."""

from __future__ import annotations

import sys

from tests.support import postgres_guard

CONFIGURATION = "fsync=on\nsynchronous_commit=on\nfull_page_writes=on\nmax_connections=200\nshared_buffers=512MB\nmax_wal_size=4GB\n"

if __name__ == "__main__":
    postgres_guard.CONFIGURATION = CONFIGURATION
    postgres_guard.guard(int(sys.argv[1]))
