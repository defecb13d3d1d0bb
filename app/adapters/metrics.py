"""What this process counts, by prometheus_client.

With PROMETHEUS_MULTIPROC_DIR in the environment (see `app.metrics_folders`) the processes of a service share files there.
"""

from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy import Engine, event

from app.db.engine import Database
from app.db.jobs import Job
from app.domain.states import Step

# Clients choose the names of models: from this many on, others are counted together.
MOST_MODELS = 100
OTHER = "other"
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

FAST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
SLOW = (0.01, 0.05, 0.25, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 900, 3600, 14_400)

HTTP = Histogram(
    "imagefleet_http_request_seconds",
    "From a request's arrival to the head of its answer. Long polls wait on purpose.",
    ["method", "route", "status"],
    buckets=FAST,
)
RATE_LIMITED = Counter("imagefleet_rate_limit_refusals", "Requests refused by a rate limit.", ["route"])
SOCKETS = Gauge("imagefleet_sockets", "Open WebSockets of extensions.", multiprocess_mode="livesum")
STEPS = Counter("imagefleet_request_steps", "Steps of requests: submit, assign, generated, store, fail …", ["step"])
FAILURES = Counter("imagefleet_request_failures", "Requests that failed, by the code that their clients see.", ["code"])
HANDOFF = Histogram(
    "imagefleet_handoff_seconds", "From a request's place in the queue to its hand-over to an extension.", buckets=SLOW
)
GENERATION = Histogram(
    "imagefleet_generation_seconds", "From the hand-over to the extension's report.", ["model"], buckets=SLOW
)
DOWNLOAD = Histogram("imagefleet_download_seconds", "From the extension's report to the stored pictures.", buckets=SLOW)
STORED_BYTES = Counter("imagefleet_stored_bytes", "Bytes of the pictures that were stored.")
DOWNLOAD_FAILURES = Counter(
    "imagefleet_download_failures", "Attempts to fetch pictures that failed, by whose fault it was.", ["fault"]
)
WEBHOOKS = Histogram(
    "imagefleet_webhook_attempt_seconds", "Attempts to send an event to a webhook.", ["outcome"], buckets=FAST
)
SWEEPS = Histogram("imagefleet_sweep_seconds", "Periodic tasks.", ["sweep"], buckets=FAST)
POOL = Gauge(
    "imagefleet_database_connections", "Connections to the database in use.", ["pool"], multiprocess_mode="livesum"
)


class PrometheusMetrics:
    """Counts in this process."""

    def __init__(self) -> None:
        self._models: set[str] = set()

    def http_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """An HTTP request was answered. `route` is the rule, not the path, so that there are few."""
        HTTP.labels(method if method in METHODS else OTHER, route, str(status)).observe(seconds)

    def rate_limited(self, route: str) -> None:
        """A rate limit refused a request."""
        RATE_LIMITED.labels(route).inc()

    def socket_opened(self) -> None:
        """An extension's socket was opened."""
        SOCKETS.inc()

    def socket_closed(self) -> None:
        """An extension's socket was closed."""
        SOCKETS.dec()

    def submitted(self, requests: int = 1) -> None:
        """So many requests were accepted."""
        STEPS.labels(Step.SUBMIT.value).inc(requests)

    def job_moved(self, step: Step, job: Job) -> None:
        """The job took the step, which was committed; `job` is as it was then."""
        STEPS.labels(step.value).inc()
        match step:
            case Step.ASSIGN:
                HANDOFF.observe(_seconds(job.queued_at, job.started_at))
            case Step.GENERATED:
                GENERATION.labels(self._model(job.model)).observe(_seconds(job.started_at, job.generated_at))
            case Step.STORE:
                DOWNLOAD.observe(_seconds(job.generated_at, job.finished_at))
            case Step.FAIL:
                FAILURES.labels(job.error_code or OTHER).inc()

    def stored(self, size: int) -> None:
        """Pictures of so many bytes were stored."""
        STORED_BYTES.inc(size)

    def download_failed(self, fault: str) -> None:
        """An attempt to fetch pictures failed."""
        DOWNLOAD_FAILURES.labels(fault).inc()

    def webhook_attempted(self, outcome: str, seconds: float) -> None:
        """An attempt to send to a webhook ended."""
        WEBHOOKS.labels(outcome).observe(seconds)

    def swept(self, sweep: str, seconds: float) -> None:
        """A periodic task ended."""
        SWEEPS.labels(sweep).observe(seconds)

    def watch(self, database: Database) -> None:
        """Count the connections that are in use from now on."""
        for name, engine in (("read", database.reader), ("write", database.writer)):
            _watch(name, engine)

    def _model(self, model: str) -> str:
        if model not in self._models:
            if len(self._models) >= MOST_MODELS:
                return OTHER
            self._models.add(model)
        return model


def _watch(name: str, engine: Engine) -> None:
    gauge = POOL.labels(name)
    event.listen(engine, "checkout", lambda *_: gauge.inc())
    event.listen(engine, "checkin", lambda *_: gauge.dec())


def _seconds(begin_ms: int | None, end_ms: int | None) -> float:
    return max(0, (end_ms or 0) - (begin_ms or end_ms or 0)) / 1000
