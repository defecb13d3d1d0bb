"""A small history of a service, as plain rows: requests of three days with all that can become of them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table

from app.db.engine import Database
from app.db.input_tables import inputs
from app.db.tables import batches, events, extensions, images, jobs
from app.db.webhook_tables import webhook_deliveries, webhook_endpoints

Rows = list[dict[str, Any]]
START = 1_767_225_600_000  # 2026-01-01 00:00:00
HOUR, DAY = 3_600_000, 86_400_000
COUNT = 240
EXTENSIONS = ("chrome-1", "chrome-2", "node-1")
USERS = ("ann", "bob", "carl", "dora", "eve")
ERRORS = {"ERR_TIMEOUT": "It took too long.", "ERR_GENERATION_FAILED": "The generator refused."}


def job_id(number: int) -> str:
    return f"01900000-0000-7000-8000-{number:012x}"


def batch_id(number: int) -> str:
    return f"01900000-0000-7000-9000-{number:012x}"


class History:
    """The rows of each table. How a request ended is in `ended`, by its id."""

    def __init__(self) -> None:
        self.rows: dict[Table, Rows] = {
            table: [] for table in (jobs, events, images, inputs, batches, extensions, webhook_endpoints)
        }
        self.deliveries: Rows = []
        for number in range(COUNT):
            self._request(number)
        self._batches()
        self._others()

    def insert(self, database: Database) -> None:
        """Insert everything into an empty database."""
        database.write(
            lambda tx: [
                tx.connection.execute(table.insert(), rows)
                for table, rows in {**self.rows, webhook_deliveries: self.deliveries}.items()
            ]
        )

    def _request(self, number: int) -> None:
        """Every 10th waits, every 8th fails, every 9th is cancelled, every 5th has a second attempt, every 12th is cached."""
        created = START + number * 3 * DAY // COUNT + 7 * (number % 13)
        job: dict[str, Any] = dict.fromkeys(column.name for column in jobs.c if column.nullable)
        job |= {
            "id": job_id(number),
            "correlation_id": f"c-{number}",
            "user_id": USERS[(number + number // 11 * 3) % (4 if number % 7 else 5)],
            "model": ("Flux", "flux", "dall-e-3")[number % 3],
            "prompt": f"=fox {number}",
            "parameters": {"width": 1024.0, "height": 512} if number % 2 else {},
            "number_of_images": 1,
            "status": "accepted",
            "attempt": 0,
            "strikes": 0,
            "download_attempt": 0,
            "last_event": 0,
            "due_at": created,
            "created_at": created,
            "updated_at": created,
            "operation": "#edit" if number % 30 == 7 else "",
            "style": f"style-{number % 4}" if number % 4 else None,
            "batch_id": batch_id(number // 40) if number % 3 == 0 else None,
            "cache": "prefer" if number % 4 == 0 else None,
        }
        self.rows[jobs].append(job)
        self._log(job, "ImageGenerationRequestedEvent", created)
        if number % 10 != 3:
            self._live(job, number)

    def _live(self, job: dict[str, Any], number: int) -> None:
        at = job["created_at"] + 1_000 + number * 37 % 9_000
        if number % 12 == 4:
            job |= {"status": "completed", "cached_from": job_id(number - 1), "finished_at": at}
            job |= {"generated_at": job["created_at"] - 5_000}
            return self._stored(job, at)
        if number % 40 == 2:  # no extension took it
            return self._failed(job, at, None)
        at = self._handed_out(job, at)
        if number % 5 == 1:
            job["strikes"] = 1
            at += 4_321
            self._log(job, "ImageGenerationRequeuedEvent", at, extension_id=job["holder"], code="ERR_RATE_LIMIT")
            at = self._handed_out(job, at + 2_000)
        at += 5_000 + number * 7_919 % 55_000
        if number % 9 == 5:
            self._log(job, "ImageGenerationCancelledEvent", at, extension_id=job["holder"])
            job |= {"status": "cancelled", "finished_at": at, "holder": None}
            return None
        if number % 8 == 6:
            return self._failed(job, at, job["holder"])
        self._log(job, "ImageDownloadStartedEvent", at, extension_id=job["holder"], attempt=job["attempt"])
        job |= {"status": "downloading", "generated_at": at}
        if number % 60 == 9:
            return self._failed(job, at + 700, job["holder"])
        at += 100 + number * 31 % 3_000
        job |= {"status": "completed", "finished_at": at}
        return self._stored(job, at)

    def _handed_out(self, job: dict[str, Any], at: int) -> int:
        extension = EXTENSIONS[(int(job["correlation_id"][2:]) + job["attempt"]) % 3]
        job |= {"status": "processing", "holder": extension, "attempt": job["attempt"] + 1, "started_at": at}
        self._log(job, "ImageGenerationAssignedEvent", at, extension_id=extension, attempt=job["attempt"])
        return at

    def _failed(self, job: dict[str, Any], at: int, extension: str | None) -> None:
        code = sorted(ERRORS)[at % 2]
        job |= {"status": "failed", "finished_at": at, "error_code": code, "error": ERRORS[code], "holder": None}
        self._log(job, "ImageGenerationFailedEvent", at, code=code, extension_id=extension)

    def _stored(self, job: dict[str, Any], at: int) -> None:
        self._log(job, "ImageGeneratedEvent", at)
        number = int(job["correlation_id"][2:])
        job["pictures_removed_at"] = at + DAY if number % 16 == 0 else None
        self.rows[images].append(
            {
                "job_id": job["id"],
                "position": 0,
                "file": f"{job['id']}_1.png",
                "width": 1024,
                "height": 512,
                "bytes": 100_000 + number * 1_013,
                "sha256": "0" * 64,
                "created_at": at,
            }
        )

    def _log(self, job: dict[str, Any], kind: str, at: int, **data: Any) -> None:
        job["last_event"] += 1
        row = {"job_id": job["id"], "seq": job["last_event"], "type": kind, "status": job["status"], "at": at}
        self.rows[events].append({**row, "data": data})

    def _batches(self) -> None:
        for number in range(COUNT // 40):
            items = [job for job in self.rows[jobs] if job["batch_id"] == batch_id(number)]
            ended = {status: sum(item["status"] == status for item in items) for status in ("completed", "failed")}
            done = number % 3 != 2
            self.rows[batches].append(
                {
                    "id": batch_id(number),
                    "user_id": USERS[number % 2],
                    "correlation_id": "c",
                    "name": f"Chapter {number}",
                    "status": "completed" if done else "running",
                    "concurrency": 8,
                    "defaults": {},
                    "total": len(items),
                    **ended,
                    "cancelled": sum(item["status"] == "cancelled" for item in items),
                    "failures": {},
                    "created_at": START + number * HOUR,
                    "updated_at": START,
                    "started_at": START + number * HOUR + 1_500,
                    "finished_at": START + (number + 1) * HOUR + 17 if done else None,
                }
            )

    def _others(self) -> None:
        for number, name in enumerate((*EXTENSIONS, "idle-1")):
            self.rows[extensions].append(
                {
                    "id": name,
                    "connected": False,
                    "available": True,
                    "capabilities": [],
                    "max_concurrent": 1 + number,
                    "connected_at": START,
                    "heard_at": START,
                    "disconnected_at": START + 3 * DAY,
                    "connected_ms": 3 * DAY - number * HOUR,
                    "observed_since": START + number * HOUR,
                }
            )
        for user in USERS[:3]:
            self.rows[inputs].append(
                {
                    "id": f"input-{user}",
                    "user_id": user,
                    "file": f"{user}.png",
                    "width": 1,
                    "height": 1,
                    "bytes": 777,
                    "sha256": "0" * 64,
                    "created_at": START,
                    "expires_at": START + DAY,
                }
            )
        for number in range(3):
            self._webhook(number)

    def _webhook(self, number: int) -> None:
        name = f"hook-{number}"
        self.rows[webhook_endpoints].append(
            {
                "id": name,
                "user_id": USERS[number],
                "scope": "",
                "url": f"https://hooks.example/{name}?secret=1",
                "host": "hooks.example:443",
                "events": 1,
                "signer_id": name,
                "key_fingerprint": "k",
                "created_at": START,
                "updated_at": START,
            }
        )
        for event in range(20 if number < 2 else 0):
            status = "pending" if event == 19 else "failed" if event % (5 - number) == 0 else "delivered"
            at = START + event * HOUR
            self.deliveries.append(
                {
                    "endpoint_id": name,
                    "host": "hooks.example:443",
                    "event_id": f"evt-{event}",
                    "type": "image.completed",
                    "sequence": 1,
                    "occurred_at": at,
                    "snapshot": {},
                    "status": status,
                    "attempts": 1 + event % 3,
                    "due_at": at,
                    "duration_ms": 50 + event,
                    "created_at": at,
                    "finished_at": None if status == "pending" else at + 90 + 13 * event,
                }
            )
