"""Whole jobs, from the POST to the stored picture, and what each costs against the sum of the floors of its parts.

The floor of a job is what its parts cost where each is done in the least way, in CPU of all processes that serve:

- its submission: the floor of `submit` (validation, one insert and commit), at 16 clients;
- its hand-off and its download: twice the floor of `handoff`, since a job is two tasks: sending a task of Celery that does
  nothing, running it, one publish, one message to a socket (the offer, and the confirmation that the picture is stored);
- the extension's report: one message to a socket and its answer, the echo of flask-sock;
- its picture: Pillow's decode of the same bytes.

Not in the floor: the three further commits of a job (handed out, reported, stored), the file and its fsync.
"""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack

from PIL import Image

from bench import meter
from bench.environment import fleet, floor_web, fresh, postgres_group, scratch, serving, submission
from bench.floor_handoff import handoff_floor
from bench.load.fleet import small_picture
from bench.loading import Load, loading
from bench.measures.submit import posting
from bench.measures.turns import SERVING, Turn, average, cpu, values
from bench.meter import Groups, Meter
from bench.plan import Plan
from bench.results import Bar, Measure, Row

EXTENSIONS = (16, 256)
REPEATS = 3
BUDGET = 3.5
WINDOW = 2  # requests in flight per extension
MOST_UNDER_WAY = 300
ECHOES = 500


def measure(plan: Plan) -> Measure:
    """Jobs a second, and CPU a job."""
    explanation = " ".join((__doc__ or "").split("\n", 2)[2].split())
    result = Measure("jobs", "Whole jobs", explanation, bars_unit="CPU µs a job")
    for extensions in EXTENSIONS:
        with ExitStack() as stack:
            _with(extensions, plan, result, stack)
    return result


def _with(extensions: int, plan: Plan, result: Measure, stack: ExitStack) -> None:
    system = stack.enter_context(serving(plan.one_database, extensions))
    load, _ = stack.enter_context(fleet(system))
    floor = JobFloor(plan, stack)
    window = min(WINDOW * extensions, MOST_UNDER_WAY)
    subject, floors = [], []
    for _ in range(REPEATS):
        subject.append(_jobs(load, window, plan.pick(8.0, 3.0), system.groups))
        floors.append(floor.turn())
    label = f"{extensions} extensions"
    result.rows += [
        Row(f"{label}: CPU of all processes", "µs a job", cpu(subject), cpu(floors, *FLOORS), BUDGET),
        Row(f"{label}: jobs", "/s", values(subject, "rate"), more_is_better=True),
        Row(f"{label}: submissions refused", "", values(subject, "refused")),
    ]
    result.bars += [Bar(label, average(subject)), Bar(f"{label}, floor", average(floors))]


def _jobs(load: Load, window: int, seconds: float, groups: Callable[[], Groups]) -> Turn:
    load.call("begin", window=window, whole=True)
    counter = Meter(groups)
    counter.start()
    done = load.call("watch", seconds=seconds)
    used = counter.used()
    load.call("stop")
    if not done["count"]:
        raise RuntimeError(f"no job was done with {window} under way: {done}")
    each = {name: 1e6 * spent / done["count"] for name, spent in {**used, "load generator": done["cpu"]}.items()}
    return Turn({"rate": done["count"] / done["seconds"], "refused": done["refused"]}, each)


FLOORS = ("submission", "hand-off and download", "report", "picture")


class JobFloor:
    """The running floors of a job's parts."""

    def __init__(self, plan: Plan, stack: ExitStack) -> None:
        url = stack.enter_context(fresh(plan.one_database, stack.enter_context(scratch())))
        port, pid = stack.enter_context(floor_web("web", FLOOR_DATABASE_URL=url))
        clients = stack.enter_context(loading("bench.load.http"))

        def groups() -> Groups:
            return {"web": meter.tree(pid), **postgres_group(url)}

        self._submitting = posting(clients, port, [submission()], 16, plan.seconds, groups)
        self._handing = stack.enter_context(handoff_floor())
        self._echo = stack.enter_context(loading("bench.load.floor"))
        self._echo.call("connect", port=self._handing.web_port, path="/echo")
        self._seconds = plan.seconds

    def turn(self) -> Turn:
        """The least cost of a job by part, in CPU µs."""
        submitting = self._submitting().cpu
        return Turn(
            {},
            {
                "submission": sum(each for name, each in submitting.items() if name in SERVING),
                "hand-off and download": 2 * self._handing_us(),
                "report": self._report_us(),
                "picture": decode_us(small_picture()),
            },
        )

    def _handing_us(self) -> float:
        counter = Meter(self._handing.groups)
        counter.start()
        done = self._handing.load.call("handoff_most", window=16, seconds=self._seconds)
        used = sum(counter.used().values()) + done["sending"]
        return float(1e6 * used / max(done["count"], 1))

    def _report_us(self) -> float:
        counter = Meter(lambda: {"web": meter.tree(self._handing.web_pid)})
        counter.start()
        done = self._echo.call("round_trips", count=ECHOES)
        return float(1e6 * counter.used()["web"] / max(done["count"], 1))


def decode_us(picture: bytes) -> float:
    """CPU of Pillow's decode."""
    times = []
    for _ in range(30):
        begun = time.process_time()
        with Image.open(io.BytesIO(picture)) as image:
            image.load()
        times.append(time.process_time() - begun)
    return 1e6 * statistics.median(times)
