"""How often an extension's previews are taken, and when no more of them are."""

from __future__ import annotations

from typing import Any, cast

import pytest

from app.domain.errors import MalformedMessage
from app.domain.images import BadImage, Fault, PictureError
from app.domain.messages import ImageGenerationProgress, PreviewImage
from app.hub.previews import MOST_REFUSED, PreviewIntake
from app.services.previews import Previews


class FakePreviews:
    """Records what was received; raises `problem`, if there is one."""

    def __init__(self) -> None:
        self.received: list[tuple[Any, ...]] = []
        self.problem: PictureError | None = None

    def receive(self, *values: Any) -> None:
        """Record the preview, and raise the problem."""
        self.received.append(values)
        if self.problem is not None:
            raise self.problem


class Clock:
    """Seconds, moved by the test."""

    def __init__(self) -> None:
        self.now = 5.0

    def __call__(self) -> float:
        return self.now


class ServiceFailed(PictureError):
    """Not the extension's fault."""

    fault = Fault.SERVICE


@pytest.fixture
def service() -> FakePreviews:
    return FakePreviews()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def intake(service: FakePreviews, clock: Clock) -> PreviewIntake:
    return PreviewIntake(cast(Previews, service), clock)


def progress(request_id: str = "one", position: int = 0, percent: float = 40.5) -> ImageGenerationProgress:
    preview = PreviewImage(data="AA==", position=position)
    return ImageGenerationProgress(request_id=request_id, progress=percent, preview=preview)


def test_one_preview_of_each_picture_is_taken_in_a_second(
    intake: PreviewIntake, service: FakePreviews, clock: Clock
) -> None:
    for request_id, position in (("one", 0), ("one", 0), ("one", 1), ("two", 0), ("one", 1)):
        intake.take(progress(request_id, position))
        clock.now += 0.1
    assert [each[:2] for each in service.received] == [("one", 0), ("one", 1), ("two", 0)]
    clock.now += 0.6
    intake.take(progress())
    assert service.received[3:] == [("one", 0, 40, "AA==")]


def test_a_bad_preview_is_answered_and_after_many_of_them_no_more_are_taken(
    intake: PreviewIntake, service: FakePreviews, clock: Clock
) -> None:
    service.problem = BadImage("It is not in base64.")
    refused = []
    for _ in range(MOST_REFUSED):
        clock.now += 1
        with pytest.raises(MalformedMessage) as refusal:
            intake.take(progress())
        refused.append(refusal.value.detail)
    assert set(refused[:-1]) == {"preview cannot be used: It is not in base64."}
    assert refused[-1].endswith("No more previews are taken on this connection.")
    service.problem = None
    clock.now += 1
    intake.take(progress())
    assert len(service.received) == MOST_REFUSED


def test_a_failure_of_the_service_is_not_held_against_the_extension(
    intake: PreviewIntake, service: FakePreviews
) -> None:
    service.problem = ServiceFailed("Too many pictures.")
    intake.take(progress())
    intake.take(ImageGenerationProgress(request_id="one", progress=50))
    assert len(service.received) == 1
