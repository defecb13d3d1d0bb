"""What a picture costs from its extension's report to the stored file, against Pillow's decode of the same bytes."""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from PIL import Image, ImageFilter

from bench import meter
from bench.environment import SystemUnderTest, fleet, scratch, serving
from bench.loading import Load, loading
from bench.measures.turns import Turn, average, in_turns, values
from bench.meter import Meter
from bench.plan import Plan
from bench.results import Bar, Measure, Row
from tests.support.serving import serving as hosting

KINDS = ("PNG", "JPEG", "WEBP")
SIDES = (1024, 4096)
BUDGET = 1.3
MOST_BYTES = str(200 * 2**20)

EXPLANATION = (
    "From image_generated on the socket to image_generation_confirmed: fetched over HTTP from this machine, validated, stored "
    "as PNG, committed. CPU is that of all processes of the service. A tiny picture shows the cost of the job; what exceeds it is "
    "the cost of the picture. Memory is the peak of the decoder above its memory after a tiny picture. The floor: "
    "Pillow decodes the same bytes in memory and, unless they are PNG, encodes them as PNG with the service's compression level."
)


def measure(plan: Plan) -> Measure:
    """CPU and peak memory, by kind and size."""
    result = Measure("pictures", "From reported to stored", EXPLANATION, bars_unit="CPU ms a picture")
    with measuring(plan) as (pair, folder):
        result.rows.append(Row("16 × 16 PNG: CPU", "ms", values(pair.tiny, "cpu")))
        result.bars.append(Bar("16 × 16 PNG", average(pair.tiny)))
        for side in SIDES:
            for kind in KINDS:
                path = drawn(folder, kind, side)
                with hosting(path.read_bytes()) as url:
                    turns = in_turns(plan.repeats, partial(pair.stored, url), partial(pair.converted, path))
                _report(result, f"{side} × {side} {kind} of {path.stat().st_size / 2**20:.1f} MiB", *turns)
    return result


@contextmanager
def measuring(plan: Plan) -> Iterator[tuple[Pair, Path]]:
    """A service with one extension and one decoder, beside Pillow alone; and a folder for pictures."""
    with ExitStack() as stack:
        folder = stack.enter_context(scratch())
        env = {"WORKER_PROCESSES": "1", "MAX_IMAGE_SIZE": MOST_BYTES, "SWEEP_INTERVAL_MS": "60000"}
        system = stack.enter_context(serving(plan.one_database, 1, **env))
        load, _ = stack.enter_context(fleet(system))
        pillow = stack.enter_context(loading("bench.load.pillow"))
        pair = Pair(system, load, pillow, drawn(folder, "PNG", 16), plan.repeats)
        yield pair, folder


def drawn(folder: Path, kind: str, side: int) -> Path:
    """A picture that compresses about like a photograph: soft shapes, and grain."""
    path = folder / f"{side}.{kind.lower()}"
    randomness = random.Random(side)
    shapes = Image.frombytes("RGB", (32, 32), randomness.randbytes(3 * 32 * 32)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    grain = Image.frombytes("L", (512, 512), randomness.randbytes(512 * 512)).filter(ImageFilter.GaussianBlur(1))
    layer = Image.new("L", (side, side))
    for x in range(0, side, 512):
        for y in range(0, side, 512):
            layer.paste(grain, (x, y))
    Image.blend(shapes, Image.merge("RGB", (layer, layer, layer)), 0.05).save(path, kind)
    return path


class Pair:
    """The service's decoder and Pillow alone; the baseline of each is its memory after a tiny picture.

    `tiny` are the turns of the service with that picture: what a job costs whatever its picture is.
    """

    def __init__(self, system: SystemUnderTest, load: Load, pillow: Load, tiny: Path, repeats: int) -> None:
        self._system, self._load, self.pillow = system, load, pillow
        self._rest = self._paint_rest = self._job_cpu = 0.0
        with hosting(tiny.read_bytes()) as url:
            self.stored(url)
            self.tiny = [self.stored(url) for _ in range(repeats)]
        self._rest = self.tiny[-1].figures["memory"]
        self._job_cpu = statistics.median(values(self.tiny, "cpu"))
        self._paint_rest = self.converted(tiny).figures["memory"]

    def stored(self, url: str) -> Turn:
        """One picture, from report to stored file."""
        (request_id,) = self._load.call("hold", count=1)["ids"]
        decoder = self._system.groups()["download"][
            -1
        ]  # the last that was started; before the first picture there is none
        meter.forget_peak(decoder)
        counter = Meter(self._system.groups)
        counter.start()
        done = self._load.call("report", request_id=request_id, url=url)
        used = counter.used()
        if not done["confirmed"]:
            raise RuntimeError(f"the picture was not stored: {self._system.service.log('worker0')[-500:]}")
        memory = meter.peak_resident(decoder) / 2**20 - self._rest
        cpu = 1e3 * sum(used.values())
        return Turn(
            {"cpu": cpu, "own": cpu - self._job_cpu, "memory": memory, "time": 1e3 * done["seconds"]},
            {name: 1e3 * each for name, each in used.items()},
        )

    def converted(self, path: Path) -> Turn:
        """The floor of the same picture."""
        done = self.pillow.call("convert", path=str(path))
        memory = done["memory"] / 2**20 - self._paint_rest
        return Turn({"cpu": 1e3 * done["cpu"], "memory": memory}, {"Pillow": 1e3 * done["cpu"]})


def _report(result: Measure, label: str, subject: list[Turn], floor: list[Turn]) -> None:
    result.rows += [
        Row(f"{label}: CPU", "ms", values(subject, "cpu"), values(floor, "cpu"), BUDGET),
        Row(f"{label}: the picture's own CPU", "ms", values(subject, "own"), values(floor, "cpu"), BUDGET),
        Row(f"{label}: peak memory", "MiB", values(subject, "memory"), values(floor, "memory"), BUDGET),
        Row(f"{label}: time", "ms", values(subject, "time")),
    ]
    result.bars += [Bar(label, average(subject)), Bar(f"{label}, floor", average(floor))]
