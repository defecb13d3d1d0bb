"""Storing a picture in a bucket, against boto3's `put_object` of the same bytes."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from app.adapters.s3_store import S3Store
from app.adapters.store import LocalStore
from bench.environment import scratch
from bench.measures.turns import Turn, in_turns, values
from bench.plan import Plan
from bench.results import Bar, Measure, Row
from tests.support.s3 import CREDENTIALS, S3Server, s3_server

SIZES = (65_536, 1_500_000, 8_000_000)
BUDGET = 1.5
NAME = "550e8400-e29b-41d4-a716-446655440000_1.png"
KEY = "bare.png"

EXPLANATION = (
    "One picture after the other, written to an unfinished file, hashed, sent with its SHA-256 and its headers; then read as it is for a "
    "client. The floor: `put_object` of the same bytes from memory and `get_object`, by a client of boto3 with its defaults, on the "
    "same server (moto's, on this machine). CPU is that of the process that stores, not of the server."
)


def measure(plan: Plan) -> Measure:
    """Time and CPU of storing and reading, by size."""
    result = Measure("storage", "Storing in a bucket", EXPLANATION, bars_unit="CPU µs a picture")
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, CREDENTIALS))
        server = stack.enter_context(s3_server())
        folder = stack.enter_context(scratch())
        for size in SIZES:
            _of(size, server, folder, plan, result)
    return result


def _of(size: int, server: S3Server, folder: Path, plan: Plan, result: Measure) -> None:
    bucket, picture = server.bucket(), random.Random(size).randbytes(size)
    store = S3Store(server.location(bucket), LocalStore(folder / str(size)))
    label = f"{size / 2**20:.2g} MiB"
    for what, ours, bare in (
        ("stored", partial(publish, store, picture), partial(put, server.client, bucket, picture)),
        ("read", partial(read, store), partial(get, server.client, bucket)),
    ):
        subject, floor = in_turns(plan.repeats, partial(turn, ours, plan.seconds), partial(turn, bare, plan.seconds))
        budget = BUDGET if what == "stored" else None
        result.rows += [
            Row(f"{label}, {what}: time", "ms", values(subject, "ms"), values(floor, "ms"), budget),
            Row(f"{label}, {what}: CPU", "ms", values(subject, "cpu"), values(floor, "cpu")),
        ]
        result.bars += [Bar(f"{label}, {what}", average_us(subject)), Bar(f"{label}, {what}, floor", average_us(floor))]


def turn(act: Callable[[], object], seconds: float) -> Turn:
    """Repeat it for so long, and once before that."""
    act()
    count, began, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < seconds:
        act()
        count += 1
    took, used = time.perf_counter() - began, time.process_time() - cpu
    return Turn({"ms": 1000 * took / count, "cpu": 1000 * used / count})


def publish(store: S3Store, picture: bytes) -> None:
    """What a download does once its picture is decoded."""
    with store.stage() as staged:
        staged.file.write(picture)
        store.publish(staged, NAME)


def put(client: Any, bucket: str, picture: bytes) -> None:
    """The floor."""
    client.put_object(Bucket=bucket, Key=KEY, Body=picture)


def read(store: S3Store) -> None:
    """Read the picture in pieces, as it is sent to a client."""
    file = store.open(NAME)
    assert file is not None
    with file:
        while file.read(65_536):
            pass


def get(client: Any, bucket: str) -> None:
    """The floor."""
    with client.get_object(Bucket=bucket, Key=KEY)["Body"] as body:
        while body.read(65_536):
            pass


def average_us(turns: list[Turn]) -> dict[str, float]:
    """The mean CPU of the turns, in µs."""
    return {"this process": 1000 * sum(values(turns, "cpu")) / len(turns)}
