"""Polling a request's status or following its stream, against a constant answer."""

from __future__ import annotations

import time
from contextlib import ExitStack

import psycopg
from sqlalchemy import make_url

from bench import meter
from bench.environment import SystemUnderTest, fleet, floor_web, serving
from bench.load.http import request_text
from bench.loading import Load, loading
from bench.measures.submit import posting
from bench.measures.turns import average, cpu, in_turns, values
from bench.meter import Meter
from bench.plan import Plan
from bench.results import Bar, Measure, Row

CLIENTS = 16
BUDGET = 3.0
EXTENSIONS, SLOTS = 10, 10
REPORTED_AFTER_S = 12.0  # an idle PostgreSQL connection reports its counters after ten seconds
IDLE_BUDGET = 1.2  # none a stream; beats and sweeps go on

EXPLANATION = (
    "Polls: GET status of a request that an extension holds, with a key, by 16 clients; the floor is a constant answer "
    "of Flask. Streams: Server-Sent Events of 100 assigned requests, on PostgreSQL, which counts its transactions: idle, and "
    "while every extension reports progress; the time is from the first report to each stream."
)


def measure(plan: Plan) -> Measure:
    """Polls, and streams."""
    result = Measure("status", "Status and live streams", EXPLANATION, bars_unit="CPU µs a poll")
    with ExitStack() as stack:
        _polls(plan, result, stack)
    with ExitStack() as stack:
        _streams(plan, result, stack)
    return result


def _polls(plan: Plan, result: Measure, stack: ExitStack) -> None:
    system = stack.enter_context(serving(plan.one_database, 1))
    port, pid = stack.enter_context(floor_web("web"))
    extensions, _ = stack.enter_context(fleet(system))
    (request_id,) = extensions.call("hold", count=1)["ids"]
    load = stack.enter_context(loading("bench.load.http"))
    path = f"/api/images/{request_id}/status"
    asked = request_text("GET", path, key=system.key).decode()
    known = request_text("GET", "/cached", key=system.key).decode()
    subject, floor = in_turns(
        plan.repeats,
        posting(load, system.port, [asked], CLIENTS, plan.seconds, system.groups),
        posting(load, port, [known], CLIENTS, plan.seconds, lambda: {"web": meter.tree(pid)}),
    )
    result.rows += [
        Row("poll: CPU of the web process", "µs", cpu(subject, "web"), cpu(floor, "web"), BUDGET),
        Row("poll: rate", "/s", values(subject, "rate"), values(floor, "rate"), more_is_better=True),
        Row("poll: time, p99", "ms", values(subject, "p99"), values(floor, "p99")),
    ]
    result.bars += [Bar("poll", average(subject)), Bar("poll, floor", average(floor))]


def _streams(plan: Plan, result: Measure, stack: ExitStack) -> None:
    count, seconds = plan.pick(1_000, 200), plan.pick(20.0, 12.0)
    system = stack.enter_context(serving("postgresql", EXTENSIONS))
    extensions, _ = stack.enter_context(fleet(system, SLOTS))
    ids = extensions.call("hold", count=plan.pick(EXTENSIONS * SLOTS, 20))["ids"]
    streams = stack.enter_context(loading("bench.load.streams"))
    without = _transactions(system, streams, seconds)
    web = system.web_pid
    before = meter.resident([web])
    opened = streams.call("open", port=system.port, ids=ids, count=count, key=system.key)
    memory = (meter.resident([web]) - before) / count / 1024
    if opened["count"] < count:
        raise RuntimeError(f"of {count} streams {opened['count']} began: {opened['silent']}, {opened['lost']}")
    if opened["lost"]:
        result.notes.append(f"{len(opened['lost'])} streams had to reconnect; the first received: {opened['lost'][0]}")
    counter = Meter(lambda: {"web": [web]})
    counter.start()
    idle = _transactions(system, streams, seconds)
    idle_us = 1e6 * counter.used()["web"] / (seconds + REPORTED_AFTER_S) / count
    repeats = [_progress_times(extensions, streams, number) for number in range(plan.repeats)]
    an_hour = max(0.0, (idle - without) / count * 3600)
    result.rows += [
        Row(f"{count:,} streams: begun", "/s", [count / opened["seconds"]], more_is_better=True),
        Row(f"{count:,} streams: memory of each", "KiB", [memory]),
        Row(f"{count:,} streams: CPU of the web process for an idle one", "µs/s", [idle_us]),
        Row(f"{count:,} streams: progress of {len(ids)} requests to all, p50", "ms", [each["p50"] for each in repeats]),
        Row(f"{count:,} streams: progress of {len(ids)} requests to all, p99", "ms", [each["p99"] for each in repeats]),
        Row(f"transactions a second with {count:,} idle streams and without", "/s", [idle], [without], IDLE_BUDGET),
    ]
    result.notes.append(f"Transactions of an idle stream in an hour: {an_hour:.0f}.")


def _progress_times(extensions: Load, streams: Load, number: int) -> dict[str, float]:
    note = f"step {number} of all"
    streams.call("expect", text=note)
    begun = time.perf_counter()  # the same clock in every process of this machine
    extensions.call("progress", text=note)
    return streams.call("wait_for_all", begun=begun)


def _transactions(system: SystemUnderTest, streams: Load, seconds: float) -> float:
    """Transactions per second of the service's database while no client sends requests."""
    time.sleep(REPORTED_AFTER_S)
    before = _count(system)
    streams.call("idle", seconds=seconds)
    return (_count(system) - before) / seconds


def _count(system: SystemUnderTest) -> int:
    url = make_url(system.service.env["DATABASE_URL"])
    maintenance = url.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(maintenance) as connection:
        query = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = %s"
        row = connection.execute(query, [url.database]).fetchone()
    assert row is not None
    return int(row[0])
