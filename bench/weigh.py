"""`python -m bench.weigh`: the rows and bytes that a whole request leaves in PostgreSQL, and what it writes meanwhile.

The real services run in this process, without servers or network, so that only the database is measured. Each
request has a prompt of 100 characters and one picture, and reports progress twice.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import text

from app import logs
from app.db.engine import Database, read_engine
from app.domain.image_request import ImageRequest
from app.services.download import Download
from bench.environment import fresh
from tests.support.downloads import PNG
from tests.support.fakes import bench
from tests.support.harness import PICTURE, Harness

COUNT = 2_000
TABLES = ("jobs", "events", "images", "files")
ORDER = ImageRequest("x" * 100, "dall-e-3", "ann", {"width": 1024, "height": 1024, "quality": "hd"})

SIZES = (
    "SELECT coalesce(pg_total_relation_size(to_regclass(:table)), 0), coalesce(pg_indexes_size(to_regclass(:table)), 0)"
)
WRITTEN = "SELECT pg_current_wal_insert_lsn() - '0/0', (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database())"


def main(arguments: Sequence[str]) -> int:
    """Returns the exit status."""
    count = int(arguments[0]) if arguments else COUNT
    with tempfile.TemporaryDirectory(prefix="imagefleet-bench-") as folder, fresh("postgresql", Path(folder)) as url:
        engine = read_engine(url)
        with engine.connect() as connection:
            empty = {table: _sizes(connection, table)[0] for table in TABLES}
            wal, commits = _written(connection)
            _run_requests(url, Path(folder) / "pictures", count)
            wal, commits = _written(connection)[0] - wal, _written(connection)[1] - commits
            connection.exec_driver_sql("VACUUM ANALYZE")
            print(f"{count:,} requests, each:")
            print(f"{'table':<8} {'rows':>6} {'bytes':>7} {'of these indexes':>17}")
            for table in TABLES:
                rows = connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
                whole, indexes = _sizes(connection, table)
                print(
                    f"{table:<8} {rows / count:>6.1f} {(whole - empty[table]) / count:>7.0f} {indexes / count:>17.0f}"
                )
            print(f"log (WAL, without full pages): {wal / count:,.0f} bytes; transactions: {commits / count:.1f}")
        engine.dispose()
    return 0


def _run_requests(url: str, folder: Path, count: int) -> None:
    database = Database(url)
    ports = bench(database, folder)
    ports.fetch.answers[PICTURE] = PNG
    harness = Harness.of(ports)
    holder = harness.connect()
    for _ in range(count):
        job = harness.services.submission.submit(ORDER, "weighed-1").job
        assert harness.assign() == 1
        job = harness.reload(job)
        harness.services.generation.offer_received(job.id, job.lease or "")
        harness.report_progress(holder, job, 30)
        harness.report_progress(holder, job, 60)
        harness.report_image(holder, job)
        Download(ports.ports).run()
    database.close()


def _sizes(connection: Any, table: str) -> tuple[int, int]:
    whole, indexes = connection.execute(text(SIZES), {"table": table}).one()
    return int(whole), int(indexes)


def _written(connection: Any) -> tuple[int, int]:
    log, commits = connection.execute(text(WRITTEN)).one()
    return int(log), int(commits)


if __name__ == "__main__":
    logs.configure("warning")
    sys.exit(main(sys.argv[1:]))
