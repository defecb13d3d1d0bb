"""A report from an extension that does not hold the request changes nothing and is rejected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.domain.errors import LeaseLost
from app.domain.messages import ImageGenerated, ImageGenerationFailed, ImageGenerationProgress, Report
from app.domain.states import Status
from app.services.generation import Holder
from tests.support.downloads import PNG
from tests.support.harness import PICTURE, Harness

REPORTS: list[Callable[..., Report]] = [
    lambda request_id, **more: ImageGenerationProgress(request_id=request_id, progress=50, **more),
    lambda request_id, **more: ImageGenerated(request_id=request_id, image_urls=(PICTURE,), **more),
    lambda request_id, **more: ImageGenerationFailed(request_id=request_id, error="The tab crashed", **more),
    lambda request_id, **more: ImageGenerationFailed(request_id=request_id, error="Content policy violation", **more),
]
reports = pytest.mark.parametrize("report", REPORTS, ids=["progress", "generated", "failed", "refused"])


def changes_nothing(harness: Harness, holder: Holder, report: Report) -> None:
    before = harness.services.lookup.events_after(report.request_id, 0)
    extension = harness.extension_row(holder.extension_id)
    with pytest.raises(LeaseLost):
        harness.services.generation.report(holder, report)
    assert harness.services.lookup.events_after(report.request_id, 0) == before
    assert harness.extension_row(holder.extension_id) == extension


@reports
@pytest.mark.parametrize("wrong", [{"lease": "another"}, {"correlation_id": "another-1"}])
def test_a_report_with_another_lease_or_correlation_id(
    harness: Harness, report: Callable[..., Report], wrong: dict[str, Any]
) -> None:
    holder, job = harness.connect_and_start()
    changes_nothing(harness, holder, report(job.id, **wrong))


@reports
def test_a_report_of_another_extension(harness: Harness, report: Callable[..., Report]) -> None:
    _, job = harness.connect_and_start()
    other = harness.connect("other")
    changes_nothing(harness, other, report(job.id, lease=job.lease))


@reports
def test_a_report_over_an_older_connection(harness: Harness, report: Callable[..., Report]) -> None:
    older, job = harness.connect_and_start()
    harness.connect(number=2, active=(job.id,))
    changes_nothing(harness, older, report(job.id, lease=job.lease))


@reports
def test_a_report_after_the_request_was_requeued(harness: Harness, report: Callable[..., Report]) -> None:
    holder, job = harness.connect_and_start()
    harness.heartbeat(holder, active_request_ids=())
    assert harness.reload(job).status is Status.ACCEPTED
    changes_nothing(harness, holder, report(job.id, lease=job.lease))


@reports
def test_a_report_on_an_earlier_attempt_of_the_same_extension(harness: Harness, report: Callable[..., Report]) -> None:
    holder, job = harness.connect_and_start()
    harness.heartbeat(holder, active_request_ids=())
    harness.assign()
    assert harness.reload(job).attempt == 2
    changes_nothing(harness, holder, report(job.id, lease=job.lease))


@reports
def test_a_report_after_the_request_was_cancelled(harness: Harness, report: Callable[..., Report]) -> None:
    holder, job = harness.connect_and_start()
    harness.services.cancellation.cancel(job.id)
    changes_nothing(harness, holder, report(job.id))


@reports
def test_a_report_after_the_request_failed(harness: Harness, report: Callable[..., Report]) -> None:
    holder, job = harness.connect_and_start()
    harness.report_failure(holder, job, "Content policy violation")
    changes_nothing(harness, holder, report(job.id))


@pytest.mark.parametrize("report", [REPORTS[0], *REPORTS[2:]], ids=["progress", "failed", "refused"])
def test_a_failure_after_the_result(harness: Harness, report: Callable[..., Report]) -> None:
    holder, job = harness.connect_and_start()
    harness.report_image(holder, job)
    changes_nothing(harness, holder, report(job.id))
    changes_nothing(harness, holder, report(job.id, lease=job.lease))
    harness.bench.fetch.answers[PICTURE] = PNG
    harness.services.download.run()
    assert harness.reload(job).status is Status.COMPLETED
    changes_nothing(harness, holder, report(job.id))


@reports
def test_a_report_on_a_waiting_request(harness: Harness, report: Callable[..., Report]) -> None:
    holder = harness.connect()
    changes_nothing(harness, holder, report(harness.submit().id))


@reports
def test_a_report_on_an_unknown_request(harness: Harness, report: Callable[..., Report]) -> None:
    holder = harness.connect()
    with pytest.raises(LeaseLost):
        harness.services.generation.report(holder, report("no-such-request"))


def test_a_result_of_another_extension_is_not_confirmed(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    other = harness.connect("other")
    harness.report_image(holder, job)
    harness.bench.fetch.answers[PICTURE] = PNG
    harness.services.download.run()
    changes_nothing(harness, other, REPORTS[1](job.id))


@reports
def test_reports_need_neither_lease_nor_correlation_id(harness: Harness, report: Callable[..., Report]) -> None:
    holder, job = harness.connect_and_start()
    harness.services.generation.report(holder, report(job.id))
    assert harness.reload(job).version > job.version
