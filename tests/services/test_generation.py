"""What extensions report."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from app.domain.errors import LeaseLost
from app.domain.messages import ImageGenerated, ImageGenerationConfirmed
from app.domain.states import Status
from tests.support.crew import PICTURE, Crew
from tests.support.downloads import PNG
from tests.support.statements import noted

MINUTE = 60_000


def test_progress_rises_and_never_falls(crew: Crew) -> None:
    holder, job = crew.at_work()
    seen = []
    for percent in (10, 40, 25, 40, 100):
        crew.progress(holder, job, percent)
        seen.append(crew.now(job).progress)
    assert seen == [10, 40, 40, 40, 100]


def test_the_progress_note_of_the_extension_is_stored(crew: Crew) -> None:
    holder, job = crew.at_work()
    crew.progress(holder, job, 10, status="Drawing")
    assert crew.now(job).progress_note == "Drawing"


def test_progress_renews_the_lease_up_to_the_end_of_the_attempt(crew: Crew) -> None:
    holder, job = crew.at_work()
    now = crew.clock()
    crew.pass_time(job, lease_until=now + 50)
    crew.progress(holder, job)
    assert (crew.now(job).lease_until or 0) >= now + crew.services.settings.request_timeout_ms
    crew.pass_time(job, lease_until=now + 50, attempt_until=now + MINUTE)
    crew.progress(holder, job)
    assert crew.now(job).lease_until == now + MINUTE


def test_progress_shows_that_the_offer_arrived(crew: Crew) -> None:
    holder = crew.join()
    job = crew.offered()
    crew.progress(holder, job, 1)
    assert crew.now(job).handed_over


def test_an_offer_that_arrived_is_held_for_as_long_as_its_holder_may_be_silent(crew: Crew) -> None:
    crew.join()
    job = crew.offered()
    now = crew.clock()
    crew.services.generation.offer_received(job.id, job.lease or "")
    held = crew.now(job)
    assert held.handed_over
    assert (held.lease_until or 0) >= now + crew.services.settings.request_timeout_ms


def test_an_offer_that_was_reported_upon_is_not_noted_as_arrived_once_more(crew: Crew) -> None:
    holder = crew.join()
    job = crew.offered()
    crew.progress(holder, job, 1)
    with noted("UPDATE") as changes:
        crew.services.generation.offer_received(job.id, job.lease or "")
    assert changes == []


def test_a_sign_of_another_offer_proves_nothing(crew: Crew) -> None:
    crew.join()
    job = crew.offered()
    crew.services.generation.offer_received(job.id, "token-of-another")
    assert crew.now(job) == job


def test_that_an_offer_arrived_is_no_news_to_those_who_wait(crew: Crew) -> None:
    crew.join()
    job = crew.offered()
    crew.bench.bus.changes.clear()
    crew.services.generation.offer_received(job.id, job.lease or "")
    assert crew.now(job).version == job.version
    assert crew.bench.bus.changes == []


def test_a_result_is_to_be_fetched_and_frees_its_slot(crew: Crew) -> None:
    holder, job = crew.at_work()
    report = ImageGenerated(
        request_id=job.id,
        image_urls=(PICTURE, "data:image/png;base64,AA=="),
        metadata={"model": "dall-e-3"},
        lease=job.lease,
    )
    assert crew.services.generation.report(holder, report) is None
    job = crew.now(job)
    assert (job.status, job.sources) == (Status.DOWNLOADING, list(report.sources))
    assert job.source_metadata == {"model": "dall-e-3"}
    assert (job.holder, job.lease, job.lease_until) == ("e1", None, None)
    assert crew.bench.tasks.downloads == 1
    assert crew.extension().held == 0
    assert crew.facts(job)[-1].data == {"extension_id": "e1", "attempt": 1, "images": 2}


def test_a_result_makes_its_extension_well_again(crew: Crew) -> None:
    holder, job = crew.at_work()
    crew.set_extension(failures=3, cooldown_until=1, cooldown_reason="ill")
    crew.deliver(holder, job)
    extension = crew.extension()
    assert (extension.failures, extension.cooldown_until, extension.cooldown_reason) == (0, 0, None)
    assert (crew.now(job).generated_at or 0) <= (extension.last_success_at or 0) <= crew.clock()


def test_a_result_that_is_repeated_while_it_is_fetched_is_no_mistake(crew: Crew) -> None:
    holder, job = crew.at_work()
    crew.deliver(holder, job)
    before = crew.now(job)
    assert crew.deliver(holder, job) is None
    assert crew.now(job) == before
    assert crew.bench.tasks.downloads == 1


def test_a_result_that_is_repeated_once_it_is_stored_is_confirmed_again(crew: Crew) -> None:
    holder, job = crew.at_work()
    crew.deliver(holder, job)
    crew.bench.fetch.answers[PICTURE] = PNG
    crew.services.download.run()
    received = crew.bench.bus.sent("image_generation_confirmed")
    again = crew.join(again=2)
    answer = crew.deliver(again, job)
    assert isinstance(answer, ImageGenerationConfirmed)
    assert answer.image_path == received[0]["imagePath"]
    assert (answer.request_id, answer.correlation_id) == (job.id, "correlation-1")
    assert crew.types(job).count("ImageGeneratedEvent") == 1


def test_of_results_sent_many_times_at_once_one_counts(crew: Crew) -> None:
    holder, job = crew.at_work()
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: crew.deliver(holder, job), range(12)))
    assert crew.bench.tasks.downloads == 1
    assert crew.types(job).count("ImageDownloadStartedEvent") == 1


def test_of_a_result_and_a_failure_at_once_one_counts(crew: Crew) -> None:
    for _ in range(6):
        holder, job = crew.at_work()

        def report(n: int, holder=holder, job=job) -> str:  # type: ignore[no-untyped-def]
            try:
                (crew.deliver if n % 2 else crew.give_up)(holder, job)
            except LeaseLost:
                return "lost"
            return "taken"

        with ThreadPoolExecutor(2) as pool:
            received = list(pool.map(report, range(2)))
        assert sorted(received) == ["lost", "taken"]
        assert crew.extension().held == 0
        crew.set_extension(cooldown_until=0, failures=0, available=False)
        crew.services.cancellation.cancel(job.id)


@pytest.mark.parametrize("image_urls", [(PICTURE,), (PICTURE,) * 10])
def test_the_number_of_pictures_is_noted(crew: Crew, image_urls: tuple[str, ...]) -> None:
    holder, job = crew.at_work()
    crew.services.generation.report(holder, ImageGenerated(request_id=job.id, image_urls=image_urls))
    assert crew.facts(job)[-1].data["images"] == len(image_urls)
