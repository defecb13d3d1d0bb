"""A report that was meant to end an attempt but cannot be used ends it as a failure."""

import pytest

from app.domain.errors import GENERATION_FAILED, LeaseLost
from app.domain.messages import UnusableReport
from app.domain.states import Status
from app.services.generation import Holder
from tests.support.harness import Harness

DETAIL = "Invalid message format: image_generated.imageUrl must be http://."


def report(request_id: str, **named: str) -> UnusableReport:
    """An unusable report about this request."""
    return UnusableReport(DETAIL, request_id, named)


def test_the_attempt_ends_at_once_and_its_reason_is_stored(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    harness.services.generation.unusable(holder, report(job.id))
    job = harness.reload(job)
    assert (job.status, job.strikes, job.avoid) == (Status.ACCEPTED, 1, "e1")
    assert harness.events(job)[-1].data == {
        "extension_id": "e1",
        "attempt": 1,
        "code": GENERATION_FAILED,
        "reason": f"The extension's report cannot be used. {DETAIL}",
    }
    extension = harness.extension_row()
    assert (extension.failures, extension.held) == (1, 0)
    assert extension.cooldown_reason == f"It sent a report that cannot be used ({GENERATION_FAILED})."


def test_the_last_attempt_fails_the_request_with_the_reason(harness: Harness) -> None:
    harness = harness.with_settings(max_attempts=1)
    holder, job = harness.connect_and_start()
    harness.services.generation.unusable(holder, report(job.id))
    job = harness.reload(job)
    assert (job.status, job.error_code) == (Status.FAILED, GENERATION_FAILED)
    assert job.error == f"The extension's report cannot be used. {DETAIL}"


@pytest.mark.parametrize("named", [{"lease": "another"}, {"correlationId": "another"}])
def test_a_report_of_another_attempt_ends_nothing(harness: Harness, named: dict[str, str]) -> None:
    holder, job = harness.connect_and_start()
    with pytest.raises(LeaseLost):
        harness.services.generation.unusable(holder, report(job.id, **named))
    assert harness.reload(job).status is Status.PROCESSING


@pytest.mark.parametrize("other", [Holder("e2", "connection-1"), Holder("e1", "another-connection")])
def test_only_its_holder_can_end_an_attempt(harness: Harness, other: Holder) -> None:
    _, job = harness.connect_and_start()
    with pytest.raises(LeaseLost):
        harness.services.generation.unusable(other, report(job.id))
    with pytest.raises(LeaseLost):
        harness.services.generation.too_large(other, job.id, "It is too large.")
    assert harness.reload(job).status is Status.PROCESSING
    assert harness.extension_row().failures == 0


def test_a_report_about_an_unknown_request_ends_nothing(harness: Harness) -> None:
    holder = harness.connect()
    with pytest.raises(LeaseLost):
        harness.services.generation.unusable(holder, report("unknown"))


def test_a_message_that_is_too_large_ends_the_attempt_that_it_names(harness: Harness) -> None:
    holder = harness.connect(max_concurrent=2)
    jobs = [harness.submit(), harness.submit()]
    harness.assign()
    harness.services.generation.too_large(holder, jobs[1].id, "It is too large.")
    assert [harness.reload(job).status for job in jobs] == [Status.PROCESSING, Status.ACCEPTED]
    assert harness.events(jobs[1])[-1].data["reason"] == "It is too large."


@pytest.mark.parametrize("held", [1, 2])
def test_without_a_name_it_ends_the_only_attempt(harness: Harness, held: int) -> None:
    holder = harness.connect(max_concurrent=2)
    jobs = [harness.submit() for _ in range(held)]
    harness.assign()
    if held == 1:
        harness.services.generation.too_large(holder, None, "It is too large.")
        assert harness.reload(jobs[0]).status is Status.ACCEPTED
    else:
        with pytest.raises(LeaseLost):
            harness.services.generation.too_large(holder, None, "It is too large.")
