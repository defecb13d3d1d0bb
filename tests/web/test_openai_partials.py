"""Which previews become the partial images of a call."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.domain.previews import Preview
from app.web.openai.event_types import EDIT, GENERATION, Kind
from app.web.openai.partials import PartialImages
from app.web.openai.schemas import ImagesRequest
from tests.support.fakes import Bench
from tests.support.harness import Harness

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def partials(bench: Bench, kind: Kind = GENERATION, **body: Any) -> PartialImages:
    call = ImagesRequest.model_validate({"prompt": "a fox", "stream": True, **body})
    return PartialImages(Harness.of(bench).services.previews, "r", call, kind)


def keep(bench: Bench, progress: int, position: int = 0) -> None:
    """Keep a preview, which is newer than all others."""
    bench.bus.publish_preview(Preview("r", position, progress, "image/webp", f"{progress}", 100 * position + progress))


def events(sent: Any) -> list[dict[str, Any]]:
    return [json.loads(each.decode().partition("data: ")[2]) for each in sent]


def test_as_many_as_are_wanted_are_spread_over_the_progress(bench: Bench) -> None:
    wanted, sent = partials(bench, partial_images=3), []
    for progress in (5, 10, 20, 30, 40, 60, 80, 90):
        keep(bench, progress)
        sent += events(wanted.next_of(0))
    assert [(each["b64_json"], each["partial_image_index"]) for each in sent] == [("5", 0), ("30", 1), ("60", 2)]


def test_a_preview_is_sent_once_and_each_image_has_its_own(bench: Bench) -> None:
    wanted = partials(bench, EDIT, n=2, partial_images=2, size="64x32", background="opaque")
    keep(bench, 50)
    keep(bench, 60, position=1)
    first = events(wanted.earlier())
    assert [(each["b64_json"], each["partial_image_index"]) for each in first] == [("50", 0), ("60", 0)]
    assert {(each["type"], each["size"], each["quality"], each["background"]) for each in first} == {
        ("image_edit.partial_image", "64x32", "auto", "opaque")
    }
    assert events(wanted.next_of(0)) == events(wanted.earlier()) == []


@pytest.mark.parametrize("body", [{}, {"partial_images": 0}, {"partial_images": 3, "stream": False}])
def test_there_are_none_unless_the_call_is_a_stream_that_wants_them(bench: Bench, body: dict[str, Any]) -> None:
    keep(bench, 50)
    wanted = partials(bench, **body)
    assert events(wanted.earlier()) == events(wanted.next_of(0)) == []
