"""What is paused at a moment."""

from __future__ import annotations

from app.domain.pauses import EVERYTHING, PauseKind, Pauses, PauseTarget, QueuePause

FLUX = QueuePause(PauseTarget.of_model("Flux"), 2_000)
ALL = QueuePause(EVERYTHING, 1_000)
ANN = QueuePause(PauseTarget(PauseKind.USER, "ann"), 1_000)


def test_a_model_is_paused_by_its_name_in_any_case() -> None:
    pauses = Pauses.of([FLUX])
    assert (pauses.queue("fLUX"), pauses.queue("other")) == (FLUX, None)


def test_every_queue_is_paused_with_everything() -> None:
    pauses = Pauses.of([FLUX, ALL])
    assert (pauses.queue("flux"), pauses.queue("other"), pauses.model("other")) == (ALL, ALL, None)


def test_a_queue_stands_still_since_the_earliest_of_its_pauses() -> None:
    pauses = Pauses.of([FLUX, ALL])
    assert (pauses.stood_still_since("flux"), Pauses.of([FLUX]).stood_still_since("flux")) == (1_000, 2_000)
    assert Pauses.of([FLUX]).stood_still_since("other") is None


def test_a_user_is_not_a_model() -> None:
    pauses = Pauses.of([ANN])
    assert (pauses.user("ann"), pauses.user("Ann"), pauses.model("ann")) == (ANN, None, None)
