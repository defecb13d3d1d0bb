"""`python -m bench.load.inserter`: inserts the rows of a batch again, with SQLAlchemy's `executemany` and nothing else."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Table, delete, select

from app.config import Settings
from app.db.engine import write_engine
from app.db.tables import events, jobs
from bench.load.loop import Loop, run_commands


def main() -> None:
    """Execute commands until stdin ends."""
    engine = write_engine(Settings.from_env().database_url)

    def insert_again(batch: str) -> dict[str, Any]:
        """Remove the rows, then insert them in one transaction, which is measured, then remove them for good."""
        of_batch = select(jobs.c.id).where(jobs.c.batch_id == batch)
        conditions = {jobs: jobs.c.batch_id == batch, events: events.c.job_id.in_(of_batch)}
        with engine.connect() as connection:
            rows: dict[Table, list[dict[str, Any]]] = {
                table: [dict(row) for row in connection.execute(select(table).where(condition)).mappings()]
                for table, condition in conditions.items()
            }
        removals = [delete(table).where(conditions[table]) for table in (events, jobs)]
        with engine.begin() as connection:
            for removal in removals:
                connection.execute(removal)
        cpu, begun = time.process_time(), time.perf_counter()
        with engine.begin() as connection:
            for table, some in rows.items():
                if some:
                    connection.execute(table.insert(), some)
        done = {"cpu": time.process_time() - cpu, "seconds": time.perf_counter() - begun, "count": len(rows[jobs])}
        with engine.begin() as connection:
            for removal in removals:
                connection.execute(removal)
        return done

    run_commands(Loop(), {"insert_again": insert_again})


if __name__ == "__main__":
    main()
