"""A report from an extension that does not hold the request changes nothing and is rejected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.domain.errors import LeaseLost
from app.domain.messages import ImageGenerated, ImageGenerationFailed, ImageGenerationProgress, Report
from app.domain.states import Status
from app.services.generation import Holder
from tests.support.crew import PICTURE, Crew
from tests.support.downloads import PNG

REPORTS: list[Callable[..., Report]] = [
    lambda request_id, **more: ImageGenerationProgress(request_id=request_id, progress=50, **more),
    lambda request_id, **more: ImageGenerated(request_id=request_id, image_urls=(PICTURE,), **more),
    lambda request_id, **more: ImageGenerationFailed(request_id=request_id, error="The tab crashed", **more),
    lambda request_id, **more: ImageGenerationFailed(request_id=request_id, error="Content policy violation", **more),
]
reports = pytest.mark.parametrize("report", REPORTS, ids=["progress", "generated", "failed", "refused"])


def changes_nothing(crew: Crew, holder: Holder, report: Report) -> None:
    before = crew.services.lookup.events_after(report.request_id, 0)
    extension = crew.extension(holder.extension_id)
    with pytest.raises(LeaseLost):
        crew.services.generation.report(holder, report)
    assert crew.services.lookup.events_after(report.request_id, 0) == before
    assert crew.extension(holder.extension_id) == extension


@reports
@pytest.mark.parametrize("wrong", [{"lease": "another"}, {"correlation_id": "another-1"}])
def test_a_report_with_another_lease_or_correlation_id(
    crew: Crew, report: Callable[..., Report], wrong: dict[str, Any]
) -> None:
    holder, job = crew.at_work()
    changes_nothing(crew, holder, report(job.id, **wrong))


@reports
def test_a_report_of_another_extension(crew: Crew, report: Callable[..., Report]) -> None:
    _, job = crew.at_work()
    other = crew.join("other")
    changes_nothing(crew, other, report(job.id, lease=job.lease))


@reports
def test_a_report_over_an_older_connection(crew: Crew, report: Callable[..., Report]) -> None:
    older, job = crew.at_work()
    crew.join(again=2, active=(job.id,))
    changes_nothing(crew, older, report(job.id, lease=job.lease))


@reports
def test_a_report_after_the_request_was_given_back(crew: Crew, report: Callable[..., Report]) -> None:
    holder, job = crew.at_work()
    crew.beat(holder, active_request_ids=())
    assert crew.now(job).status is Status.ACCEPTED
    changes_nothing(crew, holder, report(job.id, lease=job.lease))


@reports
def test_a_report_on_an_earlier_attempt_of_the_same_extension(crew: Crew, report: Callable[..., Report]) -> None:
    holder, job = crew.at_work()
    crew.beat(holder, active_request_ids=())
    crew.hand_out()
    assert crew.now(job).attempt == 2
    changes_nothing(crew, holder, report(job.id, lease=job.lease))


@reports
def test_a_report_after_the_request_was_cancelled(crew: Crew, report: Callable[..., Report]) -> None:
    holder, job = crew.at_work()
    crew.services.cancellation.cancel(job.id)
    changes_nothing(crew, holder, report(job.id))


@reports
def test_a_report_after_the_request_failed(crew: Crew, report: Callable[..., Report]) -> None:
    holder, job = crew.at_work()
    crew.give_up(holder, job, "Content policy violation")
    changes_nothing(crew, holder, report(job.id))


@pytest.mark.parametrize("report", [REPORTS[0], *REPORTS[2:]], ids=["progress", "failed", "refused"])
def test_second_thoughts_after_the_result(crew: Crew, report: Callable[..., Report]) -> None:
    holder, job = crew.at_work()
    crew.deliver(holder, job)
    changes_nothing(crew, holder, report(job.id))
    changes_nothing(crew, holder, report(job.id, lease=job.lease))
    crew.bench.fetch.answers[PICTURE] = PNG
    crew.services.download.run()
    assert crew.now(job).status is Status.COMPLETED
    changes_nothing(crew, holder, report(job.id))


@reports
def test_a_report_on_a_request_that_waits(crew: Crew, report: Callable[..., Report]) -> None:
    holder = crew.join()
    changes_nothing(crew, holder, report(crew.order().id))


@reports
def test_a_report_on_a_request_that_does_not_exist(crew: Crew, report: Callable[..., Report]) -> None:
    holder = crew.join()
    with pytest.raises(LeaseLost):
        crew.services.generation.report(holder, report("no-such-request"))


def test_a_result_of_another_extension_is_not_confirmed(crew: Crew) -> None:
    holder, job = crew.at_work()
    other = crew.join("other")
    crew.deliver(holder, job)
    crew.bench.fetch.answers[PICTURE] = PNG
    crew.services.download.run()
    changes_nothing(crew, other, REPORTS[1](job.id))


@reports
def test_the_contracts_own_reports_need_neither_lease_nor_correlation_id(
    crew: Crew, report: Callable[..., Report]
) -> None:
    holder, job = crew.at_work()
    crew.services.generation.report(holder, report(job.id))
    assert crew.now(job).version > job.version
