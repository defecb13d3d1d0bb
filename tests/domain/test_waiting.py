"""Why a request waits, what would help, and which slots it may get."""

from __future__ import annotations

import dataclasses

import pytest

from app.domain import waiting
from app.domain.pauses import EVERYTHING, PauseKind, Pauses, PauseTarget, QueuePause
from app.domain.policy import ANY_MODEL, FleetGroup
from app.domain.waiting import Capacity, Reason, ReasonCode

NOW = 1_000
ONE = FleetGroup(("*",), connected=1, accepting=1, paused=0, ready=1, slots=1, busy=0)
BUSY = dataclasses.replace(ONE, busy=1)
AWAY = dataclasses.replace(ONE, accepting=0, ready=0, slots=0)
PAUSED = dataclasses.replace(ONE, paused=1, ready=0, slots=0)
RESTING = dataclasses.replace(ONE, ready=0, slots=0, cooldown_until=3_500, cooldown_reason="Too many requests")
LATER = dataclasses.replace(RESTING, capabilities=("dall-e-3",), cooldown_until=9_999, cooldown_reason="Later")
FLUX = dataclasses.replace(ONE, capabilities=("flux",), busy=0)


def why(*groups: FleetGroup, model: str = "dall-e-3", ahead: int = 0, pauses: Pauses | None = None) -> Reason:
    return waiting.why(groups, model, ahead, pauses or Pauses(), NOW, queue="dall-e-3")


REASONS = [
    ([], "NO_EXTENSION", "No extension is connected.", "Connect an extension that makes dall-e-3."),
    (
        [FLUX],
        "NO_CAPABLE_EXTENSION",
        "No connected extension supports the model dall-e-3. Supported are: flux.",
        "Connect an extension that makes dall-e-3, or ask for a model that is supported.",
    ),
    (
        [AWAY],
        "NOT_ACCEPTING",
        "The connected extensions that support the model are not accepting work at the moment.",
        "Let one of them accept work again, or connect another extension that makes dall-e-3.",
    ),
    (
        [AWAY, PAUSED],
        "PAUSED_EXTENSIONS",
        "An operator has paused the connected extensions that support the model.",
        "Resume one of them, or connect another extension that makes dall-e-3.",
    ),
    (
        [LATER, RESTING, PAUSED],
        "COOLING_DOWN",
        "The extensions that support the model are paused for another 3 s after a failure: Too many requests",
        "Wait, remove the cause of the failure, or connect another extension that makes dall-e-3.",
    ),
    (
        [BUSY],
        "BUSY",
        "The extension that supports the model is busy with other requests.",
        "Wait, or connect another extension that makes dall-e-3.",
    ),
    (
        [dataclasses.replace(BUSY, ready=2, slots=2, busy=2)],
        "BUSY",
        "All 2 extensions that support the model are busy with other requests.",
        "Wait, or connect another extension that makes dall-e-3.",
    ),
    (
        [BUSY, FLUX],
        "BUSY",
        "The extension that supports the model is busy with other requests.",
        "Wait, or connect another extension that makes dall-e-3.",
    ),
    ([BUSY, ONE], "ABOUT_TO_START", "The request is about to be assigned.", None),
]


@pytest.mark.parametrize(("groups", "code", "sentence", "remedy"), REASONS)
def test_why_a_request_waits(groups: list[FleetGroup], code: str, sentence: str, remedy: str | None) -> None:
    found = why(*groups)
    assert (found.code, found.sentence, found.remedy) == (code, sentence, remedy)


def test_a_request_that_any_extension_could_make_names_no_model() -> None:
    assert why(model=ANY_MODEL).remedy == "Connect an extension."
    assert why(BUSY, model=ANY_MODEL).remedy == "Wait, or connect another extension."


def test_requests_ahead_of_it_take_the_free_slots() -> None:
    two = dataclasses.replace(ONE, slots=2)
    assert (why(two, ahead=1).code, why(two, ahead=2).code) == (ReasonCode.ABOUT_TO_START, ReasonCode.BUSY)
    assert why(two, ahead=2).sentence.startswith("Requests that are ahead of it take the free slots")


def paused(kind: PauseKind, name: str = "", **more: str | int) -> QueuePause:
    return QueuePause(PauseTarget(kind, name), 1, **more)  # type: ignore[arg-type]


def test_a_pause_of_the_queue_is_the_reason_with_its_note_and_its_end() -> None:
    everything = why(ONE, pauses=Pauses.of([paused(PauseKind.ALL, note="Repairs", until=2_000)]))
    assert everything.code is ReasonCode.PAUSED_ALL
    assert everything.sentence == "An operator has paused the queue until 1970-01-01T00:00:02.000Z: Repairs"
    assert everything.remedy == "Resume the queue (POST /api/queue/resume), which operators can."
    assert (everything.is_pause, everything.ends_at) == (True, 2_000)
    model = why(ONE, pauses=Pauses.of([paused(PauseKind.MODEL, "dall-e-3")]))
    assert (model.code, model.ends_at) == (ReasonCode.PAUSED_MODEL, None)
    assert model.sentence == "An operator has paused the queue of the model dall-e-3."
    assert why(ONE, pauses=Pauses.of([paused(PauseKind.MODEL, "flux")])).code is ReasonCode.ABOUT_TO_START


def test_why_a_request_is_held_back() -> None:
    user = paused(PauseKind.USER, "ann")
    held = waiting.why_held
    in_batch = {"in_batch": True, "batch_paused": False, "follows": None}
    assert held(pause=user, in_batch=True, batch_paused=True, follows="r1").code is ReasonCode.FOLLOWS
    assert held(pause=user, in_batch=True, batch_paused=True, follows=None).code is ReasonCode.PAUSED_USER
    assert held(pause=None, in_batch=False, batch_paused=False, follows=None).code is ReasonCode.PAUSED_USER
    assert held(pause=None, in_batch=True, batch_paused=True, follows=None).code is ReasonCode.BATCH_PAUSED
    assert held(pause=None, **in_batch).code is ReasonCode.BATCH_CONCURRENCY  # type: ignore[arg-type]


def test_the_slots_of_a_model_are_those_of_the_extensions_that_make_it() -> None:
    both = dataclasses.replace(ONE, capabilities=("flux", "other"), ready=2, slots=6, busy=1)
    groups = [both, dataclasses.replace(ONE, capabilities=("other",), slots=9), BUSY]
    assert Capacity.of(groups, "FLUX") == Capacity(3, 7, 2, 7.0)
    assert Capacity.of(groups).slots == 16


def test_models_that_are_waited_for_share_the_slots_that_they_have_in_common() -> None:
    both = dataclasses.replace(ONE, capabilities=("flux", "other"), slots=6)
    assert Capacity.of([both, BUSY], "flux", {"flux", "other", "third"}).share == 6 / 2 + 1 / 3


def test_everything_is_paused_by_one_row() -> None:
    assert Pauses.of([QueuePause(EVERYTHING, 1)]).queue("any") is not None


VARIATIONS = dataclasses.replace(ONE, capabilities=("sdxl", "image-variation"))


@pytest.mark.parametrize(
    ("groups", "key", "sentence", "remedy"),
    [
        (
            [],
            "flux#variation",
            "No extension is connected.",
            "Connect an extension that makes flux and announces image-variation.",
        ),
        (
            [FLUX],
            "flux#variation",
            "No connected extension can make variations with flux.",
            "Connect an extension that makes flux and announces image-variation.",
        ),
        (
            [FLUX, VARIATIONS],
            "flux#variation",
            "No connected extension can make variations with flux. Others can with: sdxl.",
            "Connect an extension that makes flux and announces image-variation, or ask for a model that is supported.",
        ),
        ([FLUX], "*#edit", "No connected extension can make edits.", "Connect an extension that announces image-edit."),
    ],
)
def test_what_makes_no_variations_is_not_waited_for(
    groups: list[FleetGroup], key: str, sentence: str, remedy: str
) -> None:
    reason = why(*groups, model=key)
    assert (reason.sentence, reason.remedy) == (sentence, remedy)
    assert reason.code is (ReasonCode.NO_CAPABLE_EXTENSION if groups else ReasonCode.NO_EXTENSION)


def test_a_paused_model_pauses_its_variations() -> None:
    pauses = Pauses.of([QueuePause(PauseTarget.of_model("Flux"), 1)])
    assert pauses.model("flux#edit") is not None
    assert pauses.model("sdxl#edit") is None
