"""Requests that are made from pictures: which ones they may name, who gets them, and how long their addresses work."""

from __future__ import annotations

import dataclasses
import io
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import Connection

from app.db import images, job_inputs
from app.db.input_tables import inputs as inputs_table
from app.db.job_inputs import JobInput
from app.db.jobs import Job
from app.domain.errors import Forbidden, InvalidRequest, NotFound, QuotaExceeded, Unavailable, UnknownInput
from app.domain.image_request import CacheMode, ImageRequest
from app.domain.input_references import InputReference, Role
from app.domain.input_urls import InputGrant
from app.domain.messages import ImageGenerated
from app.domain.pauses import PauseTarget
from app.domain.states import Status
from app.services.cleanup import Cleanup
from app.services.generation import Holder
from app.services.signing_keys import upload_key
from tests.support.downloads import URL
from tests.support.harness import PICTURE, Harness
from tests.support.image_samples import png
from tests.support.statements import recorded_statements

UNKNOWN = "550e8400-e29b-41d4-a716-446655440000"
VARIES = ("*", "image-variation")
EDITS = ("*", "image-edit")


def uploaded(harness: Harness, width: int = 8, height: int = 6, user: str = "ann") -> str:
    return harness.services.inputs.receive(user, io.BytesIO(png(width, height))).id


def of_input(input_id: str, **more: Any) -> InputReference:
    return InputReference(input_id=input_id, **more)


def vary(harness: Harness, user: str = "ann", **more: Any) -> Job:
    """Submit a request for variations of a picture of its own."""
    return harness.submit(user=user, inputs=(of_input(uploaded(harness, user=user)),), **more)


def completed(harness: Harness, user: str = "ann") -> Job:
    """A request with two pictures."""
    holder = harness.connect("maker", "dall-e-3")
    job = harness.submit_and_start(user=user)
    harness.bench.fetch.answers |= {URL: png(8, 6), PICTURE: png(4, 4)}
    harness.services.generation.report(holder, ImageGenerated(request_id=job.id, image_urls=(URL, PICTURE)))
    harness.run_downloads()
    assert harness.reload(job).status is Status.COMPLETED
    return job


def pictures_of(harness: Harness, job: Job) -> list[JobInput]:
    return harness.bench.database.read(lambda c: job_inputs.of_job(c, job.id))


def offered(harness: Harness) -> list[dict[str, Any]]:
    """The input pictures of the last offer."""
    found: list[dict[str, Any]] = harness.bench.bus.sent("generate_image")[-1].get("inputImages", [])
    return found


def fetch(harness: Harness, url: str, **changed: Any) -> bytes:
    """What an extension gets at the address of an offer; `changed` are parts of it."""
    parts = urlsplit(url)
    request_id, attempt, position = parts.path.removeprefix("/api/inputs/").split("/")
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    grant: dict[str, Any] = {
        "request_id": request_id,
        "attempt": int(attempt),
        "position": int(position),
        "expires_at": int(query["expires"]),
    }
    signature = changed.pop("signature", query["signature"])
    opened = harness.services.input_images.opened(InputGrant(**{**grant, **changed}), signature)
    with opened.content as content:
        return content.read()


def start(harness: Harness, *capabilities: str) -> tuple[Holder, Job, str]:
    """Have an extension start on a request with one input; returns the address of that, too."""
    holder = harness.connect("e1", *(capabilities or VARIES))
    job = vary(harness)
    assert harness.assign() == 1
    return holder, harness.reload(job), offered(harness)[0]["url"]


def test_an_extension_gets_the_pictures_with_their_hashes(harness: Harness) -> None:
    harness.connect("e1", *EDITS)
    image, mask = uploaded(harness), uploaded(harness)
    harness.submit(inputs=(of_input(image, strength=0.25), of_input(mask, role=Role.MASK)))
    assert harness.assign() == 1
    first, second = offered(harness)
    stored = harness.services.inputs.find(image, "ann")
    assert {name: first[name] for name in first if name != "url"} == {
        "sha256": stored.sha256,
        "mimeType": "image/png",
        "role": "image",
        "strength": 0.25,
    }
    assert (second["role"], "strength" in second) == ("mask", False)
    assert fetch(harness, first["url"]) == fetch(harness, second["url"])


def test_without_inputs_an_offer_is_as_it_was(harness: Harness) -> None:
    harness.connect("e1", *EDITS)
    harness.submit_and_assign()
    assert "inputImages" not in harness.bench.bus.sent("generate_image")[-1]


def test_a_picture_of_a_completed_request_is_its_parent(harness: Harness) -> None:
    source = completed(harness)
    job = harness.submit(inputs=(InputReference(request_id=source.id, position=1),))
    [picture] = pictures_of(harness, job)
    stored = harness.bench.database.read(lambda c: images.of_job(c, source.id))[1]
    assert (picture.width, picture.sha256) == (4, stored.sha256)
    assert picture.file != stored.file
    assert job.parent_id == source.id


@pytest.mark.parametrize("user", ["ben", "ann"])
def test_what_is_not_there_cannot_be_told_from_what_is_another_users(harness: Harness, user: str) -> None:
    own, of_ann = completed(harness), uploaded(harness)
    wrong = {
        "inputImages[0].inputId": [of_input(UNKNOWN), *([of_input(of_ann)] if user == "ben" else [])],
        "inputImages[0].requestId": [
            InputReference(request_id=UNKNOWN),
            *(
                [InputReference(request_id=own.id)]
                if user == "ben"
                else [InputReference(request_id=harness.submit().id)]
            ),
        ],
        "inputImages[0].position": [InputReference(request_id=own.id, position=2)] if user == "ann" else [],
    }
    for field, references in wrong.items():
        messages = set()
        for reference in references:
            with pytest.raises(UnknownInput) as caught:
                harness.submit(user=user, inputs=(reference,))
            assert caught.value.field == field
            messages.add(str(caught.value))
        assert user == "ann" or len(messages) <= 1


def test_an_expired_and_a_removed_input_cannot_be_named(harness: Harness) -> None:
    expired, removed, lost = (uploaded(harness) for _ in range(3))
    late = inputs_table.update().where(inputs_table.c.id == expired).values(expires_at=1)
    harness.bench.database.write(lambda tx: tx.connection.execute(late))
    harness.services.inputs.remove(removed, "ann")
    harness.bench.ports.store.delete(harness.services.inputs.find(lost, "ann").file)
    for input_id in (expired, removed, lost):
        with pytest.raises(UnknownInput):
            harness.submit(inputs=(of_input(uploaded(harness)), of_input(input_id)))


def test_a_mask_is_as_large_as_the_first_image(harness: Harness) -> None:
    image, mask = uploaded(harness), uploaded(harness, 8, 7)
    with pytest.raises(InvalidRequest, match="same size") as caught:
        harness.submit(inputs=(of_input(mask, role=Role.MASK), of_input(image)))
    assert caught.value.field == "inputImages[0]"


def test_what_is_refused_leaves_no_files(harness: Harness) -> None:
    full = harness.with_settings(limits=dataclasses.replace(harness.services.settings.limits, quota_waiting=1))
    full.submit()
    first = uploaded(harness)
    with pytest.raises(QuotaExceeded):
        full.submit(inputs=(of_input(first),))
    with pytest.raises(UnknownInput):
        harness.submit(inputs=(of_input(first), of_input(UNKNOWN)))
    assert len(harness.bench.files()) == 1
    assert harness.bench.database.write(lambda tx: images.give_up_intended(tx, tx.now + 1, 9)) == []


def test_a_request_outlives_what_it_was_made_from(harness: Harness) -> None:
    input_id = uploaded(harness)
    job = harness.submit(inputs=(of_input(input_id),))
    harness.services.inputs.remove(input_id, "ann")
    harness.connect("e1", *VARIES)
    assert harness.assign() == 1
    assert len(fetch(harness, offered(harness)[0]["url"])) == pictures_of(harness, job)[0].bytes


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
def test_the_pictures_of_a_request_are_removed_after_it_has_ended(harness: Harness, end: str) -> None:
    holder, job, _ = start(harness)
    assert Cleanup(harness.bench.ports).sweep() == 0
    if end == "completed":
        harness.bench.fetch.answers[PICTURE] = png()
        harness.report_image(holder, job)
        harness.run_downloads()
    elif end == "failed":
        harness.update_job(job, deadline_at=1)
        harness.sweep()
    else:
        harness.services.cancellation.cancel(job.id)
    assert harness.reload(job).status == end
    assert Cleanup(harness.bench.ports).sweep() == 1
    assert pictures_of(harness, job) == []
    assert len(harness.bench.files()) == (2 if end == "completed" else 1), "the input, and the picture"


# -- who gets it


@pytest.mark.parametrize(
    ("capabilities", "assigned"),
    [
        (("*",), 0),
        (("dall-e-3", "image-generation"), 0),
        (EDITS, 0),
        (VARIES, 1),
        (("DALL-E-3", "image-variation"), 1),
        (("image-generation", "image-variation"), 1),
        (("flux", "image-variation"), 0),
    ],
)
def test_only_an_extension_that_announces_variations_gets_one(
    harness: Harness, capabilities: tuple[str, ...], assigned: int
) -> None:
    harness.connect("e1", *capabilities)
    job = vary(harness)
    assert harness.assign() == assigned
    assert (harness.reload(job).holder == "e1") is bool(assigned)


def test_a_mask_needs_an_extension_that_announces_edits(harness: Harness) -> None:
    harness.connect("varies", *VARIES)
    references = (of_input(uploaded(harness)), of_input(uploaded(harness), role=Role.MASK))
    job = harness.submit(inputs=references)
    assert harness.assign() == 0
    harness.connect("edits", *EDITS)
    assert harness.assign() == 1
    assert harness.reload(job).holder == "edits"


def test_variations_do_not_hold_up_what_others_can_do(harness: Harness) -> None:
    harness.connect("plain", "*", max_concurrent=9)
    waiting = [vary(harness) for _ in range(12)]
    plain = [harness.submit() for _ in range(3)]
    assert harness.assign() == 3
    assert {harness.reload(job).holder for job in plain} == {"plain"}
    harness.connect("varies", *VARIES, max_concurrent=20)
    assert harness.assign() == 12
    assert {harness.reload(job).holder for job in waiting} == {"varies"}


def test_a_request_that_names_no_model_may_go_to_any_that_varies(harness: Harness) -> None:
    eager = harness.with_settings(reconnect_grace_ms=0)
    eager.connect("plain", "dall-e-3")
    eager.connect("varies", "flux", "image-variation")
    order = ImageRequest("a fox", user_id="ann", inputs=(of_input(uploaded(harness)),))
    job = eager.services.submission.submit(order, "correlation-1").job
    assert eager.assign() == 1
    assert (eager.reload(job).holder, eager.reload(job).model) == ("varies", "flux")


def test_a_refusal_goes_to_the_next_extension(harness: Harness) -> None:
    first, second = harness.connect("e1", *VARIES), harness.connect("e2", *VARIES)
    job = vary(harness)
    assert harness.assign() == 1
    holder = first if harness.reload(job).holder == "e1" else second
    harness.report_failure(holder, job, "Its page takes no pictures", retryable=True)
    harness.update_job(job, due_at=1)
    assert harness.assign() == 1
    assert harness.reload(job).holder == ({"e1", "e2"} - {holder.extension_id}).pop()


def test_why_it_waits_names_what_is_missing(harness: Harness) -> None:
    harness.connect("plain", "dall-e-3")
    queue = harness.services.lookup.status(vary(harness).id).queue
    assert queue is not None
    assert (queue.reason_code, queue.eligible_extensions) == ("NO_CAPABLE_EXTENSION", 0)
    assert queue.reason == "No connected extension can make variations with dall-e-3."
    assert queue.remedy == "Connect an extension that makes dall-e-3 and announces image-variation."


def test_it_fails_if_nobody_varies_for_long(harness: Harness) -> None:
    harness.connect("plain", "*")
    job = vary(harness)
    harness.sweep()
    harness.leave_unserved(job)
    harness.sweep()
    failed = harness.reload(job)
    assert (failed.status, failed.error_code) == (Status.FAILED, "ERR_NO_EXTENSION")
    assert failed.error is not None
    assert "image-variation" in failed.error


def test_a_paused_model_pauses_its_variations(harness: Harness) -> None:
    harness.connect("e1", *VARIES)
    harness.services.queue_controls.pause(PauseTarget.of_model("dall-e-3"))
    job = vary(harness)
    assert harness.assign() == 0
    queue = harness.services.lookup.status(job.id).queue
    assert queue is not None
    assert queue.reason_code == "PAUSED_MODEL"
    harness.services.queue_controls.resume(PauseTarget.of_model("dall-e-3"))
    assert harness.assign() == 1


# -- addresses


def test_an_address_may_be_used_again_while_the_attempt_lasts(harness: Harness) -> None:
    _, job, url = start(harness)
    assert fetch(harness, url) == fetch(harness, url)
    assert len(fetch(harness, url)) == pictures_of(harness, job)[0].bytes


@pytest.mark.parametrize(
    "changed",
    [
        {"signature": ""},
        {"signature": "ä"},
        {"signature": "0" * 64},
        {"attempt": 2},
        {"position": 1},
        {"expires_at": 2**50},
        {"request_id": UNKNOWN},
    ],
)
def test_a_forged_address_is_refused(harness: Harness, changed: dict[str, Any]) -> None:
    _, _, url = start(harness)
    with pytest.raises(Forbidden, match="signature"):
        fetch(harness, url, **changed)


def test_an_address_expires(harness: Harness) -> None:
    _, job, _ = start(harness)
    grant = InputGrant(job.id, job.attempt, 0, harness.now() - 1)
    with pytest.raises(Forbidden, match="expired"):
        harness.services.input_images.opened(grant, grant.signature(upload_key(harness.bench.ports).value()))


@pytest.mark.parametrize("end", ["failed", "cancelled", "delivered", "lost"])
def test_an_address_of_an_attempt_that_ended_is_refused(harness: Harness, end: str) -> None:
    holder, job, url = start(harness)
    if end == "failed":
        harness.report_failure(holder, job)
    elif end == "cancelled":
        harness.services.cancellation.cancel(job.id)
    elif end == "delivered":
        harness.report_image(holder, job)
    else:
        harness.expire_lease(job)
        harness.sweep()
    with pytest.raises(Forbidden, match="attempt"):
        fetch(harness, url)


def test_the_next_attempt_has_addresses_of_its_own(harness: Harness) -> None:
    holder, job, url = start(harness)
    harness.report_failure(holder, job, retryable=True)
    harness.update_job(job, due_at=1)
    harness.update_extension(cooldown_until=0)
    assert harness.assign() == 1
    again = offered(harness)[0]["url"]
    assert fetch(harness, again)
    with pytest.raises(Forbidden):
        fetch(harness, url)


def test_a_signature_of_an_upload_is_none_of_an_input(harness: Harness) -> None:
    _, job, url = start(harness)
    upload = harness.bench.bus.sent("generate_image")[-1]["upload"]["url"]
    with pytest.raises(Forbidden, match="signature"):
        fetch(harness, url, signature=parse_qs(urlsplit(upload).query)["signature"][0])
    assert job.status is Status.PROCESSING


def test_a_picture_that_is_gone_is_not_found(harness: Harness) -> None:
    _, job, url = start(harness)
    harness.bench.ports.store.delete(pictures_of(harness, job)[0].file)
    with pytest.raises(NotFound):
        fetch(harness, url)


# -- identical requests


def test_requests_are_identical_only_with_the_same_pictures(harness: Harness) -> None:
    first, same, other = uploaded(harness), uploaded(harness), uploaded(harness, 9, 9)

    def fingerprint(*references: InputReference) -> str | None:
        return harness.submit(cache=CacheMode.OFF, inputs=references).fingerprint

    alike = fingerprint(of_input(first))
    assert fingerprint(of_input(same)) == alike
    different = [(), (of_input(other),), (of_input(first, strength=0.5),), (of_input(first), of_input(same))]
    different += [(of_input(first), of_input(same, role=Role.MASK))]
    assert len({alike, *(fingerprint(*each) for each in different)}) == 6


def test_a_request_that_follows_keeps_no_pictures_when_it_gets_its_result(harness: Harness) -> None:
    holder, job, _ = start(harness)
    follower = vary(harness, cache=CacheMode.PREFER)
    assert follower.follows == job.id
    harness.bench.fetch.answers[PICTURE] = png()
    harness.report_image(holder, job)
    harness.run_downloads()
    harness.services.reuse.resolve_all()
    assert harness.reload(follower).status is Status.COMPLETED
    assert Cleanup(harness.bench.ports).sweep() == 2
    assert pictures_of(harness, follower) == pictures_of(harness, job) == []


def test_pictures_that_were_given_up_are_not_kept(harness: Harness) -> None:
    given = harness.services.input_images
    references = (of_input(uploaded(harness)),)

    def keep_late() -> None:
        with given.copied(references, "ann") as copies:
            harness.bench.database.write(lambda tx: images.give_up(tx, [each.file for each in copies]))
            harness.bench.database.write(lambda tx: given.keep(tx, UNKNOWN, copies))

    with pytest.raises(Unavailable):
        keep_late()
    assert len(harness.bench.files()) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_pictures_of_requests_are_found_by_their_indexes(harness: Harness) -> None:
    def plan(connection: Connection, text: str, values: Any) -> list[str]:
        return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)]

    database = harness.bench.database
    with recorded_statements() as statements:
        database.read(lambda c: job_inputs.of_ended(c, 10))
        database.read(lambda c: job_inputs.of_job(c, UNKNOWN))
    found = [
        database.read(partial(plan, text=text, values=values)) for text, values in statements if "job_inputs" in text
    ]
    assert [any("USING" in line and "INDEX" in line for line in lines) for lines in found] == [True, True]
    assert "ix_job_inputs_ended" in str(found[0])
    assert "TEMP B-TREE" not in str(found)
