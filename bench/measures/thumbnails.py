"""What the thumbnails of a picture cost, as a share of its whole job."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from bench.environment import fleet, scratch, serving
from bench.loading import Load, loading
from bench.measures.pictures import MOST_BYTES, Pair, drawn
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
    with ExitStack() as stack:
        folder = stack.enter_context(scratch())
        env = {"WORKER_PROCESSES": "1", "MAX_IMAGE_SIZE": MOST_BYTES, "SWEEP_INTERVAL_MS": "60000"}
        system = stack.enter_context(serving(plan.one_database, 1, **env))
        load, _ = stack.enter_context(fleet(system))
        pillow = stack.enter_context(loading("bench.load.pillow"))
        pair = Pair(system, load, pillow, drawn(folder, "PNG", 16), plan.repeats)
        for side in SIDES:
            for kind in KINDS:
                path = drawn(folder, kind, side)
                with hosting(path.read_bytes()) as url:
                    turns = in_turns(
                        plan.repeats, partial(_cpu, pillow, "thumbnails", str(path)), partial(pair.stored, url)
                    )
                _report(result, f"{side} × {side} {kind}", *turns)
            png = drawn(folder, "PNG", side)
            later = [_cpu(pillow, "renditions", str(png)) for _ in range(plan.repeats)]
            result.rows.append(Row(f"{side} × {side} PNG: both at the first request", "ms", values(later, "cpu")))
    return result


def _cpu(pillow: Load, command: str, path: str) -> Turn:
    used = 1e3 * pillow.call(command, path=path)["cpu"]
    return Turn({"cpu": used}, {"Pillow": used})


def _report(result: Measure, label: str, thumbnails: list[Turn], job: list[Turn]) -> None:
    result.rows.append(Row(f"{label}: of its job", "ms", values(thumbnails, "cpu"), values(job, "cpu"), SHARE))
    result.bars += [Bar(f"{label}: thumbnails", average(thumbnails)), Bar(f"{label}: job", average(job))]
