"""What a picture costs from its extension's report to the stored file, against Pillow's decode of the same bytes."""

from __future__ import annotations

import random
from contextlib import ExitStack
from pathlib import Path

from PIL import Image, ImageFilter

from bench import meter
from bench.house import Stand, fleet, scratch, serving
from bench.loading import Load, loading
from bench.measures.turns import Turn, average, in_turns, values
from bench.meter import Meter
from bench.plan import Plan
from bench.results import Bar, Measure, Row
from tests.support.serving import serving as hosting

KINDS = ("PNG", "JPEG", "WEBP")
SIDES = (1024, 4096)
REACH = 1.3
MOST_BYTES = str(200 * 2**20)

SAYS = (
    "From image_generated on the socket to image_generation_confirmed: fetched over HTTP from this machine, judged, decoded, "
    "stored as PNG, committed. CPU is that of all processes of the service, memory the peak of the download process above "
    "what it has at rest. The floor: Pillow's decode of the same bytes in memory, and its encode as PNG, packed as hard as "
    "the service packs, where they are not PNG."
)


def measure(plan: Plan) -> Measure:
    """CPU and peak memory, by kind and size."""
    result = Measure("pictures", "From reported to stored", SAYS, bars_unit="CPU ms a picture")
    with ExitStack() as stack:
        folder = stack.enter_context(scratch())
        env = {"WORKER_PROCESSES": "1", "MAX_IMAGE_SIZE": MOST_BYTES, "SWEEP_INTERVAL_MS": "60000"}
        stand = stack.enter_context(serving(plan.one_database, 1, **env))
        load, _ = stack.enter_context(fleet(stand))
        painter = stack.enter_context(loading("bench.load.painter"))
        for side in SIDES:
            for kind in KINDS:
                path = drawn(folder, kind, side)
                with hosting(path.read_bytes()) as url:
                    turns = in_turns(plan.repeats, lambda: _stored(stand, load, url), lambda: _painted(painter, path))  # noqa: B023 - called here
                _report(result, f"{side} × {side} {kind} of {path.stat().st_size / 2**20:.1f} MiB", *turns)
    return result


def drawn(folder: Path, kind: str, side: int) -> Path:
    """A picture that packs about as a photograph does: soft shapes, and grain."""
    path = folder / f"{side}.{kind.lower()}"
    chance = random.Random(side)
    shapes = Image.frombytes("RGB", (32, 32), chance.randbytes(3 * 32 * 32)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    grain = Image.frombytes("L", (512, 512), chance.randbytes(512 * 512)).filter(ImageFilter.GaussianBlur(1))
    layer = Image.new("L", (side, side))
    for x in range(0, side, 512):
        for y in range(0, side, 512):
            layer.paste(grain, (x, y))
    Image.blend(shapes, Image.merge("RGB", (layer, layer, layer)), 0.05).save(path, kind)
    return path


def _stored(stand: Stand, load: Load, url: str) -> Turn:
    (request_id,) = load.ask("hold", count=1)["ids"]
    worker = stand.groups()["download"][-1]
    before = meter.forget_peak(worker)
    counter = Meter(stand.groups)
    counter.start()
    done = load.ask("report", request_id=request_id, url=url)
    used = counter.used()
    if not done["confirmed"]:
        raise RuntimeError(f"the picture was not stored: {stand.service.log('worker0')[-500:]}")
    memory = (meter.peak_resident(worker) - before) / 2**20
    return Turn(
        {"cpu": 1e3 * sum(used.values()), "memory": memory, "time": 1e3 * done["seconds"]},
        {name: 1e3 * each for name, each in used.items()},
    )


def _painted(painter: Load, path: Path) -> Turn:
    done = painter.ask("paint", path=str(path))
    return Turn({"cpu": 1e3 * done["cpu"], "memory": done["memory"] / 2**20}, {"Pillow": 1e3 * done["cpu"]})


def _report(result: Measure, label: str, subject: list[Turn], floor: list[Turn]) -> None:
    result.rows += [
        Row(f"{label}: CPU", "ms", values(subject, "cpu"), values(floor, "cpu"), REACH),
        Row(f"{label}: peak memory", "MiB", values(subject, "memory"), values(floor, "memory"), REACH),
        Row(f"{label}: time", "ms", values(subject, "time")),
    ]
    result.bars += [Bar(label, average(subject)), Bar(f"{label}, floor", average(floor))]
