"""What the thumbnails of a picture cost, as a share of its whole job."""

from __future__ import annotations

from functools import partial

from bench.loading import Load
from bench.measures.pictures import drawn, measuring
from bench.measures.turns import Turn, average, in_turns, values
from bench.plan import Plan
from bench.results import Bar, Measure, Row
from tests.support.serving import serving as hosting

KINDS = ("JPEG", "WEBP")
SIDES = (1024, 2048)
SHARE = 0.15

EXPLANATION = (
    "Measured: the CPU of scaling a decoded picture to 1,024 and 256 px and encoding both as WebP, in a process of its own. The "
    "floor is the whole job from image_generated to the stored picture and its thumbnails, CPU of all processes of the service "
    "(without the submission and the hand-off, so the true share is smaller); the ratio is the share. A PNG that is stored as it "
    "is is not decoded: its thumbnails are made when somebody wants them, which is shown for comparison."
)


def measure(plan: Plan) -> Measure:
    """The share of a job by kind and size, and what the thumbnails of an undecoded PNG cost."""
    result = Measure("thumbnails", "Thumbnails in a job", EXPLANATION, bars_unit="CPU ms a picture")
    with measuring(plan) as (pair, folder):
        for side in SIDES:
            for kind in KINDS:
                path = drawn(folder, kind, side)
                with hosting(path.read_bytes()) as url:
                    turns = in_turns(
                        plan.repeats, partial(_cpu, pair.pillow, "thumbnails", str(path)), partial(pair.stored, url)
                    )
                _report(result, f"{side} × {side} {kind}", *turns)
            png = drawn(folder, "PNG", side)
            later = [_cpu(pair.pillow, "renditions", str(png)) for _ in range(plan.repeats)]
            result.rows.append(Row(f"{side} × {side} PNG: both at the first request", "ms", values(later, "cpu")))
    return result


def _cpu(pillow: Load, command: str, path: str) -> Turn:
    used = 1e3 * pillow.call(command, path=path)["cpu"]
    return Turn({"cpu": used}, {"Pillow": used})


def _report(result: Measure, label: str, thumbnails: list[Turn], job: list[Turn]) -> None:
    result.rows.append(Row(f"{label}: of its job", "ms", values(thumbnails, "cpu"), values(job, "cpu"), SHARE))
    result.bars += [Bar(f"{label}: thumbnails", average(thumbnails)), Bar(f"{label}: job", average(job))]
