"""A request that names no model is made with the default one, or with any other while no extension makes that."""

import pytest

from app.db import fleet
from app.db.jobs import Job
from app.domain.image_request import DEFAULT_MODEL, ImageRequest
from app.domain.states import Status
from tests.support.harness import Harness

HOUR = 3_600_000


def submit(harness: Harness) -> Job:
    """Submit a request that names no model."""
    return harness.services.submission.submit(ImageRequest("a fox"), "correlation-1").job


def leave(harness: Harness, extension_id: str, ms_ago: int) -> None:
    """Make the extension disconnected since `ms_ago`."""
    harness.update_extension(extension_id, connected=False, disconnected_at=harness.now() - ms_ago)


def test_an_extension_that_makes_the_default_model_gets_it(harness: Harness) -> None:
    harness.connect("other", "flux")
    harness.connect("default", DEFAULT_MODEL)
    job = submit(harness)
    assert harness.assign() == 1
    job = harness.reload(job)
    assert (job.holder, job.model) == ("default", DEFAULT_MODEL)


def test_it_waits_for_an_extension_that_makes_the_default_model_and_is_busy(harness: Harness) -> None:
    harness.connect("default", DEFAULT_MODEL)
    harness.submit_and_assign()
    harness.connect("other", "flux")
    job = submit(harness)
    assert harness.assign() == 0
    assert harness.reload(job).status is Status.ACCEPTED


def test_it_waits_for_one_that_has_just_disconnected(harness: Harness) -> None:
    grace_ms = harness.services.settings.reconnect_grace_ms
    harness.connect("default", DEFAULT_MODEL)
    harness.connect("other", "flux")
    submit(harness)
    leave(harness, "default", grace_ms // 2)
    assert harness.assign() == 0
    leave(harness, "default", grace_ms + 1)
    assert harness.assign() == 1


def test_equal_capabilities_of_many_extensions_are_read_once(harness: Harness) -> None:
    for extension_id in ("e1", "e2", "e3"):
        harness.connect(extension_id, "flux", "sdxl")
    harness.connect("e4", DEFAULT_MODEL)
    leave(harness, "e4", 1_000)
    found = harness.bench.database.read(lambda c: fleet.capabilities_since(c, 2_000))
    assert sorted(map(list, found)) == [[DEFAULT_MODEL], ["flux", "sdxl"]]


def test_any_other_extension_gets_it_if_there_is_none_and_its_model_is_shown(harness: Harness) -> None:
    harness.connect("other", "image-generation", "flux", "sdxl")
    job = submit(harness)
    assert harness.assign() == 1
    [offer] = harness.bench.bus.sent("generate_image")
    assert offer["model"] == "flux"
    assert harness.services.lookup.details(job.id).job.model == "flux"


def test_a_requeue_undoes_the_choice_of_the_model(harness: Harness) -> None:
    holder = harness.connect("other", "flux")
    job = submit(harness)
    harness.assign()
    harness.report_failure(holder, job)
    assert (harness.reload(job).status, harness.reload(job).model) == (Status.ACCEPTED, DEFAULT_MODEL)
    harness.connect("default", DEFAULT_MODEL)
    harness.assign()
    assert (harness.reload(job).holder, harness.reload(job).model) == ("default", DEFAULT_MODEL)


def test_a_request_that_names_the_default_model_is_not_given_to_others(harness: Harness) -> None:
    harness.connect("other", "flux")
    named = harness.submit(model=DEFAULT_MODEL)
    assert harness.assign() == 0
    assert harness.reload(named).status is Status.ACCEPTED


def test_one_behind_many_that_name_an_unserved_model_is_found(harness: Harness) -> None:
    for _ in range(12):
        harness.submit(model=DEFAULT_MODEL)
    job = submit(harness)
    harness.connect("other", "flux")
    assert harness.assign() == 1
    assert harness.reload(job).holder == "other"


@pytest.mark.parametrize("others", [True, False])
def test_it_fails_without_any_extension_only(harness: Harness, others: bool) -> None:
    if others:
        harness.connect("other", "flux")
        harness.update_extension("other", available=False)
    job = submit(harness)
    harness.sweep()
    harness.leave_unserved(job)
    harness.sweep()
    assert harness.reload(job).status is (Status.ACCEPTED if others else Status.FAILED)


def test_it_outlives_a_short_absence_of_the_only_extension(harness: Harness) -> None:
    harness.connect("other", "flux")
    harness.update_extension("other", available=False)
    job = submit(harness)
    harness.sweep()
    harness.leave_unserved(job)
    harness.sweep()
    leave(harness, "other", 1_000)
    waiting = harness.services.lookup.details(job.id).queue
    assert waiting is not None
    assert waiting.waits_until > harness.now()
    harness.sweep()
    assert harness.reload(job).status is Status.ACCEPTED


def test_its_status_says_that_any_extension_will_do(harness: Harness) -> None:
    holder = harness.connect("other", "flux")
    harness.heartbeat(holder, available=False)
    waiting = harness.services.lookup.details(submit(harness).id).queue
    assert waiting is not None
    assert "not accepting work" in waiting.reason
    assert waiting.waits_until > harness.now() + HOUR
