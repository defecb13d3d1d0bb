"""`/metrics` for Prometheus: what the processes of this host have counted, and the state of the whole service."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from flask import Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from app import metrics_folders
from app.container import Services
from app.domain.access import Need
from app.domain.errors import Unavailable
from app.services.telemetry import ServiceState
from app.version import VERSION
from app.web.api import Api, ResponseSpec

TAG = "Service"
TEXT = "text/plain"


def operations(api: Api, services: Services) -> None:
    """Declare the operation of this module."""

    @api.operation(
        "GET",
        "/metrics",
        tag=TAG,
        summary="Get the metrics for Prometheus",
        need=Need.OPERATE,
        responses=(ResponseSpec("The metrics in Prometheus' text format", content_type=TEXT),),
    )
    def get_metrics() -> Response:
        """Counters and histograms of the processes of this host, and gauges of the whole service, which are a few seconds old."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Metrics(services))
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class _Metrics:
    """Everything that is shown."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterator[Metric]:
        """Each metric once, with the samples of all instances."""
        yield from _counted(self._services.settings.metrics_folder)
        yield from _state(self._services)


def _counted(root: Path) -> Iterable[Metric]:
    if metrics_folders.VARIABLE not in os.environ:
        return [metric for metric in REGISTRY.collect() if metric.name.startswith("imagefleet_")]
    metrics: dict[str, Metric] = {}
    for folder in metrics_folders.instances(root):
        _forget_dead_processes(folder)
        for metric in MultiProcessCollector(None, path=str(folder)).collect():  # type: ignore[no-untyped-call] # no types there
            shown = metrics.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
            shown.samples += [
                sample._replace(labels={**sample.labels, "process": folder.name}) for sample in metric.samples
            ]
    return metrics.values()


def _forget_dead_processes(folder: Path) -> None:
    """What a process has counted stays; what it has open does not."""
    for file in folder.glob("gauge_live*.db"):
        pid = int(file.stem.rpartition("_")[2])
        if not _is_alive(pid):
            mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call] # the same


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _state(services: Services) -> Iterator[Metric]:
    yield _gauge("imagefleet_build_info", "The version of the service.", ["version"], [([VERSION], 1)])
    try:
        state = services.telemetry.state()
    except Unavailable:
        yield _single("imagefleet_database_up", "Whether the database can be read.", 0)
        return
    yield _single("imagefleet_database_up", "Whether the database can be read.", 1)
    yield from _gauges(state)


def _gauges(state: ServiceState) -> Iterator[Metric]:
    of_queue = ["queue", "priority"]
    names = [(each.key, each.priority.name.lower()) for each in state.queues]
    depths = [each.depth for each in state.queues]
    ages = [_seconds_since(each.oldest_at, state) for each in state.queues]
    yield _gauge(
        "imagefleet_queue_depth", "Waiting requests, by model and priority.", of_queue, zip(names, depths, strict=True)
    )
    yield _gauge(
        "imagefleet_queue_oldest_seconds",
        "How long the first has been waiting.",
        of_queue,
        zip(names, ages, strict=True),
    )
    yield _by_state("imagefleet_extensions", "Connected extensions.", state.extensions)
    yield _by_state("imagefleet_slots", "Slots of the ready extensions.", state.slots)
    pending = "Events that are to be sent to webhooks."
    yield _single("imagefleet_webhook_deliveries_pending", pending, state.webhooks_pending)
    overdue = "For how long the first of them has been overdue."
    yield _single("imagefleet_webhook_overdue_seconds", overdue, state.overdue_ms / 1000)
    if state.swept_at is not None:
        since = _seconds_since(state.swept_at, state)
        yield _single("imagefleet_last_sweep_seconds", "How long ago the last sweep ran.", since)
    if state.free_bytes is not None:
        yield _single("imagefleet_storage_free_bytes", "Room for pictures.", state.free_bytes)


def _seconds_since(at_ms: int, state: ServiceState) -> float:
    return max(0, state.now - at_ms) / 1000


def _single(name: str, help_text: str, value: float) -> Metric:
    return _gauge(name, help_text, [], [((), value)])


def _by_state(name: str, help_text: str, counts: Mapping[str, int]) -> Metric:
    return _gauge(name, help_text, ["state"], (([state], count) for state, count in counts.items()))


def _gauge(name: str, help_text: str, labels: list[str], samples: Iterable[tuple[Sequence[str], float]]) -> Metric:
    family = GaugeMetricFamily(name, help_text, labels=labels)
    for values, number in samples:
        family.add_metric(values, number)
    return family
